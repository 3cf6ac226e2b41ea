"""Which version was where, from when to when, and why."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.governance.ledger.chain import STAGES, Event, pointers_from
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.timeline import timeline
from readmission_platform_tests.support.scenario import MODEL, ready_for_production


def test_without_a_promotion_there_is_no_timeline(ledger: Ledger):
    ledger.append("version_trained", {}, actor="t", version="1")
    assert timeline(ledger.events()) == []


def test_a_promotion_names_who_approved_and_on_which_evidence(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote(reason="better than nothing")
    staging, production = timeline(ledger.events())
    assert (staging.stage, staging.until) == ("staging", production.since)
    assert (production.stage, production.version, production.until, production.how) == (
        "production", "1", None, "promotion"
    )  # fmt: skip
    assert production.by == "ops"
    assert set(production.approved_by) == {"clinician", "second"}
    assert production.evidence_digest == "sha256:evidence"
    assert production.policy_digest == scenario.policy_digest()
    assert production.reason == "better than nothing"
    assert production.replaced is None


def test_a_rollback_is_shown_as_one_with_the_approvals_of_the_promotion_before(ledger: Ledger):
    scenario = ready_for_production(ledger)
    scenario.promote()
    scenario.train("2")
    scenario.stage("2")
    scenario.stage("2", "production")
    ledger.move("version_rolled_back", {"reason": "alarms"}, actor="ops", version="1",
                moves={"production": "1"}, expected=ledger.pointers())  # fmt: skip
    lived = [period for period in timeline(ledger.events()) if period.stage == "production"]
    assert [(period.version, period.how, period.replaced) for period in lived] == [
        ("1", "promotion", None), ("2", "promotion", "1"), ("1", "rollback", "2")
    ]  # fmt: skip
    assert lived[2].approved_by == lived[0].approved_by
    assert lived[2].reason == "alarms"
    assert [period.until for period in lived] == [lived[1].since, lived[2].since, None]


moves = st.dictionaries(st.sampled_from(STAGES), st.none() | st.sampled_from("123"), min_size=1)


@given(st.lists(moves, max_size=12))
def test_periods_never_overlap_and_end_where_the_pointers_are(history: list[dict[str, str | None]]):
    events = [
        Event(seq, MODEL, f"2026-01-{seq:02d}T00:00:00.000000Z", "version_promoted", None, "a", {"moves": each}, "", "")
        for seq, each in enumerate(history, start=1)
    ]
    periods, pointers = timeline(events), pointers_from(events)
    for stage in STAGES:
        of_stage = [period for period in periods if period.stage == stage]
        assert all(one.until is not None and one.until <= other.since for one, other in pairwise(of_stage))
        lasting = [period.version for period in of_stage if period.until is None]
        assert lasting == [version for version in [pointers[stage].version] if version is not None]
