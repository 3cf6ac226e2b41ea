"""Acceptances of drift: what all of a ledger say together, at any moment of it.

An acceptance takes the place of an earlier one of the same version if it goes at least as far in every column of it and
lasts at least as long; the earlier one counts no more, also after the later one was withdrawn.

What belongs here: pure functions over events. What does not: one statement and whether it counts (``drift_statement``),
and what an alarm stops (``conditions``).
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from readmission_platform.governance.demo_approver import ANNOUNCED, demo_keys
from readmission_platform.governance.ledger.binding import LOCAL, environment_of, installation_of
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.adoption import adoptions_with_effect, demonstrations_count, in_force_of
from readmission_platform.governance.promotion.case import Condition, condition
from readmission_platform.governance.promotion.check import Check
from readmission_platform.governance.promotion.drift_statement import (
    ACCEPTED,
    AcceptanceStatement,
    AcceptedColumn,
    check_acceptance,
)
from readmission_platform.governance.promotion.drift_withdrawals import WITHDRAWN, Withdrawal
from readmission_platform.governance.promotion.requested import unasked


@dataclass(frozen=True)
class Acceptance:
    """An acceptance as recorded, and why it does not count (``problems``); names come from the signed statement.

    ``withdrawn`` is there also where it was withdrawn only after the moment that is asked about.
    """

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
    problems: tuple[str, ...] = ()
    withdrawn: Withdrawal | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, each once."""
        return tuple(dict.fromkeys(each.column for each in self.columns))

    @property
    def whose(self) -> str:
        """Who accepted it, and whether that is a demonstration."""
        return f"{self.by}{' (demonstration)' if self.demo else ''}"

    def says(self) -> str:
        """Say what is accepted, by whom and until when, for people, and whether that was taken back."""
        said = f"{', '.join(self.names)} until {self.until} by {self.whose} (event {self.event})"
        return f"{said}, {self.withdrawn.says()}" if self.withdrawn else said

    def covers(self, columns: Iterable[AcceptedColumn], until: str) -> bool:
        """Tell whether it accepts as much of all these columns for as long (YYYY-MM-DD)."""
        own = ceilings([self])
        return self.until >= until and all(own.get((each.column, each.measure), 0.0) >= each.up_to for each in columns)

    def to_json(self) -> dict[str, Any]:
        """Return the acceptance as plain JSON values."""
        return {**asdict(self), "columns": [each.model_dump() for each in self.columns], "counts": not self.problems}


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
            str(event.payload.get("nonce")): Withdrawal.of(event)
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
            withdrawn = self._withdrawn.get(acceptance.nonce)
            if acceptance.version != event.version:
                problems.append("it is recorded for another version")
            if withdrawn is not None and withdrawn.event < seq:
                problems.append(f"it was {withdrawn.says()}")
            if any(acceptance.nonce == each.nonce for each in found):
                problems.append("it was recorded before")
            found.append(replace(acceptance, problems=tuple(problems), withdrawn=withdrawn))
        return [_replaced(each, found[place + 1 :], seq) for place, each in enumerate(found)]


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
    detail = found.says() if found else f"event {event} accepted nothing"
    holds = found is not None and found.withdrawn is None
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


def _replaced(each: Acceptance, later: Iterable[Acceptance], seq: float) -> Acceptance:
    """Say of an acceptance that a later one took its place: one that counts, or did until it was withdrawn."""
    for other in later:
        took_effect = not other.problems or (other.withdrawn is not None and other.withdrawn.event < seq)
        if took_effect and other.version == each.version and each.columns and other.covers(each.columns, each.until):
            return replace(each, problems=(*each.problems, f"event {other.event} took its place"))
    return each


def _read(event: Event) -> Acceptance:
    """Read a recorded acceptance as far as it can be read."""
    try:
        said = AcceptanceStatement.model_validate(event.payload.get("statement"))
    except ValidationError:
        return Acceptance(event.seq, str(event.version), (), "?", "nobody", "", "", False, event.at, "")
    return Acceptance(
        event=event.seq, version=said.version, columns=tuple(said.columns), until=said.until, by=said.approver,
        role=said.role, reason=said.reason, demo=said.demo, given_at=said.issued_at, nonce=said.nonce,
    )  # fmt: skip
