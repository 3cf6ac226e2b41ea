"""Figures of what the service answered: every answer once, no small number of people, and compared with the lists."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.drift.stability import measure, reference_of, risk_index
from readmission_platform.evaluation.operation.figures import long_table
from readmission_platform.evaluation.operation.served import answers_among, served
from readmission_platform.evaluation.operation.shown import shown

NO_LIST = pd.DataFrame(columns=["day", "row", "version", "risk"])
DAYS = [f"2026-03-{day:02}" for day in range(1, 29)]


def lines_of(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    common = {"day": "2026-03-01", "version": "1", "arm": None, "status": "scored", "risk": 0.2}
    lines = pd.DataFrame([common | {"row": place, "at": f"2026-03-01T12:{place:06}"} | row
                          for place, row in enumerate(rows)])  # fmt: skip
    return lines.astype({"risk": "float64"})


def table_of(rows: Sequence[dict[str, Any]], listed: pd.DataFrame = NO_LIST, window_rows: int = 200) -> pd.DataFrame:
    return long_table(served(lines_of(rows), listed, window_rows=window_rows, rare_share=0.02))


def values_of(table: pd.DataFrame, figure: str) -> list[float]:
    return table.loc[table["figure"] == figure, "value"].tolist()


FAILED = {"status": "failed", "risk": None}
WITHHELD = {"status": "withheld", "risk": None}


def test_a_line_of_the_shadow_and_one_of_a_candidate_that_failed_were_no_answers():
    lines = lines_of([
        {"arm": "control"}, {"arm": "shadow"},
        {"arm": "candidate", **FAILED}, {"arm": "fallback"},
        {"arm": "candidate"}, {"arm": "rest"}, {"arm": None},
        {"arm": "candidate", **FAILED}, {"arm": "fallback", **FAILED}, {"arm": "control", **FAILED},
    ])  # fmt: skip
    assert answers_among(lines).tolist() == [True, False, False, True, True, True, True, False, True, True]


def test_a_row_asked_about_several_times_counts_once_with_the_last_answer_that_did_not_fail():
    rows = [{"row": place, "risk": 0.1} for place in range(26)]
    again = [{"row": 0, "risk": 0.5}, {"row": 1, **WITHHELD}, {"row": 2, **FAILED}]
    table = table_of([*rows, *again])
    assert values_of(table, "served_rows") == [26]
    assert values_of(table, "served_withheld_share") == [1 / 26]
    assert values_of(table, "served_mean_risk") == [pytest.approx((24 * 0.1 + 0.5) / 25)]
    assert values_of(table, "served_failed_share") == [pytest.approx(1 / 29)]


def test_one_more_patient_does_not_change_the_mean_from_which_their_risk_would_follow():
    rows = [{"row": place, "risk": 0.1 if place < 30 else 0.9} for place in range(60)]
    means = [values_of(table_of(rows[:count]), "served_mean_risk") for count in range(1, 61)]
    changed = [count for count in range(2, 61) if means[count - 1] != means[count - 2]]
    assert changed == [25, 50]


def test_days_and_versions_are_told_apart():
    rows = [{"row": place, "day": DAYS[place % 2], "version": str(place % 4 // 2 + 1)} for place in range(80)]
    table = table_of(rows)
    found = table[table["figure"] == "served_rows"]
    assert sorted(zip(found["first_day"], found["version"], found["value"], strict=True)) == [
        (day, version, 20) for day in DAYS[:2] for version in ("1", "2")
    ]


def test_what_failed_among_few_answers_is_no_share():
    assert values_of(table_of([FAILED] * 19), "served_failed_share") == []
    assert values_of(table_of([FAILED] * 20), "served_failed_share") == [1]


@given(seed=st.integers(0, 1000), counts=st.tuples(st.integers(20, 3000), st.integers(20, 3000)), shift=st.floats(0, 6))
def test_the_index_is_the_one_that_drift_is_measured_with(seed: int, counts: tuple[int, int], shift: float):
    drawn = np.random.default_rng(seed)
    theirs = pd.Series(drawn.beta(2, 15, counts[0]))
    ours = pd.Series(drawn.beta(2 + shift, 15, counts[1]))
    reference = reference_of(pd.DataFrame(index=theirs.index), theirs.to_numpy(), rows=counts[0], rare_share=0.02,
                             seed=0)  # fmt: skip
    measured = measure(reference, pd.DataFrame({"risk": ours}), limits={"risk": 0.2}).rows
    assert risk_index(theirs, ours, rare_share=0.02) == pytest.approx(measured["score"].iloc[0], rel=1e-9, abs=1e-12)


def stream(seed: int, *, per_day: int, shift: float = 0.0) -> list[dict[str, Any]]:
    drawn = np.random.default_rng(seed)
    return [{"day": day, "row": 100 * place + number, "risk": float(np.clip(drawn.beta(2, 15) + shift, 0, 1))}
            for place, day in enumerate(DAYS) for number in range(per_day)]  # fmt: skip


def test_risks_are_compared_with_the_lists_over_the_shortest_stretches_that_hold_enough_of_both():
    listed = pd.DataFrame(stream(1, per_day=27)).assign(version="9")
    for per_day, length in ((20, 10), (60, 8)):
        table = table_of(stream(2, per_day=per_day), listed)
        found = table[table["figure"] == "served_stability_index"]
        spans = [(DAYS.index(first), DAYS.index(last))
                 for first, last in zip(found["first_day"], found["last_day"], strict=True)]  # fmt: skip
        assert [last - first + 1 for first, last in spans] == [length] * (28 // length)
        assert spans[-1][1] == 27
        assert found["value"].max() < 0.2
    moved = table_of(stream(2, per_day=20, shift=0.06), listed)
    assert min(values_of(moved, "served_stability_index")) > 0.2


def test_few_rows_are_not_compared():
    listed = pd.DataFrame(stream(1, per_day=7)).assign(version="1")
    assert values_of(table_of(stream(2, per_day=27), listed), "served_stability_index") == []


def test_a_row_is_as_listed_when_the_same_version_lists_it_with_the_same_risk_to_the_last_bit():
    answered = [{"row": 1, "risk": 0.1}, {"row": 2, "risk": 0.2}, {"row": 3, **WITHHELD}, {"row": 4, "risk": 0.4},
                {"row": 5, "risk": 0.5}, {"row": 6, **WITHHELD}]  # fmt: skip
    listed = pd.DataFrame({
        "day": "2026-03-02", "row": [1, 2, 3, 4, 6], "version": ["1", "1", "1", "2", "1"],
        "risk": [0.1, np.nextafter(0.2, 1), np.nan, 0.4, 0.6],
    })  # fmt: skip
    table = table_of(answered, listed)
    # The fourth was listed by another version, the fifth by none.
    assert values_of(table, "served_as_listed_share") == [2 / 4]
    assert table.loc[table["figure"] == "served_as_listed_share", "n"].tolist() == [4]


COUNT = st.sampled_from([0, 1, 5, 10, 11, 12, 30])


@settings(max_examples=60, deadline=None)
@given(scored=COUNT, withheld=COUNT, failed=COUNT, again=COUNT)
def test_no_group_of_1_to_10_is_shown(scored: int, withheld: int, failed: int, again: int):
    rows = [*[{}] * scored, *[WITHHELD] * withheld, *[FAILED] * failed]
    rows = [{"row": place, **row} for place, row in enumerate(rows)]
    rows += rows[: min(again, scored)]
    lines = lines_of(rows) if rows else lines_of([{}]).head(0)
    table = shown(long_table(served(lines, NO_LIST, window_rows=200, rare_share=0.02)))
    visible = table[~table["hidden"]].set_index("figure")["value"]
    answered = scored + withheld
    assert table["n"].isna().all()
    assert ("served_rows" in visible) is (answered >= 11)
    seen = {"served_withheld_share": (withheld, answered), "served_failed_share": (failed, len(rows))}
    for figure, (count, of) in seen.items():
        few = any(0 < part < 11 for part in (count, of - count, of))
        assert (figure in visible) is (of > 0 and not few and (figure != "served_failed_share" or of >= 20))
    assert ("served_mean_risk" in visible) is (scored >= 25)
