"""Promotions at the same moment: one wins, the others are told. Trainings at the same moment: each has its number."""

import pytest

from readmission_platform.foundation.errors import Conflict
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.racers import promote_in_rounds, reserve_in_turns
from readmission_platform_tests.support.scenario import Scenario

PLACES, ROUNDS = 8, 20
TRAINERS, TURNS = 4, 25


@pytest.mark.slow
def test_of_eight_processes_promoting_together_one_wins_each_of_twenty_rounds(
    any_ledger: Ledger, ledger_url: str
) -> None:
    scenario = Scenario(any_ledger)
    scenario.adopt()
    before = len(any_ledger.events())
    barrier, results = FORKING.Barrier(PLACES + 1), FORKING.Queue()
    racers = [
        FORKING.Process(target=promote_in_rounds, args=(ledger_url, place, PLACES, ROUNDS, barrier, results))
        for place in range(PLACES)
    ]
    for racer in racers:
        racer.start()
    winners = []
    for number in range(ROUNDS):
        for version in range(number * PLACES + 1, (number + 1) * PLACES + 1):
            scenario.train(str(version))
            scenario.validate(str(version))
        barrier.wait(60)
        barrier.wait(60)
        found = [results.get(timeout=60) for _ in racers]
        won = [(version, seq) for _, version, seq in found if seq > 0]
        assert {played for played, _, _ in found} == {number}
        assert len(won) == 1
        assert [seq for _, _, seq in found if seq < 0] == [-Conflict.exit_code] * (PLACES - 1)
        pointer = any_ledger.pointers()["staging"]
        assert (pointer.version, pointer.seq) == won[0]
        winners += won
    for racer in racers:
        racer.join(30)
        assert racer.exitcode == 0
    events = any_ledger.events()
    assert [event.seq for event in events] == list(range(1, before + ROUNDS * (2 * PLACES + 1) + 1))
    assert [(event.version, event.seq) for event in events if event.kind == "version_promoted"] == winners
    any_ledger.verify()


def test_trainings_at_the_same_moment_never_share_a_number(any_ledger: Ledger, ledger_url: str) -> None:
    models = [any_ledger.model, "second"]
    barrier, results = FORKING.Barrier(2 * TRAINERS), FORKING.Queue()
    racers = [
        FORKING.Process(target=reserve_in_turns, args=(ledger_url, model, TURNS, barrier, results))
        for model in models * TRAINERS
    ]
    for racer in racers:
        racer.start()
    found = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(30)
        assert racer.exitcode == 0
    for model in models:
        given = sorted(int(number) for own, numbers in found if own == model for number in numbers)
        assert given == list(range(1, TRAINERS * TURNS + 1))
    any_ledger.verify()
