"""Which version was in which stage, from when to when, and on what grounds.

What belongs here: a pure function over events. What does not: what is in a stage now (the pointers decide).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from readmission_platform.governance.ledger.chain import STAGES, Event
from readmission_platform.governance.promotion.approved import approvers
from readmission_platform.governance.promotion.drift_acceptances import counted_in

How = Literal["promotion", "rollback"]


@dataclass(frozen=True)
class Period:
    """One version in one stage; ``until`` is None while it lasts.

    ``approved_by`` are the people whose signed approvals counted. A rollback needs none: it names those of the
    promotion that brought the version into the stage before. ``drift_accepted`` says which drift the promotion counted
    out, by whom it was accepted and until when. ``seq`` is the ledger's event.
    """

    stage: str
    version: str
    since: str
    until: str | None
    how: How
    by: str
    approved_by: tuple[str, ...]
    drift_accepted: tuple[str, ...]
    evidence_digest: str | None
    artifact_digest: str | None
    policy_digest: str | None
    replaced: str | None
    reason: str
    seq: int
    ended_by_seq: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the period as plain JSON values."""
        return asdict(self)


def timeline(events: Sequence[Event]) -> list[Period]:
    """Return every stay of every version in a stage, in the order of their beginning.

    Parameters
    ----------
    events
        All events of one model and its environment, in order.
    """
    signed = approvers(events)
    periods: list[Period] = []
    current: dict[str, int] = {}
    trained: dict[str, Event] = {}
    for event in events:
        if event.kind == "version_trained" and event.version is not None:
            trained.setdefault(event.version, event)
        moves = event.payload.get("moves")
        if not isinstance(moves, Mapping):
            continue
        for stage in (stage for stage in STAGES if stage in moves):
            replaced = None
            if stage in current:
                place = current.pop(stage)
                replaced = periods[place].version
                periods[place] = replace(periods[place], until=event.at, ended_by_seq=event.seq)
            if moves[stage] is not None:
                current[stage] = len(periods)
                accepted = tuple(each.says() for each in counted_in(event, events)[0])
                periods.append(_began(event, stage, str(moves[stage]), replaced, trained, signed, accepted, periods))
    return periods


def _began(
    event: Event,
    stage: str,
    version: str,
    replaced: str | None,
    trained: Mapping[str, Event],
    signed: Mapping[int, str],
    accepted: tuple[str, ...],
    before: list[Period],
) -> Period:
    how: How = "rollback" if event.kind == "version_rolled_back" else "promotion"
    counted = event.payload.get("approvals")
    approved = tuple(signed[seq] for seq in counted if seq in signed) if isinstance(counted, list) else ()
    if how == "rollback":
        earlier = (period for period in reversed(before) if (period.stage, period.version) == (stage, version))
        approved = next((period.approved_by for period in earlier), ())
    content = trained[version].payload if version in trained else {}
    policy = event.payload.get("policy_digest")
    return Period(
        stage=stage,
        version=version,
        since=event.at,
        until=None,
        how=how,
        by=event.actor,
        approved_by=approved,
        drift_accepted=accepted,
        evidence_digest=_digest(content.get("evidence")),
        artifact_digest=_digest(content.get("artifact")),
        policy_digest=policy if isinstance(policy, str) else None,
        replaced=replaced if replaced != version else None,
        reason=str(event.payload.get("reason") or ""),
        seq=event.seq,
    )


def _digest(content: object) -> str | None:
    found = content.get("digest") if isinstance(content, Mapping) else None
    return found if isinstance(found, str) else None
