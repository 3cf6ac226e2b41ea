"""What no computation knows of the model, and which question of which standard is answered where: ``model_card.yaml``.

What belongs here: the shape of the file, and the questions that each standard asks, pinned: no edit can drop one.
What does not: putting a card together (``reports.model_card``). Empty texts can be read, so that the check of the card
can name them.
"""

from typing import Literal

from pydantic import Field, model_validator

from readmission_platform.foundation.values import Frozen

Standard = Literal["onc", "chai", "tripod_ai"]

# 45 CFR 170.315(b)(11)(iv)(B)(1) to (9), with the number of attributes of each.
_ONC = {1: 4, 2: 4, 3: 2, 4: 4, 5: 2, 6: 4, 7: 5, 8: 4, 9: 2}
_ROMAN = ("i", "ii", "iii", "iv", "v")
# Elements of the applied model card's schema, version 0.2, section by section.
_CHAI = {
    "BasicInfo": "ModelName ModelDeveloper DeveloperContact",
    "ReleaseInfo": "ReleaseStage ReleaseDate ReleaseVersion GlobalAvailability EHRCompatibility RegulatoryApproval",
    "ModelSummary": "Summary Keywords",
    "UsesAndDirections": "IntendedUseAndWorkflow PrimaryIntendedUsers HowToUse TargetedPatientPopulation "
    "CautionedOutOfScopeSettings",
    "Warnings": "KnownRisksAndLimitations KnownBiasesOrEthicalConsiderations ClinicalRiskLevel",
    "TrustIngredients": "OutcomesAndOutputs ModelType FoundationModels InputDataSource OutputAndInputDataTypes "
    "DevelopmentDataCharacterization BiasMitigationApproaches OngoingMaintenance Security Transparency FundingSource "
    "ThirdPartyInformation StakeholdersConsulted",
    "KeyMetrics": "UsefulnessUsabilityEfficacy FairnessEquity SafetyReliability",
    "Resources": "EvaluationReferences ClinicalTrial PeerReviewedPublications ReimbursementStatus "
    "PatientConsentOrDisclosure",
    "Bibliography": "Bibliography",
}
# Table 2 of the statement: 27 items, 52 with their sub-items.
_TRIPOD = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 "
    "18a 18b 18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)
REQUIRED_ITEMS: dict[Standard, tuple[str, ...]] = {
    "onc": tuple(f"({group})({_ROMAN[place]})" for group, count in _ONC.items() for place in range(count)),
    "chai": tuple(f"{section}/{name}" for section, names in _CHAI.items() for name in names.split()),
    "tripod_ai": tuple(_TRIPOD.split()),
}
REQUIRED_TEXTS = (
    *("name", "summary", "developer", "contact", "funding", "output", "intended_use", "population", "users"),
    *("decision_role", "how_to_use", "out_of_scope", "risks", "limitations", "ethics", "outcome", "data_source"),
    *("eligibility", "fairness", "bias_mitigation", "external_validation", "monitoring", "updates", "correction"),
)


class CardText(Frozen):
    """One text of the card: the words, by source of data where that matters, or why there are none.

    ``recalibrated`` is said instead of a version that keeps the model of another, ``{of_version}``.
    """

    title: str = ""
    text: str = ""
    by_source: dict[str, str] = Field(default_factory=dict)
    recalibrated: str = ""
    not_available: str = Field(default="", description="Why there is no text.")
    to_fill_in: bool = Field(default=False, description="Whether the hospital that uses the model has to say it.")


class CrosswalkItem(Frozen):
    """One question of a standard, and where the card answers it.

    ``answers`` are ``text/<name>`` or ``evidence/<path into the evidence document>``.
    """

    item: str
    asks: str = ""
    answers: tuple[str, ...] = ()
    not_available: str = Field(default="", description="Why nothing answers it.")


class Crosswalk(Frozen):
    """A standard and its questions."""

    title: str
    source: str
    version: str
    note: str = Field(default="", description="Where the wording comes from, and what was not verified.")
    items: tuple[CrosswalkItem, ...]


class CardSection(Frozen):
    """A part of the card: texts by name, then tables."""

    title: str
    texts: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


class ModelCardConfig(Frozen):
    """``model_card.yaml`` of the model."""

    texts: dict[str, CardText]
    sections: dict[str, CardSection]
    unrecorded: dict[str, str] = Field(description="Why the document lacks something, by the beginning of its path.")
    crosswalks: dict[Standard, Crosswalk]

    @model_validator(mode="after")
    def _sections_show_every_text_once(self) -> "ModelCardConfig":
        shown = [name for section in self.sections.values() for name in section.texts]
        unlike = sorted({*shown} ^ {*self.texts}) or sorted({name for name in shown if shown.count(name) > 1})
        if unlike:
            raise ValueError(f"every text belongs into one section; look at {', '.join(unlike)}")
        return self
