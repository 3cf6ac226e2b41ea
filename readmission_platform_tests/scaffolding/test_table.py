"""Looking at a table: kinds of columns are told apart, and what would make no honest model is refused in one line."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from readmission_platform.foundation.errors import BadInput
from readmission_platform.models.tabular.source import read_table
from readmission_platform.scaffolding.table import Asked, Looked, look
from readmission_platform_tests.support.tables import appointments, claims, laboratory, written

APPOINTMENTS = Asked("no_show", "mrn", "booked_for")


def looked(frame: pd.DataFrame, asked: Asked, folder: Path) -> Looked:
    """Look at a table as a file has it."""
    return look(read_table(written(frame, folder / "table.csv")), asked)


def refusal(frame: pd.DataFrame, folder: Path, asked: Asked = APPOINTMENTS) -> str:
    """The one line that a table is refused with."""
    with pytest.raises(BadInput) as refused:
        looked(frame, asked, folder)
    line = str(refused.value)
    assert "\n" not in line
    return line


@pytest.fixture
def frame() -> pd.DataFrame:
    return appointments(2_000)


def test_texts_dates_and_numbers_are_told_apart(frame: pd.DataFrame, tmp_path: Path) -> None:
    found = looked(frame, APPOINTMENTS, tmp_path)
    assert (found.row, found.numbered, found.entity_is_number) == ("visit_id", False, False)
    assert set(found.texts) == {"clinic", "gender"}
    assert set(found.number_inputs) == {"age", "earlier_no_shows", "days_since_booked_on"}
    assert set(found.left_out) == {"note", "site"}
    assert found.events == ("No-show",)
    assert list(found.missing) == ["clinic"]
    assert [each.column for each in found.groups] == ["age", "gender"]
    assert found.baseline == ("days_since_booked_on", 1)


def test_few_rows_of_many_columns_without_a_number_are_counted(tmp_path: Path) -> None:
    found = looked(laboratory(), Asked("sepsis", "patient", "drawn_on"), tmp_path)
    assert (found.row, found.numbered) == ("row_id", True)
    assert len(found.number_inputs) == 26
    assert found.events == ("yes",)


def test_many_rows_whose_time_is_a_number(tmp_path: Path) -> None:
    found = looked(claims(5_000), Asked("denied", "member", "month"), tmp_path)
    assert found.time_is_number
    assert found.row == "claim_id"
    assert "score" in found.numbers


def test_parquet_is_read_as_csv_is(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_parquet(tmp_path / "table.parquet")
    assert look(read_table(tmp_path / "table.parquet"), APPOINTMENTS) == looked(frame, APPOINTMENTS, tmp_path)


def test_several_spellings_of_a_text_are_one(frame: pd.DataFrame, tmp_path: Path) -> None:
    spelt = frame.assign(gender=np.where(np.arange(len(frame)) % 3 == 0, " female ", frame["gender"]))
    assert looked(spelt, APPOINTMENTS, tmp_path).texts["gender"] == ("Female", "Male")


def test_the_outcome_among_the_features_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    leaking = frame.assign(billed=np.where(frame["no_show"] == "Came", 100, 0))
    assert "the column billed tells the outcome by itself" in refusal(leaking, tmp_path)
    assert "--drop billed" in refusal(leaking, tmp_path)
    asked = Asked("no_show", "mrn", "booked_for", drop=("billed",))
    assert "billed" not in looked(leaking, asked, tmp_path).number_inputs


def test_a_table_without_the_entity_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    assert "--entity: the table has no column mrn" in refusal(frame.drop(columns="mrn"), tmp_path)
    assert "misses values" in refusal(frame.assign(mrn=frame["mrn"].where(frame.index > 3)), tmp_path)
    assert "too few entities" in refusal(frame.assign(mrn="M1"), tmp_path)


def test_an_outcome_of_one_class_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    assert "has one value only" in refusal(frame.assign(no_show="Came"), tmp_path)


def test_an_outcome_of_several_values_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    assert "only a yes or no can be predicted" in refusal(frame.assign(no_show=np.arange(len(frame))), tmp_path)


def test_too_few_events_are_refused_without_saying_how_many(frame: pd.DataFrame, tmp_path: Path) -> None:
    rare = np.where(np.arange(len(frame)) < 7, "No-show", "Came")
    line = refusal(frame.assign(no_show=rare), tmp_path)
    assert line == "there are fewer than 50 rows with the event: too few to judge a model on"


def test_a_column_without_any_value_is_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    assert "the column age has no value at all; leave it out with --drop age" in refusal(
        frame.assign(age=None), tmp_path
    )


def test_duplicate_numbers_and_rows_are_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    twice = pd.concat([frame, frame.head(20)])
    assert "visit_id, the number of the row, has numbers that occur twice" in refusal(twice, tmp_path)
    assert "rows occur twice" in refusal(twice.drop(columns="visit_id"), tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clock": 1.5}, "the platform has a column clock of its own"),
        ({"my column": 1.5}, "has no plain name"),
        ({"booked_for": "soon"}, "are no dates"),
    ],
)
def test_what_the_platform_could_not_read_is_refused(
    change: dict[str, object], said: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    assert said in refusal(frame.assign(**change), tmp_path)  # type: ignore[arg-type]  # columns of a test


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="is no table"):
        read_table(tmp_path / "picture.csv")
    with pytest.raises(BadInput, match="cannot be read"):
        read_table(tmp_path / "nothing.csv")


def test_a_date_that_nobody_knew_is_left_out(frame: pd.DataFrame, tmp_path: Path) -> None:
    later = (pd.to_datetime(frame["booked_for"]) + pd.Timedelta(days=3)).dt.strftime("%Y-%m-%d")
    found = looked(frame.assign(closed_on=later), APPOINTMENTS, tmp_path)
    assert "later than the row" in found.left_out["closed_on"]


def test_a_column_that_tells_much_is_pointed_out(frame: pd.DataFrame, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    told = frame.assign(hint=(frame["no_show"] == "No-show") + rng.normal(0, 0.45, len(frame)).round(3))
    assert any(line.startswith("hint tells much") for line in looked(told, APPOINTMENTS, tmp_path).warnings)


def test_texts_of_few_people_are_named_nowhere(frame: pd.DataFrame, tmp_path: Path) -> None:
    rare = frame.assign(clinic=np.where(np.arange(len(frame)) < 4, "Huntington clinic", frame["clinic"].astype(object)))
    found = looked(rare, APPOINTMENTS, tmp_path)
    assert found.open_texts == ("clinic",)
    assert "Huntington" not in repr(found)
    assert looked(frame, APPOINTMENTS, tmp_path).open_texts == ()


def test_semicolons_and_tabs_separate_as_commas_do(frame: pd.DataFrame, tmp_path: Path) -> None:
    expected = looked(frame, APPOINTMENTS, tmp_path)
    for separator in (";", "\t"):
        frame.to_csv(tmp_path / "other.csv", index=False, sep=separator)
        assert look(read_table(tmp_path / "other.csv"), APPOINTMENTS) == expected


def test_rows_that_all_have_one_time_are_refused(frame: pd.DataFrame, tmp_path: Path) -> None:
    assert "nothing would be the future" in refusal(frame.assign(booked_for="2024-01-01"), tmp_path)


def test_a_table_whose_figures_would_tell_of_a_few_people_is_refused(tmp_path: Path) -> None:
    rare = laboratory().assign(sepsis=np.where(np.arange(500) % 5 == 0, "yes", "no"))
    assert "would tell of a few people" in refusal(rare, tmp_path, Asked("sepsis", "patient", "drawn_on"))
