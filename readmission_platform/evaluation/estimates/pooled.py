"""Everything that is estimated from the pooled out-of-fold rows, prepared once and computed per replicate.

What belongs here: which rows each estimate is taken over, and its computation from replicate counts. What
does not: reading rows (``rows``) and writing the evidence document (``evidence``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from readmission_platform.evaluation.estimates.bootstrap import Counts, Key
from readmission_platform.evaluation.estimates.calibration import (
    RELIABILITY_BINS,
    equal_mass_edges,
    observed_expected_of,
    recalibrate,
    recalibration_groups,
)
from readmission_platform.evaluation.estimates.decision_curves import net_benefit_of
from readmission_platform.evaluation.estimates.fairness import Group, gap_statistics, group_statistics, make_groups
from readmission_platform.evaluation.estimates.metrics import capacity_of, skill
from readmission_platform.evaluation.estimates.ranking import (
    FloatArray,
    IntArray,
    Ranking,
    Running,
    accumulate,
    auroc_of,
    average_precision_of,
    flag_at_share,
    grouped_by_place,
    rank_rows,
    ratio,
    squared_errors,
    weighted_sum,
    weighted_sum_by_place,
)
from readmission_platform.evaluation.estimates.rows import Text, entity_codes
from readmission_platform.evaluation.estimates.schema import MODEL, Attribute

LATEST_SHARE = 0.2
TEST_FOLD = 0


@dataclass(frozen=True)
class EvidenceArrays:
    """Checked evidence of ``n`` rows in canonical order.

    Attributes
    ----------
    codes
        Number of each row's entity, from 0, shape (n,).
    entities
        How many entities there are.
    baselines
        Scores (n,) by name, those that are there.
    members
        For each attribute its groups by name, each as the rows (n,) that belong to it.
    """

    labels: IntArray
    scores: FloatArray
    codes: IntArray
    entities: int
    fold: IntArray
    clock: FloatArray
    baselines: Mapping[str, FloatArray]
    members: Mapping[Attribute, Mapping[str, NDArray[np.bool_]]]


@dataclass(frozen=True)
class Prepared:
    """The sorted rows of every slice, and what the replicates read from them."""

    overall: Ranking
    test: Ranking
    latest: Ranking
    baselines: Mapping[str, Ranking]
    groups: Mapping[Attribute, list[Group]]
    bin_edges: IntArray
    squared_errors: FloatArray
    recalibration_edges: IntArray
    recalibration_logits: FloatArray
    flag_share: float
    wide_flag_share: float
    thresholds: tuple[float, ...]


def threshold_name(threshold: float) -> str:
    """Return the estimate name of a threshold's net benefit, such as ``net_benefit_at_0.15``."""
    return f"net_benefit_at_{threshold:g}"


def compared_pairs(prepared: Prepared) -> list[tuple[str, str]]:
    """Return the pairs of scores whose AUROC is compared: the model with each baseline, and these with each other."""
    return list(combinations([MODEL, *prepared.baselines], 2))


def latest_entities(*, clock: FloatArray, codes: IntArray, entities: int) -> NDArray[np.bool_]:
    """Return the rows (n,) of the latest fifth of the entities, by their first row on the clock."""
    first = np.full(entities, np.inf)
    np.minimum.at(first, codes, clock)
    by_first = np.argsort(first, kind="stable")
    late = np.zeros(entities, dtype=np.bool_)
    late[by_first[entities - round(LATEST_SHARE * entities) :]] = True
    return late[codes]


def time_slices(*, clock: FloatArray, entity_keys: Text) -> FloatArray:
    """Return for each row (n,) where on the clock the slice of its entity begins: the latest fifth, or all before it.

    No estimate asks for more of the time than this, so evidence rows need not give it away. Evidence with these in
    place of ``clock`` gives the same estimates.

    Parameters
    ----------
    clock
        Place in time of each row (n,), from 0 to 1.
    entity_keys
        Whose row it is.
    """
    codes, entities = entity_codes(entity_keys)
    return np.where(latest_entities(clock=clock, codes=codes, entities=entities), 1 - LATEST_SHARE, 0.0)


def prepare(
    arrays: EvidenceArrays, *, flag_share: float, wide_flag_share: float, thresholds: tuple[float, ...]
) -> Prepared:
    """Sort the rows of every slice, once for all replicates."""
    labels, scores, codes = arrays.labels, arrays.scores, arrays.codes

    def ranked(rows: NDArray[np.bool_] | slice, by: FloatArray) -> Ranking:
        return rank_rows(labels=labels[rows], scores=by[rows], columns=codes[rows])

    everything = slice(None)
    latest = latest_entities(clock=arrays.clock, codes=codes, entities=arrays.entities)
    overall = ranked(everything, scores)
    edges, logits = recalibration_groups(overall)
    groups = {
        attribute: make_groups(attribute=attribute, members=members, labels=labels, scores=scores, codes=codes)
        for attribute, members in arrays.members.items()
    }
    return Prepared(
        overall=overall,
        test=ranked(arrays.fold == TEST_FOLD, scores),
        latest=ranked(latest, scores),
        baselines={name: ranked(everything, values) for name, values in arrays.baselines.items()},
        groups=groups,
        bin_edges=equal_mass_edges(overall),
        squared_errors=squared_errors(overall),
        recalibration_edges=edges,
        recalibration_logits=logits,
        flag_share=flag_share,
        wide_flag_share=wide_flag_share,
        thresholds=thresholds,
    )


def statistics(prepared: Prepared, counts: Counts) -> dict[Key, FloatArray]:
    """Compute every estimate for replicate counts (r, entities); values (r,), NaN where undefined."""
    overall = accumulate(ranking=prepared.overall, weights=counts)
    return {
        **_discrimination(prepared, overall, counts),
        **_calibration(prepared, overall),
        **_use(prepared, overall),
        **_latest(prepared, counts),
        **_fairness(prepared, overall, counts),
    }


def _discrimination(prepared: Prepared, overall: Running, counts: Counts) -> dict[Key, FloatArray]:
    area, precision = auroc_of(overall), average_precision_of(overall)
    values: dict[Key, FloatArray] = {
        ("auroc",): area,
        ("auroc_test",): auroc_of(accumulate(ranking=prepared.test, weights=counts)),
        ("average_precision",): precision,
        ("average_precision_ratio",): ratio(precision, ratio(overall.total_positive, overall.total)),
    }
    areas = {MODEL: area}
    for name, ranking in prepared.baselines.items():
        areas[name] = auroc_of(accumulate(ranking=ranking, weights=counts))
        values["baseline_auroc", name] = areas[name]
        values[(f"auroc_gain_over_{name}",)] = area - areas[name]
    for first, second in compared_pairs(prepared):
        values["auroc_difference", first, second] = areas[first] - areas[second]
    return values


def _calibration(prepared: Prepared, overall: Running) -> dict[Key, FloatArray]:
    total, positive = grouped_by_place(overall, edges=prepared.recalibration_edges)
    fit = recalibrate(x=prepared.recalibration_logits, total=total, positive=positive)
    score = ratio(weighted_sum(overall, values=prepared.squared_errors), overall.total)
    prevalence = ratio(overall.total_positive, overall.total)
    bin_rows, bin_positives = grouped_by_place(overall, edges=prepared.bin_edges)
    bin_expected = weighted_sum_by_place(overall, values=prepared.overall.scores, edges=prepared.bin_edges)
    differences = np.abs(bin_positives - bin_expected).sum(axis=1)
    observed = ratio(bin_positives, bin_rows)
    values: dict[Key, FloatArray] = {
        ("brier",): score,
        ("brier_skill",): skill(brier_score=score, prevalence=prevalence),
        ("calibration_slope",): fit.slope,
        ("calibration_intercept",): fit.intercept,
        ("observed_expected",): observed_expected_of(overall),
        ("ece",): ratio(differences, overall.total),
    }
    for b in range(RELIABILITY_BINS):
        values["bins", str(b)] = observed[:, b]
    return values


def _use(prepared: Prepared, overall: Running) -> dict[Key, FloatArray]:
    at_flag = capacity_of(overall, flag=flag_at_share(overall, share=prepared.flag_share))
    at_wide_flag = capacity_of(overall, flag=flag_at_share(overall, share=prepared.wide_flag_share))
    values: dict[Key, FloatArray] = {
        ("recall_at_flag",): at_flag.recall,
        ("ppv_at_flag",): at_flag.ppv,
        ("recall_at_wide_flag",): at_wide_flag.recall,
        ("accuracy",): at_flag.accuracy,
        ("precision",): at_flag.ppv,
        ("recall",): at_flag.recall,
        ("f1",): at_flag.f1,
    }
    for threshold in prepared.thresholds:
        values[(threshold_name(threshold),)] = net_benefit_of(overall, threshold=threshold)
    return values


def _latest(prepared: Prepared, counts: Counts) -> dict[Key, FloatArray]:
    latest = accumulate(ranking=prepared.latest, weights=counts)
    return {
        ("latest_auroc",): auroc_of(latest),
        ("latest_observed_expected",): observed_expected_of(latest),
    }


def _fairness(prepared: Prepared, overall: Running, counts: Counts) -> dict[Key, FloatArray]:
    flag = flag_at_share(overall, share=prepared.flag_share)
    values: dict[Key, FloatArray] = {}
    for attribute, groups in prepared.groups.items():
        figures = group_statistics(groups=groups, counts=counts, flag=flag)
        gaps = gap_statistics(attribute=attribute, groups=groups, values=figures, replicates=len(overall.total))
        values |= figures | gaps
    return values
