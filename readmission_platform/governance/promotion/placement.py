"""Whether a version was properly put into its stage: the move behind a pointer, looked at again.

What belongs here: pure functions from events to what is wrong with a move. What does not: deciding about a new move
(``decision``, ``rollback``), and recomputing files and figures (``verification``). The bytes of the model file are
held against the recorded digest whenever it is loaded (``storage.artifacts``).

Anybody who can write into the ledger can record a move; nobody without the approvers' keys can record their approval.
"""

from collections.abc import Mapping, Sequence

from readmission_platform.governance.ledger.chain import Event, Pointer, is_intact
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.adoption import in_force
from readmission_platform.governance.promotion.approved import PROMOTED, ROLLED_BACK, uncounted_approvals
from readmission_platform.governance.promotion.drift_acceptances import counted_in
from readmission_platform.governance.promotion.requested import unasked


def pointer_problem(pointer: Pointer, events: Sequence[Event]) -> str | None:
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
    problem = _move_problem(moved, pointer.stage, pointer.version, events)
    return f"version {pointer.version} was not properly put into {pointer.stage}: {problem}" if problem else None


def live_problem(version: str, events: Sequence[Event]) -> str | None:
    """Say why a version must not count as one that is or was in production; None where one promotion was proper."""
    moves = [event for event in events if event.kind == PROMOTED and _moves(event).get("production") == version]
    problems = [_move_problem(event, "production", version, events) for event in moves]
    if None in problems:
        return None
    return f"version {version} was never properly put into production{f': {problems[-1]}' if problems else ''}"


def _move_problem(event: Event, stage: str, version: str, events: Sequence[Event]) -> str | None:
    """Say what is wrong with the event that moved a version into a stage, or return None."""
    if not is_intact(event):
        return f"event {event.seq} was edited"
    if (event.version, event.payload.get("to_stage"), _moves(event).get(stage)) != (version, stage, version):
        return f"event {event.seq} ({event.kind}) does not record this move"
    if event.kind == PROMOTED:
        return unasked(event, events) or _promotion_problem(event, stage, version, events)
    if event.kind == ROLLED_BACK and stage == "production":
        return unasked(event, events) or live_problem(version, [each for each in events if each.seq < event.seq])
    return f"event {event.seq} ({event.kind}) is neither a promotion nor a rollback"


def _promotion_problem(event: Event, stage: str, version: str, events: Sequence[Event]) -> str | None:
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
    problem = _validation_problem(record, before)
    if problem or stage != "production":
        return problem
    return "; ".join([*uncounted_approvals(event, record, events), *counted_in(event, events)[1]]) or None


def _validation_problem(record: VersionRecord, before: Sequence[Event]) -> str | None:
    """Say what is wrong with the validations of a version before it was promoted, or return None."""
    if not record.validations:
        return "it was never validated"
    if any(each.payload.get("verdict") != "pass" for each in record.validations):
        return "its validation rejected it"
    last = record.validations[-1]
    policy = in_force([each for each in before if each.seq < last.seq])
    if policy is None or policy.digest != record.policy_digest:
        return f"event {last.seq} validated it by a policy that was not in force"
    return None


def _record_at(version: str | None, before: Sequence[Event]) -> VersionRecord | None:
    """Return the record of a version by the events up to then."""
    return version_records([each for each in before if each.version == version], {}).get(version or "")


def _moves(event: Event) -> Mapping[str, object]:
    moves = event.payload.get("moves")
    return moves if isinstance(moves, Mapping) else {}
