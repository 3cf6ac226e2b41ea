"""What the evidence of this model holds besides labels and scores, and how pages speak of it.

What belongs here: naming subgroups, baselines, sources of information and nouns. What does not: computing them
(``encounters.cohort``, ``clinical_scores``, ``baseline``), and the limits of the gates that follow (``gates.yaml`` of
the model).
"""

from readmission_platform.encounters.cohort import DRUG_COLUMNS
from readmission_platform.encounters.history import HISTORY_COLUMNS
from readmission_platform.evaluation.estimates.schema import Attribute, Baseline, EvidenceSchema, InformationSource
from readmission_platform.evaluation.words import Words

_BY_HAND = "Calculated as far as the source's columns allow; a ward would have more information at hand."
SCHEMA = EvidenceSchema(
    attributes=(
        Attribute("gender", words="gender", gate="gender"),
        # Several groups have so few readmissions that a difference between them would be chance.
        Attribute("race", words="race", gate="race", every_group=False),
        Attribute("age_band", words="age group", gate="age"),
    ),
    baselines=(
        Baseline("lace", words="LACE", required=True, note=_BY_HAND),
        Baseline("hospital", words="HOSPITAL", note=_BY_HAND),
        Baseline("number_inpatient", words="inpatient stays in the past year", required=True),
        Baseline(
            "logistic", words="logistic regression", probability=True, fitted=True,
            note="Fitted on the same inputs and folds as the model.",
        ),
    ),
    # By where a hospital's feed takes them from. Race, gender, age and payer are none: no version has to draw on them.
    information=(
        InformationSource(
            "utilisation", "utilisation counts", ("number_inpatient", "number_emergency", "number_outpatient")
        ),
        InformationSource("history", "previous stays", tuple(HISTORY_COLUMNS)),
        InformationSource("discharge", "discharge disposition", ("discharge_disposition_id",)),
        InformationSource("diagnoses", "diagnoses", ("diag_1", "diag_2", "diag_3", "number_diagnoses")),
        InformationSource("admission", "admission", ("admission_type_id", "admission_source_id", "medical_specialty")),
        InformationSource(
            "stay", "course of the stay",
            ("time_in_hospital", "num_lab_procedures", "num_procedures", "num_medications"),
        ),
        InformationSource(
            "treatment", "treatment of diabetes",
            (*DRUG_COLUMNS, "change", "diabetesMed", "A1Cresult", "max_glu_serum"),
        ),
    ),
)  # fmt: skip
WORDS = Words(
    title="30-day readmission",
    row="encounter",
    rows="encounters",
    entity="patient",
    entities="patients",
    event="readmission",
    events="readmissions",
    positive="readmitted within 30 days",
    delivery="discharges",
)
