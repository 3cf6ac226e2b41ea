"""What people see of daily counts: no number of 1 to 10, and none that it could be worked out from."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.operation import figures as made
from readmission_platform.evaluation.operation.shown import (
    hidden_of_outcomes,
    hidden_on,
    hidden_reasons,
    shown,
    shown_counts,
    shown_outcome_counts,
    totals_shown,
)

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


def covered(*known: int, due: int) -> pd.DataFrame:
    """Return what is shown of days of which so many outcomes of those due are known."""
    days = [(date(2026, 1, 1) + timedelta(days=place)).isoformat() for place in range(len(known))]
    table = pd.DataFrame({"day": days, "accepted": known})
    return shown(made.long_table(made.coverage(table, pd.Series(due, index=days))))


def test_the_share_of_outcomes_is_hidden_where_1_to_10_are_missing():
    visible = covered(27, 26, 14, due=27)
    assert visible.loc[visible["figure"] == "outcome_coverage", "hidden"].tolist() == [False, True, False]
    # 67 of 81 less 27 and 14 of the other days would tell of the one.
    assert visible.loc[visible["figure"] == "matured_coverage", "hidden"].all()


def test_of_many_outcomes_the_share_of_all_days_is_cut_down_to_digits_that_do_not_tell_of_the_one_day():
    visible = covered(*[800] * 12, 795, 400, due=800).set_index("figure")
    assert visible.loc["matured_coverage", "value"] == 0.963  # .96383...
    assert not visible.loc["matured_coverage", "hidden"]
    whole = covered(*[780] * 14, due=800).set_index("figure")
    assert whole.loc["matured_coverage", "value"] == pytest.approx(0.975)


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


def test_outcomes_that_were_set_aside_do_not_follow_from_the_coverage():
    counts = {"expected": 120, "received": 100, "accepted": 97, "quarantined": 3, "duplicate": 0}
    whole = {"received": 120, "accepted": 120, "quarantined": 0, "duplicate": 0}
    told = {"expected": 120, "received": None, "accepted": 97, "quarantined": None, "duplicate": 0}
    assert shown_outcome_counts(counts, whole) == told


# What is counted of a day in which unknowns: rows accepted, quarantined, duplicate and withheld, then outcomes alike.
PLACES = ("accepted", "quarantined", "duplicate", "withheld", "came", "aside", "again")


def made_of(*names: str, less: str = "") -> np.ndarray:
    return np.array([(place in names) - (place == less) for place in PLACES], dtype=float)


OF_ROWS = {
    "received": made_of("accepted", "quarantined", "duplicate"), "accepted": made_of("accepted"),
    "quarantined": made_of("quarantined"), "duplicate": made_of("duplicate"), "withheld": made_of("withheld"),
    "scored": made_of("accepted", less="withheld"),
}  # fmt: skip
OF_OUTCOMES = {
    "expected": made_of("accepted"), "received": made_of("came", "aside", "again"), "accepted": made_of("came"),
    "quarantined": made_of("aside"), "duplicate": made_of("again"),
}  # fmt: skip
# Who must not be counted where they are 1 to 10.
PROTECTED = (
    *OF_ROWS.values(), *OF_OUTCOMES.values(),
    made_of("quarantined", "duplicate"), made_of("aside", "again"), made_of("accepted", less="came"),
)  # fmt: skip


def derivable(known: list[np.ndarray], wanted: np.ndarray) -> bool:
    """Tell whether a count follows from others by adding and subtracting."""
    rank = np.linalg.matrix_rank(np.array(known)) if known else 0
    return bool(np.linalg.matrix_rank(np.array([*known, wanted])) == rank)


@settings(max_examples=400)
@given(st.fixed_dictionaries(dict.fromkeys(PLACES, st.sampled_from([0, 0, 1, 3, 10, 11, 12, 20, 40, 97]))))
def test_no_small_count_of_a_day_follows_from_all_that_is_printed_of_it(found: dict[str, int]):
    found["withheld"] = min(found["withheld"], found["accepted"])
    found["came"] = min(found["came"], found["accepted"])
    x = np.array([found[place] for place in PLACES])
    rows = {name: int(of @ x) for name, of in OF_ROWS.items()}
    outcomes = {name: int(of @ x) for name, of in OF_OUTCOMES.items()}
    taken_in = {name: rows[name] for name in ("received", *PARTS)}

    known = [OF_ROWS[name] for name, count in shown_counts(rows).items() if count is not None]
    known += [
        OF_OUTCOMES[name] for name, count in shown_outcome_counts(outcomes, taken_in).items() if count is not None
    ]
    volumes = pd.DataFrame({"day": ["2026-01-01"], **{name: [count] for name, count in taken_in.items()}})
    coverage = made.coverage(
        pd.DataFrame({"day": ["2026-01-01"], "accepted": [outcomes["accepted"]]}),
        pd.Series({"2026-01-01": outcomes["expected"]}),
    )
    page = shown(made.long_table([*made.volumes(volumes), *coverage])).set_index("figure")
    known += [OF_ROWS[name] for name in taken_in if not page.loc[f"rows_{name}", "hidden"]]
    by_command = "coverage" not in hidden_of_outcomes(outcomes, taken_in) and outcomes["expected"]
    if by_command or ("outcome_coverage" in page.index and not page.loc["outcome_coverage", "hidden"]):
        share = outcomes["accepted"] / outcomes["expected"]
        # A share that is not cut down tells both of its counts; none or all of them says that two are the same.
        known += {0: [made_of("came")], 1: [made_of("accepted", less="came")]}.get(
            share, [made_of("accepted"), made_of("came")])  # fmt: skip
    leaks = [int(of @ x) for of in PROTECTED if 0 < of @ x < SMALLEST_SHOWN and derivable(known, of)]
    assert not leaks, found


@settings(max_examples=300)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=5), st.integers(0, 30))
def test_no_few_rows_follow_from_how_many_were_set_aside_for_which_reason(reasons: list[int], others: int):
    rows = {str(place): count for place, count in enumerate(reasons)}
    quarantined = max(reasons) + others
    visible = {name: count for name, count in rows.items()
               if name not in hidden_reasons(rows, quarantined=quarantined, hidden=False)}  # fmt: skip
    assert not any(0 < count < SMALLEST_SHOWN for count in visible.values())
    assert not any(0 < quarantined - count < SMALLEST_SHOWN for count in visible.values())
    unseen = sum(rows.values()) - sum(visible.values())
    assert unseen == 0 or unseen >= SMALLEST_SHOWN or not any(visible.values())
    assert not any(hidden_reasons({"a": 40, "b": 3}, quarantined=43, hidden=True) ^ {"a", "b"})


def test_no_other_figure_says_how_many_rows_of_a_hidden_day_it_is_made_from():
    rows = pd.DataFrame({"day": "2026-01-01", "model_version": "1", "risk": [0.1] * 25, "band": "low",
                         "flagged": False, "status": "scored"})  # fmt: skip
    volumes = pd.DataFrame({"day": ["2026-01-01"], "received": 27, "accepted": 25, "quarantined": 2, "duplicate": 0})
    visible = shown(made.long_table([*made.volumes(volumes), *made.scores(rows, ["low"])])).set_index("figure")
    assert visible.loc["rows_received", "n"] == 27
    assert visible.loc["mean_risk", "value"] == pytest.approx(0.1)
    assert pd.isna(visible.loc["mean_risk", "n"])
    assert visible.loc[["rows_accepted", "rows_scored"], "hidden"].all()
