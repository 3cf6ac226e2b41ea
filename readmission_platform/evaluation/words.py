"""The words of metrics, of a model's subgroups and baselines, and of what its rows are: said once, for every page.

What belongs here: how something is called. What does not: sentences of a page, and what a figure is computed from.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from readmission_platform.evaluation.estimates.schema import MODEL, EvidenceSchema
from readmission_platform.evaluation.operation.cohorts import ALL, SEEN, UNSEEN


@dataclass(frozen=True)
class Words:
    """How pages, checks and messages speak of the model.

    Attributes
    ----------
    title
        What the model predicts, as a heading: "30-day readmission".
    row, rows
        One row and several: "encounter", "encounters".
    entity, entities
        Whose rows they are: "patient", "patients".
    event, events
        The outcome as a noun: "readmission", "readmissions".
    positive
        The outcome as a participle, of a row that has it: "readmitted within 30 days".
    delivery
        What the files of a day hold: "discharges".
    """

    title: str
    row: str
    rows: str
    entity: str
    entities: str
    event: str
    events: str
    positive: str
    delivery: str


# Of no model in particular: what is said in a place that serves them all, such as the catalogue of figures.
ANY_MODEL = Words(
    title="the event",
    row="row",
    rows="rows",
    entity="entity",
    entities="entities",
    event="event",
    events="events",
    positive="with the event",
    delivery="rows",
)

# Name of a metric and, after the colon, how it is to be read. {flag} and {wide_flag} become "the flag (10 %)" and
# "the wide flag (20 %)"; {percent} is the end of the metric's name, a probability.
_METRICS = {
    "auroc": "AUROC: how well it separates high from low risk",
    "auroc_test": "AUROC of the model in use, on its test {entities}",
    "latest_auroc": "AUROC on the latest fifth of the {entities}",
    "average_precision": "Average precision",
    "average_precision_ratio": "Average precision over prevalence",
    "calibration_slope": "Calibration slope: 1 is ideal",
    "calibration_intercept": "Calibration intercept: 0 is ideal",
    "observed_expected": "Observed / expected {events}: 1 is ideal",
    "latest_observed_expected": "Observed / expected {events} on the latest fifth of the {entities}: 1 is ideal",
    "ece": "Expected calibration error: ten groups of equal size, 0 is ideal",
    "brier": "Brier score: lower is better",
    "brier_skill": "Brier skill: compared with predicting the average risk for everybody",
    "recall_at_flag": "Recall at {flag}: share of the {events} found",
    "ppv_at_flag": "PPV at {flag}: share of the flagged {positive}",
    "recall_at_wide_flag": "Recall at {wide_flag}: share of the {events} found",
    "accuracy": "Accuracy at {flag}: predicting no for everybody gives 1 minus the prevalence",
    "precision": "Precision at {flag}",
    "recall": "Recall at {flag}",
    "f1": "F1 at {flag}",
    "rows": "{rows} judged",
    "champion_auroc_difference": "AUROC minus that of the version in production",
    "champion_average_precision_difference": "Average precision minus that of the version in production",
    "champion_brier_difference": "Brier score minus that of the version in production: below 0 is better",
    "champion_net_benefit_difference": (
        "Net benefit minus that of the version in production: mean over the thresholds in use"
    ),
    "roundtrip_difference": "Largest difference in a risk after storing and loading",
    "parity_difference": "Largest difference in a risk between training and daily scoring",
    "single_rows_that_differ": "{rows} that are answered otherwise alone than in a batch",
    "permuted_labels_auroc": "AUROC of the recipe trained on permuted labels: 0.5 is ideal",
    "inputs_changed_without_future": "Input values that change when everything later is deleted: 0 is ideal",
    "future_told_by_one_input": "Highest AUROC with which one input tells, at the first {row}, whether more follow",
    "outcome_told_by_one_input": "Highest AUROC with which one input tells the outcome",
    "distinct_share_of_one_input": "Most distinct values of one input, per {row}",
    "clock_told_by_one_input": "Largest share of the clock that one input explains",
    "identifiers_among_inputs": "Inputs with the name of an identifier: 0 is ideal",
    "entities_in_two_folds": "{entities} in more than one fold: 0 is ideal",
    "prevalence_difference_of_folds": "Largest difference between a fold's prevalence and the overall one",
    "shadow_observed_expected_ratio": "Mean risk in shadow mode over mean risk at validation: 1 is ideal",
    "shadow_scored_share": "Share scored in shadow mode",
    "shadow_withheld_share": "Share withheld in shadow mode",
}
_AT_A_RISK = {
    "net_benefit_at_": "Net benefit of following up at a risk of {percent} or more",
    "champion_net_benefit_difference_at_": "Net benefit at a risk of {percent} or more, minus that of the live version",
}
_OF_AN_ATTRIBUTE = {
    "equalised_odds_": "Equalised odds at {flag}, {attribute}: 0 is equal",
    "auroc_gap.": "AUROC gap, {attribute}: 0 is equal",
}
_OF_A_GROUP = "observed_expected."
_OF_A_BASELINE = "auroc_gain_over_"
_OF_A_SOURCE = "risks_moved_by_"


@dataclass(frozen=True)
class Wording:
    """How one model's metrics, subgroups and scores are called.

    Attributes
    ----------
    schema
        The attributes and baselines that have words; None where there are none to speak of.
    flag_share, wide_flag_share
        Shares of the rows flagged; None where the place is of no model in particular.
    """

    words: Words
    schema: EvidenceSchema | None = None
    flag_share: float | None = None
    wide_flag_share: float | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Wording":
        """Read how a document's figures are called: from its ``words``, ``schema`` and ``settings``."""
        schema, settings = document["schema"], document["settings"]
        return cls(
            Words(**document["words"]),
            None if schema is None else EvidenceSchema.from_json(schema),
            settings["flag_share"],
            settings["wide_flag_share"],
        )

    def to_json(self) -> dict[str, Any]:
        """Return what ``of`` reads, for a page of plain values."""
        return {
            "words": asdict(self.words),
            "schema": self.schema.to_json() if self.schema else None,
            "settings": {"flag_share": self.flag_share, "wide_flag_share": self.wide_flag_share},
        }

    def label(self, metric: str) -> str:
        """Return the words for a metric with how it is to be read; one without words is called by its name."""
        return self._said(metric, note=True)

    def short(self, metric: str) -> str:
        """Return the words for a metric alone."""
        return self._said(metric, note=False)

    def inline(self, metric: str) -> str:
        """Return the words for a metric alone, to stand within a sentence."""
        said = self.short(metric)
        named_after = said.startswith(("Brier", "F1")) or said[1:2].isupper()
        return said if named_after else said[:1].lower() + said[1:]

    def attribute(self, name: str) -> str:
        """Return the words for an attribute: "age group"."""
        found = [each.words for each in self.schema.attributes if each.name == name] if self.schema else []
        return found[0] if found else name.replace("_", " ")

    def group(self, attribute: str, name: str) -> str:
        """Return the words for a group: "Age group: 70+"."""
        return f"{_first_upper(self.attribute(attribute))}: {name}"

    def cohort(self, name: str) -> str:
        """Return the words for a cohort of operation: "everybody", "patients seen", or the group's name as it is."""
        named = {ALL: "everybody", SEEN: f"{self.words.entities} seen", UNSEEN: f"{self.words.entities} unseen"}
        return named.get(name, name)

    def score(self, name: str) -> str:
        """Return the words for a score that is compared: "the model", or those of a baseline."""
        if name == MODEL:
            return "the model"
        found = [each.words for each in self.schema.baselines if each.name == name] if self.schema else []
        return found[0] if found else name.replace("_", " ")

    def source(self, name: str) -> str:
        """Return the words for a source of information: "utilisation counts"."""
        found = [each.words for each in self.schema.information if each.name == name] if self.schema else []
        return found[0] if found else name.replace("_", " ")

    @property
    def flag(self) -> str:
        """The flag with its share: "the flag (10 %)"."""
        return _flag("the flag", self.flag_share)

    def _said(self, metric: str, *, note: bool) -> str:
        more: dict[str, str] = {}
        pattern = _METRICS.get(metric)
        if pattern is None:
            pattern, more = self._of_part(metric)
        if pattern is None:
            return metric.replace("_", " ")
        wide = _flag("the wide flag", self.wide_flag_share)
        chosen = pattern if note else pattern.partition(":")[0]
        return _first_upper(chosen.format(**vars(self.words), flag=self.flag, wide_flag=wide, **more))

    def _of_part(self, metric: str) -> tuple[str | None, dict[str, str]]:
        """Return the pattern of a metric whose name ends in what it is of: a threshold, a group, a baseline."""
        for beginning, pattern in _AT_A_RISK.items():
            if metric.startswith(beginning):
                return pattern, {"percent": f"{100 * float(metric.removeprefix(beginning)):g} %"}
        for beginning, pattern in _OF_AN_ATTRIBUTE.items():
            if metric.startswith(beginning):
                return pattern, {"attribute": self.attribute(metric.removeprefix(beginning))}
        if metric.startswith(_OF_A_GROUP):
            attribute, _, group = metric.removeprefix(_OF_A_GROUP).partition(".")
            return "Observed / expected {events}, {attribute} {group}", {
                "attribute": self.attribute(attribute),
                "group": group,
            }
        if metric.startswith(_OF_A_BASELINE):
            return "AUROC gain over {baseline}", {"baseline": self.score(metric.removeprefix(_OF_A_BASELINE))}
        if metric.startswith(_OF_A_SOURCE):
            pattern = "How far risks move with the {source}, in log odds: 0 means that the source is lost"
            return pattern, {"source": self.source(metric.removeprefix(_OF_A_SOURCE))}
        return None, {}


ANY_WORDING = Wording(ANY_MODEL)


def _flag(name: str, share: float | None) -> str:
    return name if share is None else f"{name} ({100 * share:g} %)"


def _first_upper(text: str) -> str:
    return text[:1].upper() + text[1:]
