"""Fairness: the same figures for every subgroup, and the gaps between subgroups.

What belongs here: per-group discrimination, calibration and error rates at the flag, equalised odds, AUROC
gaps. What does not: which gap is acceptable (``gates.yaml`` of the model), and what may be shown of small groups
(``disclosure``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from readmission_platform.evaluation.estimates.bootstrap import Counts, Key
from readmission_platform.evaluation.estimates.calibration import observed_expected_of
from readmission_platform.evaluation.estimates.metrics import capacity_of
from readmission_platform.evaluation.estimates.ranking import (
    Flag,
    FloatArray,
    IntArray,
    Ranking,
    accumulate,
    auroc_of,
    rank_rows,
)
from readmission_platform.evaluation.estimates.schema import Attribute

# Below this the sampling error of a rate or an AUROC exceeds the gaps the gates look for.
MIN_POSITIVES_COMPARED = 100


@dataclass(frozen=True)
class Group:
    """One subgroup: its rows sorted by score, and how many rows, positives and entities it has."""

    attribute: Attribute
    name: str
    ranking: Ranking
    entities: int

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.ranking.n

    @property
    def positives(self) -> int:
        """Number of positive rows."""
        return self.ranking.p


def make_groups(
    *,
    attribute: Attribute,
    members: Mapping[str, NDArray[np.bool_]],
    labels: IntArray,
    scores: FloatArray,
    codes: IntArray,
) -> list[Group]:
    """Prepare every group; ``members`` gives the rows (n,) of each, ``codes`` (n,) number the entities."""
    return [
        Group(
            attribute=attribute,
            name=name,
            ranking=rank_rows(labels=labels[rows], scores=scores[rows], columns=codes[rows]),
            entities=len(np.unique(codes[rows])),
        )
        for name, rows in members.items()
    ]


def spread(values: Sequence[FloatArray], *, replicates: int) -> FloatArray:
    """Return the largest less the smallest of the groups' values, (r,); NaN for fewer than two groups."""
    if len(values) < 2:
        return np.full(replicates, np.nan)
    stacked = np.stack(values)
    return np.asarray(stacked.max(axis=0) - stacked.min(axis=0), dtype=np.float64)


def compared_in_equalised_odds(groups: Sequence[Group]) -> list[Group]:
    """Return the groups whose error rates are compared: all, or those with 100 positives, as the attribute says."""
    return [g for g in groups if g.attribute.every_group or g.positives >= MIN_POSITIVES_COMPARED]


def compared_in_auroc_gap(groups: Sequence[Group]) -> list[Group]:
    """Return the groups whose AUROC is compared: those with at least 100 positives."""
    return [g for g in groups if g.positives >= MIN_POSITIVES_COMPARED]


def group_statistics(*, groups: Sequence[Group], counts: Counts, flag: Flag) -> dict[Key, FloatArray]:
    """Compute the figures of every group.

    Parameters
    ----------
    counts : (r, entities) weights.
    flag : whom the rule flags among *all* rows, so every group faces the same threshold.

    Returns
    -------
    Values (r,) under ``("groups", attribute, group, measure)``; measures auroc, observed_expected, tpr and
    fpr.
    """
    values: dict[Key, FloatArray] = {}
    for group in groups:
        running = accumulate(ranking=group.ranking, weights=counts)
        capacity = capacity_of(running, flag=flag)
        key = ("groups", group.attribute.name, group.name)
        values[*key, "auroc"] = auroc_of(running)
        values[*key, "observed_expected"] = observed_expected_of(running)
        values[*key, "tpr"] = capacity.recall
        values[*key, "fpr"] = capacity.false_positive_rate
    return values


def gap_statistics(
    *, attribute: Attribute, groups: Sequence[Group], values: Mapping[Key, FloatArray], replicates: int
) -> dict[Key, FloatArray]:
    """Compute ``equalised_odds_<attribute>`` and ``auroc_gap.<attribute>``, (r,), from the groups' figures.

    Equalised odds is the larger of the gaps in true and in false positive rate (Hardt, Price and Srebro
    2016).
    """

    def gap(compared: Sequence[Group], measure: str) -> FloatArray:
        figures = [values["groups", attribute.name, g.name, measure] for g in compared]
        return spread(figures, replicates=replicates)

    odds = compared_in_equalised_odds(groups)
    return {
        (f"equalised_odds_{attribute.name}",): np.maximum(gap(odds, "tpr"), gap(odds, "fpr")),
        (f"auroc_gap.{attribute.name}",): gap(compared_in_auroc_gap(groups), "auroc"),
    }
