"""The shadow version beside production, on the same encounters."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.estimates.agreement import (
    agreement_of,
    disagreements,
    rank_correlation,
    stability_index,
)

LIMITS = {"max_mean_difference": 0.02, "min_rank_correlation": 0.8, "min_flagged_overlap": 0.4, "max_psi": 0.25}
Pairs = Callable[..., pd.DataFrame]


@pytest.fixture
def pairs() -> Pairs:
    def make(n: int, *, shift: float = 0.0, noise: float = 0.0, seed: int = 1) -> pd.DataFrame:
        generator = np.random.default_rng(seed)
        production = generator.beta(2, 14, size=n)
        shadow = np.clip(production + shift + noise * generator.normal(size=n), 0, 1)
        tenth = max(1, round(n / 10))
        return pd.DataFrame({
            "shadow_risk": shadow, "production_risk": production,
            "shadow_flagged": pd.Series(shadow).rank(ascending=False, method="first") <= tenth,
            "production_flagged": pd.Series(production).rank(ascending=False, method="first") <= tenth,
        })  # fmt: skip

    return make


def test_the_same_scores_agree_in_every_figure(pairs: Pairs):
    found = agreement_of(pairs(400), psi_rows=200)
    assert (found.rows, found.flagged) == (400, 40)
    assert (found.mean_difference, found.flagged_overlap, found.psi) == (0, 1, 0)
    assert found.rank_correlation == pytest.approx(1)
    assert disagreements(found, LIMITS) == []


def test_a_shift_shows_in_the_mean_and_not_in_the_ranks(pairs: Pairs):
    found = agreement_of(pairs(400, shift=0.05), psi_rows=200)
    assert found.mean_difference == pytest.approx(0.05)
    assert found.rank_correlation == pytest.approx(1)
    said = disagreements(found, LIMITS)
    assert any("+0.0500" in text for text in said)
    assert not any("rank" in text for text in said)


def test_noise_shows_in_ranks_and_in_who_is_flagged(pairs: Pairs):
    found = agreement_of(pairs(400, noise=0.3), psi_rows=200)
    assert found.rank_correlation is not None
    assert found.rank_correlation < 0.8
    said = " ".join(disagreements(found, LIMITS))
    assert "rank correlation" in said
    assert "flagged in common" in said


@pytest.mark.parametrize(("n", "known"), [(199, False), (200, True)])
def test_the_stability_index_is_only_given_for_enough_encounters(pairs: Pairs, n: int, known: bool):
    assert (agreement_of(pairs(n), psi_rows=200).psi is not None) == known


def test_what_is_exactly_at_a_limit_agrees(pairs: Pairs):
    found = agreement_of(pairs(400, shift=0.02), psi_rows=1000)
    exact = LIMITS | {"max_mean_difference": abs(found.mean_difference or 0)}
    assert disagreements(found, exact) == []
    assert disagreements(found, LIMITS | {"max_mean_difference": 0.0199})


def test_nothing_to_compare_gives_no_figure_and_no_complaint(pairs: Pairs):
    found = agreement_of(pairs(400).head(0), psi_rows=200)
    assert found.figures() == {"rows": 0, "flagged": 0}
    assert disagreements(found, LIMITS) == []


def test_equal_scores_for_everybody_have_no_rank_correlation():
    assert rank_correlation(np.full(30, 0.1), np.linspace(0, 1, 30)) is None
    assert rank_correlation(np.array([0.1]), np.array([0.2])) is None


def test_rank_correlation_is_that_of_scipy_with_ties():
    from scipy.stats import spearmanr

    generator = np.random.default_rng(3)
    one, other = generator.integers(0, 5, 200) / 10, generator.integers(0, 7, 200) / 10
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)


@given(st.lists(st.floats(0, 1), min_size=20, max_size=60), st.integers(0, 2**31))
def test_the_stability_index_is_never_negative_and_does_not_mind_the_order(values: list[float], seed: int):
    reference = np.array(values)
    scores = np.random.default_rng(seed).random(len(values))
    found = stability_index(scores, reference)
    assert found >= 0
    assert stability_index(scores[::-1], reference[::-1]) == pytest.approx(found)
    assert stability_index(reference, reference) == 0


@given(st.integers(2, 40), st.integers(0, 2**31))
def test_exchanging_the_versions_turns_the_mean_difference_round(n: int, seed: int):
    generator = np.random.default_rng(seed)
    flags = np.arange(n) < max(1, n // 10)
    frame = pd.DataFrame({"shadow_risk": generator.random(n), "production_risk": generator.random(n),
                          "shadow_flagged": flags, "production_flagged": flags[::-1]})  # fmt: skip
    names = {"shadow_risk": "production_risk", "production_risk": "shadow_risk",
             "shadow_flagged": "production_flagged", "production_flagged": "shadow_flagged"}  # fmt: skip
    one, other = (agreement_of(each, psi_rows=200) for each in (frame, frame.rename(columns=names)))
    assert one.mean_difference == pytest.approx(-(other.mean_difference or 0))
    assert one.rank_correlation == pytest.approx(other.rank_correlation)
    assert one.flagged_overlap == other.flagged_overlap
