"""Limits proposed for a new model: how far an honest model of this table may be from the figures that one shows.

What belongs here: measuring one model as training would, and putting limits around its figures. What does not: the
files that hold them (``rendering``). Whoever owns the model decides; a proposal is where to begin.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.evaluation import leakage
from readmission_platform.evaluation.estimates.evidence import evaluate
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.evaluation.information import risks_moved
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.policy.required import information_metrics
from readmission_platform.lifecycle.training.training_table import TrainingTable, evidence_of
from readmission_platform.models.contract import ModelContract

FOLDS, FLAG, WIDE_FLAG = 5, 0.1, 0.2
_REPLICATES = 200
# The folds of a home depend on its own key; those of a proposal on this one.
_KEY = b"a key that is only used to propose limits"


@dataclass(frozen=True)
class Figure:
    """What one model shows: a value, and half the width of its 95 % interval; NaN where it has none."""

    value: float
    half: float = math.nan

    def below(self, widths: float, *, least: float = -math.inf) -> float:
        """Return a limit so many half widths below."""
        return _rounded(max(self.value - widths * self._margin, least), down=True)

    def above(self, widths: float, *, most: float = math.inf) -> float:
        """Return a limit so many half widths above."""
        return _rounded(min(self.value + widths * self._margin, most), down=False)

    @property
    def _margin(self) -> float:
        return self.half if math.isfinite(self.half) else 0.1 * abs(self.value)

    @property
    def said(self) -> str:
        """In words: ".741 (half width .020)"."""
        return f"{self.value:.3f}" + (f", interval {2 * self.half:.3f} wide" if math.isfinite(self.half) else "")


@dataclass(frozen=True)
class Measured:
    """What a model of one source shows, by metric, and that model."""

    figures: Mapping[str, Figure]
    positives: int
    rows: int
    prevalence: float
    model: Any


def measure(
    contract: ModelContract, raw: pd.DataFrame, settings: Mapping[str, Any], *, replay_share: float, seed: int
) -> Measured:
    """Fit a model of these rows by fold and measure what the gates of a candidate look at.

    Raises
    ------
    BadInput
        When the estimator cannot be fitted on them.
    """
    data, estimator = contract.data, contract.estimator
    cohort = data.cohort(raw, key=_KEY, replay_share=replay_share)
    rows = cohort[cohort["part"] == "development"].reset_index(drop=True)
    inputs, labels = data.inputs_of(rows, rows), rows[contract.outcome].to_numpy()
    folds = entity_folds(rows["entity_key"], folds=FOLDS).to_numpy()
    validated = estimator.settings.model_validate(settings).model_dump()
    fit = partial(estimator.cross_validate, settings=validated, seed=seed)
    try:
        found = fit(inputs, labels, folds, entities=rows["entity_key"].to_numpy())
    except (ValueError, np.linalg.LinAlgError) as error:
        raise BadInput(f"no such estimator can be fitted on this table ({type(error).__name__})") from error
    frame = rows[[contract.row, "entity_key", "clock", contract.outcome]].join(inputs)
    table = TrainingTable(frame, labels, folds, seed)
    baselines = data.baselines(inputs, labels, folds)
    document = evaluate(
        evidence_of(contract, table, found.scores, _KEY, baselines=baselines), schema=contract.evidence,
        flag_share=FLAG, wide_flag_share=WIDE_FLAG, thresholds=thresholds(float(labels.mean())),
        replicates=_REPLICATES, seed=seed,
    )  # fmt: skip
    figures = {
        name: _figure(estimate) for name, estimate in document["estimates"].items() if estimate["value"] is not None
    }
    moved = risks_moved(
        partial(estimator.score, found.model), inputs[table.test], contract.evidence.information, seed=seed
    )
    entities = rows["entity_key"]
    single = {
        **information_metrics(moved),
        "future_told_by_one_input": float(leakage.future_told(inputs, entities).max()),
        "outcome_told_by_one_input": float(leakage.outcome_told(inputs, labels, entities).max()),
        "distinct_share_of_one_input": float(leakage.distinct_shares(inputs).max()),
        "clock_told_by_one_input": float(leakage.clock_told(inputs, rows["clock"]).max()),
    }
    figures |= {name: Figure(value) for name, value in single.items()}
    return Measured(figures, int(labels.sum()), len(labels), float(labels.mean()), found.model)


def thresholds(prevalence: float) -> tuple[float, ...]:
    """Return risks from which somebody would act: around the share with the event, twice and three times as high."""
    return tuple(sorted({round(min(times * prevalence, 0.9), 2) for times in (1, 1.5, 2)}))


def proposed_limits(found: Measured, contract: ModelContract) -> dict[str, dict[str, float | list[float]]]:
    """Return limits by gate, around what was measured."""
    of, figure = contract.evidence, found.figures
    get = partial(_of, figure)
    auroc, test, latest = get("auroc"), get("auroc_test"), get("latest_auroc")
    folds_apart = 4 * math.sqrt(found.prevalence * (1 - found.prevalence) * FOLDS / found.rows)
    by_chance = 4 / math.sqrt(12 * min(found.positives, leakage.PERMUTED * found.prevalence) / 2)
    slope, expected, latest_expected = (
        get("calibration_slope"),
        get("observed_expected"),
        get("latest_observed_expected"),
    )
    off, off_lately = (abs(each.value - 1) + 2 * each.half for each in (expected, latest_expected))
    beaten, drawn_on = [each.name for each in of.baselines if each.required], [each.name for each in of.information]
    limits: dict[str, dict[str, float | list[float]]] = {
        "discrimination_auroc": {"at_least": auroc.below(1.5, least=0.5), **_low(auroc, 3)},
        "discrimination_auroc_test": {"at_least": test.below(2, least=0.5), **_low(test, 4)},
        "discrimination_leakage_alarm": {"at_most": _beyond(auroc.value + max(3 * auroc.half, 0.03), 0.6)},
        "discrimination_average_precision": {"at_least": get("average_precision_ratio").below(2, least=1.0)},
        **{f"discrimination_gain_over_{name}": {"at_least": get(f"auroc_gain_over_{name}").below(2, least=0.0)}
           for name in beaten},
        **{f"information_{name}": {"at_least": _rounded(0.25 * get(f"risks_moved_by_{name}").value, down=True)}
           for name in drawn_on},
        "leakage_history": {"at_most": 0},
        "leakage_row_total": {"at_most": _beyond(get("future_told_by_one_input").value + 0.1, 0.8)},
        "leakage_outcome": {"at_most": _beyond(get("outcome_told_by_one_input").value + 0.05, 0.7)},
        "leakage_distinct_values": {"at_most": 0.5 if get("distinct_share_of_one_input").value <= 0.4 else 1.0},
        "leakage_clock": {"at_most": _beyond(get("clock_told_by_one_input").value + 0.1, 0.5)},
        "leakage_identifiers": {"at_most": 0},
        "leakage_entities_in_folds": {"at_most": 0},
        "leakage_fold_prevalence": {"at_most": _beyond(folds_apart, 0.02)},
        "leakage_permuted_labels": {"at_least": _rounded(0.5 - max(by_chance, 0.04), down=True),
                                    "at_most": _rounded(0.5 + max(by_chance, 0.04), down=False)},
        "calibration_brier_skill": {"at_least": get("brier_skill").below(2, least=0.0)},
        "calibration_slope": {"between": _around(1, max(0.1, abs(slope.value - 1) + 2 * slope.half))},
        "calibration_observed_expected": {"between": _around(1, max(0.05, off))},
        "calibration_ece": {"at_most": get("ece").above(2)},
        "capacity_recall_at_flag": {"at_least": get("recall_at_flag").below(2, least=0.0)},
        "capacity_ppv_at_flag": {"at_least": get("ppv_at_flag").below(2, least=0.0)},
        "capacity_recall_at_wide_flag": {"at_least": get("recall_at_wide_flag").below(2, least=0.0)},
        "temporal_auroc": {"at_least": latest.below(2, least=0.5)},
        "temporal_observed_expected": {"between": _around(1, max(0.1, off_lately))},
        "integrity_artifact_roundtrip": {"at_most": 1e-9},
        "integrity_serving_parity": {"at_most": 1e-9},
        "integrity_single_rows": {"at_most": 0},
        "stability_auroc_lower_bound": {"lower_bound_at_least": auroc.below(2.5, least=0.5)},
        "champion_non_inferior_auroc": {"lower_bound_above": -max(0.005, _rounded(auroc.half / 2, down=False))},
        "champion_non_inferior_net_benefit": {"lower_bound_above": -max(0.003, round(0.05 * found.prevalence, 3))},
        "shadow_mean_risk": {"at_least": 0.65, "at_most": 1.5},
        "shadow_complete": {"at_least": 1.0},
        "shadow_withheld": {"at_most": 0.05},
    }  # fmt: skip
    for attribute in of.attributes:
        apart = [abs(figure[name].value - 1) + 2 * _half(figure[name]) for name in figure
                 if name.startswith(f"observed_expected.{attribute.name}.") and _half(figure[name]) < 0.3]  # fmt: skip
        odds, gap = get(f"equalised_odds_{attribute.name}"), get(f"auroc_gap.{attribute.name}")
        limits |= {
            f"fairness_{attribute.gate}": {"at_most": odds.above(2, most=1.0) if odds.value else 0.2},
            f"fairness_observed_expected_{attribute.gate}": {"between": _around(1, max([0.1, *apart]))},
            f"fairness_auroc_gap_{attribute.gate}": {"at_most": gap.above(2, most=0.5) if gap.value else 0.1},
        }
    return limits


def _figure(estimate: Mapping[str, Any]) -> Figure:
    low, high = estimate.get("low"), estimate.get("high")
    half = math.nan if low is None or high is None else (high - low) / 2
    return Figure(float(estimate["value"]), half)


def _low(auroc: Figure, widths: float) -> dict[str, float | list[float]]:
    """Return a limit for the lower end of an interval; none where so few rows could not show it to be above chance."""
    limit = auroc.below(widths)
    return {"lower_bound_at_least": limit} if limit > 0.5 else {}


def _of(figures: Mapping[str, Figure], name: str) -> Figure:
    return figures.get(name, Figure(0.0, 0.0))


def _half(figure: Figure) -> float:
    return figure.half if math.isfinite(figure.half) else 0.1


def _rounded(number: float, *, down: bool) -> float:
    """Round to three digits after the point, away from what was seen."""
    return float((np.floor if down else np.ceil)(1000 * number - (1e-9 if not down else -1e-9)) / 1000)


def _around(middle: float, distance: float) -> list[float]:
    return [_rounded(max(middle - distance, 0.05), down=True), _rounded(middle + distance, down=False)]


def _beyond(number: float, least: float) -> float:
    """Return a limit of at least so much, and never above 1."""
    return _rounded(min(max(number, least), 1.0), down=False)
