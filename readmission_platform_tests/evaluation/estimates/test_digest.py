"""The digest of evidence rows: the same for the same evidence however stored, different for any other."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.estimates.evidence import InvalidEvidence, digest_rows
from readmission_platform.evaluation.estimates.rows import EVIDENCE_COLUMNS


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_order_of_rows_and_columns_does_not_matter(rows, seed):
    part = rows.head(60)
    shuffled = part.sample(frac=1, random_state=seed)
    columns = np.random.default_rng(seed).permutation(part.columns)
    assert digest_rows(shuffled[list(columns)]) == digest_rows(part)


@given(column=st.sampled_from(sorted(EVIDENCE_COLUMNS)), place=st.integers(0, 59))
@settings(max_examples=60, deadline=None)
def test_any_changed_cell_changes_the_digest(rows, column, place):
    part = rows.head(60).reset_index(drop=True)
    changed = part.copy()
    old = changed.at[place, column]
    if EVIDENCE_COLUMNS[column] == "number":
        changed.at[place, column] = np.nextafter(old, np.inf)
    elif EVIDENCE_COLUMNS[column] == "whole":
        changed.at[place, column] = (old + 1) % 5
    else:
        changed.at[place, column] = f"{old}x"
    assert digest_rows(changed) != digest_rows(part)


def test_a_round_trip_through_parquet_and_delta_keeps_the_digest(rows, tmp_path):
    from deltalake import DeltaTable, write_deltalake

    before = digest_rows(rows)
    rows.to_parquet(tmp_path / "rows.parquet")
    write_deltalake(str(tmp_path / "table"), rows.reset_index(drop=True))
    assert digest_rows(pd.read_parquet(tmp_path / "rows.parquet")) == before
    assert digest_rows(pd.read_parquet(tmp_path / "rows.parquet", dtype_backend="pyarrow")) == before
    assert digest_rows(DeltaTable(str(tmp_path / "table")).to_pyarrow_table().to_pandas()) == before


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=["None", "NaN", "NA"])
def test_missing_text_is_one_thing_however_it_is_written(rows, missing):
    written = rows.assign(race=rows["race"].astype(object).where(rows["race"].notna(), missing))
    assert digest_rows(written) == digest_rows(rows)
    assert digest_rows(written.assign(race=rows["race"].fillna("None"))) != digest_rows(rows)


@pytest.mark.parametrize(
    "stored",
    [
        {"label": "int64", "fold": "int32"},
        {"label": "float64"},
        {"label": "Int8", "score": "Float64"},
        {"gender": "category", "race": "string"},
    ],
    ids=str,
)
def test_the_storage_type_does_not_matter(rows, stored):
    assert digest_rows(rows.astype(stored)) == digest_rows(rows)


def test_text_cannot_run_from_one_row_into_the_next(rows):
    two = rows.head(2)
    assert digest_rows(two.assign(race=["ab", "c"])) != digest_rows(two.assign(race=["a", "bc"]))
    assert digest_rows(two.assign(race=["", "a"])) != digest_rows(two.assign(race=[None, "a"]))


def test_removed_added_and_repeated_rows_are_noticed(rows):
    assert digest_rows(rows.iloc[1:]) != digest_rows(rows)
    with pytest.raises(InvalidEvidence, match="repeat an encounter"):
        digest_rows(pd.concat([rows, rows.head(1)]))


def test_columns_that_are_not_evidence_are_not_covered(rows):
    assert digest_rows(rows.assign(version="3")) == digest_rows(rows)
    with pytest.raises(InvalidEvidence, match="missing column"):
        digest_rows(rows.drop(columns="clock"))


def test_the_digest_never_changes_between_releases():
    """Digests in old ledgers must stay verifiable: another format needs a new name and a way to read both."""
    row = {"row_key": "e", "entity_key": "p", "fold": 1, "clock": 0.5, "label": 1, "score": 0.25}
    row |= {
        "gender": "Female",
        "race": None,
        "age_band": "70+",
        "lace": 7.0,
        "hospital": 3.0,
        "number_inpatient": 0.0,
    }
    assert digest_rows(pd.DataFrame([row])) == "sha256:ee3c23749eb2342da76790581f81e78c3695a03d8161654289bfdc9f9c85f453"


def test_a_later_column_is_covered_once_it_holds_something(rows):
    few = rows.head(60)
    with_it = few.assign(logistic=0.2)
    assert digest_rows(few.assign(logistic=np.nan)) == digest_rows(few)
    assert digest_rows(with_it) != digest_rows(few)
    changed = with_it.copy()
    changed.loc[changed.index[7], "logistic"] = np.nextafter(0.2, 1)
    assert digest_rows(changed) != digest_rows(with_it)
    emptied = with_it.copy()
    emptied.loc[emptied.index[7], "logistic"] = np.nan
    assert digest_rows(emptied) not in (digest_rows(with_it), digest_rows(few))


def test_the_digest_with_a_logistic_regression_never_changes_either():
    row = {"row_key": "e", "entity_key": "p", "fold": 1, "clock": 0.5, "label": 1, "score": 0.25}
    row |= {"gender": "Female", "race": None, "age_band": "70+", "lace": 7.0, "hospital": 3.0, "number_inpatient": 0.0}
    known = "sha256:837c5e39d2c4759d7e4886ac4177b569a7e214b78e727169b7bccdf93b0144ae"
    assert digest_rows(pd.DataFrame([row | {"logistic": 0.125}])) == known
