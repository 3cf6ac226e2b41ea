"""Two numbers that turn out to be one person: the recorded step that joins them, and the one that parts them again.

What belongs here: deciding whether that may be, the record of it, and what all records together say. What does not:
whether an act was really asked for (``requested``), and reading the past of a person (``lifecycle.days.scoring``).

The records hold keyed pseudonyms, never numbers. They are the environment's, since a person is one for every model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoption import roles_in_force
from readmission_platform.governance.promotion.case import Condition, Judged, condition
from readmission_platform.governance.promotion.permission import Kind, asked_of, may_ask, recorded_request

if TYPE_CHECKING:
    import pandas as pd

MERGED: Final = "identities_merged"
PARTED: Final = "identities_parted"
REFUSED = "identity_change_refused"
PERMISSION: Final = "release"


@dataclass(frozen=True)
class IdentityRequest:
    """Join two identities (``retired`` and ``kept``), or part those that an ``event`` joined; by whom and why.

    ``signed`` as for a promotion.
    """

    kind: Kind
    what: dict[str, Any]
    actor: str
    reason: str
    signed: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class IdentityDecision(Judged):
    """What was decided on what grounds."""

    request: IdentityRequest


@dataclass(frozen=True)
class Identities:
    """Who is who: the pseudonym that stands for each joined one, as of an event of the ledger (0: nobody is joined)."""

    kept: Mapping[str, str]
    event: int = 0

    @classmethod
    def of(cls, events: Sequence[Event]) -> "Identities":
        """Return what records of joining and parting say together.

        Parameters
        ----------
        events
            Those that were properly asked for (``requested.proper_identity_changes``), in order.
        """
        standing = _standing(events)
        kept: dict[str, str] = {}
        for event in standing:
            retired, into = (_last(str(event.payload[name]), kept) for name in ("retired", "kept"))
            if retired != into:
                kept[retired] = into
        return cls({key: _last(key, kept) for key in kept}, events[-1].seq if events else 0)

    def named(self, keys: "pd.Series") -> "pd.Series":
        """Return pseudonyms with each joined one replaced by the one that is kept."""
        return keys.map(lambda key: self.kept.get(key, key)) if self.kept else keys

    def everybody(self, keys: Iterable[str]) -> set[str]:
        """Return pseudonyms with all that stand for the same persons."""
        wanted = {self.kept.get(key, key) for key in keys}
        return wanted | {key for key, into in self.kept.items() if into in wanted}


NOBODY_JOINED = Identities({})


def decide_identity(
    request: IdentityRequest, *, events: Sequence[Event], proper: Sequence[Event], environment_name: str, now: datetime
) -> IdentityDecision:
    """Decide about a change of identities; pure, and changes nothing.

    Parameters
    ----------
    proper
        The changes so far that were properly asked for, in order.
    """
    asked = asked_of(request.kind, ENVIRONMENT, request)
    roles = roles_in_force(events)
    found = [
        may_ask(asked, PERMISSION, roles, events=events, environment_name=environment_name, now=now),
        condition("reason_given", bool(request.reason.strip()), request.reason.strip() or "no reason", "Give one."),
        _possible(request, proper),
    ]
    return IdentityDecision(found, {}, events[-1].seq if events else 0, request=request)


def record_identity(ledger: Ledger, decision: IdentityDecision) -> Event:
    """Record a change of identities, unless others were changed since it was decided on.

    Raises
    ------
    Refused
        With every reason; the refusal is recorded.
    Conflict
        When somebody else was first.
    """
    request = decision.request
    content = {**request.what, "reason": request.reason, **recorded_request(decision.conditions, request.signed)}
    if not decision.allowed:
        ledger.append(
            REFUSED, {"reason": request.reason, "reasons": decision.reasons()}, actor=request.actor, of_environment=True
        )
        raise Refused(decision.reasons())
    return ledger.append(
        request.kind, content, actor=request.actor, of_environment=True, since=decision.seen,
        binding_kinds=(MERGED, PARTED),
    )  # fmt: skip


def _possible(request: IdentityRequest, proper: Sequence[Event]) -> Condition:
    if request.kind == MERGED:
        event = _joined_by(request, proper)
        already = "the two numbers are the same" if event == 0 else f"they are already merged (event {event})"
        return condition("two_identities", event is None, "two so far" if event is None else already, "Nothing to do.")
    joined = {event.seq for event in _standing(proper)}
    there = request.what["event"] in joined
    detail = f"event {request.what['event']} {'joined two' if there else 'has joined nobody, or they were parted'}"
    return condition("joined_before", there, detail, "`readmission identities list` shows what was joined.")


def _joined_by(request: IdentityRequest, proper: Sequence[Event]) -> int | None:
    """Return the event since which both are one, 0 where they always were; None where they are two."""
    standing = _standing(proper)
    for known in range(len(standing) + 1):
        kept = Identities.of(standing[:known]).kept
        one, other = (kept.get(request.what[name], request.what[name]) for name in ("retired", "kept"))
        if one == other:
            return standing[known - 1].seq if known else 0
    return None


def _standing(events: Sequence[Event]) -> list[Event]:
    parted = {event.payload["event"] for event in events if event.kind == PARTED}
    return [event for event in events if event.kind == MERGED and event.seq not in parted]


def _last(key: str, kept: Mapping[str, str]) -> str:
    while key in kept:
        key = kept[key]
    return key
