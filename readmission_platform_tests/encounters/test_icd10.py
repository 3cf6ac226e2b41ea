"""Codes of ICD-10-CM: which system a text is of, and what each code is read as."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.encounters.icd9 import NORMAL_CODE, as_recorded, category_of, normal_code
from readmission_platform.encounters.icd10 import WAYS, forth, read_as_icd9, system_of, translated
from readmission_platform.encounters.synthetic_marginals import DIAGNOSIS
from readmission_platform.intake.translation import Translated

# As the table of docs/deliveries.md has it.
EXAMPLES = [
    ("Z51.11", "V58.11", "exact"), ("N18.6", "585.6", "exact"), ("Z79.4", "V58.67", "exact"),
    ("E11.9", "250", "approximate"), ("E1165", "250.8", "approximate"), ("J18.9", "486", "approximate"),
    ("I10", "401.9", "one_of_many"), ("I50.9", "428.9", "one_of_many"), ("I2510", "414.01", "one_of_many"),
    ("J44.1", "491.21", "one_of_many"), ("J44.9", "496", "one_of_many"), ("F32.9", "311", "one_of_many"),
    ("A41.9", "38.9", "one_of_many"),
    ("E11", "250", "approximate"), ("I50", "428", "approximate"), ("T85", "996", "approximate"),
    ("E88.810", "277.7", "approximate"), ("I21.A1", "410", "approximate"), ("E66.811", "278", "approximate"),
    ("V43.52XA", "E812", "approximate"),
    ("U07.1", None, "no_map"), ("R40.2130", None, "no_map"),
    ("U99.9", None, "unknown"), ("A12.3", None, "unknown"), ("E17.0", None, "unknown"), ("hello", None, "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "read", "how"), EXAMPLES)
def test_a_code_is_translated_as_the_documentation_states(code: str, read: str | None, how: str) -> None:
    assert translated(code) == (read, how)


@pytest.mark.parametrize("code", ["E11.9", "I10", "Z51.11", "I21.A1", "S06.5X0A", "C7A.00"])
def test_every_spelling_of_a_code_has_one_translation(code: str) -> None:
    plain = code.replace(".", "")
    written = [code, plain, code.lower(), plain.lower(), f"  {code}\u00a0", f"{code[0]} {code[1:]}"]
    assert {translated(text) for text in written} == {translated(code)}
    assert {system_of(text) for text in written} == {"icd10"}


@pytest.mark.parametrize(
    ("text", "system"),
    [("38", "icd9"), ("038.9", "icd9"), ("25083", "icd9"), ("V45.81", "icd9"), ("V4352", "icd9"), ("V43.52XA", "icd10"),
     ("E849.0", "icd9"), ("E84.9", "icd10"), ("E8490", "icd9"), ("E119", "icd10"), ("E785", "icd10"),
     ("E849", "in_doubt"), ("E8881", "in_doubt"), ("E876", "in_doubt"), ("e 876", "in_doubt"), ("I10", "icd10"),
     ("U07.1", "icd10"), ("38,9", None), ("0", None), ("hello", None), ("E17.0", None), ("", None), ("I1", None),
     ("E11.9.0", None), ("I10.12345", None), ("\u0130 10", None)],
)  # fmt: skip
def test_the_system_of_a_text_is_told_by_its_first_letter_its_length_and_its_point(
    text: str, system: str | None
) -> None:
    assert system_of(text) == system


@pytest.mark.parametrize(
    ("beside", "read"),
    [(["I10"], Translated("277", "exact")), (["428.0"], None), ([], None), (["hello", "V45.81"], None),
     (["I10", "428.0"], Translated(None, "in_doubt"))],
)  # fmt: skip
def test_a_code_that_both_systems_have_is_of_the_system_that_its_file_has(
    beside: list[str], read: Translated | None
) -> None:
    assert read_as_icd9(["E849", *beside]).get("E849") == read


@given(st.from_regex(r"[A-TV-Z][0-9][0-9AB](\.?[0-9A-Z]{1,4})?", fullmatch=True))
def test_whatever_a_code_is_it_is_read_as_a_code_of_the_contract_or_is_missing_with_a_reason(text: str) -> None:
    found = translated(text)
    if found.code is None:
        assert found.how in {"no_map", "unknown"}
    else:
        assert re.fullmatch(NORMAL_CODE, found.code)
        assert normal_code(found.code) == found.code
    assert found.how == "unknown" or found.how in WAYS


@given(st.sampled_from(DIAGNOSIS.vocabulary), st.integers(0, 10_000))
def test_a_code_of_the_development_data_goes_forth_to_a_code_and_back_to_one_that_the_model_may_know(
    code: str, draw: int
) -> None:
    there = forth(normal_code(code) or code, draw)
    assert there is None or translated(there).code is not None
    assert there == forth(normal_code(code) or code, draw)


def test_most_codes_of_the_development_data_come_back_in_their_category() -> None:
    codes = [code for code in DIAGNOSIS.vocabulary if code[0].isdigit()]
    back = [translated(forth(code, draw) or "").code for code in codes for draw in range(20)]
    there = [category_of(code) for code in codes for _ in range(20)]
    assert np.mean([category_of(code) == same for code, same in zip(back, there, strict=True)]) > 0.9


def test_digits_count_for_diabetes_alone_as_in_the_development_data() -> None:
    recorded = [as_recorded(code) for code in ["428.23", "250.83", "250", "V45.81", "E849.1", "38.9"]]
    assert recorded == ["428", "250.83", "250", "V45", "E849", "38"]
