"""How much of a model is chance: the same recipe fitted with several seeds, side by side.

What belongs here: figures over several fits of the same rows, and figures of a part of them. What does not:
fitting (``models``), and comparing two versions in use (``agreement``).
"""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.estimates.agreement import rank_correlation
from readmission_platform.evaluation.estimates.bootstrap import Counts, Estimate, Key, bootstrap
from readmission_platform.evaluation.estimates.calibration import (
    observed_expected_of,
    recalibrate,
    recalibration_groups,
)
from readmission_platform.evaluation.estimates.evidence import builtin_estimate
from readmission_platform.evaluation.estimates.metrics import capacity_of, skill
from readmission_platform.evaluation.estimates.ranking import (
    FloatArray,
    IntArray,
    Ranking,
    accumulate,
    auroc_of,
    flag_at_share,
    grouped_by_place,
    rank_rows,
    ratio,
    squared_errors,
    weighted_sum,
)


def spread_of(values: Sequence[float]) -> dict[str, Any]:
    """Return mean, standard deviation (None for one value), smallest and largest of the same figure over seeds."""
    listed = [float(value) for value in values]
    return {
        "mean": float(np.mean(listed)),
        "sd": float(np.std(listed, ddof=1)) if len(listed) > 1 else None,
        "low": min(listed),
        "high": max(listed),
        "values": listed,
    }


def between(values: Sequence[float | None]) -> dict[str, float | None]:
    """Return mean and smallest of a likeness over the pairs of seeds; None without a pair or where undefined."""
    known = [float(value) for value in values if value is not None]
    if not known or len(known) < len(values):
        return {"mean": None, "low": None}
    return {"mean": float(np.mean(known)), "low": min(known)}


def likeness_of_scores(scores: Sequence[FloatArray], *, flag_share: float) -> dict[str, dict[str, float | None]]:
    """Return how alike the scores (n,) of several fits are, over all pairs.

    Returns
    -------
    ``rank_correlation`` (Spearman) and ``flagged_overlap`` (share of those whom one flags that the other flags too,
    each flagging its highest ``flag_share``).
    """
    count = max(1, round(flag_share * len(scores[0])))
    flagged = [set(np.argsort(-values, kind="stable")[:count].tolist()) for values in scores]
    pairs = list(combinations(range(len(scores)), 2))
    return {
        "rank_correlation": between([rank_correlation(scores[one], scores[other]) for one, other in pairs]),
        "flagged_overlap": between([len(flagged[one] & flagged[other]) / count for one, other in pairs]),
    }


def likeness_of_reasons(contributions: Sequence[FloatArray], *, top: int, seed: int) -> dict[str, Any]:
    """Return how alike the reasons of several fits are.

    Parameters
    ----------
    contributions
        For each fit, what every concept adds to the log odds of every row, shape (rows, concepts).
    top
        Number of concepts, those that raise the risk most, that are named for a row.

    Returns
    -------
    ``shared``: share of a row's top concepts that the other fit names too, mean over rows and pairs.
    ``by_chance``: the same for the reasons of *another* row, dealt out at random: what concepts that are named
    for nearly everybody bring by themselves. ``correlation``: of the contributions (Pearson), mean over pairs.
    """
    named = [np.argsort(-values, axis=1, kind="stable")[:, :top] for values in contributions]
    other_rows = np.random.default_rng(seed).permutation(len(contributions[0]))
    pairs = list(combinations(range(len(contributions)), 2))
    return {
        "rows": len(contributions[0]),
        "top": top,
        "shared": between([_shared(named[one], named[other]) for one, other in pairs])["mean"],
        "by_chance": between([_shared(named[one], named[other][other_rows]) for one, other in pairs])["mean"],
        "correlation": between([
            _correlation(contributions[one].ravel(), contributions[other].ravel()) for one, other in pairs
        ])["mean"],
    }  # fmt: skip


def _shared(ours: IntArray, theirs: IntArray) -> float | None:
    if not ours.size:
        return None
    return float((ours[:, :, None] == theirs[:, None, :]).any(axis=2).mean())


def _correlation(one: FloatArray, other: FloatArray) -> float | None:
    if not one.size or not one.std() or not other.std():
        return None
    return float(np.corrcoef(one, other)[0, 1])


def key_figures(
    *, labels: IntArray, scores: FloatArray, entities: IntArray, flag_share: float, replicates: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Estimate the figures that a rule or a seed is compared by, with intervals over entities.

    Parameters
    ----------
    labels, scores, entities : (n,) 0/1, probabilities, and whole numbers from 0 that say whose row each is.

    Returns
    -------
    Estimates by name: ``auroc``, ``brier_skill``, ``calibration_slope``, ``observed_expected``, and ``recall_at_flag``
    and ``ppv_at_flag`` when ``flag_share`` are flagged. With 1 to 10 positives (or negatives) every figure and count is
    None.
    """
    ranking = rank_rows(labels=labels, scores=scores, columns=entities)
    edges, logits = recalibration_groups(ranking)
    found = bootstrap(
        partial(_statistics, ranking, edges, logits, flag_share),
        clusters=int(entities.max()) + 1 if len(entities) else 0,
        rows=len(labels),
        replicates=replicates,
        seed=seed,
    )
    n, positives = len(labels), int(labels.sum())
    few = 0 < min(positives, n - positives) < SMALLEST_SHOWN
    return {key[0]: _shown(estimate, n, positives, few=few) for key, estimate in found.items()}


def _shown(estimate: Estimate, n: int, positives: int, *, few: bool) -> dict[str, Any]:
    if few:
        return dict.fromkeys(("value", "low", "high", "n", "positives"))
    return builtin_estimate(estimate, n=n, positives=positives)


def _statistics(
    ranking: Ranking, edges: IntArray, logits: FloatArray, flag_share: float, counts: Counts
) -> Mapping[Key, FloatArray]:
    running = accumulate(ranking=ranking, weights=counts)
    total, positive = grouped_by_place(running, edges=edges)
    brier = ratio(weighted_sum(running, values=squared_errors(ranking)), running.total)
    capacity = capacity_of(running, flag=flag_at_share(running, share=flag_share))
    return {
        ("auroc",): auroc_of(running),
        ("brier_skill",): skill(brier_score=brier, prevalence=ratio(running.total_positive, running.total)),
        ("calibration_slope",): recalibrate(x=logits, total=total, positive=positive).slope,
        ("observed_expected",): observed_expected_of(running),
        ("recall_at_flag",): capacity.recall,
        ("ppv_at_flag",): capacity.ppv,
    }
