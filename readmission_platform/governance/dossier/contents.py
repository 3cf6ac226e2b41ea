"""What a dossier repeats of the ledger for readers: approvals, accepted drift, policy, roles, plan, reproduction.

What belongs here: pure functions from events to the content of these files. Making a dossier writes what they return,
and verifying one compares. What does not: the seal (``dossier``), and figures
(``lifecycle.versions.dossier_verification``).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from readmission_platform.governance.dossier.manifest import (
    ACCEPTED_DRIFT,
    APPROVALS,
    PLAN,
    POLICY,
    REPRODUCTION,
    ROLES,
)
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.policy.adoptable import Adopted
from readmission_platform.governance.policy.adoption import everything_in_force

# What a file repeats of an event with a signature.
_SIGNED = frozenset({"event", "at", "digest", "content", "statement", "signature", "public_key"})


def repeated(record: VersionRecord, events: Sequence[Event]) -> dict[str, Any]:
    """Return the content of every file that only repeats the ledger, by file name.

    Parameters
    ----------
    events
        All events of the model and its environment, in order.
    """
    now = everything_in_force(events)
    judged_at = record.validations[-1].seq if record.validations else 0
    then = everything_in_force([event for event in events if event.seq < judged_at])
    files: dict[str, Any] = {
        APPROVALS: [_signed(event) for event in _about(record, events, "version_approved")],
        POLICY: {"in_force": _adopted(now.policy, events), "at_validation": _adopted(then.policy, events)},
        ROLES: {"in_force": _adopted(now.roles, events)},
    }
    if now.plan is not None:
        files[PLAN] = {"in_force": _adopted(now.plan, events)}
    accepted = [_signed(event) for event in _about(record, events, "drift_accepted")]
    if accepted:
        files[ACCEPTED_DRIFT] = accepted
    reproductions = list(_about(record, events, "version_reproduced"))
    if reproductions:
        files[REPRODUCTION] = _recorded(reproductions[-1]) | {"recorded_by": reproductions[-1].actor}
    return files


def misdirected_approvals(record: VersionRecord, events: Iterable[Event]) -> list[int]:
    """Return the approvals of a version whose signed statement is about something else than this evidence."""
    about = (record.model, record.version, record.artifact_digest, record.evidence_digest)
    fields = ("model", "version", "artifact_digest", "evidence_digest")
    return [
        event.seq
        for event in _about(record, events, "version_approved")
        if tuple((event.payload.get("statement") or {}).get(name) for name in fields) != about
    ]


def _about(record: VersionRecord, events: Iterable[Event], kind: str) -> Iterable[Event]:
    return (event for event in events if event.kind == kind and event.version == record.version)


def _recorded(event: Event) -> dict[str, Any]:
    return {**event.payload, "event": event.seq, "at": event.at}


def _signed(event: Event) -> dict[str, Any]:
    """Return what was signed, with the signature; who signed is said in the statement, and nowhere else."""
    return {name: each for name, each in _recorded(event).items() if name in _SIGNED}


def _adopted(adoption: Adopted[Any] | None, events: Iterable[Event]) -> dict[str, Any] | None:
    if adoption is None:
        return None
    return next(_signed(event) for event in events if event.seq == adoption.seq)
