"""The digest of evidence rows: the same for the same evidence however stored, different for any other."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.estimates.evidence import InvalidEvidence, digest_rows
from readmission_platform.evaluation.estimates.rows import evidence_columns
from readmission_platform.evaluation.estimates.schema import Attribute, Baseline, EvidenceSchema
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform_tests.support.evidence_rows import simulate_rows

COLUMNS = evidence_columns(simulate_rows(60), SCHEMA)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15)
def test_the_order_of_rows_and_columns_does_not_matter(rows, seed):
    part = rows.head(60)
    shuffled = part.sample(frac=1, random_state=seed)
    columns = np.random.default_rng(seed).permutation(part.columns)
    assert digest_rows(shuffled[list(columns)], SCHEMA) == digest_rows(part, SCHEMA)


@given(column=st.sampled_from(sorted(COLUMNS)), place=st.integers(0, 59))
@settings(max_examples=60)
def test_any_changed_cell_changes_the_digest(rows, column, place):
    part = rows.head(60).reset_index(drop=True)
    changed = part.copy()
    old = changed.at[place, column]
    if COLUMNS[column] == "number":
        changed.at[place, column] = np.nextafter(old, np.inf)
    elif COLUMNS[column] == "whole":
        changed.at[place, column] = (old + 1) % 5
    else:
        changed.at[place, column] = f"{old}x"
    assert digest_rows(changed, SCHEMA) != digest_rows(part, SCHEMA)


def test_a_round_trip_through_parquet_and_delta_keeps_the_digest(rows, tmp_path):
    from deltalake import DeltaTable, write_deltalake

    before = digest_rows(rows, SCHEMA)
    rows.to_parquet(tmp_path / "rows.parquet")
    write_deltalake(str(tmp_path / "table"), rows.reset_index(drop=True))
    assert digest_rows(pd.read_parquet(tmp_path / "rows.parquet"), SCHEMA) == before
    assert digest_rows(pd.read_parquet(tmp_path / "rows.parquet", dtype_backend="pyarrow"), SCHEMA) == before
    assert digest_rows(DeltaTable(str(tmp_path / "table")).to_pyarrow_table().to_pandas(), SCHEMA) == before


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA], ids=["None", "NaN", "NA"])
def test_missing_text_is_one_thing_however_it_is_written(rows, missing):
    written = rows.assign(race=rows["race"].astype(object).where(rows["race"].notna(), missing))
    assert digest_rows(written, SCHEMA) == digest_rows(rows, SCHEMA)
    assert digest_rows(written.assign(race=rows["race"].fillna("None")), SCHEMA) != digest_rows(rows, SCHEMA)


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
    assert digest_rows(rows.astype(stored), SCHEMA) == digest_rows(rows, SCHEMA)


def test_text_cannot_run_from_one_row_into_the_next(rows):
    two = rows.head(2)
    assert digest_rows(two.assign(race=["ab", "c"]), SCHEMA) != digest_rows(two.assign(race=["a", "bc"]), SCHEMA)
    assert digest_rows(two.assign(race=["", "a"]), SCHEMA) != digest_rows(two.assign(race=[None, "a"]), SCHEMA)


def test_removed_added_and_repeated_rows_are_noticed(rows):
    assert digest_rows(rows.iloc[1:], SCHEMA) != digest_rows(rows, SCHEMA)
    with pytest.raises(InvalidEvidence, match="repeat a key"):
        digest_rows(pd.concat([rows, rows.head(1)]), SCHEMA)


def test_columns_that_are_not_evidence_are_not_covered(rows):
    assert digest_rows(rows.assign(version="3"), SCHEMA) == digest_rows(rows, SCHEMA)
    with pytest.raises(InvalidEvidence, match="missing column"):
        digest_rows(rows.drop(columns="clock"), SCHEMA)


def one_row(**more):
    row = {"row_key": "e", "entity_key": "p", "fold": 1, "clock": 0.5, "label": 1, "score": 0.25}
    row |= {"gender": "Female", "race": None, "age_band": "70+", "lace": 7.0, "hospital": 3.0, "number_inpatient": 0.0}
    return pd.DataFrame([row | more])


def test_the_digest_never_changes_between_releases():
    """Digests in ledgers must stay verifiable: another format needs a new name and a way to read both."""
    without = "sha256:211c36623e3398f07e49c96cca5548022615e1b6382404ed893f5483c37b3f9b"
    with_it = "sha256:1352b8c0b4d332ad126b57b7eca16f5efe28fb897543657c2ccf060b71751bb7"
    assert digest_rows(one_row(), SCHEMA) == without
    assert digest_rows(one_row(logistic=0.125), SCHEMA) == with_it


def test_the_same_values_under_another_schema_have_another_digest(rows):
    few = rows.head(60)
    fewer = EvidenceSchema(SCHEMA.attributes[:2], SCHEMA.baselines)
    turned = EvidenceSchema(SCHEMA.attributes[::-1], SCHEMA.baselines)
    renamed = EvidenceSchema(
        (Attribute("sex", "sex", "sex"), *SCHEMA.attributes[1:]),
        (Baseline("lace_index", "LACE", required=True), *SCHEMA.baselines[1:]),
    )
    as_renamed = few.rename(columns={"gender": "sex", "lace": "lace_index"})
    digests = {digest_rows(few, SCHEMA), digest_rows(few, fewer), digest_rows(few, turned),
               digest_rows(as_renamed, renamed)}  # fmt: skip
    assert len(digests) == 4


def test_words_and_gates_of_a_schema_are_no_part_of_the_digest(rows):
    said = EvidenceSchema(
        tuple(Attribute(each.name, "x", f"x_{each.gate}") for each in SCHEMA.attributes), SCHEMA.baselines
    )
    assert digest_rows(rows.head(60), said) == digest_rows(rows.head(60), SCHEMA)


def test_a_fitted_baseline_is_covered_once_it_holds_something(rows):
    few = rows.head(60)
    with_it = few.assign(logistic=0.2)
    assert digest_rows(few.assign(logistic=np.nan), SCHEMA) == digest_rows(few, SCHEMA)
    assert digest_rows(with_it, SCHEMA) != digest_rows(few, SCHEMA)
    changed = with_it.copy()
    changed.loc[changed.index[7], "logistic"] = np.nextafter(0.2, 1)
    assert digest_rows(changed, SCHEMA) != digest_rows(with_it, SCHEMA)
    emptied = with_it.copy()
    emptied.loc[emptied.index[7], "logistic"] = np.nan
    assert digest_rows(emptied, SCHEMA) not in (digest_rows(with_it, SCHEMA), digest_rows(few, SCHEMA))


def test_a_baseline_that_is_not_fitted_cannot_be_left_out(rows):
    with pytest.raises(InvalidEvidence, match="missing column"):
        digest_rows(rows.drop(columns="lace"), SCHEMA)
