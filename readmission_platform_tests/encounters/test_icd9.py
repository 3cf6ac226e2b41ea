"""ICD-9 codes: chapters at their boundaries, supplementary codes, and what is no code."""

import numpy as np
import pandas as pd
import pytest

from readmission_platform.encounters.icd9 import CHAPTERS, chapter, chapter_of, numeric_code


@pytest.mark.parametrize(
    ("last", "first", "before", "after"),
    [
        ("139", "140", "infectious", "neoplasms"),
        ("239.9", "240", "neoplasms", "endocrine"),
        ("249.9", "250", "endocrine", "diabetes"),
        ("250.99", "251", "diabetes", "endocrine"),
        ("279.9", "280", "endocrine", "blood"),
        ("289.9", "290", "blood", "mental"),
        ("319", "320", "mental", "nervous"),
        ("389.9", "390", "nervous", "circulatory"),
        ("459.9", "460", "circulatory", "respiratory"),
        ("519.9", "520", "respiratory", "digestive"),
        ("579.9", "580", "digestive", "genitourinary"),
        ("629.9", "630", "genitourinary", "pregnancy"),
        ("679.9", "680", "pregnancy", "skin"),
        ("709.9", "710", "skin", "musculoskeletal"),
        ("739.9", "740", "musculoskeletal", "congenital"),
        ("759.9", "760", "congenital", "perinatal"),
        ("779.9", "780", "perinatal", "symptoms"),
        ("799.9", "800", "symptoms", "injury"),
    ],
)
def test_a_chapter_ends_where_the_next_one_begins(last: str, first: str, before: str, after: str) -> None:
    assert chapter_of(last) == before
    assert chapter_of(first) == after


def test_the_chapters_are_in_ascending_order_so_that_the_search_for_one_is_right() -> None:
    starts = [start for start, _ in CHAPTERS]
    assert starts == sorted(set(starts))


@pytest.mark.parametrize("code", ["250", "250.0", "250.00", "250.01", "250.4", "250.83", "250.93"])
def test_every_code_of_diabetes_is_diabetes(code: str) -> None:
    assert chapter_of(code) == "diabetes"


@pytest.mark.parametrize("code", ["V1", "V27", "V57.8", "V85.4"])
def test_v_codes_are_supplementary(code: str) -> None:
    assert chapter_of(code) == "supplementary"


@pytest.mark.parametrize("code", ["E81", "E849", "E878.8", "E939"])
def test_e_codes_are_external_causes_and_never_read_as_exponents(code: str) -> None:
    assert chapter_of(code) == "external"
    assert np.isnan(numeric_code(pd.Series([code])).iloc[0])


def test_leading_zeros_do_not_matter() -> None:
    assert chapter_of("008") == chapter_of("8") == "infectious"


@pytest.mark.parametrize("code", ["0", "0.5", "", "?", "abc", "-1"])
def test_what_is_no_code_has_no_chapter(code: str) -> None:
    assert chapter_of(code) is None


def test_a_column_keeps_its_index_and_its_missing_values() -> None:
    codes = pd.Series(["428", None, "V45", np.nan, "428"], index=[5, 3, 5, 1, 0], dtype=object)
    found = chapter(codes)
    assert found.index.tolist() == [5, 3, 5, 1, 0]
    assert found.tolist() == ["circulatory", None, "supplementary", None, "circulatory"]


def test_codes_are_numbers_where_they_can_be() -> None:
    numbers = numeric_code(pd.Series(["250.83", "8", "V45", None], dtype=object))
    assert numbers.tolist()[:2] == [250.83, 8.0]
    assert numbers.isna().tolist() == [False, False, True, True]
