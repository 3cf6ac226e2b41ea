"""Cells of rows: fixed beforehand by the contract, so that counts of two groups can be compared at any time."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.encounters.contract import ENCOUNTERS
from readmission_platform.intake.cells import Cells

COLUMNS = ("number_inpatient", "gender", "diag_1", "medical_specialty")
CELLS = Cells(ENCOUNTERS, (*COLUMNS, "no_column"))


@pytest.mark.parametrize(
    ("column", "value", "cell"),
    [
        ("number_inpatient", 0, 0),
        ("number_inpatient", 1, 1),
        ("number_inpatient", 3, 2),
        ("number_inpatient", 4, 3),
        ("number_inpatient", 10**9, 10),
        ("gender", "Female", 0),
        ("diag_1", "428", 4),
        ("diag_1", "V45", 10),
        ("diag_1", None, 11),
    ],
)
def test_a_value_lies_in_its_cell(column: str, value: Any, cell: int) -> None:
    row = {**dict.fromkeys(COLUMNS), column: value}
    assert CELLS.of(row)[column] == cell


@given(
    number=st.one_of(st.none(), st.integers(-5, 10**12), st.floats(0, 1e9)),
    text=st.one_of(st.none(), st.text(max_size=20)),
    code=st.one_of(st.none(), st.from_regex(r"[0-9EV][0-9.]{0,5}", fullmatch=True)),
)
def test_every_value_has_a_cell_of_those_that_were_fixed(number: Any, text: Any, code: Any) -> None:
    row = {"number_inpatient": number, "gender": None, "diag_1": code, "medical_specialty": text}
    for name, cell in CELLS.of(row).items():
        assert 0 <= cell < CELLS.sizes[name]


def test_only_columns_of_the_feed_have_cells() -> None:
    assert set(CELLS.sizes) == set(COLUMNS)
