"""Time in the ledger never runs backwards, whatever the clock of a machine says."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from readmission_platform.foundation.errors import LedgerCorrupt, Unavailable
from readmission_platform.governance.ledger import audit
from readmission_platform.governance.ledger.chain import CLOCK_TOLERANCE, time_of_next, utc_text
from readmission_platform.governance.ledger.extract import first_break
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.clocks import NEXT_CENTURY, write_dated
from readmission_platform_tests.support.scenario import MODEL
from readmission_platform_tests.support.throwaway_postgresql import Server

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_nothing_is_recorded_by_a_clock_before_the_last_event(any_ledger: Ledger, ledger_url: str) -> None:
    write_dated(ledger_url, NEXT_CENTURY)
    before = any_ledger.snapshot()
    attempts = (
        lambda: any_ledger.append("note", {}, actor="a"),
        lambda: any_ledger.move(
            "m", {}, actor="a", version="1", moves={"staging": "1"}, expected=any_ledger.pointers()
        ),
    )
    for attempt in attempts:
        with pytest.raises(Unavailable, match="never runs backwards") as refused:
            attempt()
        assert refused.value.exit_code == 5
        assert "\n" not in str(refused.value)
        assert NEXT_CENTURY in str(refused.value)
    assert any_ledger.snapshot() == before
    any_ledger.verify()


def test_clocks_that_differ_by_seconds_write_into_one_ledger(any_ledger: Ledger, ledger_url: str) -> None:
    ahead = utc_text(datetime.now(UTC) + timedelta(seconds=3))
    write_dated(ledger_url, ahead)
    assert any_ledger.append("note", {}, actor="a").at == ahead
    any_ledger.verify()


@pytest.mark.parametrize(("behind", "taken"), [(timedelta(0), True), (CLOCK_TOLERANCE, True),
                                               (CLOCK_TOLERANCE + timedelta(microseconds=1), False)])  # fmt: skip
def test_a_clock_may_be_behind_by_the_tolerance_and_no_more(behind: timedelta, taken: bool) -> None:
    last = utc_text(NOON)
    if taken:
        assert time_of_next(last, NOON - behind) == last
    else:
        with pytest.raises(Unavailable):
            time_of_next(last, NOON - behind)
    assert time_of_next(last, NOON + behind) == utc_text(NOON + behind)
    assert time_of_next(None, NOON) == last


@pytest.mark.parametrize("at", ["2025-01-01T00:00:00.000000Z", "yesterday", "9999"])
def test_an_audit_finds_an_event_dated_before_the_one_that_it_follows(
    any_ledger: Ledger, ledger_url: str, at: str
) -> None:
    any_ledger.append("note", {}, actor="a")
    write_dated(ledger_url, at)
    report = audit.verify(any_ledger)
    assert (report.ok, report.first_bad_seq) == (False, 3)
    assert f"event 3 is dated {at}" in str(report.problem).replace("'", "")
    with pytest.raises(LedgerCorrupt):
        any_ledger.verify()
    assert f"event 3 is dated {at}" in str(first_break(any_ledger.entries(), model=MODEL)).replace("'", "")


@pytest.mark.parametrize("at", ["2025-01-01T00:00:00.000000Z", "yesterday", "2026-13-41"])
def test_the_database_itself_lets_in_no_event_dated_before_the_last_or_at_no_time(
    any_ledger: Ledger, ledger_url: str, at: str
) -> None:
    any_ledger.append("note", {}, actor="a")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"):
        write_dated(ledger_url, at, guarded=True)
    any_ledger.verify()
    any_ledger.append("note", {}, actor="a")


def test_a_server_lets_in_no_event_from_the_future_which_would_keep_everybody_else_from_writing(
    postgresql: Server,
) -> None:
    url = postgresql.emptied()
    with Ledger(url, model=MODEL, environment="local") as ledger:
        with pytest.raises(sa.exc.DBAPIError, match="ahead of the clock"):
            write_dated(url, NEXT_CENTURY, guarded=True)
        ledger.append("note", {}, actor="a")
        ledger.verify()


def test_the_present_of_a_decision_is_never_before_the_last_event(any_ledger: Ledger, ledger_url: str) -> None:
    began = datetime.now(UTC)
    assert began <= any_ledger.now() <= datetime.now(UTC)
    write_dated(ledger_url, NEXT_CENTURY)
    assert utc_text(any_ledger.now()) == NEXT_CENTURY
