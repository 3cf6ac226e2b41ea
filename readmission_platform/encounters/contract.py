"""The encounter contract: what a row must look like to be trained on or scored (pandera).

What belongs here: types, ranges and code lists of the source's columns, and the reading of its text form.
What does not: what happens to rows that break it (``assets.encounters.ingestion`` stops, ``assets.daily.inference``
quarantines).

Failures are reported by column and rule, never with the offending value: it is patient data.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from readmission_platform.encounters.cohort import (
    DISCHARGE_COLUMNS,
    DRUG_COLUMNS,
    INTEGER_COLUMNS,
    SOURCE_COLUMNS,
)

if TYPE_CHECKING:
    import pandera.pandas as pa

MISSING_MARK = "?"

# Lowest and highest value of each count, with room beyond what the source shows (IDS_mapping.csv for code
# lists).
RANGES = {
    "encounter_id": (1, 2**53),
    "patient_nbr": (1, 2**53),
    "admission_type_id": (1, 8),
    "discharge_disposition_id": (1, 30),
    "admission_source_id": (1, 26),
    "time_in_hospital": (1, 60),
    "num_lab_procedures": (0, 250),
    "num_procedures": (0, 30),
    "num_medications": (0, 150),
    "number_outpatient": (0, 200),
    "number_emergency": (0, 200),
    "number_inpatient": (0, 200),
    "number_diagnoses": (1, 40),
}

_AGES = [f"[{decade}-{decade + 10})" for decade in range(0, 100, 10)]
VOCABULARIES = {
    "race": ["AfricanAmerican", "Asian", "Caucasian", "Hispanic", "Other"],
    "gender": ["Female", "Male", "Unknown/Invalid"],
    "age": _AGES,
    "A1Cresult": ["None", "Norm", ">7", ">8"],
    "max_glu_serum": ["None", "Norm", ">200", ">300"],
    "change": ["No", "Ch"],
    "diabetesMed": ["No", "Yes"],
    **{drug: ["No", "Down", "Steady", "Up"] for drug in DRUG_COLUMNS},
    "readmitted": ["NO", ">30", "<30"],
}
NULLABLE = {"race", "weight", "payer_code", "medical_specialty", "diag_1", "diag_2", "diag_3"}
# Written out because \d also means the digits of other scripts, and because $ overlooks a line break at the end.
_ICD9 = r"^(?:[0-9]{1,3}|[VE][0-9]{1,3})(?:\.[0-9]{1,2})?\Z"
# Codes that the source lists nowhere; a longer text, or one over several lines, is no code.
LONGEST_CODE = 100
# By code, which other modules and the quarantine use; see ``quarantine.CODES``.
REASONS = {
    "missing_value": "missing",
    "not_a_whole_number": "not a whole number",
    "out_of_range": "out of range",
    "unknown_code": "unknown code",
    "not_icd9": "not an ICD-9 code",
}


def encounter_schema(columns: list[str]) -> "pa.DataFrameSchema":
    """Return the pandera schema of these columns of the source."""
    import pandera.pandas as pa

    schema = {}
    for name in columns:
        if name in RANGES:
            low, high = RANGES[name]
            # Judged cell by cell rather than by the column's type, so that one bad cell costs one row.
            whole = pa.Check(_whole, error="not_a_whole_number")
            inside = pa.Check(_between(low, high), error="out_of_range")
            schema[name] = pa.Column(None, [whole, inside])
        elif name in VOCABULARIES:
            check = pa.Check.isin(VOCABULARIES[name], error="unknown_code")
            schema[name] = pa.Column(object, check, nullable=name in NULLABLE)
        elif name.startswith("diag_"):
            check = pa.Check.str_matches(_ICD9, error="not_icd9")
            schema[name] = pa.Column(object, check, nullable=True)
        else:
            schema[name] = pa.Column(object, pa.Check(_short_text, error="unknown_code"), nullable=True)
    return pa.DataFrameSchema(schema, strict=True)


def _numbers(cells: pd.Series) -> pd.Series:
    """Read numbers; what is none becomes NaN.

    Neither is a number with an exponent: spreadsheet programs write long ones so and round them, and a rounded
    encounter number is another encounter's.
    """
    number = pd.to_numeric(cells, errors="coerce")
    if number.dtype == "float64" and cells.dtype == object:
        number = number.mask(cells.astype("str").str.contains("e", case=False, regex=False))
    return number


def _whole(cells: pd.Series) -> pd.Series:
    return _numbers(cells) % 1 == 0


def _between(low: int, high: int) -> Callable[[pd.Series], pd.Series]:
    # What is no whole number is reported as that alone.
    return lambda cells: _numbers(cells).between(low, high) | ~_whole(cells)


def _short_text(cells: pd.Series) -> pd.Series:
    return cells.map(lambda text: isinstance(text, str) and len(text) <= LONGEST_CODE and text.isprintable())


def missing_columns(frame: pd.DataFrame, *, outcome: bool) -> list[str]:
    """Return the contract's columns that a frame lacks, in order."""
    return [name for name in (SOURCE_COLUMNS if outcome else DISCHARGE_COLUMNS) if name not in frame.columns]


def parse_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn a frame of text cells into the contract's types.

    ``?`` and empty cells are missing; ``None`` in a test's column is a value ("not done"). An integer column
    with a cell that is no whole number stays as it is, for the contract to name the cell's row.
    """
    parsed = {}
    for name in frame.columns:
        text = frame[name].astype(object)
        column = text.copy()
        column[text.isna() | text.isin([MISSING_MARK, ""])] = None
        if name in INTEGER_COLUMNS:
            number = _numbers(column)
            whole = (number % 1 == 0) & number.between(-(2**53), 2**53)  # beyond, a float skips numbers
            column = number.astype("int64") if bool(whole.all()) else column
        parsed[name] = column
    return pd.DataFrame(parsed, index=frame.index)


def broken_rules(frame: pd.DataFrame) -> pd.DataFrame:
    """Check every row against the contract.

    Returns
    -------
    One line per broken rule, by row and then in the order of the columns: ``row`` (position in ``frame``, missing
    when the whole column is at fault), ``column``, ``code`` and ``reason`` (see ``REASONS``). Empty when all is well.
    Holds no values.
    """
    from pandera.errors import SchemaErrors

    nothing = pd.DataFrame({"row": pd.Series(dtype="Int64"), "column": [], "code": [], "reason": []})
    if frame.empty:
        return nothing
    columns = list(frame.columns)
    try:
        encounter_schema(columns).validate(frame.reset_index(drop=True), lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        code = cases["check"].astype(str).replace({"not_nullable": "missing_value"})
        lines = pd.DataFrame({
            "row": cases["index"].astype("Int64"), "column": cases["column"].astype(str), "code": code,
            "reason": code.map(REASONS).fillna(code),
        })  # fmt: skip
        order = lines["column"].map({name: place for place, name in enumerate(columns)})
        by_row = lines.assign(order=order).sort_values(["row", "order"], kind="stable").drop(columns="order")
        return by_row.drop_duplicates(ignore_index=True)
    return nothing
