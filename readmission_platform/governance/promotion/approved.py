"""Who approved a version, whether what a promotion counted did count, and whether only promotions moved a stage.

What belongs here: pure functions over recorded events. What does not: deciding (``conditions``). Names come from
signed statements: who wrote an event, and what its payload says beside the statement, vouches for nobody.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from readmission_platform.governance.demo_approver import ANNOUNCED, demo_keys
from readmission_platform.governance.ledger.binding import LOCAL, environment_of
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event, moves_of
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.policy.adoptable import InForce
from readmission_platform.governance.policy.adoption import adoptions_with_effect, demonstrations_count, in_force_of
from readmission_platform.governance.promotion.approvals import check_approval, used_nonces
from readmission_platform.governance.promotion.check import Check
from readmission_platform.governance.rollouts.state import to_be_known
from readmission_platform.governance.signatures import is_signed_by

APPROVED: Final = "version_approved"
PROMOTED: Final = "version_promoted"
ROLLED_BACK: Final = "version_rolled_back"

Content = TypeVar("Content")


class _Then(NamedTuple):
    """What was in force before an event, and the key that a demo approver had announced, where that counted."""

    in_force: InForce
    demo_key: str | None


class _Rules:
    """What was in force at any moment of a ledger, worked out once."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._adopted = adoptions_with_effect(events)
        self._announced: dict[str, list[tuple[int, str]]] = {}
        for event in events if environment_of(events) == LOCAL else ():
            if event.kind == ANNOUNCED:
                for identity, key in demo_keys([event]).items():
                    self._announced.setdefault(identity, []).append((event.seq, key))

    def before(self, seq: int, who: str) -> _Then:
        now = in_force_of(self._adopted[: bisect_left(self._adopted, seq, key=lambda entry: entry[0].seq)])
        key = _latest(self._announced.get(who, []), seq) if demonstrations_count(now) else None
        return _Then(now, key)


def approvers(events: Sequence[Event]) -> dict[int, str]:
    """Return by event who approved: of those approvals that carry the signature of a key registered at that time.

    Parameters
    ----------
    events
        All events of one model and its environment, in order.
    """
    rules = _Rules(events)
    return {event.seq: _approver(event) for event in events if event.kind == APPROVED and _is_signed(event, rules)}


def approval_checks(record: VersionRecord, events: Sequence[Event]) -> Iterator[Check]:
    """Check every approval's signature, and that each promotion counted enough different ones; see :func:`approvers`.

    An approval counts once, for one promotion, and so does a person, a key and a nonce.
    """
    rules = _Rules(events)
    given = {event.seq: event for event in events if event.kind == APPROVED and event.version == record.version}
    if not given:
        yield Check("approval_signatures", "integrity", "not applicable", "no approval is recorded")
    else:
        forged = [event.seq for event in given.values() if not _is_signed(event, rules)]
        detail = ", ".join(f"event {event.seq} by {_approver(event)}" for event in given.values())
        if forged:
            detail = f"not signed with the key registered at that time: event {', '.join(map(str, forged))}"
        yield Check("approval_signatures", "integrity", "fail" if forged else "pass", detail)
    counted = list(_counted(record, events, given, rules))
    if counted:
        problems = [problem for _, found in counted for problem in found]
        detail = "; ".join(problems) or "; ".join(said for said, _ in counted)
        yield Check("approvals_counted", "policy", "fail" if problems else "pass", detail)


def moves_check(events: Iterable[Event]) -> Check:
    """Check that promotions and rollbacks alone moved a stage, and each only the version it is about."""
    once_promoted: set[str] = set()
    wrong, moved = [], 0
    for event in events:
        moves = moves_of(event)
        moved += bool(moves)
        if moves and (event.model == ENVIRONMENT or not _may_move(event, moves, once_promoted)):
            wrong.append(f"event {event.seq} ({event.kind.replace('_', ' ')})")
        if event.kind == PROMOTED and moves.get("production") is not None:
            once_promoted.add(str(event.version))
    detail = f"{moved} moves, each by a promotion or a rollback of the version it is about"
    if wrong:
        detail = f"stages were moved by something that may not move them: {', '.join(wrong[:5])}"
    return Check("stage_moves", "integrity", "fail" if wrong else "pass", detail)


def _may_move(event: Event, moves: Mapping[str, str | None], once_promoted: set[str]) -> bool:
    if event.version is None or event.kind not in (PROMOTED, ROLLED_BACK):
        return False
    stage = "production" if "production" in moves else "staging"
    if event.payload.get("to_stage", stage) != stage:
        return False
    if event.kind == ROLLED_BACK:
        return dict(moves) == {"production": event.version} and event.version in once_promoted
    return dict(moves) == (
        {"production": event.version, "staging": None} if stage == "production" else {stage: event.version}
    )


def uncounted_approvals(promotion: Event, record: VersionRecord, events: Sequence[Event]) -> list[str]:
    """Say what is wrong with the approvals that one promotion counted, each judged by what was in force then.

    Parameters
    ----------
    record
        Of the promoted version, by the events before the promotion.
    """
    before = [event for event in events if event.seq < promotion.seq]
    given = {event.seq: event for event in before if event.kind == APPROVED and event.version == record.version}
    rules = _Rules(before)
    judged = _judged(promotion, _listed(promotion), record, given, rules, used_nonces(before))
    known = to_be_known(record.version, before) or 0
    early = [f"approval in event {seq} did not know how its roll-out ended in event {known}"
             for seq in _listed(promotion) if seq < known]  # fmt: skip
    return [*early, *judged.problems, *_too_few(promotion, judged.people, rules)]


def _counted(
    record: VersionRecord, events: Sequence[Event], given: Mapping[int, Event], rules: _Rules
) -> Iterator[tuple[str, list[str]]]:
    """Yield for each promotion into production what it counted, and what is wrong with that."""
    nonces = {event.seq: _statement(event).get("nonce") for event in events if event.kind == APPROVED}
    spent: set[Any] = set()
    for event in events:
        if event.kind != PROMOTED:
            continue
        listed = _listed(event)
        if moves_of(event).get("production") == record.version:
            yield _asked_for(event, _judged(event, listed, record, given, rules, spent), rules)
        spent.update(nonces[seq] for seq in listed if seq in nonces)


class _Judged(NamedTuple):
    """How many different people's approvals a promotion counted that were valid then, and what is wrong with others."""

    people: int
    problems: list[str]


def _judged(
    promotion: Event,
    counted: Sequence[int],
    record: VersionRecord,
    given: Mapping[int, Event],
    rules: _Rules,
    spent: Iterable[Any],
) -> _Judged:
    problems, used = [], set(spent)
    people: set[str] = set()
    keys: set[str] = set()
    for seq in counted:
        approval = given.get(seq)
        if approval is None or seq > promotion.seq:
            problems.append(f"event {promotion.seq} counted event {seq}, which is not an approval of this version")
            continue
        who, key = _approver(approval), str(approval.payload.get("public_key"))
        then = rules.before(promotion.seq, who)
        found = check_approval(
            approval.payload, record=record, in_force=then.in_force,
            registered_keys={who: then.demo_key} if then.demo_key else {},
            now=datetime.fromisoformat(promotion.at), used_nonces=used,
        )  # fmt: skip
        if who in people or key in keys:
            found = [*found, "it is a second approval by the same person"]
        problems += [f"approval in event {seq}: {problem}" for problem in found]
        if not found:
            used.add(_statement(approval)["nonce"])
            people.add(who)
            keys.add(key)
    return _Judged(len(people), problems)


def _asked_for(promotion: Event, judged: _Judged, rules: _Rules) -> tuple[str, list[str]]:
    """Hold what a promotion counted against what was asked for, and against what its own event says of that."""
    needed, problems = promotion.payload.get("approvals_required"), list(judged.problems)
    then = rules.before(promotion.seq, "").in_force.promotion_rules
    if then is not None and needed != then.content.approvals_required:
        problems.append(f"event {promotion.seq} does not record how many approvals its environment asked for")
    problems += _too_few(promotion, judged.people, rules)
    return f"{judged.people} of {needed} counted in event {promotion.seq}, each valid then", problems


def _too_few(promotion: Event, people: int, rules: _Rules) -> Iterator[str]:
    then = rules.before(promotion.seq, "").in_force.promotion_rules
    if then is None:
        yield f"no promotion rules were in force at event {promotion.seq}"
    elif people < then.content.approvals_required:
        yield f"event {promotion.seq} counted {people} valid approvals of {then.content.approvals_required} required"


def _listed(promotion: Event) -> list[int]:
    counted = promotion.payload.get("approvals")
    return [seq for seq in counted if isinstance(seq, int)] if isinstance(counted, list) else []


def _is_signed(approval: Event, rules: _Rules) -> bool:
    """Tell whether an approval carries the signature of the key that its approver had registered at that time."""
    statement = _statement(approval)
    who = _approver(approval)
    then = rules.before(approval.seq, who)
    roles = then.in_force.roles
    person = roles.content.people.get(who) if roles else None
    key = then.demo_key if statement.get("demo") is True else person.public_key if person else None
    return key is not None and is_signed_by(approval.payload, key)


def _approver(approval: Event) -> str:
    return str(_statement(approval).get("approver"))


def _statement(approval: Event) -> Mapping[str, Any]:
    statement = approval.payload.get("statement")
    return statement if isinstance(statement, Mapping) else {}


def _latest(entries: Sequence[tuple[int, Content]], seq: int) -> Content | None:
    place = bisect_left(entries, seq, key=lambda entry: entry[0])
    return entries[place - 1][1] if place else None
