"""Arms that see different requests are noticed, whatever the order of the requests and the sizes of the arms."""

import itertools
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.sequential.inputs import category_evidence, input_evidence

COUNTS = st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), min_size=1, max_size=8).map(np.array)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5])
@pytest.mark.parametrize(("n", "m"), [(6, 6), (3, 20)])
def test_the_same_shares_in_both_arms_win_nothing_on_average(share: float, n: int, m: int):
    total = 0.0
    for a, b in itertools.product(range(n + 1), range(m + 1)):
        chance = comb(n, a) * comb(m, b) * share ** (a + b) * (1 - share) ** (n + m - a - b)
        total += chance * np.exp(category_evidence(np.array([a, n - a]), np.array([b, m - b])))
    assert total <= 1


@given(COUNTS)
def test_evidence_depends_on_neither_the_order_of_the_categories_nor_the_names_of_the_arms(counts: np.ndarray):
    first, second = counts.T
    found = category_evidence(first, second)
    assert found == pytest.approx(category_evidence(second, first))
    assert found == pytest.approx(category_evidence(first[::-1], second[::-1]))


@given(COUNTS)
def test_the_same_counts_in_both_arms_are_no_evidence(counts: np.ndarray):
    assert category_evidence(counts[:, 0], counts[:, 0]) <= 1e-9


def test_nothing_seen_is_no_evidence():
    assert category_evidence(np.zeros(3, dtype=int), np.zeros(3, dtype=int)) == pytest.approx(0)


def test_the_column_that_differs_is_named():
    same, other = np.array([300, 500, 200]), np.array([450, 400, 150])
    found = input_evidence({"age": same, "sex": same[:2], "ward": same}, {"age": same, "sex": same[:2], "ward": other})
    assert found.column == "ward"
    assert found.distance == pytest.approx(0.15)
    assert found.log > np.log(1000)


def test_the_more_columns_are_looked_at_the_more_one_of_them_has_to_say():
    same, other = np.array([300, 500, 200]), np.array([450, 400, 150])
    logs = []
    for columns in (1, 10, 100):
        control = {f"column {each}": same for each in range(columns)}
        logs.append(input_evidence(control, control | {"column 0": other}).log)
    assert np.diff(logs) == pytest.approx([-np.log(10)] * 2, abs=1e-3)


def test_arms_looked_at_all_the_time_are_rarely_found_to_differ():
    draw = np.random.default_rng(4)
    shape = (500, 40)
    first, second = (np.cumsum(draw.multinomial(25, [0.5, 0.3, 0.2], size=shape), axis=1) for _ in range(2))
    assert (category_evidence(first, second) >= np.log(1 / 0.05)).any(axis=1).mean() <= 0.05
    # A chi-square test at each look is not made for that.
    pooled = (first + second) / 2
    chi_square = ((first - pooled) ** 2 / pooled + (second - pooled) ** 2 / pooled).sum(axis=-1)
    assert (chi_square > 5.99).any(axis=1).mean() > 0.1
