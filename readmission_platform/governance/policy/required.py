"""The gates that every policy must have: those of every model, and those that follow from a model's evidence schema.

What belongs here: which gate looks at which metric, and when. What does not: limits (``gates.yaml`` of the model), and
judging by them (``gates``). Pinned in code: no edit of a policy can drop one of these, look at another metric, or ask
for it later.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from readmission_platform.config.governance import GateStage
from readmission_platform.evaluation.estimates.schema import EvidenceSchema

_DISCRIMINATION = {
    "discrimination_auroc": "auroc",
    "discrimination_auroc_test": "auroc_test",
    "discrimination_leakage_alarm": "auroc",
    "discrimination_average_precision": "average_precision_ratio",
}
_NO_LEAKAGE = {
    "leakage_history": "inputs_changed_without_future",
    "leakage_row_total": "future_told_by_one_input",
    "leakage_outcome": "outcome_told_by_one_input",
    "leakage_distinct_values": "distinct_share_of_one_input",
    "leakage_clock": "clock_told_by_one_input",
    "leakage_identifiers": "identifiers_among_inputs",
    "leakage_entities_in_folds": "entities_in_two_folds",
    "leakage_fold_prevalence": "prevalence_difference_of_folds",
    "leakage_permuted_labels": "permuted_labels_auroc",
}
_CALIBRATION_AND_USE = {
    "calibration_brier_skill": "brier_skill",
    "calibration_slope": "calibration_slope",
    "calibration_observed_expected": "observed_expected",
    "calibration_ece": "ece",
    "capacity_recall_at_flag": "recall_at_flag",
    "capacity_ppv_at_flag": "ppv_at_flag",
    "capacity_recall_at_wide_flag": "recall_at_wide_flag",
    "temporal_auroc": "latest_auroc",
    "temporal_observed_expected": "latest_observed_expected",
}
_STAGING = {
    "integrity_artifact_roundtrip": "roundtrip_difference",
    "integrity_serving_parity": "parity_difference",
    "integrity_single_rows": "single_rows_that_differ",
}
# The metrics of every model that are measured when a version is trained, on artifact, recipe, inputs and split, and
# recorded with it. How far its risks move with each source of information is measured then, too.
MEASURED_AT_TRAINING = frozenset({*_NO_LEAKAGE.values(), *_STAGING.values()})
INFORMATION = "risks_moved_by_"
_PRODUCTION = {
    "stability_auroc_lower_bound": "auroc",
    "champion_non_inferior_auroc": "champion_auroc_difference",
    "champion_non_inferior_net_benefit": "champion_net_benefit_difference",
    "shadow_mean_risk": "shadow_observed_expected_ratio",
    "shadow_complete": "shadow_scored_share",
}


@dataclass(frozen=True)
class RequiredGates:
    """The gates that a model's policy must have: by stage, the metric of each by its name."""

    stages: Mapping[GateStage, Mapping[str, str]]

    def names(self, *stages: GateStage) -> tuple[str, ...]:
        """Return the names of the gates of these stages, of all without any."""
        return tuple(name for stage, name, _ in self if stage in stages or not stages)

    def __iter__(self) -> Iterator[tuple[GateStage, str, str]]:
        """Yield stage, gate and metric of each."""
        for stage, gates in self.stages.items():
            yield from ((stage, name, metric) for name, metric in gates.items())


def is_measured_at_training(metric: str) -> bool:
    """Tell whether a metric is measured when a version is trained, and not worked out from its evidence rows."""
    return metric in MEASURED_AT_TRAINING or metric.startswith(INFORMATION)


def information_metrics(moved: Mapping[str, float]) -> dict[str, float]:
    """Return what was measured by source of information (``evaluation.information``) by metric."""
    return {f"{INFORMATION}{source}": value for source, value in moved.items()}


def required_gates(schema: EvidenceSchema) -> RequiredGates:
    """Return the required gates of a model: the core of every model, and those that follow from its evidence schema.

    These are a gain over each baseline, each source of information, and fairness in each attribute.

    Raises
    ------
    ValueError
        When two attributes would have a gate of the same name.
    """
    gains = {f"discrimination_gain_over_{each.name}": f"auroc_gain_over_{each.name}"
             for each in schema.baselines if each.required}  # fmt: skip
    information = {f"information_{each.name}": f"{INFORMATION}{each.name}" for each in schema.information}
    kinds = {"fairness": "equalised_odds_{}", "fairness_observed_expected": "observed_expected.{}.*",
             "fairness_auroc_gap": "auroc_gap.{}"}  # fmt: skip
    fairness = [(f"{kind}_{each.gate}", metric.format(each.name))
                for kind, metric in kinds.items() for each in schema.attributes]  # fmt: skip
    by_name = dict(fairness)
    if len(by_name) < len(fairness):
        raise ValueError("two attributes have a gate of the same name: give one of them another gate")
    candidate = {**_DISCRIMINATION, **gains, **information, **_NO_LEAKAGE, **_CALIBRATION_AND_USE, **by_name}
    return RequiredGates({"candidate": candidate, "staging": _STAGING, "production": _PRODUCTION})
