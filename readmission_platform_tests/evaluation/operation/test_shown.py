"""What people see of daily counts: no number of 1 to 10, and none that it could be worked out from."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.operation import figures as made
from readmission_platform.evaluation.operation.shown import hidden_on, shown, shown_outcome_counts, totals_shown

PARTS = ("accepted", "quarantined", "duplicate")


def table_of(days: list[tuple[int, int, int]]) -> pd.DataFrame:
    """Return figures of days with so many accepted, quarantined, duplicate."""
    names = [(date(2026, 1, 1) + timedelta(days=place)).isoformat() for place in range(len(days))]
    counts = pd.DataFrame(days, columns=list(PARTS)).assign(day=names)
    return made.long_table(made.volumes(counts.assign(received=counts[list(PARTS)].sum(axis=1))))


few = st.integers(0, 30)


@settings(max_examples=150)
@given(few, few, few, few, few)
def test_nothing_small_can_be_worked_out_from_a_day(
    accepted: int, quarantined: int, duplicate: int, withheld: int, flagged: int
):
    withheld, flagged = min(withheld, accepted), min(flagged, accepted)
    scored = accepted - withheld
    counts = {"received": accepted + quarantined + duplicate, "accepted": accepted, "quarantined": quarantined}
    counts |= {"duplicate": duplicate, "scored": scored, "withheld": withheld, "flagged": min(flagged, scored)}
    hidden = {name.removeprefix("rows_") for name in hidden_on(counts)}
    visible = {name: count for name, count in counts.items() if name not in hidden}
    assert not any(0 < count < SMALLEST_SHOWN for count in visible.values())
    if "received" in visible:
        unseen = [counts[name] for name in PARTS if name in hidden and counts[name]]
        rest = visible["received"] - sum(visible.get(name, 0) for name in PARTS)
        assert rest == 0 or (rest >= SMALLEST_SHOWN and len(unseen) >= 2) or accepted + quarantined + duplicate < 22
    if "scored" in visible and "withheld" in visible:
        # Their sum is what was accepted, and may be seen only where that may.
        assert "accepted" in visible or accepted == 0
    assert not ("flagged" in visible and "scored" in visible and 0 < counts["scored"] - counts["flagged"] < 11)


def test_25_accepted_of_27_received_would_give_two_quarantined_away():
    visible = shown(table_of([(25, 2, 0)])).set_index("figure")
    assert visible.loc["rows_received", "value"] == 27
    for figure in ("rows_accepted", "rows_quarantined", "quarantined_share"):
        assert visible.loc[figure, "hidden"]
        assert pd.isna(visible.loc[figure, ["value", "n"]]).all()
    assert visible.loc["rows_duplicate", "value"] == 0


def test_a_day_without_small_counts_is_shown_whole():
    visible = shown(table_of([(27, 0, 0), (40, 15, 0)]))
    assert not visible["hidden"].any()


def test_a_total_that_would_tell_the_one_hidden_day_is_hidden():
    assert totals_shown(table_of([(25, 2, 0), (30, 0, 0), (40, 15, 0)])) == {
        "received": 112, "accepted": None, "quarantined": None, "duplicate": 0,
    }  # fmt: skip
    many = totals_shown(table_of([(25, 2, 0)] * 10))
    assert many["quarantined"] == 20
    assert many["accepted"] == 250


def test_the_share_of_outcomes_is_hidden_where_1_to_10_are_missing():
    due = pd.Series({"2026-01-01": 27, "2026-01-02": 27, "2026-01-03": 27})
    known = pd.DataFrame({"day": list(due.index), "accepted": [27, 26, 14]})
    visible = shown(made.long_table(made.coverage(known, due)))
    days = visible[visible["figure"] == "outcome_coverage"]
    assert days["hidden"].tolist() == [False, True, False]
    assert visible.loc[visible["figure"] == "matured_coverage", "value"].item() == pytest.approx(67 / 81)


def test_the_mean_risk_of_a_handful_is_hidden():
    rows = pd.DataFrame({"day": "2026-01-01", "model_version": "1", "risk": [0.1] * 9, "band": "low",
                         "flagged": False, "status": "scored"})  # fmt: skip
    visible = shown(made.long_table(made.scores(rows, ["low"]))).set_index("figure")
    assert visible.loc["mean_risk", "hidden"]


def test_outcomes_do_not_tell_how_many_were_accepted_where_that_is_hidden():
    counts = {"expected": 25, "received": 25, "accepted": 25, "quarantined": 0, "duplicate": 0}
    taken_in = {"received": 27, "accepted": 25, "quarantined": 2, "duplicate": 0}
    hidden = {"expected": None, "received": None, "accepted": None, "quarantined": 0, "duplicate": 0}
    assert shown_outcome_counts(counts, taken_in) == hidden
    whole = {"received": 25, "accepted": 25, "quarantined": 0, "duplicate": 0}
    assert shown_outcome_counts(counts, whole) == counts
    assert shown_outcome_counts(counts | {"received": 24, "accepted": 24}, whole)["accepted"] is None


def test_no_other_figure_says_how_many_rows_of_a_hidden_day_it_is_made_from():
    rows = pd.DataFrame({"day": "2026-01-01", "model_version": "1", "risk": [0.1] * 25, "band": "low",
                         "flagged": False, "status": "scored"})  # fmt: skip
    volumes = pd.DataFrame({"day": ["2026-01-01"], "received": 27, "accepted": 25, "quarantined": 2, "duplicate": 0})
    visible = shown(made.long_table([*made.volumes(volumes), *made.scores(rows, ["low"])])).set_index("figure")
    assert visible.loc["rows_received", "n"] == 27
    assert visible.loc["mean_risk", "value"] == pytest.approx(0.1)
    assert pd.isna(visible.loc["mean_risk", "n"])
    assert visible.loc[["rows_accepted", "rows_scored"], "hidden"].all()
