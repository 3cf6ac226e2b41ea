"""The drift condition of promotion: an alarm holds a version back, and so do too few encounters to judge."""

from dataclasses import replace

import pytest

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.case import Condition, DriftFacts
from readmission_platform_tests.support.scenario import judged_windows, ready_for_production, ready_for_staging


def drift_condition(ledger: Ledger, drift: DriftFacts | None) -> Condition:
    scenario = ready_for_production(ledger)
    scenario.set_facts(drift=drift)
    return next(item for item in scenario.decide().conditions if item.name == "no_drift_alarm")


def test_fewer_encounters_than_a_window_hold_the_first_version_and_its_successors_back(ledger: Ledger):
    found = drift_condition(ledger, judged_windows(closed=0, collecting=81))
    assert found.result == "insufficient"
    assert found.blocks
    assert found.detail == "collecting: about 75 rows so far, of the 200 of a window"


def test_a_full_window_that_nobody_judged_holds_it_back_and_says_what_to_run(ledger: Ledger):
    found = drift_condition(ledger, judged_windows(unjudged=1))
    assert found.blocks
    assert found.detail == "1 of the latest 1 windows not judged"
    assert "monitoring_job" in found.action


def test_an_older_judgement_does_not_stand_in_for_the_latest_window(ledger: Ledger):
    found = drift_condition(ledger, judged_windows(closed=9, unjudged=1))
    assert found.blocks
    assert found.detail == "1 of the latest 3 windows not judged"


def test_one_drifted_window_is_told_and_holds_nobody_back(ledger: Ledger):
    found = drift_condition(ledger, judged_windows(closed=5, drifted=(4,), columns=("age", "risk")))
    assert not found.blocks
    assert found.detail == "1 of the latest 3 windows drifted; the alarm starts at 2 (window 4: age, risk)"


def test_where_there_are_fewer_windows_than_an_alarm_takes_none_of_them_may_have_drifted(ledger: Ledger):
    found = drift_condition(ledger, judged_windows(closed=1, drifted=(1,), columns=("age",)))
    assert found.blocks
    assert found.detail == "1 of the latest 1 windows drifted; the alarm starts at 1 (window 1: age)"


@pytest.mark.parametrize("drifted", [(4, 5), (3, 4, 5)])
def test_enough_drifted_windows_hold_it_back_and_name_the_columns(ledger: Ledger, drifted: tuple[int, ...]):
    found = drift_condition(ledger, judged_windows(closed=5, drifted=drifted, columns=("payer_code",)))
    assert found.blocks
    assert "payer_code" in found.detail
    assert "readmission drift accept" in found.action


def test_what_could_not_be_compared_holds_it_back(ledger: Ledger):
    assert drift_condition(ledger, None).blocks


def test_a_refusal_for_drift_is_recorded_and_moves_nothing(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.set_facts(drift=replace(judged_windows(), closed=3, drifted=(2, 3), columns=("age",)))
    with pytest.raises(Refused):
        scenario.promote()
    assert ledger.pointers()["production"].version is None
    assert "no_drift_alarm" in ledger.events(kind="promotion_refused")[-1].payload["reasons"][0]


def test_staging_asks_nothing_of_drift(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    scenario.set_facts(drift=None)
    decision = scenario.decide("staging")
    assert decision.allowed
    assert "no_drift_alarm" not in {item.name for item in decision.conditions}
