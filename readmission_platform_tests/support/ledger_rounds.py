"""Promotion, rollback, adoption and approval on small ledgers, disturbed; and what must hold whatever happened.

What belongs here: the operations, ledgers on which each is due, and rounds in which one is killed, raced or kept
from writing. What does not: whole homes (``home_rounds``), and how many rounds there are (``benchmarks.invariants``).
"""

import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from readmission_platform.config.governance import GatePolicy
from readmission_platform.foundation.database import make_engine
from readmission_platform.foundation.errors import GovernanceError, LedgerCorrupt
from readmission_platform.foundation.values import Limits, digest_of
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.adoption import in_force
from readmission_platform.governance.promotion.approved import approvers
from readmission_platform.governance.promotion.decision import apply
from readmission_platform.governance.promotion.placement import pointer_problem
from readmission_platform.governance.promotion.rollback import RollbackRequest, apply_rollback, decide_rollback
from readmission_platform.governance.rollouts.start import record_start
from readmission_platform.governance.rollouts.state import rollout_of
from readmission_platform.governance.rollouts.steps import record_step
from readmission_platform.governance.signatures import sign
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.interruption import fill_the_disk, listen, meanwhile
from readmission_platform_tests.support.rollouts import Rollouts, plan
from readmission_platform_tests.support.scenario import KEYS, MODEL, POLICY, Scenario, adopt
from readmission_platform_tests.support.throwaway_postgresql import Server

KILLED = -signal.SIGKILL
APPROVERS = ("clinician", "second")
_PATIENCE = 60

CarryOut = Callable[[], Event | None]


@dataclass(frozen=True)
class Operation:
    """Something that is due on a ledger, which either of two processes may do.

    Attributes
    ----------
    prepare
        Decides, as the process of this place; what it returns writes.
    steps
        Where it can be interrupted, in order.
    state
        What of the ledger the operation changes.
    expected
        That state after the processes of these places have recorded theirs.
    place_of
        Which process recorded an event of this kind.
    several
        Whether both of two at once may succeed.
    """

    kind: str
    ledger: str
    prepare: Callable[[Scenario, int], CarryOut]
    steps: Sequence[str]
    state: Callable[[Ledger], Any]
    expected: Callable[[frozenset[int]], Any]
    place_of: Callable[[Event], int]
    several: bool = False


# ----------------------------------------------------------------------------------------------------- the operations


def _promote(scenario: Scenario, place: int) -> CarryOut:
    scenario.set_facts(has_champion=True)
    decision = scenario.decide("production", "2", replace=True, reason=f"place {place}")
    return lambda: apply(scenario.ledger, decision)


def _roll_back(scenario: Scenario, place: int) -> CarryOut:
    events, pointers = scenario.ledger.snapshot()
    decision = decide_rollback(
        scenario.ask(RollbackRequest("1", "ops", f"place {place}"), "version_rolled_back"),
        events=events,
        pointers=pointers,
        records=version_records(events, pointers),
        artifact_digests={"1": "sha256:artifact"},
        environment_name="production",
        model=MODEL,
        now=scenario.ledger.now(),
    )
    return lambda: apply_rollback(scenario.ledger, decision)


def _policy(place: int) -> GatePolicy:
    """Return the policy that the process of a place adopts: the shipped one with a stricter limit."""
    rule = POLICY.gates["discrimination_auroc"]
    stricter = rule.model_copy(update={"limits": {**rule.limits, "real": Limits(at_least=0.66 + place / 1000)}})
    return POLICY.model_copy(update={"gates": {**POLICY.gates, "discrimination_auroc": stricter}})


def _adopt(scenario: Scenario, place: int) -> CarryOut:
    asked_at = datetime.now(UTC)
    who = Signer("clinician", KEYS["clinician"])
    return lambda: adopt(scenario.ledger, "policy_adopted", _policy(place), who, asked_at=asked_at)


def _approve(scenario: Scenario, place: int) -> CarryOut:
    who = APPROVERS[place]
    signed = sign(scenario.statement(who, "2"), KEYS[who])
    return lambda: scenario.ledger.append("version_approved", signed, actor=who, version="2")


def _start(scenario: Scenario, place: int) -> CarryOut:
    scenario.set_facts(has_champion=True)
    decision = Rollouts(scenario).decide_start(plan(), reason=f"place {place}")
    return lambda: record_start(scenario.ledger, decision)


def _step(kind: str) -> Callable[[Scenario, int], CarryOut]:
    def prepare(scenario: Scenario, place: int) -> CarryOut:
        decision = Rollouts(scenario).decide_step(kind, reason=f"place {place}")
        return lambda: record_step(scenario.ledger, decision)

    return prepare


def _rolled_out(ledger: Ledger) -> tuple[float, str] | None:
    state = rollout_of(ledger.events())
    return (state.share, state.status) if state else None


def _stages(ledger: Ledger) -> tuple[str | None, str | None]:
    pointers = ledger.pointers()
    return pointers["production"].version, pointers["staging"].version


def _policy_digest(ledger: Ledger) -> str:
    policy = in_force(ledger.events())
    assert policy is not None
    return policy.digest


def _approved_by(ledger: Ledger) -> list[str]:
    events = ledger.events()
    of_version = {event.seq for event in events if event.version == "2"}
    return sorted(name for seq, name in approvers(events).items() if seq in of_version)


def _by_reason(event: Event) -> int:
    return int(event.payload["reason"].removeprefix("place "))


def _by_policy(event: Event) -> int:
    digests = [digest_of(_policy(place)) for place in (0, 1)]
    return digests.index(event.payload["statement"]["digest"])


_MOVE = ("writing has begun", "event written", "production pointed", "staging pointed", "committed")

OPERATIONS: Mapping[str, Operation] = {
    "promote": Operation(
        "version_promoted", "approved", _promote, [f"ledger: {step}" for step in _MOVE], _stages,
        lambda places: ("2", None) if places else ("1", "2"), _by_reason,
    ),
    "roll back": Operation(
        "version_rolled_back", "replaced", _roll_back, [f"ledger: {step}" for step in _MOVE if "staging" not in step],
        _stages, lambda places: ("1", None) if places else ("2", None), _by_reason,
    ),
    "adopt": Operation(
        "policy_adopted", "approved", _adopt, ["ledger: policy_adopted written", "ledger: policy_adopted committed"],
        _policy_digest, lambda places: digest_of(_policy(min(places)) if places else POLICY), _by_policy,
    ),
    "approve": Operation(
        "version_approved", "unapproved", _approve,
        ["ledger: version_approved written", "ledger: version_approved committed"],
        _approved_by, lambda places: sorted(APPROVERS[place] for place in places),
        lambda event: APPROVERS.index(str(event.actor)), several=True,
    ),
    "start a roll-out": Operation(
        "rollout_started", "approved", _start,
        ["ledger: rollout_started written", "ledger: rollout_started committed"],
        _rolled_out, lambda places: (0.1, "running") if places else None, _by_reason,
    ),
    "take a step": Operation(
        "rollout_advanced", "rolling", _step("rollout_advanced"),
        ["ledger: rollout_advanced written", "ledger: rollout_advanced committed"],
        _rolled_out, lambda places: (0.5 if places else 0.1, "running"), _by_reason,
    ),
    "take a candidate back": Operation(
        "rollout_aborted", "rolling", _step("rollout_aborted"),
        ["ledger: rollout_aborted written", "ledger: rollout_aborted committed"],
        _rolled_out, lambda places: None if places else (0.1, "running"), _by_reason,
    ),
}  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- ledgers


def write_ledgers(url_of: Callable[[str], str]) -> None:
    """Write the ledgers that the operations begin with, each into the empty database of its name."""
    for name in ("unapproved", "approved", "replaced", "rolling"):
        with Ledger(url_of(name), model=MODEL, environment="local") as ledger:
            scenario = Scenario(ledger)
            scenario.adopt()
            for version, approved in (("1", True), ("2", name != "unapproved")):
                scenario.train(version)
                scenario.validate(version)
                scenario.stage(version)
                for who in APPROVERS if approved else ():
                    scenario.approve(who, version)
                if version == "1" or name == "replaced":
                    scenario.stage(version, "production")
            if name == "rolling":
                scenario.set_facts(has_champion=True)
                Rollouts(scenario).start()


class Ledgers(Protocol):
    """Where rounds get a ledger of their own, as one of :func:`write_ledgers` is."""

    def fresh(self, name: str) -> contextlib.AbstractContextManager[str]:
        """Yield the address of a copy, which is gone afterwards."""


class SqliteLedgers:
    """Ledgers in files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        write_ledgers(self.url)

    def url(self, name: str) -> str:
        """Return the address of a ledger."""
        return f"sqlite:///{self._folder / name}.db"

    @contextlib.contextmanager
    def fresh(self, name: str) -> Iterator[str]:
        """Yield the address of a copy."""
        shutil.copy(self._folder / f"{name}.db", self._folder / "round.db")
        yield self.url("round")
        for file in self._folder.glob("round.db*"):
            file.unlink()


class PostgresqlLedgers:
    """Ledgers in databases of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        write_ledgers(server.emptied)

    @contextlib.contextmanager
    def fresh(self, name: str) -> Iterator[str]:
        """Yield the address of a copy."""
        self._server.execute(f"CREATE DATABASE round TEMPLATE {name}")
        yield self._server.url("round")
        self._server.execute("DROP DATABASE round WITH (FORCE)")


# ------------------------------------------------------------------------------------------------------------ rounds


def killed_at(ledgers: Ledgers, name: str, step: str) -> list[str]:
    """Kill an operation at one of its steps; returns what does not hold afterwards."""
    with ledgers.fresh(OPERATIONS[name].ledger) as url:
        process = _started(url, name, 0, kill_at=step)
        process.join(_PATIENCE)
        late = [] if process.exitcode == KILLED else [f"it was not killed at {step!r}"]
        return late + violations(url, name, {0: _code(process)})


def killed_after(ledgers: Ledgers, name: str, seconds: float) -> list[str]:
    """Kill an operation so long after it began to write; returns what does not hold afterwards."""
    with ledgers.fresh(OPERATIONS[name].ledger) as url:
        begun = FORKING.Event()
        process = _started(url, name, 0, begun=begun)
        begun.wait(_PATIENCE)
        time.sleep(seconds)
        process.kill()
        process.join(_PATIENCE)
        return violations(url, name, {0: _code(process)})


def raced(ledgers: Ledgers, name: str) -> list[str]:
    """Let two processes that decided on the same state write at once; returns what does not hold afterwards."""
    operation = OPERATIONS[name]
    with ledgers.fresh(operation.ledger) as url:
        together = FORKING.Barrier(2)
        processes = [_started(url, name, place, together=together) for place in (0, 1)]
        for process in processes:
            process.join(_PATIENCE)
        ended = {place: _code(process) for place, process in enumerate(processes)}
        wanted = [0, 0] if operation.several else [0, 4]
        wrong = [] if sorted(ended.values()) == wanted else [f"two at once ended with {sorted(ended.values())}"]
        return wrong + violations(url, name, ended)


def faulty_at(ledgers: Ledgers, name: str, step: str) -> list[str]:
    """Let the disk be full, or the server end the connection, from a step on; returns what does not hold afterwards."""
    with ledgers.fresh(OPERATIONS[name].ledger) as url:
        process = _started(url, name, 0, fault_at=step)
        process.join(_PATIENCE)
        return violations(url, name, {0: _code(process)}, unsure=step.endswith("committed"))


def seconds_of(ledgers: Ledgers, name: str) -> float:
    """Return how long an operation writes when it is left alone."""
    with ledgers.fresh(OPERATIONS[name].ledger) as url, Ledger(url, model=MODEL, environment="local") as ledger:
        carry_out = OPERATIONS[name].prepare(Scenario(ledger), 0)
        began = time.monotonic()
        carry_out()
        return time.monotonic() - began


def _started(url: str, name: str, place: int, **disturbed: Any) -> Any:
    process = FORKING.Process(target=_perform, args=(url, name, place), kwargs=disturbed)
    process.start()
    return process


def _code(process: Any) -> int:
    if process.exitcode is None:
        process.kill()
        process.join()
        return 124
    return int(process.exitcode)


def _perform(
    url: str,
    name: str,
    place: int,
    *,
    together: Any = None,
    begun: Any = None,
    kill_at: str | None = None,
    fault_at: str | None = None,
) -> None:
    try:
        with Ledger(url, model=MODEL, environment="local") as ledger:
            carry_out = OPERATIONS[name].prepare(Scenario(ledger), place)
            if together is not None:
                together.wait(_PATIENCE)
            if begun is not None:
                begun.set()
            listen(kill_at)
            if fault_at is None:
                carry_out()
            else:
                with meanwhile(fault_at, lambda: _break(url)):
                    carry_out()
    except GovernanceError as error:
        sys.exit(error.exit_code)


def _break(url: str) -> None:
    """Fill the disk for this process, or end its connection to the server."""
    if url.startswith("sqlite"):
        fill_the_disk()
        return
    engine = make_engine(url)
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    with engine.begin() as connection:
        connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    engine.dispose()


# -------------------------------------------------------------------------------------------------------- invariants


def violations(url: str, name: str, ended: Mapping[int, int], *, unsure: bool = False) -> list[str]:
    """Return what does not hold after a round.

    Parameters
    ----------
    ended
        Exit code by place of the processes that took part.
    unsure
        Whether a process may have recorded its operation and yet have ended with an error.
    """
    operation = OPERATIONS[name]
    with Ledger(url, model=MODEL, environment="local") as ledger:
        found, recorded = _state_violations(ledger, operation)
        for place, code in ended.items():
            if code not in (0, 3, 4, 5, KILLED):
                found.append(f"a process ended with {code}")
            if code == 0 and place not in recorded:
                found.append("what was reported as done is not recorded")
            if code in (3, 4, 5) and place in recorded and not unsure:
                found.append("what was reported as not done is recorded")
        return found or _next_one_is_hindered(ledger, operation, recorded)


def _state_violations(ledger: Ledger, operation: Operation) -> tuple[list[str], frozenset[int]]:
    try:
        ledger.verify()
    except LedgerCorrupt as error:
        return [f"the ledger does not verify: {error}"], frozenset()
    events, pointers = ledger.snapshot()
    new = [event for event in events if event.kind == operation.kind and _is_of_a_round(event, operation)]
    recorded = frozenset(operation.place_of(event) for event in new)
    found = []
    if len(new) > (2 if operation.several else 1) or len(new) != len(recorded):
        found.append(f"{len(new)} events of kind {operation.kind} were recorded")
    state = operation.state(ledger)
    if state != operation.expected(recorded):
        found.append(f"{operation.state.__name__.strip('_')} is {state}, recorded are places {sorted(recorded)}")
    problems = (pointer_problem(pointer, events) for pointer in pointers.values())
    return found + [problem for problem in problems if problem], recorded


def _is_of_a_round(event: Event, operation: Operation) -> bool:
    try:
        operation.place_of(event)
    except (KeyError, ValueError):
        return False
    return event.version in (None, "1", "2") and not (operation.kind == "version_approved" and event.version == "1")


def _next_one_is_hindered(ledger: Ledger, operation: Operation, recorded: frozenset[int]) -> list[str]:
    """Do what was not done, and see that it can be: nobody who was killed is in the way."""
    if recorded and not operation.several:
        return []
    for place in sorted({0, 1} - recorded if operation.several else {0}):
        try:
            operation.prepare(Scenario(ledger), place)()
        except GovernanceError as error:
            return [f"it could not be done afterwards: {error}"]
        recorded |= {place}
    found, seen = _state_violations(ledger, operation)
    return found + ([] if seen == recorded else ["what was done afterwards is not recorded"])
