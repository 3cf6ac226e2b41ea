"""The points of curves: enough to draw them, and none that a few people could be told from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.disclosure import is_few
from readmission_platform.evaluation.estimates.curves import MOST_POINTS, precision_recall, roc


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(30, 3000), st.floats(0.02, 0.6), st.booleans())
def test_no_point_of_a_curve_and_no_step_to_the_next_counts_few_people(
    seed: int, rows: int, prevalence: float, in_points: bool
) -> None:
    drawn = np.random.default_rng(seed)
    labels = (drawn.random(rows) < prevalence).astype(np.int64)
    labels[:22], labels[22:30] = 1, 0
    scores = np.round(drawn.random(rows), 1 if in_points else 6)
    positives, negatives = int(labels.sum()), int(rows - labels.sum())
    curve = roc(labels=labels, scores=scores)
    found, alarms = (np.round(np.array(curve[name]) * of) for name, of in (("tpr", positives), ("fpr", negatives)))
    if len(found) > 2:  # otherwise there are the two ends alone
        steps = [*np.diff(found), *np.diff(alarms), *np.diff(found + alarms)]
        assert not any(map(is_few, [*found, *alarms, *(positives - found), *(negatives - alarms), *steps]))
    points = precision_recall(labels=labels, scores=scores)
    recalled = np.round(np.array(points["recall"]) * positives)
    assert not any(map(is_few, [*recalled, *np.diff(recalled)])) or len(recalled) == 1


def test_a_large_cohort_keeps_a_curve_that_can_be_drawn() -> None:
    drawn = np.random.default_rng(1)
    risks = drawn.beta(2, 12, 80_000)
    labels = (drawn.random(80_000) < risks).astype(np.int64)
    curve = roc(labels=labels, scores=risks)
    assert 150 < len(curve["fpr"]) <= MOST_POINTS
    heights = np.array(curve["tpr"])
    area = float((np.diff(curve["fpr"]) * (heights[1:] + heights[:-1]) / 2).sum())
    ranks = np.argsort(np.argsort(risks)) + 1
    positives = int(labels.sum())
    exact = (ranks[labels == 1].sum() - positives * (positives + 1) / 2) / (positives * (len(labels) - positives))
    assert area == pytest.approx(exact, abs=2e-3)
