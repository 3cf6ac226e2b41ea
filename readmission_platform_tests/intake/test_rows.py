"""Intake: every row of a file is accepted, quarantined with a reason, or a duplicate."""

from collections.abc import Mapping, Sequence

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.cohort import CANNOT_BE_READMITTED, DISCHARGE_COLUMNS
from readmission_platform.encounters.contract import ENCOUNTERS, NULLABLE, RANGES
from readmission_platform.intake.files import Delivered, Place
from readmission_platform.intake.quarantine import action_for, codes, line_types, quarantine_lines, releasable
from readmission_platform.intake.rows import Intake, LandedFile, ReleasedCell
from readmission_platform.intake.rows import take_in as take_in_rows
from readmission_platform_tests.support.bad_deliveries import SECRET, clean_rows

DAY, NEXT = "2024-03-01", "2024-03-02"
CLEAN = clean_rows(10)
NUMBERS = list(RANGES)
CODES = codes(ENCOUNTERS)
IDS = CLEAN["encounter_id"].astype("int64").tolist()
BAD_CELLS = st.tuples(
    st.integers(0, len(CLEAN) - 1),
    st.sampled_from(DISCHARGE_COLUMNS),
    st.sampled_from(["", "?", "None", "-1", "5.0", "1e9", SECRET, "11", "V45", "[70-80)", "\n", "'; --"])
    | st.text(max_size=6),
)


def landed(cells: pd.DataFrame, *, name: str = "a.csv", digest: str | None = None, **more: object) -> LandedFile:
    return LandedFile(name, digest or f"sha256:{name}", cells, **more)  # type: ignore[arg-type]


def take_in(landed: Mapping[str, Sequence[LandedFile]], **known: object) -> Intake:
    return take_in_rows(landed, ENCOUNTERS, **known)  # type: ignore[arg-type]


def one(cells: pd.DataFrame, **known: object) -> Intake:
    """Take in one file of one day."""
    return take_in({DAY: [landed(cells)]}, **known)


def changed(row: int = 0, **values: str) -> pd.DataFrame:
    cells = CLEAN.copy()
    for column, value in values.items():
        cells.loc[row, column] = value
    return cells


def counts(intake: Intake) -> tuple[int, ...]:
    """Return received, accepted, quarantined and duplicate, which have to add up for every file and day."""
    files = intake.files
    assert (files["received"] == files["accepted"] + files["quarantined"] + files["duplicate"]).all()
    rows = intake.quarantined[intake.quarantined["row"] > 0]
    assert files["quarantined"].sum() == len(rows.drop_duplicates(["discharge_date", "file", "row"]))
    assert files["accepted"].sum() == len(intake.accepted)
    sums = intake.accounts[["received", "accepted", "quarantined", "duplicate"]].sum()
    assert (sums == files[sums.index].sum()).all()
    return tuple(int(count) for count in sums)


def accepted_ids(intake: Intake, day: str = DAY) -> list[int]:
    return intake.accepted.query("discharge_date == @day")["encounter_id"].tolist()


def faults(intake: Intake) -> list[tuple[int, str, str]]:
    lines = intake.quarantined
    return list(zip(lines["row"], lines["column"], lines["code"], strict=True))


@settings(max_examples=25)
@given(
    bad=st.lists(BAD_CELLS, max_size=5),
    repeated=st.lists(st.integers(0, len(CLEAN) - 1), max_size=4),
    known=st.sets(st.integers(0, len(CLEAN) - 1), max_size=3),
    parts=st.integers(1, 3),
)
def test_whatever_is_wrong_with_a_file_no_row_is_lost_and_none_is_taken_twice(
    bad: list[tuple[int, str, str]], repeated: list[int], known: set[int], parts: int
) -> None:
    cells = pd.concat([CLEAN, CLEAN.iloc[repeated]], ignore_index=True)
    for row, column, value in bad:
        cells.loc[row, column] = value
    before = {IDS[row]: NEXT for row in known}
    size = -(-len(cells) // parts)
    files = [landed(cells[start : start + size], name=f"{start}.csv") for start in range(0, len(cells), size)]
    intake = take_in({DAY: files}, accepted_before=before)
    assert counts(intake)[0] == len(cells)
    accepted = intake.accepted
    assert list(accepted.columns) == [*ENCOUNTERS.columns, "discharge_date"]
    assert (accepted.dtypes[NUMBERS] == "int64").all()
    assert accepted["encounter_id"].is_unique
    assert not set(accepted["encounter_id"]) & set(before)
    assert not set(accepted["discharge_disposition_id"]) & CANNOT_BE_READMITTED
    assert ENCOUNTERS.broken_rules(accepted[DISCHARGE_COLUMNS]).empty
    assert intake.quarantined["row"].between(1, size).all()
    assert set(intake.quarantined["code"]) <= set(CODES)
    assert SECRET not in intake.quarantined.to_csv()
    told = {IDS[row] for row, _, _ in bad} | {int(value) for _, _, value in bad if value.isascii() and value.isdigit()}
    assert set(IDS) - told - set(before) <= set(accepted["encounter_id"])


def test_a_clean_file_is_accepted_whole_and_in_its_order() -> None:
    intake = one(CLEAN)
    assert counts(intake) == (10, 10, 0, 0)
    assert accepted_ids(intake) == IDS
    assert intake.quarantined.empty
    assert list(intake.quarantined.columns) == list(line_types(ENCOUNTERS))


def test_a_file_with_a_header_and_no_rows_is_a_day_without_discharges() -> None:
    intake = one(CLEAN.iloc[:0])
    assert counts(intake) == (0, 0, 0, 0)
    assert intake.accounts[["files", "files_quarantined"]].to_numpy().tolist() == [[1, 0]]
    assert (intake.accepted.dtypes[NUMBERS] == "int64").all()


# ------------------------------------------------------------------------------------------------------- broken rows


def test_who_died_or_went_to_hospice_is_quarantined_with_the_reason() -> None:
    cells = CLEAN.copy()
    cells.loc[range(2, 8), "discharge_disposition_id"] = [str(code) for code in sorted(CANNOT_BE_READMITTED)]
    intake = one(cells)
    assert counts(intake) == (10, 4, 6, 0)
    assert faults(intake) == [(row, "discharge_disposition_id", "cannot_be_readmitted") for row in range(3, 9)]


def test_a_row_with_several_faults_is_one_quarantined_row_with_several_lines() -> None:
    intake = one(changed(gender=SECRET, age=SECRET))
    assert counts(intake) == (10, 9, 1, 0)
    assert faults(intake) == [(1, "gender", "unknown_code"), (1, "age", "unknown_code")]


def test_a_line_says_day_file_row_column_code_and_reason() -> None:
    line = one(changed(row=3, age=SECRET)).quarantined.to_dict("records")[0]
    assert line == {"discharge_date": DAY, "file_digest": "sha256:a.csv", "file": "a.csv", "row": 4, "column": "age",
                    "code": "unknown_code", "reason": "unknown code"}  # fmt: skip


def test_a_ragged_row_is_set_aside_alone_and_the_others_keep_their_numbers() -> None:
    cells = changed(row=7, age=SECRET)
    cells.loc[4] = None
    intake = take_in({DAY: [landed(cells, ragged={5})]})
    assert counts(intake) == (10, 8, 2, 0)
    assert faults(intake) == [(5, "", "ragged_row"), (8, "age", "unknown_code")]


def test_decimal_points_beside_a_broken_cell_of_the_column_stop_nothing() -> None:
    cells = changed(num_medications=SECRET)
    cells.loc[1, "num_medications"] = "5.0"
    intake = one(cells)
    assert counts(intake) == (10, 9, 1, 0)
    assert intake.accepted["num_medications"].iloc[0] == 5


@pytest.mark.parametrize("said", ["", "?", None, DAY, f"{DAY} 00:00:00", f"{DAY}T23:59"])
def test_a_column_with_the_day_may_repeat_the_folders_day_or_say_nothing(said: str | None) -> None:
    intake = one(CLEAN.assign(discharge_date=pd.Series([said] * 10, dtype=object)))
    assert counts(intake) == (10, 10, 0, 0)
    assert set(intake.accepted["discharge_date"]) == {DAY}


@pytest.mark.parametrize("said", [NEXT, "01.03.2024", "20240301", SECRET])
def test_a_row_that_says_another_day_is_set_aside(said: str) -> None:
    cells = CLEAN.assign(discharge_date=DAY)
    cells.loc[6, "discharge_date"] = said
    intake = one(cells)
    assert counts(intake) == (10, 9, 1, 0)
    assert faults(intake) == [(7, "discharge_date", "day_mismatch")]


# ----------------------------------------------------------------------------------------------------- broken files


@pytest.mark.parametrize("column", ["gender", "encounter_id", "diag_3"])
def test_without_a_column_every_row_is_quarantined_and_the_column_named(column: str) -> None:
    intake = one(CLEAN.drop(columns=column))
    assert counts(intake) == (10, 0, 10, 0)
    assert faults(intake) == [(row, column, "column_missing") for row in range(1, 11)]
    assert intake.accounts["files_quarantined"].sum() == 0


def test_without_a_column_and_without_rows_the_file_is_named() -> None:
    intake = one(CLEAN.drop(columns=["age", "gender"]).head(0))
    assert faults(intake) == [(0, "gender, age", "column_missing")]
    assert intake.accounts["files_quarantined"].sum() == 1


def test_with_an_unknown_column_every_row_is_quarantined_and_the_column_not_named() -> None:
    intake = one(CLEAN.assign(**{SECRET: "1"}))
    assert counts(intake) == (10, 0, 10, 0)
    assert SECRET not in intake.quarantined.to_csv()


def test_a_file_that_brings_outcomes_is_not_a_file_of_discharges() -> None:
    assert counts(one(CLEAN.assign(readmitted="<30"))) == (10, 0, 10, 0)


def test_a_header_that_names_a_column_twice_leaves_no_row_to_trust() -> None:
    intake = one(pd.concat([CLEAN, CLEAN[["race"]]], axis=1))
    assert counts(intake) == (10, 0, 10, 0)
    assert set(faults(intake)) == {(row, "race", "column_repeated") for row in range(1, 11)}


def test_a_file_that_cannot_be_read_is_counted_as_a_file_and_stops_no_other() -> None:
    unreadable = LandedFile("b.csv", "sha256:b", None, "file_not_utf8")
    intake = take_in({DAY: [landed(CLEAN), unreadable]})
    assert counts(intake) == (10, 10, 0, 0)
    assert intake.accounts[["files", "files_quarantined"]].to_numpy().tolist() == [[2, 1]]
    assert faults(intake) == [(0, "", "file_not_utf8")]


def test_the_order_of_the_columns_does_not_matter() -> None:
    backwards = one(CLEAN[DISCHARGE_COLUMNS[::-1]])
    pd.testing.assert_frame_equal(backwards.accepted, one(CLEAN).accepted)


# --------------------------------------------------------------------------------------- several rows of an encounter


def test_a_repeated_encounter_counts_once_within_a_file_and_not_again_in_a_later_one() -> None:
    first = landed(pd.concat([CLEAN, CLEAN.iloc[[0, 0, 5]]], ignore_index=True))
    intake = take_in({DAY: [first, landed(CLEAN.assign(time_in_hospital=CLEAN["time_in_hospital"] + ".0"), name="b")]})
    assert counts(intake) == (23, 10, 0, 13)
    assert intake.files["duplicate"].tolist() == [3, 10]


def test_a_corrected_row_is_accepted_although_its_broken_twin_was_quarantined() -> None:
    assert counts(one(pd.concat([changed(age="about 70").head(1), CLEAN.head(1)], ignore_index=True))) == (2, 1, 1, 0)


@pytest.mark.parametrize("column", ["time_in_hospital", "patient_nbr", "race"])
def test_rows_of_a_day_that_contradict_each_other_are_all_set_aside(column: str) -> None:
    other = CLEAN.iloc[[0]].assign(**{column: "1" if column != "race" else "?"})
    same_file = one(pd.concat([CLEAN, other], ignore_index=True))
    assert counts(same_file) == (11, 9, 2, 0)
    assert faults(same_file) == [(1, "encounter_id", "conflicting_rows"), (11, "encounter_id", "conflicting_rows")]
    several = take_in({DAY: [landed(CLEAN), landed(other, name="late.csv"), landed(CLEAN.head(1), name="later.csv")]})
    assert counts(several) == (12, 9, 3, 0)
    assert IDS[0] not in accepted_ids(several)


def test_of_rows_that_contradict_each_other_the_newer_delivery_counts_and_what_it_changed_is_recorded() -> None:
    update = CLEAN.iloc[[0]].assign(time_in_hospital="9", race="?")
    files = [landed(CLEAN, modified_at="2024-03-02T06"), landed(update, name="0_update", modified_at="2024-03-02T09")]
    for order in (files, files[::-1]):
        intake = take_in({DAY: order})
        assert counts(intake) == (11, 10, 0, 1)
        accepted = intake.accepted.set_index("encounter_id").loc[IDS[0]]
        assert (accepted["time_in_hospital"], accepted["race"]) == (9, None)
        (correction,) = intake.corrections.to_dict("records")
        assert (correction["encounter_id"], correction["discharge_date"]) == (IDS[0], DAY)
        assert (correction["older_file"], correction["older_file_row"]) == ("a.csv", 1)
        assert (correction["newer_file"], correction["newer_file_row"]) == ("0_update", 1)
        assert correction["differing_columns"] == "race, time_in_hospital"


def test_what_was_taken_in_later_is_newer_whatever_the_times_of_the_files_say() -> None:
    update = CLEAN.iloc[[0]].assign(time_in_hospital="9")
    files = {DAY: [landed(CLEAN, modified_at="2024-03-09"), landed(update, name="b", modified_at="2024-03-01")]}
    first = take_in({DAY: files[DAY][:1]}, now="2024-03-09T06")
    seen = {(DAY, digest): Delivered(*moments) for digest, *moments in first.files[
        ["file_digest", "first_taken_in", "modified_at"]].itertuples(index=False, name=None)}  # fmt: skip
    for now in ("2024-03-09T08", "2024-03-10T08"):
        again = take_in(files, delivered_before=seen, now=now)
        assert again.accepted.set_index("encounter_id")["time_in_hospital"].loc[IDS[0]] == 9
        seen |= {(DAY, "sha256:b"): Delivered(now, "")}
    assert take_in(files).accepted["time_in_hospital"].tolist() == CLEAN["time_in_hospital"].astype("int64").tolist()


def test_a_newer_delivery_that_contradicts_itself_settles_nothing() -> None:
    updates = pd.concat([CLEAN.head(1).assign(time_in_hospital=days) for days in ("8", "9")], ignore_index=True)
    intake = take_in({DAY: [landed(CLEAN, modified_at="1"), landed(updates, name="b", modified_at="2")]})
    assert counts(intake) == (12, 9, 3, 0)


def test_a_newer_row_that_is_broken_corrects_nothing() -> None:
    update = CLEAN.iloc[[0]].assign(time_in_hospital="900")
    intake = take_in({DAY: [landed(CLEAN, modified_at="1"), landed(update, name="b", modified_at="2")]})
    assert (counts(intake), len(intake.corrections)) == ((11, 10, 1, 0), 0)


@pytest.mark.parametrize(("died_later", "expected"), [(True, (11, 9, 1, 1)), (False, (11, 10, 1, 0))])
def test_whoever_is_said_to_have_died_by_the_newer_delivery_comes_off_the_list(
    died_later: bool, expected: tuple[int, ...]
) -> None:
    died = CLEAN.iloc[[0]].assign(discharge_disposition_id="11")
    files = [landed(CLEAN, modified_at="2"), landed(died, name="b", modified_at="3" if died_later else "1")]
    intake = take_in({DAY: files})
    assert (counts(intake), IDS[0] in accepted_ids(intake)) == (expected, not died_later)
    assert intake.corrections["differing_columns"].tolist() == (["discharge_disposition_id"] if died_later else [])
    assert faults(intake) == [(1, "discharge_disposition_id", "cannot_be_readmitted")]


def test_a_contradiction_on_another_day_is_a_duplicate_of_what_was_accepted_first() -> None:
    other = CLEAN.iloc[[0]].assign(time_in_hospital="9")
    intake = take_in({DAY: [landed(CLEAN)], NEXT: [landed(other, name="b")]})
    assert intake.files["duplicate"].tolist() == [0, 1]


def test_an_encounter_stays_on_the_day_it_was_accepted_on_whatever_is_taken_in_again() -> None:
    both = {DAY: [landed(CLEAN)], NEXT: [landed(CLEAN.head(3), name="b")]}
    assert accepted_ids(take_in(both)) == IDS
    before = dict.fromkeys(IDS[:3], NEXT)
    together = take_in(both, accepted_before=before)
    assert together.corrections.empty
    assert (accepted_ids(together), accepted_ids(together, NEXT)) == (IDS[3:], IDS[:3])
    alone = take_in({DAY: both[DAY]}, accepted_before=before)
    assert accepted_ids(alone) == IDS[3:]
    gone = take_in({DAY: both[DAY], NEXT: [landed(CLEAN[5:7], name="c")]}, accepted_before=before)
    assert accepted_ids(gone) == IDS


# ---------------------------------------------------------------------------------------------------- files repeated


def repeats(intake: Intake) -> list[str]:
    return intake.quarantined.query("code == 'file_repeated'")["file"].tolist()


def test_the_same_bytes_under_another_name_are_duplicates_also_where_their_rows_are_broken() -> None:
    cells = changed(age=SECRET)
    intake = take_in({DAY: [landed(cells, digest="same"), landed(cells, name="b", digest="same")]})
    assert counts(intake) == (20, 9, 1, 10)
    assert repeats(intake) == ["b"]
    assert intake.accounts["files_quarantined"].sum() == 0


def test_the_same_bytes_on_another_day_are_duplicates_of_the_day_that_took_them_in_first() -> None:
    files = {DAY: [landed(CLEAN, digest="same")], NEXT: [landed(CLEAN, name="b", digest="same")]}
    assert repeats(take_in(files)) == ["b"]
    later_first = take_in(files, taken_before={"same": Place(NEXT, "b")}, accepted_before=dict.fromkeys(IDS, NEXT))
    assert repeats(later_first) == ["a.csv"]
    assert accepted_ids(later_first, NEXT) == IDS
    alone = take_in({DAY: files[DAY]}, taken_before={"same": Place(NEXT, "b")})
    assert counts(alone) == (10, 0, 0, 10)


def test_of_two_names_on_a_day_the_one_that_was_taken_in_first_is_no_repeat() -> None:
    files = {DAY: [landed(CLEAN, name="again.csv", digest="same"), landed(CLEAN, name="first.csv", digest="same")]}
    assert repeats(take_in(files, taken_before={"same": Place(DAY, "first.csv")})) == ["again.csv"]
    assert repeats(take_in(files, taken_before={"same": Place(DAY, "renamed.csv")})) == ["first.csv"]


def test_bytes_whose_first_day_has_them_no_more_are_taken_in_where_they_are() -> None:
    moved = {DAY: [landed(CLEAN, digest="same")], NEXT: [landed(CLEAN.head(0), name="b")]}
    intake = take_in(moved, taken_before={"same": Place(NEXT, "b")}, accepted_before=dict.fromkeys(IDS, NEXT))
    assert accepted_ids(intake) == IDS


def test_a_file_that_says_its_days_and_lay_in_the_wrong_folder_is_taken_in_in_the_right_one() -> None:
    cells = CLEAN.assign(discharge_date=[DAY] * 4 + [NEXT] * 6)
    both = take_in({day: [landed(cells, digest="same")] for day in (DAY, NEXT)})
    assert counts(both) == (20, 10, 10, 0)
    assert (accepted_ids(both), accepted_ids(both, NEXT)) == (IDS[:4], IDS[4:])


def test_days_without_discharges_are_no_repeats_of_each_other() -> None:
    empty = {day: [landed(CLEAN.head(0), digest="same")] for day in (DAY, NEXT)}
    assert take_in(empty).quarantined.empty


def test_taking_in_again_what_was_taken_in_changes_nothing() -> None:
    late = CLEAN.iloc[[2, 3]].assign(encounter_id=["5", "6"])
    files = {DAY: [landed(CLEAN), landed(CLEAN, name="z", digest="sha256:a.csv")],
             NEXT: [landed(pd.concat([CLEAN.head(2), late]), name="b")]}  # fmt: skip
    first = take_in(files)
    before = dict(zip(first.accepted["encounter_id"], first.accepted["discharge_date"], strict=True))
    original = first.files[first.files["problem"].isna()]
    places = map(Place, original["discharge_date"], original["file"])
    taken = dict(zip(original["file_digest"], places, strict=True))
    for days in (list(files), [DAY], [NEXT]):
        again = take_in({day: files[day] for day in days}, accepted_before=before, taken_before=taken)
        for day in days:
            assert accepted_ids(again, day) == accepted_ids(first, day)
            mine = [
                frame[frame["discharge_date"] == day].reset_index(drop=True) for frame in (first.files, again.files)
            ]
            pd.testing.assert_frame_equal(*mine)


# ---------------------------------------------------------------------------------------------------------- releases


def release(*cells: tuple[int, str, str], digest: str = "sha256:a.csv") -> Sequence[ReleasedCell]:
    return [ReleasedCell(digest, *cell) for cell in cells]


def test_a_released_cell_counts_as_missing_and_its_row_is_accepted() -> None:
    intake = one(
        changed(race=SECRET, diag_1="U99"), released=release((1, "race", "unknown_code"), (1, "diag_1", "not_icd9"))
    )
    assert counts(intake) == (10, 10, 0, 0)
    assert intake.accepted.loc[0, ["race", "diag_1"]].isna().all()


@pytest.mark.parametrize(
    "released",
    [
        release((1, "race", "unknown_code")),
        release((1, "age", "unknown_code")),
        release((2, "race", "unknown_code"), (2, "age", "unknown_code")),
        release((1, "race", "unknown_code"), (1, "age", "unknown_code"), digest="sha256:another"),
        release((1, "race", "not_icd9"), (1, "age", "unknown_code")),
    ],
)
def test_a_release_covers_its_file_row_and_code_and_nothing_that_may_not_be_missing(
    released: Sequence[ReleasedCell],
) -> None:
    assert counts(one(changed(race=SECRET, age=SECRET), released=released)) == (10, 9, 1, 0)


def test_a_corrected_row_replaces_the_one_that_was_released() -> None:
    files = [landed(changed(race=SECRET)), landed(CLEAN.head(1), name="corrected.csv")]
    intake = take_in({DAY: files}, released=release((1, "race", "unknown_code")))
    assert counts(intake) == (11, 10, 0, 1)
    assert intake.accepted.set_index("encounter_id").loc[IDS[0], "race"] == CLEAN["race"][0]


def test_two_corrected_rows_that_contradict_each_other_take_the_released_one_with_them() -> None:
    files = [landed(changed(race=SECRET)), landed(CLEAN.head(1), name="b"),
             landed(CLEAN.head(1).assign(time_in_hospital="9"), name="c")]  # fmt: skip
    assert counts(take_in({DAY: files}, released=release((1, "race", "unknown_code")))) == (12, 9, 3, 0)


def test_only_a_broken_cell_that_may_be_missing_can_be_released() -> None:
    possible = {(column, code) for column in [*DISCHARGE_COLUMNS, "", "discharge_date"] for code in CODES
                if releasable(ENCOUNTERS, column, code)}  # fmt: skip
    assert possible == {(column, code) for column in NULLABLE for code in ("unknown_code", "not_icd9", "not_utf8")}


def test_every_code_says_what_it_means_and_what_to_do() -> None:
    lines = quarantine_lines(pd.DataFrame({"row": 1, "column": "age", "code": list(CODES)}), ENCOUNTERS)
    assert not lines["reason"].isna().any()
    assert all(action_for(ENCOUNTERS, "age", code) for code in CODES)
    assert "release" in action_for(ENCOUNTERS, "race", "unknown_code")
