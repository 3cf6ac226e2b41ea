"""Training and scoring in small homes, disturbed; and what must hold whatever happened.

What belongs here: the homes, and rounds in which a command is killed, raced or finds the disk full or the registry out
of reach. What does not: operations on the ledger alone (``ledger_rounds``), and how many rounds there are
(``benchmarks.invariants``).
"""

from collections.abc import Callable, Iterator

from readmission_platform.foundation.errors import GovernanceError, LedgerCorrupt, Unavailable
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.promotion.decision import PromotionRequest
from readmission_platform.lifecycle.days.seals import changed_days
from readmission_platform.lifecycle.versions.approval import approve_as_demo
from readmission_platform.lifecycle.versions.decisions import consider
from readmission_platform.lifecycle.versions.stages import pointer_problems
from readmission_platform.lifecycle.versions.version_facts import recorded_evidence
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.reports.work_list import made_from
from readmission_platform.storage.artifacts import artifact_digest
from readmission_platform_tests.support.homes import MODEL, SMALL_COHORT, Home
from readmission_platform_tests.support.interrupted_day import Day, days_of, deliver_twice, deliveries
from readmission_platform_tests.support.interruption import Ended, ended, run_for, run_full, run_until, start

TRAIN = ("train", *SMALL_COHORT, "--json")
TRAINED = 3  # so few encounters do not pass every gate
KILLED = -9
LIVE = "2"  # beside version 1, which was rejected


def put_into_production(home: Home) -> None:
    """Record a version like the one trained in a small home, as if it had passed every gate and been approved."""
    with home.workspace() as workspace, workspace.ledger() as ledger:
        (trained, validated) = (ledger.events(kind=f"version_{what}")[-1] for what in ("trained", "validated"))
        ledger.append("version_trained", trained.payload | {"run_id": "live"}, actor="t", version=LIVE)
        gates = [gate | {"result": "pass", "blocks": False} for gate in validated.payload["gates"]]
        passed = validated.payload | {"verdict": "pass", "gates": gates}
        ledger.append("version_validated", passed, actor="t", version=LIVE)
        request = PromotionRequest(version=LIVE, to_stage="production", actor="t")
        approval = approve_as_demo(consider(request, ledger=ledger, workspace=workspace), ledger=ledger,
                                   workspace=workspace)  # fmt: skip
        for stage, moves in (("staging", {"staging": LIVE}), ("production", {"production": LIVE, "staging": None})):
            payload = {"to_stage": stage, "approvals": [approval.seq] if stage == "production" else []}
            ledger.move("version_promoted", payload, actor="t", version=LIVE, moves=moves, expected=ledger.pointers())


# ---------------------------------------------------------------------------------------------------------- training


class Training:
    """Trainings in one home, one after the other, each disturbed."""

    def __init__(self, home: Home) -> None:
        self._home = home
        undisturbed = run_until(home, None, *TRAIN)
        assert undisturbed.code == TRAINED, f"a training that was left alone ended with {undisturbed.code}"
        self.steps, self.seconds = list(dict.fromkeys(undisturbed.steps)), undisturbed.seconds
        self._seen = 0

    def killed_at(self, step: str) -> list[str]:
        """Kill one at a step."""
        return _not_killed(run_until(self._home, step, *TRAIN), step) + self.violations()

    def killed_after(self, share: float) -> list[str]:
        """Kill one after a share of the time that it takes."""
        run_for(self._home, share * self.seconds, *TRAIN)
        return self.violations()

    def full_from(self, step: str) -> list[str]:
        """Let the disk be full for one from a step on; once its version is judged, that it was rejected is true."""
        before = self._trained()
        code = run_full(self._home, step, *TRAIN).code
        with self._home.ledger() as ledger:
            judged = {event.version for event in ledger.events(kind="version_validated")} - before
        return ([] if code == TRAINED and judged else _not_told(code)) + self.violations()

    def without_registry(self) -> list[str]:
        """Let the registry be out of reach: nothing is trained, and that is said."""
        before = self._trained()
        blocked = self._home.path.with_name("a file")
        blocked.touch()
        home = self._home.having(READMISSION_MLFLOW_URL=f"sqlite:///{blocked / 'mlflow.db'}")
        code = run_until(home, None, *TRAIN).code
        said = [] if code == Unavailable.exit_code else [f"without a registry it ended with {code}"]
        said += [] if self._trained() == before else ["a version is recorded that no registry holds"]
        return said + self.violations()

    def raced(self) -> list[str]:
        """Train two at once: two versions come of it."""
        before = self._trained()
        codes = [ended(each).code for each in [start(self._home, *TRAIN) for _ in range(2)]]
        found = [] if codes == [TRAINED, TRAINED] else [f"two at once ended with {codes}"]
        gained = self._trained() - before
        return found + ([] if len(gained) == 2 else [f"two at once made {len(gained)} versions"]) + self.violations()

    def undisturbed(self) -> list[str]:
        """Train once more, left alone: nothing that was killed is in the way."""
        code = run_until(self._home, None, *TRAIN).code
        return ([] if code == TRAINED else [f"a training left alone afterwards ended with {code}"]) + self.violations()

    def violations(self) -> list[str]:
        """Return what does not hold: of the ledger, and of each version that was recorded since the last look."""
        with self._home.workspace() as workspace, workspace.ledger() as ledger:
            found = _of_ledger(ledger.verify)
            if found:
                return found
            events, pointers = ledger.snapshot()
            if any(pointer.version for pointer in pointers.values()):
                found.append("a training moved a stage")
            records = version_records(events, pointers)
            for event in events:
                if event.seq > self._seen and event.version is not None:
                    record = records.get(event.version)
                    if record is None or record.ambiguous:
                        found.append(f"version {event.version} is trained never, or twice")
                    elif event.kind == "version_trained":
                        found += _of_version(record, workspace)
            self._seen = events[-1].seq
        return found

    def _trained(self) -> set[str]:
        with self._home.ledger() as ledger:
            return set(ledger.versions())


def _of_version(record: VersionRecord, workspace: Workspace) -> Iterator[str]:
    if artifact_digest(workspace.registry.root, str(record.artifact_path)) != record.artifact_digest:
        yield f"the model file of version {record.version} is missing or another"
    try:
        recorded_evidence(workspace.lake, record)
    except GovernanceError as error:
        yield f"the evidence rows of version {record.version}: {error}"


# ----------------------------------------------------------------------------------------------------------- scoring


class Scoring:
    """A day in one home that is delivered anew and scored again and again, each time disturbed."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.day = Day.of(home, home.landed()[1])
        self._names = deliveries("long")
        self._name = next(self._names)
        self.day.deliver(self._name)
        undisturbed = run_until(home, None, *self.day.command)
        self.steps, self.seconds = list(dict.fromkeys(undisturbed.steps)), undisturbed.seconds

    def killed_at(self, step: str) -> list[str]:
        """Kill the scoring of the other delivery at a step."""
        self._deliver()
        return _not_killed(run_until(self._home, step, *self.day.command), step) + self.violations()

    def killed_after(self, share: float) -> list[str]:
        """Kill it after a share of the time that it takes."""
        self._deliver()
        run_for(self._home, share * self.seconds, *self.day.command)
        return self.violations()

    def full_from(self, step: str) -> list[str]:
        """Let the disk be full from a step on."""
        self._deliver()
        return _not_told(run_full(self._home, step, *self.day.command).code) + self.violations()

    def raced(self, rounds: int) -> list[list[str]]:
        """Score two days with the same encounters at once, each round two others."""
        deliver_twice(self._home, rounds)
        return [self._race(*days) for days in zip(days_of(0, rounds), days_of(1, rounds), strict=True)]

    def _race(self, one: str, other: str) -> list[str]:
        codes = [ended(each).code for each in [start(self._home, "score", "--date", day) for day in (one, other)]]
        found = [] if codes == [0, 0] else [f"two days at once ended with {codes}"]
        with self._home.ledger() as ledger:
            changed = changed_days(self._home.lake, ledger, "daily_predictions", days=[one, other])
        return found + [f"the predictions of {day} are not those recorded" for day in changed] + self.violations()

    def undisturbed(self) -> list[str]:
        """Score once more, left alone: the day is as if nothing had happened."""
        code = run_until(self._home, None, *self.day.command).code
        found = [] if code == 0 else [f"scoring left alone afterwards ended with {code}"]
        found += [f"{table} is not as undisturbed runs make it" for table in self.day.differing(self._name)]
        with self._home.ledger() as ledger:
            if changed_days(self._home.lake, ledger, "daily_predictions", days=[self.day.day]):
                found.append("the predictions are not those recorded")
        return found + self.violations()

    def violations(self) -> list[str]:
        """Return what does not hold: of the ledger, of what readers see of the day, and of every encounter."""
        with self._home.workspace() as workspace, workspace.ledger() as ledger:
            found = _of_ledger(ledger.verify)
            found += pointer_problems(*ledger.snapshot()).values()
            if ledger.pointers()["production"].version != LIVE:
                found.append("scoring moved a stage")
        found += [f"{table} is neither the old nor the new" for table in self.day.torn()]
        if made_from(self._home.path / "reports" / MODEL / "work_lists" / self.day.day) is None:
            found.append("the work list is not whole")
        for table in ("daily_predictions", "daily_discharges"):
            if self._home.lake.read(table, columns=["encounter_id"])["encounter_id"].duplicated().any():
                found.append(f"an encounter is in {table} twice")
        return found

    def _deliver(self) -> None:
        self._name = next(self._names)
        self.day.deliver(self._name)


def _not_killed(ended: Ended, step: str) -> list[str]:
    if ended.code == KILLED:
        return []
    return [f"it was not killed at {step!r} but ended with {ended.code}: {ended.err[-2000:]}"]


def _not_told(code: int) -> list[str]:
    return [] if code == Unavailable.exit_code else [f"on a full disk it ended with {code}"]


def _of_ledger(verify: Callable[[], object]) -> list[str]:
    try:
        verify()
    except LedgerCorrupt as error:
        return [f"the ledger does not verify: {error}"]
    return []
