"""One sort of the scores, from which every rank-based figure of every bootstrap replicate is read.

A replicate only changes the integer weights of the rows, never their order. So the rows are sorted once; each
replicate then costs one running sum. Ties are handled by blocks: rows with equal scores are one step of a
curve.

What belongs here: the sorted rows, their running weights, and the figures read from them, for many replicates
at once. What does not: single-set metrics for people to call (``metrics``) and drawing replicates
(``bootstrap``).
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
Weights: TypeAlias = NDArray[np.int32] | NDArray[np.int64] | NDArray[np.float64]


@dataclass(frozen=True)
class Ranking:
    """Rows in ascending order of score; ``n`` rows of which ``p`` are positive.

    ``columns`` (n,) says which column of a weight matrix holds each sorted row's weight. ``positive`` (p,)
    are the places of the positives. The four counts (p,) say how many rows (or positives) score below, or not
    above, each.
    """

    scores: FloatArray
    columns: IntArray
    positive: IntArray
    below: IntArray
    not_above: IntArray
    positives_below: IntArray
    positives_not_above: IntArray

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.scores)

    @property
    def p(self) -> int:
        """Number of positive rows."""
        return len(self.positive)


@dataclass(frozen=True)
class Running:
    """A ranking's weights and their running sums, for ``r`` weightings.

    ``weights`` (r, n) in the order of the ranking; ``rows`` (r, n + 1) sums them from the lowest score up,
    ``positives`` (r, p + 1) sums those of the positives, which are ``positive_weights`` (r, p).
    """

    ranking: Ranking
    weights: Weights
    rows: Weights
    positives: Weights
    positive_weights: Weights

    @property
    def total(self) -> FloatArray:
        """Total weight, (r,)."""
        return self.rows[:, -1].astype(np.float64)

    @property
    def total_positive(self) -> FloatArray:
        """Total weight of the positives, (r,)."""
        return self.positives[:, -1].astype(np.float64)


@dataclass(frozen=True)
class Flag:
    """Whom a rule flags, (r,) each: scores above ``threshold``, and ``tied_share`` of those equal to it."""

    threshold: FloatArray
    tied_share: FloatArray


def ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Divide element by element; an undefined ratio (denominator zero) is NaN."""
    undefined = np.full(np.broadcast_shapes(numerator.shape, denominator.shape), np.nan)
    np.divide(numerator, denominator, out=undefined, where=denominator != 0)
    return undefined


def rank_rows(*, labels: IntArray, scores: FloatArray, columns: IntArray | None = None) -> Ranking:
    """Sort rows by score.

    Parameters
    ----------
    labels, scores : (n,) 0/1 and any finite numbers, higher = riskier.
    columns : (n,) column of the weight matrix that holds each row's weight (its entity, say); own column if
        None.
    """
    order = np.argsort(scores, kind="stable")
    in_order = scores[order]
    positive = np.flatnonzero(labels[order] == 1)
    positive_scores = in_order[positive]
    return Ranking(
        scores=in_order,
        columns=(order if columns is None else columns[order]).astype(np.int64),
        positive=positive,
        below=np.searchsorted(in_order, positive_scores, side="left"),
        not_above=np.searchsorted(in_order, positive_scores, side="right"),
        positives_below=np.searchsorted(positive_scores, positive_scores, side="left"),
        positives_not_above=np.searchsorted(positive_scores, positive_scores, side="right"),
    )


def _running_sum(weights: Weights) -> Weights:
    sums = np.zeros((weights.shape[0], weights.shape[1] + 1), dtype=weights.dtype)
    np.cumsum(weights, axis=1, out=sums[:, 1:])
    return sums


def accumulate(*, ranking: Ranking, weights: Weights) -> Running:
    """Sum weights along the ranking; ``weights`` is (r, columns), floats or integers (int32 below 2**31)."""
    in_order: Weights = np.take(weights, ranking.columns, axis=1)  # type: ignore[assignment]
    positive_weights: Weights = in_order[:, ranking.positive]
    return Running(
        ranking=ranking,
        weights=in_order,
        rows=_running_sum(in_order),
        positives=_running_sum(positive_weights),
        positive_weights=positive_weights,
    )


def auroc_of(running: Running) -> FloatArray:
    """Area under the ROC curve, (r,); NaN where a class is empty. Mann-Whitney form, ties count one half."""
    ranking = running.ranking
    below = running.rows[:, ranking.below] - running.positives[:, ranking.positives_below]
    not_above = running.rows[:, ranking.not_above] - running.positives[:, ranking.positives_not_above]
    wins = np.einsum("rp,rp->r", running.positive_weights, below + not_above, dtype=np.float64) / 2
    return ratio(wins, running.total_positive * (running.total - running.total_positive))


def average_precision_of(running: Running) -> FloatArray:
    """Average precision, (r,): the step sum of precision over recall; NaN without positives."""
    ranking = running.ranking
    found = (running.positives[:, -1:] - running.positives[:, ranking.positives_below]).astype(np.float64)
    flagged = (running.rows[:, -1:] - running.rows[:, ranking.below]).astype(np.float64)
    # A row of weight zero at the very top flags nobody; its precision does not count, so any value will do.
    precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
    return ratio(np.einsum("rp,rp->r", running.positive_weights, precision), running.total_positive)


def flag_at_share(running: Running, *, share: float) -> Flag:
    """Flag the highest-scoring ``share`` of the total weight.

    Rows tied at the boundary are flagged in part, which is the expectation over a random order among them.
    The result therefore depends neither on the order of the rows nor on how a weight is split into
    repetitions.
    """
    ranking, total = running.ranking, running.total
    replicates = len(total)
    if ranking.n == 0:
        return Flag(threshold=np.full(replicates, np.nan), tied_share=np.full(replicates, np.nan))
    budget = share * total
    kept = total - budget
    places = np.array([np.searchsorted(running.rows[r], kept[r], side="right") - 1 for r in range(replicates)])
    threshold = ranking.scores[np.clip(places, 0, ranking.n - 1)]
    above, tied = _above_and_tied(running.rows, ranking.scores, threshold)
    return Flag(threshold=threshold, tied_share=ratio(budget - above, tied))


def flag_at_threshold(running: Running, *, threshold: float) -> Flag:
    """Flag every score of at least ``threshold``."""
    replicates = running.rows.shape[0]
    return Flag(threshold=np.full(replicates, threshold), tied_share=np.ones(replicates))


def _above_and_tied(sums: Weights, scores: FloatArray, threshold: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weight above and at each replicate's threshold; ``sums`` (r, m + 1) runs along ``scores`` (m,)."""
    row = np.arange(sums.shape[0])
    start = sums[row, np.searchsorted(scores, threshold, side="left")].astype(np.float64)
    end = sums[row, np.searchsorted(scores, threshold, side="right")].astype(np.float64)
    return sums[:, -1] - end, end - start


def flagged(running: Running, *, flag: Flag) -> tuple[FloatArray, FloatArray]:
    """Return the flagged weight and the flagged positive weight, (r,) each; the rows may be a subgroup's."""
    ranking = running.ranking
    above, tied = _above_and_tied(running.rows, ranking.scores, flag.threshold)
    found, found_tied = _above_and_tied(running.positives, ranking.scores[ranking.positive], flag.threshold)
    return above + flag.tied_share * tied, found + flag.tied_share * found_tied


def weighted_sum(running: Running, *, values: FloatArray) -> FloatArray:
    """Return the weighted sum (r,) of ``values`` (n,), which are in the order of the ranking.

    With einsum, not a matrix product: a threaded BLAS stalls for seconds when other processes hold the cores.
    """
    return np.asarray(np.einsum("rn,n->r", running.weights, values), dtype=np.float64)


def weighted_sum_by_place(running: Running, *, values: FloatArray, edges: IntArray) -> FloatArray:
    """Return the weighted sums (r, g) of ``values`` (n,) between consecutive places ``edges`` (g + 1,)."""
    runs = [slice(start, end) for start, end in pairwise(edges.tolist())]
    return np.stack([np.einsum("rn,n->r", running.weights[:, run], values[run]) for run in runs], axis=1)


def squared_errors(ranking: Ranking) -> FloatArray:
    """Return (score - label) squared of each row (n,), in the order of the ranking."""
    errors = np.square(ranking.scores)
    errors[ranking.positive] = np.square(1 - ranking.scores[ranking.positive])
    return errors


def grouped_by_place(running: Running, *, edges: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return weight and positive weight, (r, g) each, between consecutive places ``edges`` (g + 1,)."""
    positive_edges = np.searchsorted(running.ranking.positive, edges, side="left")
    total = np.diff(running.rows[:, edges], axis=1).astype(np.float64)
    positive = np.diff(running.positives[:, positive_edges], axis=1).astype(np.float64)
    return total, positive
