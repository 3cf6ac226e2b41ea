"""Whether a version was properly put into its stage: the move behind a pointer, looked at again.

What belongs here: pure functions from events to what is wrong with a move. What does not: deciding about a new move
(``decision``, ``rollback``), and recomputing files and figures (``verification``). The bytes of the model file are
held against the recorded digest whenever it is loaded (``storage.artifacts``).

Anybody who can write into the ledger can record a move; nobody without the approvers' keys can record their approval.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.governance.demo_approver import demo_keys
from readmission_platform.governance.ledger.chain import Event, Pointer, is_intact
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.adoption import in_force, roles_in_force
from readmission_platform.governance.promotion.approvals import check_approval, used_nonces
from readmission_platform.governance.promotion.conditions import LOCAL

PROMOTED, ROLLED_BACK = "version_promoted", "version_rolled_back"


@dataclass(frozen=True)
class Demanded:
    """What an environment demands of a version in production.

    Attributes
    ----------
    approvals
        How many different people have to have approved it.
    demo_allowed
        Whether the demo approver's signatures count (in ``local`` only).
    """

    approvals: int
    demo_allowed: bool

    @classmethod
    def by(cls, rules: EnvironmentConfig, environment: str) -> "Demanded":
        """Return what the rules of the environment of this name demand."""
        return cls(max(rules.approvals_required, 1), rules.demo_approver and environment == LOCAL)


def pointer_problem(pointer: Pointer, events: Sequence[Event], demanded: Demanded) -> str | None:
    """Say why a pointer must not be acted on; None where it may, or the stage is empty.

    Parameters
    ----------
    events
        All events of the model and its environment, in order.
    """
    if pointer.version is None:
        return None
    moved = next((event for event in events if event.seq == pointer.seq), None)
    if moved is None:
        return f"version {pointer.version} is in {pointer.stage} without an event"
    problem = _move_problem(moved, pointer.stage, pointer.version, events, demanded)
    return f"version {pointer.version} was not properly put into {pointer.stage}: {problem}" if problem else None


def live_problem(version: str, events: Sequence[Event], demanded: Demanded) -> str | None:
    """Say why a version must not count as one that is or was in production; None where one promotion was proper."""
    moves = [event for event in events if event.kind == PROMOTED and _moves(event).get("production") == version]
    problems = [_move_problem(event, "production", version, events, demanded) for event in moves]
    if None in problems:
        return None
    return f"version {version} was never properly put into production{f': {problems[-1]}' if problems else ''}"


def uncounted_approvals(promotion: Event, events: Sequence[Event], demanded: Demanded) -> Iterator[str]:
    """Say what is wrong with the approvals that a promotion counted, each judged as of then."""
    before = [event for event in events if event.seq < promotion.seq]
    record = _record_at(promotion.version, before)
    policy = in_force(before, demo_allowed=demanded.demo_allowed)
    roles = roles_in_force(before, demo_allowed=demanded.demo_allowed)
    given = {each.seq: each for each in before if each.kind == "version_approved" and each.version == promotion.version}
    counted, used = promotion.payload.get("approvals"), used_nonces(before)
    if not isinstance(counted, list) or not counted:
        yield f"event {promotion.seq} counted no approval"
        return
    if record is None or policy is None or roles is None:
        yield f"no policy and roles were in force at event {promotion.seq}"
        return
    people: set[str] = set()
    keys: set[str] = set()
    for seq in counted:
        if seq not in given:
            yield f"event {promotion.seq} counted event {seq}, which is no approval of this version"
            continue
        approval = given[seq].payload
        problems = check_approval(
            approval, record=record, policy_digest=policy.digest, roles=roles.roles,
            registered_keys=demo_keys(before) if demanded.demo_allowed else {},
            now=datetime.fromisoformat(promotion.at), used_nonces=used,
        )  # fmt: skip
        if problems:
            yield from (f"approval in event {seq}: {problem}" for problem in problems)
            continue
        people.add(approval["statement"]["approver"])
        keys.add(approval["public_key"])
    found = min(len(people), len(keys))
    if found < demanded.approvals:
        yield f"event {promotion.seq} counted {found} of the {demanded.approvals} approvals that it takes"


def _move_problem(event: Event, stage: str, version: str, events: Sequence[Event], demanded: Demanded) -> str | None:
    """Say what is wrong with the event that moved a version into a stage, or return None."""
    if not is_intact(event):
        return f"event {event.seq} was edited"
    if (event.version, event.payload.get("to_stage"), _moves(event).get(stage)) != (version, stage, version):
        return f"event {event.seq} ({event.kind}) does not record this move"
    if event.kind == PROMOTED:
        return _promotion_problem(event, stage, version, events, demanded)
    if event.kind == ROLLED_BACK and stage == "production":
        return live_problem(version, [each for each in events if each.seq < event.seq], demanded)
    return f"event {event.seq} ({event.kind}) is neither a promotion nor a rollback"


def _promotion_problem(
    event: Event, stage: str, version: str, events: Sequence[Event], demanded: Demanded
) -> str | None:
    before = [each for each in events if each.seq < event.seq]
    own = [each for each in before if each.version == version]
    record = _record_at(version, before)
    if record is None:
        return "it was never trained"
    edited = next((each.seq for each in own if not is_intact(each)), None)
    if edited is not None:
        return f"event {edited} was edited"
    if record.ambiguous or record.artifact_digest is None or record.evidence_digest is None:
        return "its training is recorded incompletely, or twice"
    problem = _validation_problem(record, before, demanded)
    if problem or stage != "production":
        return problem
    return "; ".join(uncounted_approvals(event, events, demanded)) or None


def _validation_problem(record: VersionRecord, before: Sequence[Event], demanded: Demanded) -> str | None:
    """Say what is wrong with the validations of a version before it was promoted, or return None."""
    if not record.validations:
        return "it was never validated"
    if any(each.payload.get("verdict") != "pass" for each in record.validations):
        return "its validation rejected it"
    last = record.validations[-1]
    policy = in_force([each for each in before if each.seq < last.seq], demo_allowed=demanded.demo_allowed)
    if policy is None or policy.digest != record.policy_digest:
        return f"event {last.seq} validated it by a policy that was not in force"
    return None


def _record_at(version: str | None, before: Sequence[Event]) -> VersionRecord | None:
    """Return the record of a version by the events up to then."""
    return version_records([each for each in before if each.version == version], {}).get(version or "")


def _moves(event: Event) -> Mapping[str, object]:
    moves = event.payload.get("moves")
    return moves if isinstance(moves, Mapping) else {}
