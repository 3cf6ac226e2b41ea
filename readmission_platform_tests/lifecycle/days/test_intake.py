"""Taking days in: the accounts of several days, each judged by itself."""

from dataclasses import replace

import pandas as pd
import pytest

from readmission_platform.encounters.contract import ENCOUNTERS
from readmission_platform.intake.rows import take_in
from readmission_platform.lifecycle.days.intake import TakenIn
from readmission_platform.storage.landing import LandedFile
from readmission_platform_tests.support.bad_deliveries import SECRET, clean_rows

FIRST, SECOND = "2024-03-01", "2024-03-02"
CELLS = clean_rows(9)
LANDED = {
    FIRST: [LandedFile("a.csv", "sha256:a", CELLS.head(4)), LandedFile("x.csv", "sha256:x", None, "file_empty")],
    SECOND: [LandedFile("b.csv", "sha256:b", CELLS.tail(5).assign(race=[SECRET, "?", "?", "?", "?"]))],
}


def taken_in() -> TakenIn:
    taken = take_in(LANDED, ENCOUNTERS)
    accounts = taken.accounts.assign(delivered_version=pd.array([None, 3], dtype="Int64"))
    return TakenIn(
        "discharge_date", taken.accepted, accounts, taken.quarantined, taken.files, taken.held, taken.corrections
    )


def test_days_whose_rows_are_all_where_they_should_be_are_balanced():
    assert taken_in().unbalanced_days(LANDED) == []


@pytest.mark.parametrize("count", ["received", "accepted", "quarantined", "duplicate"])
def test_two_wrong_days_do_not_balance_each_other(count: str):
    taken = taken_in()
    taken.accounts.loc[0, count] += 1
    taken.accounts.loc[1, count] -= 1
    assert taken.unbalanced_days(LANDED) == [FIRST, SECOND]


def test_a_row_that_is_lost_on_the_way_is_noticed_wherever_it_was_lost():
    taken = taken_in()
    accepted = replace(taken, delivered=taken.delivered.iloc[1:])
    assert accepted.unbalanced_days(LANDED) == [FIRST]
    aside = replace(taken, quarantined=taken.quarantined.iloc[:0])
    assert aside.unbalanced_days(LANDED) == [SECOND]
    unread = {FIRST: [LandedFile("a.csv", "sha256:a", CELLS.head(5))], SECOND: LANDED[SECOND]}
    assert taken.unbalanced_days(unread) == [FIRST]


def test_encounters_that_have_not_changed_keep_the_version_of_the_table_that_first_held_them():
    assert taken_in().accounts_at(8)["delivered_version"].tolist() == [8, 3]
