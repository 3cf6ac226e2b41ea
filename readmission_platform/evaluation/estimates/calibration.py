"""Calibration: whether the probabilities mean what they say.

What belongs here: recalibration slope and intercept, observed/expected, reliability bins. What does not: recalibrating
a model, which is part of fitting it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from readmission_platform.evaluation.estimates.ranking import (
    FloatArray,
    IntArray,
    Ranking,
    Running,
    Weights,
    ratio,
    weighted_sum,
)

RELIABILITY_BINS = 10
# Fine enough that grouping moves slope and intercept by less than a hundredth of their standard errors (by
# about 5e-5 on 20,000 rows). Fewer rows than this are not grouped.
RECALIBRATION_GROUPS = 2048
# A probability of exactly 0 or 1 has no logit.
SMALLEST_PROBABILITY = 1e-6
NEWTON_STEPS = 30
NEWTON_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Recalibration:
    """Of ``logit(P(y=1)) = intercept + slope * logit(score)``, (r,) each; 0 and 1 are ideal."""

    intercept: FloatArray
    slope: FloatArray


def logit(scores: FloatArray) -> FloatArray:
    """Return log odds of probabilities, which are first kept 1e-6 away from 0 and 1."""
    kept = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return np.asarray(np.log(kept) - np.log1p(-kept), dtype=np.float64)


def clipped_log_odds(log_odds: FloatArray) -> FloatArray:
    """Clip log odds to where ``logit`` clips probabilities."""
    furthest = float(logit(np.array(1.0)))
    return np.asarray(np.clip(log_odds, -furthest, furthest))


def recalibrate(*, x: FloatArray, total: FloatArray, positive: FloatArray) -> Recalibration:
    """Fit ``r`` two-parameter logistic regressions at once by Newton's method.

    Parameters
    ----------
    x : (g,) predictor of each group of rows (logit of the score).
    total, positive : (r, g) weight of the rows and of the positive rows of each group.

    Returns NaN where no finite maximum-likelihood fit exists (one class only, a constant predictor, complete
    separation). Source: Cox 1958, Biometrika 45:562; Van Calster et al. 2019, BMC Medicine 17:230.
    """
    everyone, cases = total.sum(axis=1), positive.sum(axis=1)
    fittable = (cases > 0) & (cases < everyone) & (len(x) > 1)
    intercept, slope = np.full(len(everyone), np.nan), np.full(len(everyone), np.nan)
    if not fittable.any():
        return Recalibration(intercept=intercept, slope=slope)
    # Centring and scaling x keeps the 2 x 2 system well conditioned whatever the scores look like.
    centre, spread = float(x.mean()), float(x.std())
    if spread < NEWTON_TOLERANCE:
        return Recalibration(intercept=intercept, slope=slope)
    a, b, converged = _newton((x - centre) / spread, total[fittable], positive[fittable])
    b = np.where(converged, b / spread, np.nan)
    intercept[fittable] = np.where(converged, a, np.nan) - b * centre
    slope[fittable] = b
    return Recalibration(intercept=intercept, slope=slope)


def _sum_along(values: FloatArray, z: FloatArray) -> FloatArray:
    # Not a matrix product, for the reason given at ranking.weighted_sum.
    return np.asarray(np.einsum("rg,g->r", values, z), dtype=np.float64)


def _newton(z: FloatArray, total: FloatArray, positive: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
    """Newton steps of all replicates together, starting at the prevalence; also says which converged."""
    prevalence = positive.sum(axis=1) / total.sum(axis=1)
    a, b = logit(prevalence), np.zeros(len(prevalence))
    target_0, target_1 = positive.sum(axis=1), _sum_along(positive, z)
    converged = np.zeros(len(a), dtype=np.bool_)
    squared = np.square(z)
    for _ in range(NEWTON_STEPS):
        mean = 1 / (1 + np.exp(-np.clip(a[:, None] + b[:, None] * z, -500, 500)))
        expected = total * mean
        variance = expected * (1 - mean)
        gradient_0, gradient_1 = target_0 - expected.sum(axis=1), target_1 - _sum_along(expected, z)
        h00, h01, h11 = variance.sum(axis=1), _sum_along(variance, z), _sum_along(variance, squared)
        determinant = h00 * h11 - h01 * h01
        solvable = determinant > 1e-12 * h00 * h11
        divisor = np.where(solvable, determinant, 1.0)
        step_a = np.where(solvable, (h11 * gradient_0 - h01 * gradient_1) / divisor, 0.0)
        step_b = np.where(solvable, (h00 * gradient_1 - h01 * gradient_0) / divisor, 0.0)
        a, b = a + step_a, b + step_b
        converged = solvable & (np.abs(step_a) + np.abs(step_b) < NEWTON_TOLERANCE * (1 + np.abs(a) + np.abs(b)))
        if (converged | ~solvable).all():
            break
    return a, b, converged


def recalibration(*, labels: IntArray, scores: FloatArray, weights: Weights | None = None) -> tuple[float, float]:
    """Return (intercept, slope) of one set of rows, fitted jointly and exactly; NaN where there is no fit."""
    row_weights = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    present = row_weights > 0
    kept = row_weights[present][np.newaxis, :]
    fit = recalibrate(x=logit(scores[present]), total=kept, positive=kept * labels[present])
    return float(fit.intercept[0]), float(fit.slope[0])


def recalibration_groups(ranking: Ranking) -> tuple[IntArray, FloatArray]:
    """Cut a ranking of probabilities into runs of close scores: their edges (g + 1,) and mean logits (g,).

    Half of the cuts are at equal numbers of rows, half at equal steps of the logit: the bulk and the sparse
    tails are both cut finely.
    """
    logits = logit(ranking.scores)
    if ranking.n <= RECALIBRATION_GROUPS:
        return np.arange(ranking.n + 1), logits
    cuts = RECALIBRATION_GROUPS // 2 + 1
    by_rows = np.round(np.linspace(0, ranking.n, cuts)).astype(np.int64)
    by_logit = np.searchsorted(logits, np.linspace(logits[0], logits[-1], cuts))
    edges = np.unique(np.concatenate([by_rows, by_logit]))
    return edges, np.add.reduceat(logits, edges[:-1]) / np.diff(edges)


def observed_expected_of(running: Running) -> FloatArray:
    """Return observed over expected positives, (r,); NaN where nobody or nothing is expected."""
    return ratio(running.total_positive, weighted_sum(running, values=running.ranking.scores))


def observed_expected(*, labels: IntArray, scores: FloatArray, weights: Weights | None = None) -> float:
    """Return observed positives over the sum of the probabilities; 1 is ideal, above 1 is underprediction."""
    row_weights = np.ones(len(labels)) if weights is None else weights.astype(np.float64)
    return float(ratio(np.asarray(row_weights @ labels), np.asarray(row_weights @ scores)))


def equal_mass_bins(*, scores: FloatArray, bins: int = RELIABILITY_BINS) -> IntArray:
    """Assign each row (n,) to one of ``bins`` bins of equally many rows by score; equal scores share a bin."""
    if not len(scores):
        return np.zeros(0, dtype=np.int64)
    distinct, block = np.unique(scores, return_inverse=True)
    mass = np.bincount(block, minlength=len(distinct))
    middle = (np.cumsum(mass) - mass / 2) / mass.sum()
    members: IntArray = np.minimum((middle * bins).astype(np.int64), bins - 1)[block]
    return members


def equal_mass_edges(ranking: Ranking, *, bins: int = RELIABILITY_BINS) -> IntArray:
    """Return the places (bins + 1,) in a ranking at which its equal-mass bins begin; a bin may be empty."""
    members = equal_mass_bins(scores=ranking.scores, bins=bins)
    return np.searchsorted(members, np.arange(bins + 1), side="left").astype(np.int64)


def reliability_bins(*, labels: IntArray, scores: FloatArray, bins: int = RELIABILITY_BINS) -> list[dict[str, float]]:
    """Return n, positives, mean_score and observed share of each equal-mass bin that has rows."""
    members = equal_mass_bins(scores=scores, bins=bins)
    n = np.bincount(members, minlength=bins)
    positives = np.bincount(members, weights=labels, minlength=bins)
    expected = np.bincount(members, weights=scores, minlength=bins)
    return [
        {
            "bin": b,
            "n": int(n[b]),
            "positives": int(positives[b]),
            "mean_score": float(expected[b] / n[b]),
            "observed": float(positives[b] / n[b]),
        }
        for b in range(bins)
        if n[b]
    ]
