"""Cells: what two samples are compared by, and that nobody can be recognised in them."""

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.drift.cells import Vocabulary, compared_as, vocabulary_of

CATEGORIES = ["a", "b", "c", "d", "e", None]


def categories(**counts: int) -> pd.Series:
    values: list[Any] = []
    for name, count in counts.items():
        values += [None if name == "nothing" else name] * count
    return pd.Series(values, dtype=object, name="payer")


def numbers(*values: float) -> pd.Series:
    return pd.Series(values, dtype="float64", name="stay")


def counted(vocabulary: Vocabulary, reference: pd.Series, window: pd.Series) -> tuple[Counter[str], Counter[str]]:
    ours, theirs = vocabulary.codes(reference), vocabulary.codes(window)
    labels = compared_as(vocabulary, ours, theirs)
    return Counter(labels[code] for code in ours), Counter(labels[code] for code in theirs)


def test_rare_categories_and_new_ones_are_compared_as_one():
    training = categories(a=900, b=85, c=15)
    vocabulary = vocabulary_of(training, rare_share=0.02)
    assert vocabulary.named == ("a", "b")
    _, window = counted(vocabulary, training, categories(a=150, b=20, c=10, new=20))
    assert window == {"a": 150, "b": 20, "others": 30}


def test_missing_is_a_category_of_its_own():
    training = categories(a=600, nothing=400)
    vocabulary = vocabulary_of(training, rare_share=0.02)
    assert vocabulary.missing == pytest.approx(0.4)
    _, window = counted(vocabulary, training, categories(a=50, nothing=150))
    assert window == {"a": 50, "missing": 150}


def test_unseen_counts_what_training_never_saw_but_not_what_was_rare_or_is_missing():
    vocabulary = vocabulary_of(categories(a=990, rare=10), rare_share=0.02)
    assert vocabulary.unseen(categories(a=5, rare=2, nothing=1, new=2)) == pytest.approx(0.2)
    assert vocabulary_of(numbers(1, 2, 3), rare_share=0.02).unseen(numbers(99)) == 0


def test_numbers_are_compared_by_tenths_of_training():
    training = numbers(*range(1000))
    vocabulary = vocabulary_of(training, rare_share=0.02)
    reference, window = counted(vocabulary, training, numbers(*range(0, 1000, 5)))
    assert len(reference) == 10
    assert set(reference.values()) == {100}
    assert set(window.values()) == {20}
    assert "up to 99.9" in window


def test_a_count_that_is_mostly_zero_has_as_many_cells_as_it_has_common_values():
    training = numbers(*[0] * 660, *[1] * 200, *[2] * 80, *[5] * 60)
    vocabulary = vocabulary_of(training, rare_share=0.02)
    _, window = counted(vocabulary, training, numbers(*[0] * 120, *[1] * 40, *[2] * 20, *[7] * 20))
    assert window == {"up to 0": 120, "over 0 up to 1": 40, "over 1 up to 2": 20, "over 2": 20}


def test_a_small_cell_of_numbers_joins_its_neighbour():
    training = numbers(*range(1000))
    vocabulary = vocabulary_of(training, rare_share=0.02)
    _, window = counted(vocabulary, training, numbers(*[50] * 4, *[150] * 96, *[950] * 100))
    assert window["up to 199.8"] == 100


def test_a_value_that_vanished_is_told_apart_when_some_were_to_be_expected():
    training = categories(a=700, b=300)
    vocabulary = vocabulary_of(training, rare_share=0.02)
    reference, window = counted(vocabulary, training, categories(a=200))
    assert (reference["b"], window["b"]) == (300, 0)


def test_a_value_of_which_few_were_to_be_expected_may_be_absent():
    training = categories(a=700, b=275, c=25)
    vocabulary = vocabulary_of(training, rare_share=0.02)
    reference, _ = counted(vocabulary, training, categories(a=70, b=30))
    assert "c" not in reference


def test_infinities_count_as_missing():
    vocabulary = vocabulary_of(numbers(1, 2, 3, 4), rare_share=0.02)
    assert vocabulary.codes(numbers(np.inf, np.nan, 2)).tolist()[:2] == [0, 0]


def test_a_column_that_is_always_the_same_or_always_missing_can_be_compared():
    for training in (numbers(*[3.0] * 50), numbers(*[np.nan] * 50), categories(a=50), categories(nothing=50)):
        vocabulary = vocabulary_of(training, rare_share=0.02)
        reference, window = counted(vocabulary, training, training)
        assert reference == window
        assert len(reference) == 1


def test_without_training_data_there_is_nothing_to_compare_with():
    with pytest.raises(ValueError, match="no training data"):
        vocabulary_of(numbers(), rare_share=0.02)


def shown_cells_are_large(reference: Counter[str], window: Counter[str]) -> bool:
    cells = {*reference, *window}
    small = [cell for cell in cells if 0 < window[cell] < SMALLEST_SHOWN or 0 < reference[cell] < SMALLEST_SHOWN]
    return not small or len(cells) == 1


@given(
    st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=120),
    st.lists(st.sampled_from([*CATEGORIES, "new"]), max_size=60),
)
def test_no_shown_category_stands_for_one_to_ten_people(training: list[Any], window: list[Any]):
    ours, theirs = pd.Series(training, dtype=object, name="x"), pd.Series(window, dtype=object, name="x")
    reference, shown = counted(vocabulary_of(ours, rare_share=0.05), ours, theirs)
    assert shown_cells_are_large(reference, shown)
    assert (sum(reference.values()), sum(shown.values())) == (len(training), len(window))


VALUES = st.one_of(st.integers(0, 12).map(float), st.just(np.nan))


@given(st.lists(VALUES, min_size=1, max_size=120), st.lists(VALUES, max_size=60))
def test_no_shown_range_of_numbers_stands_for_one_to_ten_people(training: list[float], window: list[float]):
    ours, theirs = numbers(*training), numbers(*window)
    reference, shown = counted(vocabulary_of(ours, rare_share=0.05), ours, theirs)
    assert shown_cells_are_large(reference, shown)
    assert (sum(reference.values()), sum(shown.values())) == (len(training), len(window))
