"""The command that counts kills, races and faults: it tries what it says, and it finds what does not hold."""

import json
from pathlib import Path

import pytest

from readmission_platform_tests.benchmarks.invariants import Bench, Sizes, holds, main, measure_on
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.ledger_rounds import OPERATIONS, SqliteLedgers, violations
from readmission_platform_tests.support.vandalism import WAYS

SMALL = ("--home-kills", "0", "--folders", "0", "--contents", "0", "--mutations", "1")
NOT_CALLED_FOR = 1  # the exit code of a process that ends in a traceback


@pytest.mark.slow
def test_every_operation_on_a_ledger_is_killed_raced_and_kept_from_writing_and_everything_holds(
    capsys: pytest.CaptureFixture[str],
):
    assert main(["--database", "sqlite", "--kills", "2", "--races", "1", "--json", *SMALL]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"]
    assert {each["operation"] for each in found["operations"]} == set(OPERATIONS)
    assert all(all(count > 0 for count in each["rounds"].values()) for each in found["operations"])
    assert [(each["tried"], each["problems"]) for each in found["attempts"]] == [(len(WAYS), [])]


class Sabotaged(Bench):
    """A place where somebody has removed the triggers that guard every ledger's events and its head."""

    def ledgers(self) -> SqliteLedgers:
        ledgers = SqliteLedgers(self._folder / "ledgers")
        for name in {operation.ledger for operation in OPERATIONS.values()}:
            intruder = Intruder(ledgers.url(name))
            intruder.disarm()
            intruder.close()
        return ledgers


@pytest.mark.slow
def test_ledgers_without_their_triggers_violate_something_in_every_round(tmp_path: Path):
    sizes = Sizes(1, 0, 0, 0, 0, 0, 0)
    tallies, attempts = measure_on(Sabotaged(tmp_path / "bench", None), sizes, 1, lambda what, done: None)
    assert not holds(tallies, attempts)
    for tally in tallies:
        assert len(tally.violations) >= sum(tally.rounds.values()) > 0


@pytest.fixture
def ledgers(tmp_path: Path) -> SqliteLedgers:
    return SqliteLedgers(tmp_path / "ledgers")


@pytest.mark.parametrize(
    ("ended", "told"),
    [({0: 0}, "what was reported as done is not recorded"), ({0: NOT_CALLED_FOR}, "a process ended with 1")],
)
def test_what_a_process_reported_is_held_against_what_is_recorded(ledgers: SqliteLedgers, ended: dict, told: str):
    with ledgers.fresh("approved") as url:
        assert violations(url, "promote", ended) == [told]


def test_a_pointer_that_somebody_moved_is_found(ledgers: SqliteLedgers):
    with ledgers.fresh("approved") as url:
        intruder = Intruder(url)
        intruder.run("UPDATE pointers SET version = '1' WHERE stage = 'staging'")
        intruder.close()
        (found,) = violations(url, "promote", {})
    assert "staging" in found


def test_an_event_that_somebody_wrote_behind_the_ledger_s_back_is_found(ledgers: SqliteLedgers):
    with ledgers.fresh("approved") as url:
        intruder = Intruder(url)
        intruder.disarm()
        intruder.run("UPDATE events SET actor = 'somebody' WHERE seq = 3")
        intruder.close()
        (found,) = violations(url, "promote", {})
    assert "event 3" in found
