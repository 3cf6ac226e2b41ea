"""ICD-9 codes: chapters at their boundaries, supplementary codes, and what is no code."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.encounters.icd9 import (
    CHAPTERS,
    NORMAL_CODE,
    category_of,
    chapter,
    chapter_of,
    normal_code,
    numeric_code,
)


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


def spellings(letter: str, number: int, digits: str) -> list[str]:
    """Return every way to write a code: with its zeros and its point, or without; in any case, with blanks."""
    width = {"": 3, "V": 2, "E": 3}[letter]
    padded, rest = f"{number:0{width}d}", digits.rstrip("0")
    categories = {padded} if letter == "E" else {padded, str(number), f"{number:02d}"}
    longest = 1 if letter == "E" else 2
    behind = [rest + "0" * zeros for zeros in range(longest - len(rest) + 1)]
    written = {f"{before}.{after}" if after else before for before in categories for after in behind}
    written |= {padded + after for after in behind if after}
    written |= {f"{padded}{after}.0" for after in behind if after and not letter}
    cased = {each for text in written for each in (f"{letter}{text}", f"{letter.lower()}{text}")}
    return sorted(cased | {f"  {letter}{text}\u00a0" for text in written} | {f"{letter} {text}" for text in written})


CODES = st.one_of(
    st.tuples(st.just(""), st.integers(1, 999), st.from_regex(r"[0-9]{0,2}", fullmatch=True)),
    st.tuples(st.just("V"), st.integers(1, 91), st.from_regex(r"[0-9]{0,2}", fullmatch=True)),
    st.tuples(st.just("E"), st.integers(0, 30) | st.integers(800, 999), st.from_regex(r"[0-9]?", fullmatch=True)),
)


@given(CODES)
def test_every_spelling_of_a_code_is_read_as_one_code_with_one_category(code: tuple[str, int, str]) -> None:
    written = spellings(*code)
    read = {normal_code(text) for text in written}
    assert len(read) == 1
    (normal,) = read
    assert normal is not None
    assert re.fullmatch(NORMAL_CODE, normal)
    assert normal_code(normal) == normal
    assert len({category_of(spelling) for spelling in written}) == 1


@pytest.mark.parametrize(
    ("written", "read"),
    [("038.9", "38.9"), ("0389", "38.9"), ("38.9", "38.9"), ("00845", "8.45"), ("008.45", "8.45"), ("8.45", "8.45"),
     ("389", "389"), ("38", "38"), ("038", "38"), ("4280", "428"), ("428.0", "428"), ("25083", "250.83"),
     ("25083.0", "250.83"), ("250.00", "250"), ("250.60", "250.6"), ("v45.81", "V45.81"), ("V4581", "V45.81"),
     ("V8", "V08"), ("e849.0", "E849"), ("E8490", "E849"), ("E000.0", "E000"), ("365.44", "365.44")],
)  # fmt: skip
def test_a_code_is_read_by_the_rule_that_the_documentation_states(written: str, read: str) -> None:
    assert normal_code(written) == read


@pytest.mark.parametrize("text", ["E11.9", "E119", "I50.9", "i10", "E031", "0", "000", "38,9", "1.000", "4e1",
                                  "250 401", "428.", ".9", "-38", "", "?", "٣٨"])  # fmt: skip
def test_what_no_rule_makes_a_code_of_is_none(text: str) -> None:
    assert normal_code(text) is None
