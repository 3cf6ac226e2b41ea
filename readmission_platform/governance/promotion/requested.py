"""Whether whoever an act is recorded of really asked for it: the signed request, looked at again.

What belongs here: pure functions over recorded promotions, rollbacks, roll-outs, releases of rows, changes of
identities and withdrawn acceptances of drift. What does not: deciding about a request (``permission``). In ``local``
who acts is a claim, and nothing is checked.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from readmission_platform.governance.ledger.binding import LOCAL, environment_of, installation_of
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event, moves_of
from readmission_platform.governance.policy.adoption import roles_in_force
from readmission_platform.governance.promotion.approved import PROMOTED, ROLLED_BACK
from readmission_platform.governance.promotion.check import Check
from readmission_platform.governance.promotion.drift_withdrawals import PERMISSION as TO_WITHDRAW
from readmission_platform.governance.promotion.drift_withdrawals import WITHDRAWN
from readmission_platform.governance.promotion.identities import MERGED, PARTED, PERMISSION
from readmission_platform.governance.promotion.permission import (
    Asked,
    Kind,
    actor_permitted,
    request_problem,
    used_requests,
)
from readmission_platform.governance.promotion.quarantine_releases import RELEASED
from readmission_platform.governance.roles import PERMISSION_TO_ENTER
from readmission_platform.governance.rollouts.permissions import BY_HAND
from readmission_platform.governance.rollouts.state import STARTED


def unasked(event: Event, events: Sequence[Event]) -> str | None:
    """Say why an event does not count as asked for by whom it is recorded of, or return None.

    Parameters
    ----------
    event
        A promotion, a rollback, a step of a roll-out by hand, a release of rows, a change of identities or a withdrawn
        acceptance of drift.
    events
        All events of the model and its environment, in order.
    """
    environment = environment_of(events)
    if environment == LOCAL:
        return None
    before = [each for each in events if each.seq < event.seq]
    roles = roles_in_force(before)
    asked, permission = _asked(event)
    may = actor_permitted(event.actor, permission, roles, environment_name=str(environment))
    if may.blocks:
        return f"event {event.seq}: {may.detail}"
    problem = request_problem(
        asked, roles, installation=installation_of(events), now=datetime.fromisoformat(event.at),
        used_nonces=used_requests(before),
    )  # fmt: skip
    return f"event {event.seq}: {problem}" if problem else None


def proper_releases(events: Sequence[Event]) -> list[Event]:
    """Return the releases of rows that were asked for by somebody who might; others have no effect.

    Parameters
    ----------
    events
        All events of the model and its environment, in order.
    """
    return [event for event in events if event.kind == RELEASED and unasked(event, events) is None]


def proper_identity_changes(events: Sequence[Event]) -> list[Event]:
    """Return the joinings and partings of identities that were asked for by somebody who might, in order.

    Parameters
    ----------
    events
        All events of the model and its environment, in order.
    """
    return [event for event in events if event.kind in (MERGED, PARTED) and event.model == ENVIRONMENT
            and unasked(event, events) is None]  # fmt: skip


def requests_check(version: str, events: Sequence[Event]) -> Check:
    """Check that every move of a version was asked for in a signed statement by somebody who might."""
    name = "signed_requests"
    moves = [event for event in events if event.version == version and event.kind in (PROMOTED, ROLLED_BACK)
             and moves_of(event)]  # fmt: skip
    if environment_of(events) == LOCAL:
        return Check(name, "integrity", "not applicable", "in local, who acts is only a claim")
    if not moves:
        return Check(name, "integrity", "not applicable", "no stage was moved")
    problems = [problem for problem in (unasked(event, events) for event in moves) if problem]
    detail = "; ".join(problems) or ", ".join(f"event {event.seq} by {event.actor}" for event in moves)
    return Check(name, "integrity", "fail" if problems else "pass", detail)


def _asked(event: Event) -> tuple[Asked, str]:
    """Return what would have to be signed for what an event did, and the permission that it takes."""
    said, request = event.payload, event.payload.get("request")
    signed = request if isinstance(request, Mapping) else None
    reason = str(said.get("reason"))
    if event.kind == RELEASED:
        what = {name: said.get(name) for name in ("day", "file_digest", "rows")}
        return Asked(RELEASED, event.model, what, event.actor, reason, signed), "release"
    if event.kind in (MERGED, PARTED):
        what = {name: said.get(name) for name in (("retired", "kept") if event.kind == MERGED else ("event",))}
        kind: Kind = MERGED if event.kind == MERGED else PARTED
        return Asked(kind, event.model, what, event.actor, reason, signed), PERMISSION
    if event.kind in BY_HAND:
        names = ("plan",) if event.kind == STARTED else ("plan_event", "step")
        what = {name: said.get(name) for name in names}
        return Asked(event.kind, event.model, what, event.actor, reason, signed), BY_HAND[event.kind]  # type: ignore[arg-type]
    if event.kind == WITHDRAWN:
        what = {name: said.get(name) for name in ("event", "nonce")}
        return Asked(WITHDRAWN, event.model, what, event.actor, reason, signed), TO_WITHDRAW
    if event.kind == ROLLED_BACK:
        return Asked(ROLLED_BACK, event.model, {"to_version": event.version}, event.actor, reason, signed), "rollback"
    stage = said.get("to_stage")
    # Whether an incumbent was to be replaced stands in the request alone.
    statement = signed.get("statement") if signed else None
    signed_for = statement.get("what") if isinstance(statement, Mapping) else None
    replaces = signed_for.get("replace") if isinstance(signed_for, Mapping) else None
    what = {"version": event.version, "to_stage": stage, "replace": replaces}
    permission = PERMISSION_TO_ENTER.get(str(stage), "administer")
    return Asked(PROMOTED, event.model, what, event.actor, reason, signed), permission
