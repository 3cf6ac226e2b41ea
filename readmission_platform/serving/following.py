"""Following the ledger: which versions answer, loaded beside those that do and switched in one step.

What belongs here: looking, loading beside, switching, and going on with what was verified last when a look fails. What
does not: loading one version (``versions``), and answering (``answering``).

A snapshot never changes: whoever answers takes it once a request, so that no answer mixes two versions.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from readmission_platform.config.serving import ServingConfig
from readmission_platform.foundation.errors import GovernanceError, Refused, Unavailable
from readmission_platform.foundation.memory import give_back
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.promotion.identities import Identities
from readmission_platform.governance.promotion.placement import pointer_problem
from readmission_platform.governance.promotion.requested import proper_identity_changes
from readmission_platform.governance.rollouts.proper import rollout_problem
from readmission_platform.governance.rollouts.state import RolloutState, rollout_of
from readmission_platform.intake.cells import Cells
from readmission_platform.lifecycle.days.scoring import InputVersions, known_rows
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.serving.known import KnownRows
from readmission_platform.serving.logs import log, log_error
from readmission_platform.serving.versions import ReadyVersion, load_version
from readmission_platform.storage.artifacts import ArtifactRefused
from readmission_platform.storage.tables import OUTCOMES

# A larger share takes effect so much later than it is recorded, when every worker has seen it: of two workers one would
# otherwise give a patient the candidate, and the other one not any more.
SETTLING_SECONDS = 5.0
# Inputs that are compared between the arms of a roll-out.
WATCHED_INPUTS = 20


@dataclass(frozen=True)
class Dividing:
    """The roll-out that requests are divided by, and from when (of this process's clock) by its present share."""

    state: RolloutState
    since: float

    @classmethod
    def by(cls, state: RolloutState, before: "Dividing | None") -> "Dividing":
        """Return how a roll-out divides; ``before`` is how requests were divided until now.

        Where the clock was changed meanwhile, a share that took effect stays in effect.
        """
        if before is not None and (before.state.plan_event, before.state.share) == (state.plan_event, state.share):
            return cls(state, before.since)
        passed = (datetime.now(UTC) - datetime.fromisoformat(state.share_since)).total_seconds()
        return cls(state, time.monotonic() + min(max(SETTLING_SECONDS - passed, 0.0), SETTLING_SECONDS))

    def now(self) -> RolloutState:
        """Return the roll-out with the share that is in effect."""
        return self.state if time.monotonic() >= self.since else self.state.before_this_step


@dataclass(frozen=True)
class Snapshot:
    """All that answering needs of a model at one moment.

    Attributes
    ----------
    versions
        The versions that answer or are compared, by number; ``production`` is among them.
    before
        The version that was in production before, kept ready for an instant way back.
    cells
        Of the inputs that the candidate relies on most, while a roll-out is open: both arms should see the same.
    known, read
        What is known of the entities, and the table versions that it was read at, by the version of the cohort.
    bands
        Lowest risk of each band, by its name.
    event
        The last event of the ledger that it goes by.
    """

    production: str
    versions: Mapping[str, ReadyVersion]
    before: str | None
    dividing: "Dividing | None"
    cells: Cells | None
    known: Mapping[int, KnownRows]
    read: Mapping[int, InputVersions]
    identities: Identities
    bands: Mapping[str, float]
    event: int


@dataclass(frozen=True)
class Standing:
    """How up to date a snapshot is: seconds since the last look that worked, and what stood in the way since then."""

    seconds: float | None
    problem: str | None


class Follower:
    """Keeps the snapshot of one model up to date; ``look`` is called by one thread, ``snapshot`` read by all."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._tables: tuple[int, ...] = ()
        self._looked_at: float | None = None
        # When a look last worked, in seconds since 1970; 0 for never.
        self.last_look = 0.0
        self._problem: str | None = "the ledger was not looked at yet"
        # Why the roll-out that the ledger has open is not obeyed.
        self._not_obeyed: str | None = None
        self.snapshot: Snapshot | None = None

    @property
    def workspace(self) -> Workspace:
        """The model that is followed."""
        return self._workspace

    def standing(self) -> Standing:
        """Say how up to date the snapshot is."""
        looked = self._looked_at
        return Standing(None if looked is None else time.monotonic() - looked, self._problem)

    def look(self) -> bool:
        """Bring the snapshot up to date; returns whether it changed.

        When that fails, the former one stays, and ``standing`` says why.
        """
        before, told = self.snapshot, self._problem
        try:
            changed = self._look()
        except GovernanceError as error:
            # Where the ledger is, nobody has to know who asks whether the service is ready.
            hidden = isinstance(error, Unavailable)
            self._problem = "the ledger or the lake cannot be reached; see the log" if hidden else str(error)
            if told != self._problem:
                log.warning("behind", extra={"fields": {"model": self._workspace.name, "problem": str(error)}})
            return False
        except Exception as error:  # noqa: BLE001 - the last version goes on; it is logged, and told of by /readyz
            self._problem = f"the ledger could not be followed ({type(error).__name__}); see the log"
            log_error("following failed", error, model=self._workspace.name)
            return False
        self._problem, self._looked_at, self.last_look = self._not_obeyed, time.monotonic(), time.time()
        if described(before) != described(self.snapshot) or told != self._problem:
            said = {"model": self._workspace.name, **described(self.snapshot), "problem": self._problem}
            log.info("following", extra={"fields": said})
        return changed

    def _look(self) -> bool:
        # Opened anew each time: whoever restores the ledger from a backup puts another file in its place.
        with self._workspace.ledger() as ledger:
            return self._look_into(ledger)

    def _look_into(self, ledger: Ledger) -> bool:
        head = ledger.head()
        tables = self._table_versions()
        now = self.snapshot
        if now is not None and now.event == head and tables == self._tables:
            return False
        events, pointers = ledger.snapshot()
        production = pointers["production"].version
        if production is None:
            raise Refused([f"no version of {self._workspace.name} is in production: promote one first"])
        misplaced = pointer_problem(pointers["production"], events)
        if misplaced is not None:
            raise Refused([misplaced])
        records = version_records(events, pointers)
        rollout, problem = rollout_of(events), None
        if rollout is not None:
            problem = rollout_problem(rollout, events)
            rollout = None if problem else rollout
        before, ready = _before(production, now), dict(now.versions) if now is not None else {}
        loaded = {production: ready.get(production) or load_version(self._workspace, records[production])}
        if before in ready:
            loaded[str(before)] = ready[str(before)]
        if rollout is not None:
            candidate = rollout.candidate_version
            try:
                loaded[candidate] = ready.get(candidate) or load_version(self._workspace, records[candidate])
            except ArtifactRefused as error:  # whatever is wrong with it, production answers, and is followed
                rollout, problem = None, str(error)
        identities = Identities.of(proper_identity_changes(events))
        cohorts = {each.cohort_version for each in loaded.values()}
        if now and (tables, identities) == (self._tables, now.identities) and cohorts <= set(now.known):
            known, read = now.known, now.read
        else:
            read = {cohort: InputVersions.newest(self._workspace.lake, cohort, identities) for cohort in cohorts}
            known = {cohort: KnownRows(known_rows(self._workspace.lake, None, read[cohort])) for cohort in cohorts}
        dividing = None if rollout is None else Dividing.by(rollout, now.dividing if now else None)
        self.snapshot = Snapshot(
            production, loaded, before, dividing, self._cells(rollout, records), known, read, identities,
            dict(self._workspace.config.risk_bands), head,
        )  # fmt: skip
        self._tables, self._not_obeyed = tables, problem
        give_back()
        return True

    def _cells(self, rollout: RolloutState | None, records: Mapping[str, VersionRecord]) -> Cells | None:
        if rollout is None or rollout.candidate_version not in records:
            return None
        contract, importance = self._workspace.contract, records[rollout.candidate_version].trained.get("importance")
        return Cells(contract.feed, contract.watch.watched_columns(importance, WATCHED_INPUTS))

    def _table_versions(self) -> tuple[int, ...]:
        lake = self._workspace.lake
        read = (lake.names.delivered, OUTCOMES)
        return tuple(lake.open(name).version() if lake.exists(name) else -1 for name in read)


def described(snapshot: Snapshot | None) -> dict[str, object]:
    """Return by which versions a snapshot answers, for the log."""
    if snapshot is None:
        return {"version": None}
    found: dict[str, object] = {"version": snapshot.production, "loaded": sorted(snapshot.versions)}
    if snapshot.dividing is not None:
        state = snapshot.dividing.state
        found |= {"rollout": state.plan_event, "kind": state.plan.kind, "candidate": state.candidate_version,
                  "share": state.share, "status": state.status}  # fmt: skip
    return found


class Following:
    """Looks at the ledger for every model, again and again, in a thread of its own."""

    def __init__(self, platform: Platform, models: list[str], config: ServingConfig) -> None:
        self.followers = {name: Follower(platform.model(name)) for name in models}
        self._config = config
        self._now, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)
        self.after: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin to look; returns at once."""
        self._thread.start()

    def look_now(self) -> None:
        """Have the next look at once."""
        self._now.set()

    def stop(self) -> None:
        """End, and wait for a look that is under way."""
        self._end.set()
        self._now.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.is_set():
            for follower in self.followers.values():
                follower.look()
            for each in self.after:
                each()
            self._now.wait(self._config.look_seconds)
            self._now.clear()


def _before(production: str, now: Snapshot | None) -> str | None:
    """Return the version to keep ready beside the one in production: the one that it took the place of."""
    if now is None:
        return None
    return now.before if now.production == production else now.production
