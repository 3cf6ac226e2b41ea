"""What other processes do to a ledger while a test looks on."""

import itertools
from pathlib import Path
from typing import Any

from readmission_platform.foundation.errors import Conflict
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.decision import apply
from readmission_platform_tests.support.scenario import (
    MODEL,
    PLAN,
    POLICY,
    ROLES,
    Scenario,
    ensure_adopted,
    environment,
)


def race_to_open(url: str, barrier: Any, results: Any) -> None:
    """Open a ledger together with others and write into it."""
    barrier.wait(30)
    with Ledger(url, model=MODEL, environment="local") as ledger:
        results.put(ledger.append("opened", {}, actor="a").seq)


def reserve_in_turns(url: str, model: str, turns: int, barrier: Any, results: Any) -> None:
    """Reserve one version of a model after the other, while others do the same."""
    with Ledger(url, model=model, environment="local") as ledger:
        barrier.wait(60)
        results.put((model, [ledger.reserve_version({"run_id": "r"}, actor="a") for _ in range(turns)]))


def adopt_on_first_use(url: str, model: str, keys: Path, barrier: Any, results: Any) -> None:
    """Adopt everything for a model on first use, at the same moment as others do for theirs."""
    with Ledger(url, model=model, environment="local") as ledger:
        barrier.wait(60)
        adopted = ensure_adopted(
            ledger, policy=POLICY, plan=PLAN, roles=ROLES, environment=environment("local"), keys=keys
        )
        results.put((model, adopted.seq))


def move_for_ever(url: str, started: Any) -> None:
    """Promote one version after the other, until killed."""
    with Ledger(url, model=MODEL, environment="local") as ledger:
        for number in itertools.count(1):
            moves = {"staging": None, "production": str(number)}
            ledger.move("m", {}, actor="a", version=str(number), moves=moves, expected=ledger.pointers())
            if number == 3:
                started.set()


def promote_in_rounds(url: str, place: int, places: int, rounds: int, barrier: Any, results: Any) -> None:
    """Each round, promote the version of one's own place to staging at the same moment as all others."""
    with Ledger(url, model=MODEL, environment="local") as ledger:
        scenario = Scenario(ledger)
        for number in range(rounds):
            version = str(number * places + place + 1)
            barrier.wait(60)  # the versions of this round are recorded
            decision = scenario.decide("staging", version)
            barrier.wait(60)  # everybody has decided on the same state
            try:
                event = apply(ledger, decision)
                results.put((number, version, event.seq if event else None))
            except Conflict as conflict:
                results.put((number, version, conflict.exit_code * -1))
