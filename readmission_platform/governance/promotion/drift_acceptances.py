"""Drift that was accepted: what an approver signs, whether it counts, and what all acceptances together say.

What belongs here: pure functions over statements and events. What does not: measuring drift (``evaluation.drift``),
and what an alarm stops (``conditions``).

An approver accepts that named columns of what one version scores differ from what this version was trained on, until
a day. For each measure that had drifted, what was seen is accepted and as much again as counts as drift, no more: a
known change may go on, a worse one in the same column is drift again. What had not drifted stays at its limit, also in
a named column. Predicted risks cannot be accepted: when these move, the version has to be looked at.

Whoever may approve a version may accept drift, and nobody who trained it. Like an approval the statement is judged
whenever it is used, by the roles and limits in force at that moment, and a day is over when it is over in UTC.
"""

import math
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field, ValidationError

from readmission_platform.config.monitoring import DriftConfig
from readmission_platform.evaluation.drift.stability import DRIFT, MISSING, UNSEEN
from readmission_platform.foundation.values import Frozen
from readmission_platform.governance.demo_approver import ANNOUNCED, DEMO_ROLE, demo_keys
from readmission_platform.governance.ledger.binding import LOCAL, environment_of, installation_of
from readmission_platform.governance.ledger.chain import Event, utc_text
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.adoptable import InForce
from readmission_platform.governance.policy.adoption import adoptions_with_effect, demonstrations_count, in_force_of
from readmission_platform.governance.promotion.case import Condition, condition
from readmission_platform.governance.promotion.check import Check
from readmission_platform.governance.promotion.drift_withdrawals import WITHDRAWN
from readmission_platform.governance.promotion.requested import unasked
from readmission_platform.governance.roles import role_permits
from readmission_platform.governance.signatures import is_signed_by

ACCEPTED: Final = "drift_accepted"
MEANING = (
    "I have looked at how these columns differ from the training data of this version, and accept it until the day "
    "named."
)
_CLOCK_TOLERANCE = timedelta(minutes=5)
_ROUNDING = 1e-6

_strict = ConfigDict(frozen=True, extra="forbid", strict=True)


class AcceptedColumn(Frozen):
    """A measure of a column that had drifted: the highest score seen, the limit, and up to where it is accepted."""

    model_config = _strict

    column: str
    measure: Literal["drift", "missing", "unseen"]
    seen: float = Field(ge=0, allow_inf_nan=False)
    limit: float = Field(gt=0, allow_inf_nan=False)
    up_to: float = Field(gt=0, allow_inf_nan=False)


class SeenWindow(Frozen):
    """A window that the approver saw."""

    model_config = _strict

    number: int
    first_day: str
    last_day: str
    digest: str


class AcceptanceStatement(Frozen):
    """What is signed: exactly these fields, of exactly these types."""

    model_config = _strict

    kind: Literal["drift_accepted"]
    environment: str
    installation: str
    model: str
    version: str
    artifact_digest: str
    monitoring_digest: str
    columns: list[AcceptedColumn] = Field(min_length=1)
    windows: list[SeenWindow] = Field(min_length=1)
    until: str
    approver: str
    role: str
    meaning: str
    reason: str
    issued_at: str
    nonce: str
    demo: bool


@dataclass(frozen=True)
class Acceptance:
    """An acceptance as recorded, and why it does not count (``problems``); names come from the signed statement."""

    event: int
    version: str
    columns: tuple[AcceptedColumn, ...]
    until: str
    by: str
    role: str
    reason: str
    demo: bool
    given_at: str
    nonce: str
    problems: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, each once."""
        return tuple(dict.fromkeys(each.column for each in self.columns))

    @property
    def whose(self) -> str:
        """Who accepted it, and whether that is a demonstration."""
        return f"{self.by}{' (demonstration)' if self.demo else ''}"

    def says(self) -> str:
        """Say what is accepted, by whom and until when, for people."""
        return f"{', '.join(self.names)} until {self.until} by {self.whose} (event {self.event})"

    def to_json(self) -> dict[str, Any]:
        """Return the acceptance as plain JSON values."""
        return {**asdict(self), "columns": [each.model_dump() for each in self.columns], "counts": not self.problems}


def up_to(seen: float, limit: float) -> float:
    """Return up to which score drift is accepted: what was seen, and as much again as counts as drift."""
    return round(seen + limit, 6)


def limit_of(measure: str, config: DriftConfig) -> float:
    """Return the limit of a measure of an input column."""
    return {DRIFT: config.column_score, MISSING: config.missing_difference, UNSEEN: config.unseen_share}[measure]


def acceptance_statement(
    record: VersionRecord,
    *,
    in_force: InForce,
    environment: str,
    installation: str,
    seen: Mapping[tuple[str, str], float],
    windows: Sequence[SeenWindow],
    until: str,
    approver: str,
    role: str,
    reason: str,
    now: datetime,
    demo: bool = False,
) -> dict[str, Any]:
    """Build the statement to sign.

    Parameters
    ----------
    in_force
        With monitoring limits.
    seen
        By column and measure, the highest score in the windows.
    until
        The last day on which it counts, YYYY-MM-DD.
    """
    assert in_force.monitoring is not None
    config = in_force.monitoring.content.drift
    columns = [
        AcceptedColumn.model_validate({
            "column": column, "measure": measure, "seen": round(score, 6), "limit": limit_of(measure, config),
            "up_to": up_to(round(score, 6), limit_of(measure, config)),
        })
        for (column, measure), score in seen.items()
    ]  # fmt: skip
    return AcceptanceStatement(
        kind=ACCEPTED, environment=environment, installation=installation, model=record.model, version=record.version,
        artifact_digest=str(record.artifact_digest), monitoring_digest=in_force.monitoring.digest, columns=columns,
        windows=list(windows), until=until, approver=approver, role=role, meaning=MEANING, reason=reason,
        issued_at=utc_text(now), nonce=secrets.token_hex(16), demo=demo,
    ).model_dump()  # fmt: skip


def check_acceptance(
    signed: Mapping[str, Any],
    *,
    record: VersionRecord | None,
    in_force: InForce,
    registered_keys: Mapping[str, str],
    environment: str | None,
    installation: str | None,
    now: datetime,
) -> list[str]:
    """Say why a signed acceptance does not count; an empty list means that it does.

    Parameters
    ----------
    record
        Of the version that it names.
    in_force
        Everything in force at the moment that counts.
    registered_keys
        Public keys of demo approvers by identity; empty wherever demonstrations do not count.
    """
    try:
        statement = AcceptanceStatement.model_validate(signed.get("statement"))
        issued, last = datetime.fromisoformat(statement.issued_at), date.fromisoformat(statement.until)
    except (ValidationError, ValueError):
        return ["the statement is incomplete or has another form"]
    roles, monitoring = in_force.roles, in_force.monitoring
    if roles is None or monitoring is None or issued.tzinfo is None:
        return ["what it rests on is not in force"]
    who = statement.approver
    person = roles.content.people.get(who)
    key = registered_keys.get(who) if statement.demo and person is None else None
    if person is not None and not statement.demo:
        key = person.public_key
    if key is None:
        return [f"{who} has no registered key"]
    if not is_signed_by(signed, key):
        return [f"the signature is not one of {who}'s registered key"]
    if record is None:
        return [f"there is no version {statement.version}"]
    trainer = roles.content.people.get(record.trained_by or "")
    holds_role = statement.role == DEMO_ROLE if statement.demo else person and statement.role in person.roles
    config = monitoring.content.drift
    days = (last - issued.astimezone(UTC).date()).days
    problems = {
        "it is for another environment, installation or model": (
            statement.environment, statement.installation, statement.model
        ) != (environment, installation, record.model),
        "it is for another model file": statement.artifact_digest != record.artifact_digest,
        "it was given before the monitoring limits in force were adopted": statement.monitoring_digest
        != monitoring.digest,
        "it accepts more than was seen and as much again as counts as drift": not all(
            _within_rule(each, config) for each in statement.columns
        ),
        f"{who} trained this version": who in (record.trained_by, record.recorded_by),
        f"{who} signs with the key of {record.trained_by}, who trained this version": trainer is not None
        and trainer.public_key == key,
        f"{who} does not hold the role {statement.role}": not holds_role,
        f"the role {statement.role} may not approve": not role_permits(roles.content, statement.role, "approve"),
        "it does not say what it means": statement.meaning != MEANING,
        "it gives no reason": not statement.reason.strip(),
        "it is dated in the future": issued > now + _CLOCK_TOLERANCE,
        f"it is for more than {config.acceptance_days} days": days > config.acceptance_days,
        f"it ended with {statement.until}": last < now.astimezone(UTC).date(),
        "it has no number of its own": not statement.nonce,
    }  # fmt: skip
    return [problem for problem, holds in problems.items() if holds]


class _Acceptances:
    """Every acceptance of a ledger, judged by what was in force at any moment of it; that is worked out once."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._given = [event for event in events if event.kind == ACCEPTED]
        if not self._given:
            return
        self._adopted = adoptions_with_effect(events)
        self._records = version_records(events, {})
        self._environment, self._installation = environment_of(events), installation_of(events)
        self._announced = [event for event in events if event.kind == ANNOUNCED and self._environment == LOCAL]
        self._withdrawn = {
            str(event.payload.get("nonce")): event.seq
            for event in reversed(events)
            if event.kind == WITHDRAWN and unasked(event, events) is None
        }

    def before(self, seq: float, now: datetime) -> list[Acceptance]:
        """Return those recorded before an event, each with why it did not count at that moment."""
        given = [event for event in self._given if event.seq < seq]
        if not given:
            return []
        in_force = in_force_of(entry for entry in self._adopted if entry[0].seq < seq)
        counts = demonstrations_count(in_force)
        demo = demo_keys(event for event in self._announced if event.seq < seq) if counts else {}
        found: list[Acceptance] = []
        for event in given:
            problems = check_acceptance(
                event.payload, record=self._records.get(event.version or ""), in_force=in_force, registered_keys=demo,
                environment=self._environment, installation=self._installation, now=now,
            )  # fmt: skip
            acceptance = _read(event)
            withdrawn = self._withdrawn.get(acceptance.nonce, math.inf)
            if acceptance.version != event.version:
                problems.append("it is recorded of another version")
            if withdrawn < seq:
                problems.append(f"it was withdrawn in event {withdrawn}")
            if any(acceptance.nonce == each.nonce for each in found):
                problems.append("it was recorded before")
            found.append(replace(acceptance, problems=tuple(problems)))
        return found


def acceptances(events: Sequence[Event], *, now: datetime) -> list[Acceptance]:
    """Return every acceptance in order, each with why it does not count now.

    Parameters
    ----------
    events
        All events of one model and its environment, in order.
    """
    return _Acceptances(events).before(math.inf, now)


def counting(events: Sequence[Event], version: str, *, now: datetime) -> list[Acceptance]:
    """Return the acceptances of a version that count now; parameters as for :func:`acceptances`."""
    return [each for each in acceptances(events, now=now) if each.version == version and not each.problems]


def ceilings(accepted: Iterable[Acceptance]) -> dict[tuple[str, str], float]:
    """Return by column and measure up to which score drift is accepted; of several acceptances the widest counts."""
    found: dict[tuple[str, str], float] = {}
    for each in accepted:
        for column in each.columns:
            key = (column.column, column.measure)
            found[key] = max(found.get(key, 0.0), column.up_to)
    return found


def stands(event: int, events: Sequence[Event], *, now: datetime) -> tuple[Condition, str]:
    """Tell whether an event accepted something that nobody has withdrawn; returns its nonce as well."""
    found = next((each for each in acceptances(events, now=now) if each.event == event), None)
    withdrawn = next((problem for problem in found.problems if "withdrawn" in problem), None) if found else None
    detail = withdrawn or (f"{found.says()}" if found else f"event {event} accepted nothing")
    holds = found is not None and withdrawn is None
    told = condition("accepted_before", holds, detail, "`readmission drift list` shows what is accepted.")
    return told, found.nonce if found else ""


def recorded(accepted: Iterable[Acceptance]) -> list[dict[str, Any]]:
    """Return what a promotion records of the drift that it counted out."""
    return [{"event": each.event, "columns": list(each.names), "until": each.until, "by": each.by, "demo": each.demo,
             "reason": each.reason} for each in accepted]  # fmt: skip


def counted_in(promotion: Event, events: Sequence[Event]) -> tuple[list[Acceptance], list[str]]:
    """Return the acceptances that a promotion counted and that were valid then, and what is wrong with others.

    Parameters
    ----------
    events
        All events of the model and its environment, in order.
    """
    return _counted_in(promotion, _Acceptances(events)) if _listed(promotion) else ([], [])


def improper_acceptances(events: Sequence[Event]) -> dict[int, str]:
    """Say by event which acceptances did not count when they were recorded: nobody who may gave them."""
    known, found = _Acceptances(events), {}
    for event in events:
        if event.kind == ACCEPTED:
            last = known.before(event.seq + 1, datetime.fromisoformat(event.at))[-1]
            if last.problems:
                found[event.seq] = f"the acceptance of drift in event {event.seq}: {', '.join(last.problems)}"
    return found


def acceptance_checks(version: str, events: Sequence[Event]) -> Iterator[Check]:
    """Check the acceptances of a version, and those that its promotions counted."""
    given = {event.seq: event for event in events if event.kind == ACCEPTED and event.version == version}
    promotions = [event for event in events if event.kind == "version_promoted" and event.version == version]
    if not given and not any(_listed(event) for event in promotions):
        return
    known = _Acceptances(events)
    problems = [said for seq, said in improper_acceptances(events).items() if seq in given]
    problems += [problem for event in promotions for problem in _counted_in(event, known)[1]]
    detail = "; ".join(problems) or "; ".join(_read(event).says() for event in given.values())
    yield Check("accepted_drift", "integrity", "fail" if problems else "pass", detail)


def _listed(promotion: Event) -> list[Any]:
    listed = promotion.payload.get("drift_accepted")
    return [each.get("event") for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []


def _counted_in(promotion: Event, known: _Acceptances) -> tuple[list[Acceptance], list[str]]:
    valid, problems = [], []
    then = {each.event: each for each in known.before(promotion.seq, datetime.fromisoformat(promotion.at))}
    for seq in _listed(promotion):
        found = then.get(seq) if isinstance(seq, int) else None
        if found is None or found.version != promotion.version:
            problems.append(f"event {promotion.seq} counted event {seq}, which accepts no drift of this version")
        elif found.problems:
            problems.append(f"acceptance in event {seq}: {', '.join(found.problems)}")
        else:
            valid.append(found)
    return valid, problems


def _within_rule(each: AcceptedColumn, config: DriftConfig) -> bool:
    limit = limit_of(each.measure, config)
    return each.column != "risk" and each.limit == limit and each.up_to <= up_to(each.seen, limit) + _ROUNDING


def _read(event: Event) -> Acceptance:
    """Read a recorded acceptance as far as it can be read."""
    try:
        said = AcceptanceStatement.model_validate(event.payload.get("statement"))
    except ValidationError:
        return Acceptance(event.seq, str(event.version), (), "?", "nobody", "", "", False, event.at, "", ())
    return Acceptance(
        event=event.seq, version=said.version, columns=tuple(said.columns), until=said.until, by=said.approver,
        role=said.role, reason=said.reason, demo=said.demo, given_at=said.issued_at, nonce=said.nonce, problems=(),
    )  # fmt: skip
