"""A feed that is not the hospital's encounters: other columns, decimal numbers, no patterns, other names of everything.

Columns are called as the intake might call its own, so that nothing of the feed gets lost among them.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.encounters.contract import ENCOUNTERS
from readmission_platform.intake.contract import Excluded, Pattern, RowContract, RowWords, Why
from readmission_platform.intake.files import LandedFile
from readmission_platform.intake.outcomes import OutcomeIntake, outcome_codes, take_in_outcomes
from readmission_platform.intake.quarantine import action_for, codes, line_types, releasable
from readmission_platform.intake.rows import Intake, ReleasedCell, take_in
from readmission_platform.intake.translation import Translated, Translator, Way, codes_by_kind

SECRET = "Q7391-PERSON"
DAY, NEXT = "2031-05-06", "2031-05-07"
STAYS = RowContract(
    columns=("file", "person", "code", "age", "beds", "lactate", "mended", "reason"),
    row="file",
    entity="person",
    day="admitted_on",
    outcome="died",
    whole_numbers={"file": (1, 10**9), "age": (0, 120), "beds": (0, 40)},
    numbers={"lactate": (0.0, 40.5), "mended": (-5.0, 5.0)},
    vocabularies={"code": ("icu", "ward", "hospice")},
    nullable=frozenset({"beds", "lactate"}),
    reasons={"palliative": Why("palliative care from the start", "Nothing: the model is not made for them.")},
    excluded=(Excluded("code", "palliative", lambda rows: rows["code"] == "hospice"),),
    words=RowWords(row="stay", rows="admissions", events="deaths"),
)
COUNTS = ["received", "accepted", "quarantined", "duplicate"]


def cells(count: int, *, first: int = 1) -> pd.DataFrame:
    """Text cells of as many sound stays."""
    numbers = range(first, first + count)
    return pd.DataFrame({
        "file": [str(number) for number in numbers],
        "person": [f"P{number // 2}" for number in numbers],
        "code": ["icu", "ward"] * (count // 2) + ["icu"] * (count % 2),
        "age": "71", "beds": "4", "lactate": "1.75", "mended": "-0.5", "reason": "short of breath",
    }, dtype=object)  # fmt: skip


def landed(rows: pd.DataFrame, name: str = "a.csv") -> LandedFile:
    return LandedFile(name, f"sha256:{name}", rows)


def one(rows: pd.DataFrame, **known: Any) -> Intake:
    return take_in({DAY: [landed(rows)]}, STAYS, **known)


def changed(row: int = 0, **values: str | None) -> pd.DataFrame:
    rows = cells(4)
    for column, value in values.items():
        rows.loc[row, column] = value
    return rows


def faults(intake: Intake | OutcomeIntake) -> list[tuple[int, str, str]]:
    lines = intake.quarantined
    return list(zip(lines["row"], lines["column"], lines["code"], strict=True))


def knows_nothing_of_encounters(text: str) -> bool:
    words = ["encounter", "discharge", "readmi", "30 day", "icd", *ENCOUNTERS.columns[2:], ENCOUNTERS.entity]
    return not [word for word in words if word in text and word not in STAYS.columns]


def of_old_codes(texts: Collection[str]) -> dict[str, Translated]:
    """Read codes such as X7 of an older system."""
    return {text: Translated(None if text == "X0" else f"ward {text[1:]}", "new" if text != "X0" else "gone")
            for text in texts if text.startswith("X")}  # fmt: skip


def test_a_feed_may_have_codes_of_another_system_and_says_of_each_accepted_one_what_became_of_it() -> None:
    old = Translator("the old system", of_old_codes, {"new": Way("as new", "exact"), "gone": Way("not", "lost")})
    feed = replace(
        STAYS, patterns={"reason": Pattern("ward [0-9]+", "not_a_ward", translator=old)},
        nullable=STAYS.nullable | {"reason"}, reasons={**STAYS.reasons, "not_a_ward": Why("no ward")},
    )  # fmt: skip
    rows = cells(5).assign(reason=["X7", "ward 2", "X0", "Y3", None])
    intake = take_in({DAY: [landed(rows)]}, feed)
    assert intake.accepted["reason"].tolist() == ["ward 7", "ward 2", None, None]
    assert faults(intake) == [(4, "reason", "not_a_ward")]
    assert intake.translations.to_numpy().tolist() == [[DAY, 1, "reason", "new"], [DAY, 3, "reason", "gone"]]
    counts = codes_by_kind(intake.accepted, intake.translations, feed)
    assert counts.to_dict("index") == {DAY: {"native": 1, "exact": 1, "inexact": 0, "lost": 1}}
    assert take_in({DAY: [landed(cells(2))]}, STAYS).translations.empty


def test_a_column_that_may_not_be_missing_has_no_translator() -> None:
    old = Translator("the old system", of_old_codes, {})
    with pytest.raises(ValueError, match="translations may miss a value: reason"):
        replace(STAYS, patterns={"reason": Pattern(".", "no", translator=old)}, reasons={"no": Why("no")}, excluded=())


@settings(max_examples=40)
@given(
    bad=st.lists(
        st.tuples(
            st.integers(0, 7),
            st.sampled_from(STAYS.columns),
            st.sampled_from(["", "?", "nan", "inf", "1e1", "2.5", "-1", "99999", "hospice", "a\nb", SECRET])
            | st.text(max_size=6),
        ),
        max_size=6,
    ),
    repeated=st.lists(st.integers(0, 7), max_size=4),
    ragged=st.sets(st.integers(1, 8), max_size=2),
    said=st.none() | st.sampled_from([DAY, NEXT, "", SECRET]),
    known=st.sets(st.integers(1, 8), max_size=2),
)
def test_rows_of_any_feed_are_accepted_set_aside_or_duplicates_and_the_account_balances(
    bad: list[tuple[int, str, str]], repeated: list[int], ragged: set[int], said: str | None, known: set[int]
) -> None:
    rows = pd.concat([cells(8), cells(8).iloc[repeated]], ignore_index=True)
    for row, column, value in bad:
        rows.loc[row, column] = value
    if said is not None:
        rows["admitted_on"] = said
    rows.loc[[row - 1 for row in ragged]] = None
    files = [LandedFile("a.csv", "sha256:a", rows, ragged=ragged), landed(cells(2, first=50), "b.csv"),
             landed(cells(2).drop(columns="age"), "c.csv"), LandedFile("d.csv", "", None, "file_empty")]  # fmt: skip
    intake = take_in({DAY: files}, STAYS, accepted_before=dict.fromkeys(known, NEXT))

    (account,) = intake.accounts.to_dict("records")
    assert account["received"] == len(rows) + 4
    assert account["received"] == account["accepted"] + account["quarantined"] + account["duplicate"]
    assert (account["files"], account["files_quarantined"]) == (4, 1)
    assert (intake.files[COUNTS].sum() == intake.accounts[COUNTS].sum()).all()
    aside = intake.quarantined.query("row > 0").drop_duplicates(["file", "row"])
    assert (len(intake.accepted), len(aside)) == (account["accepted"], account["quarantined"])

    accepted = intake.accepted
    assert list(accepted.columns) == [*STAYS.columns, "admitted_on"]
    assert accepted["file"].is_unique
    assert not set(accepted["file"]) & known
    assert {50, 51} <= set(accepted["file"])
    assert STAYS.broken_rules(accepted).empty
    assert not (accepted["code"] == "hospice").any()
    types = accepted.dtypes.astype(str).to_dict()
    assert (types["file"], types["age"], types["beds"], types["lactate"]) == ("int64", "int64", "float64", "float64")

    assert list(intake.quarantined.columns) == list(line_types(STAYS))
    assert set(intake.quarantined["code"]) <= set(codes(STAYS))
    assert not intake.quarantined["reason"].isna().any()
    shown = intake.quarantined.to_csv() + intake.files.to_csv() + intake.accounts.to_csv()
    assert SECRET not in shown
    assert knows_nothing_of_encounters(shown)


@pytest.mark.parametrize(("text", "value"), [("1.75", 1.75), ("3", 3.0), (" 2 ", 2.0), ("2.5e-1", 0.25), ("0", 0.0)])
def test_a_decimal_number_is_read_however_it_is_written(text: str, value: float) -> None:
    intake = one(changed(lactate=text))
    assert faults(intake) == []
    assert intake.accepted["lactate"].tolist() == [value, 1.75, 1.75, 1.75]


@pytest.mark.parametrize(
    ("text", "code"),
    [("abc", "not_a_number"), ("1,5", "not_a_number"), ("not a number", "not_a_number"), ("inf", "not_a_number"),
     ("40.6", "out_of_range"), ("-0.1", "out_of_range")],
)  # fmt: skip
def test_what_is_no_decimal_number_or_out_of_range_is_named_once(text: str, code: str) -> None:
    intake = one(changed(lactate=text, mended=text))
    wrong = {column for _, column, found in faults(intake) if found == code}
    assert "lactate" in wrong
    assert len(faults(intake)) == len({column for _, column, _ in faults(intake)})
    assert len(intake.accepted) == 3


def test_a_number_is_the_same_number_beside_a_broken_one() -> None:
    """Also written as no reader of columns of numbers would take it, and to the rule of who is scored."""
    minors = Excluded("age", "palliative", lambda rows: pd.to_numeric(rows["age"], errors="coerce") < 18)
    rows = changed(age="70\N{NO-BREAK SPACE}")
    rows.loc[1, "age"], rows.loc[2, "age"], rows.loc[3, "age"] = "abc", "12\N{NO-BREAK SPACE}", "0" * 30 + "9"
    intake = take_in({DAY: [landed(rows)]}, replace(STAYS, excluded=(minors,)))
    assert intake.accepted["age"].tolist() == [70]
    assert faults(intake) == [(2, "age", "not_a_whole_number"), (3, "age", "palliative"), (4, "age", "palliative")]


def test_an_identifier_with_an_exponent_is_no_whole_number_although_decimals_may_have_one() -> None:
    assert faults(one(changed(file="1e3", lactate="1e1"))) == [(1, "file", "not_a_whole_number")]


def test_a_number_may_be_missing_where_the_contract_says_so_and_nowhere_else() -> None:
    intake = one(changed(beds="?", lactate="", reason=None))
    assert faults(intake) == []
    assert intake.accepted.loc[0, ["beds", "lactate", "reason"]].isna().all()
    assert faults(one(changed(age="?", mended="?"))) == [(1, "age", "missing_value"), (1, "mended", "missing_value")]


def test_whose_row_it_is_may_not_be_missing_although_it_is_any_short_text() -> None:
    assert faults(one(changed(person="?"))) == [(1, "person", "missing_value")]
    assert one(changed(person="Ärztin 7")).accepted["person"].iloc[0] == "Ärztin 7"


def test_rows_that_the_model_is_not_made_for_are_set_aside_under_the_code_of_the_feed() -> None:
    (line,) = one(changed(row=2, code="hospice")).quarantined.to_dict("records")
    assert line == {"admitted_on": DAY, "file_digest": "sha256:a.csv", "file": "a.csv", "row": 3, "column": "code",
                    "code": "palliative", "reason": "palliative care from the start"}  # fmt: skip
    assert action_for(STAYS, "code", "palliative").startswith("Nothing")


def test_a_broken_number_that_may_be_missing_can_be_released_and_is_then_missing() -> None:
    released = [ReleasedCell("sha256:a.csv", 1, "lactate", "not_a_number"),
                ReleasedCell("sha256:a.csv", 2, "beds", "out_of_range"),
                ReleasedCell("sha256:a.csv", 3, "age", "not_a_whole_number")]  # fmt: skip
    rows = changed(lactate="clotted")
    rows.loc[1, "beds"], rows.loc[2, "age"] = "4000", "old"
    intake = one(rows, released=released)
    assert faults(intake) == [(3, "age", "not_a_whole_number")]
    assert intake.accepted["file"].tolist() == [1, 2, 4]
    assert intake.accepted["lactate"].isna().tolist() == [True, False, False]
    assert intake.accepted["beds"].isna().tolist() == [False, True, False]
    assert {column for column in STAYS.columns for code in codes(STAYS) if releasable(STAYS, column, code)} == {
        "beds", "lactate", "reason"
    }  # fmt: skip


def test_rows_that_contradict_each_other_are_named_by_the_column_of_the_feed() -> None:
    rows = pd.concat([cells(2), cells(1).assign(lactate="9.5")], ignore_index=True)
    intake = one(rows)
    assert faults(intake) == [(1, "file", "conflicting_rows"), (3, "file", "conflicting_rows")]
    assert intake.quarantined["reason"].iloc[0].startswith("rows of the same stay and day")


def test_outcomes_have_the_columns_the_days_and_the_words_of_the_feed() -> None:
    known = pd.DataFrame({"admitted_on": DAY, "file": [1, 2, 3, 4]})
    told = pd.DataFrame([["1", "0"], ["2", "1"], ["2", "1"], ["3", "0"], ["3", "1"], ["9", "1"], ["4", "perhaps"]],
                        columns=["file", "died"], dtype=object)  # fmt: skip
    young = pd.DataFrame([["5", "0"]], columns=["file", "died"], dtype=object)
    intake = take_in_outcomes(
        {DAY: [landed(told)], NEXT: [landed(young, "b.csv")]},
        STAYS, maturity_days=7, known_rows=known, matured={DAY},
    )  # fmt: skip
    assert intake.accepted.to_dict("list") == {"admitted_on": [DAY, DAY], "file": [1, 2], "died": [0, 1]}
    assert sorted(intake.quarantined["code"]) == [
        "conflicting_outcomes", "conflicting_outcomes", "not_0_or_1", "not_matured", "unknown_stay"
    ]  # fmt: skip
    assert list(intake.quarantined.columns) == list(line_types(STAYS))
    assert intake.accounts[["admitted_on", *COUNTS]].to_numpy().tolist() == [[DAY, 7, 2, 4, 1], [NEXT, 1, 0, 1, 0]]
    reasons = {code: why.reason for code, why in outcome_codes(STAYS, maturity_days=7).items()}
    assert "less than 7 days old, so later deaths" in reasons["not_matured"]
    assert set(intake.quarantined["reason"]) <= set(reasons.values())
    assert knows_nothing_of_encounters(" ".join([*reasons, *reasons.values()]))


def test_a_file_of_outcomes_is_no_file_of_rows_and_the_other_way_round() -> None:
    assert {code for _, _, code in faults(one(cells(2).assign(died="1")))} == {"column_unknown"}
    told = take_in_outcomes({DAY: [landed(cells(2))]}, STAYS, maturity_days=7, matured={DAY},
                            known_rows=pd.DataFrame({"admitted_on": [], "file": []}))  # fmt: skip
    assert {code for _, _, code in faults(told)} == {"column_missing"}


def test_every_code_of_a_feed_without_words_of_its_own_is_explained_in_neutral_words() -> None:
    plain = replace(STAYS, words=RowWords())
    explained = {code: " ".join(why) for code, why in codes(plain).items()}
    assert all(text.strip() for text in explained.values())
    assert knows_nothing_of_encounters(str({**explained, **outcome_codes(plain, maturity_days=7)}))
    assert "unknown_row" in outcome_codes(plain, maturity_days=7)
    assert "not_a_number" in codes(plain)
    assert "not_a_number" not in codes(replace(plain, numbers={}, nullable=frozenset({"beds"})))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"columns": (*STAYS.columns, "age")}, "columns named twice: age"),
        ({"row": "stay"}, "missing among the columns: stay"),
        ({"row": "person"}, "two of row, entity, day, outcome and event: person"),
        ({"day": "died"}, "two of row, entity, day, outcome and event: died"),
        ({"day": "received"}, "names that are the platform's: received"),
        ({"outcome": "entity_key"}, "names that are the platform's: entity_key"),
        ({"nullable": frozenset({"file"})}, "may not be missing: file"),
        ({"nullable": frozenset({"weight"})}, "rules about other columns: weight"),
        ({"whole_numbers": {"age": (0, 120)}}, "has to be a whole number: file"),
        ({"whole_numbers": {"file": (1, 2**60)}}, "ranges that a float cannot hold: file"),
        ({"numbers": {"age": (0.0, 1.0)}}, "columns with several rules: age"),
        ({"patterns": {"reason": Pattern("[a-z]+", "not_a_reason")}}, "codes without a reason: not_a_reason"),
        ({"reasons": {**STAYS.reasons, "out_of_range": Why("too far")}}, "codes that every feed has: out_of_range"),
        ({"words": RowWords(row="hospital stay")}, "has to be one word: hospital stay"),
    ],
)
def test_a_contract_that_contradicts_itself_says_how(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match="contradicts itself") as caught:
        replace(STAYS, **change)
    assert said in str(caught.value)
