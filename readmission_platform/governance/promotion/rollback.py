"""Rollback: a formerly approved version back into production, at once and on the record.

What belongs here: which version that is, the conditions, and recording it. What does not: bringing the registry into
line. A rollback needs a reason and no new approval; gates are not asked again, because the way back must stay open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from readmission_platform.governance.ledger.chain import Event, Pointer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.policy.adoption import roles_in_force
from readmission_platform.governance.policy.keys import KEY_CHANGES
from readmission_platform.governance.promotion import conditions as check
from readmission_platform.governance.promotion.approved import ROLLED_BACK
from readmission_platform.governance.promotion.case import Judged, condition
from readmission_platform.governance.promotion.permission import asked_of, may_ask, recorded_request
from readmission_platform.governance.promotion.placement import live_problem
from readmission_platform.governance.promotion.transition import Transition, carry_out

_ROLLBACK = Transition(
    kind=ROLLED_BACK,
    refusal="rollback_refused",
    # An event of one of these kinds between decision and recording means that the decision must be taken anew.
    binding_kinds=("version_promoted", "version_rolled_back", "roles_adopted", *KEY_CHANGES),
)


@dataclass(frozen=True)
class RollbackRequest:
    """Back to this version (None: the one before), by whom and why; ``signed`` as for a promotion."""

    to_version: str | None
    actor: str
    reason: str
    signed: Mapping[str, Any] | None = None

    @property
    def what(self) -> dict[str, Any]:
        """What is signed."""
        return {"to_version": self.to_version}


@dataclass(frozen=True)
class RollbackDecision(Judged):
    """What was decided on what grounds, and the version to go back to."""

    request: RollbackRequest
    target: str | None


def version_before(events: Sequence[Event]) -> str | None:
    """Return the version that was in production before the one there now, or None.

    Promotions add to a stack, rollbacks take from it: rolling back twice goes two versions back and never forward to
    the version that was just taken out.
    """
    lived: list[str] = []
    for event in events:
        version = (event.payload.get("moves") or {}).get("production")
        if version is None:
            continue
        if event.kind == "version_rolled_back":
            lived = lived[: lived.index(version)] if version in lived else []
        lived.append(version)
    return lived[-2] if len(lived) > 1 else None


def decide_rollback(
    request: RollbackRequest,
    *,
    events: Sequence[Event],
    pointers: Mapping[str, Pointer],
    records: Mapping[str, VersionRecord],
    artifact_digests: Mapping[str, str | None],
    environment_name: str,
    model: str,
    now: datetime,
) -> RollbackDecision:
    """Decide about a rollback; pure, and changes nothing.

    Parameters
    ----------
    artifact_digests
        By version, recomputed just now from the artifact's bytes; None where there is none.
    """
    live = pointers["production"].version
    target = request.to_version or version_before(events)
    never_approved = live_problem(target, events) if target else None
    record = records.get(target or "")
    found = [
        check.ledger_intact(events, pointers),
        condition(
            "something_live", live is not None, f"production: {live or 'none'}", "There is nothing to roll back."
        ),
        condition(
            "reason_given", bool(request.reason.strip()), request.reason.strip() or "no reason", "Give a reason."
        ),
        condition(
            "target_known",
            record is not None,
            _target(target, known=record is not None),
            "Name a version that was in production.",
        ),
        may_ask(
            asked_of(ROLLED_BACK, model, request),
            "rollback",
            roles_in_force(events),
            events=events,
            environment_name=environment_name,
            now=now,
        ),
    ]
    if record is not None:
        verified = record.artifact_digest is not None and artifact_digests.get(record.version) == record.artifact_digest
        found += [
            condition("another_version", target != live, f"version {target}", "It is in production already."),
            condition(
                "formerly_approved",
                record.was_in_production and never_approved is None,
                never_approved or f"version {target} was in production",
                "Choose a version that was approved for production; any other has to be promoted.",
            ),
            condition(
                "artifact_unchanged",
                verified,
                "the model file is as recorded" if verified else "the model file is missing or was changed",
                "Restore it from a backup, or choose another version.",
            ),
        ]
    seen = events[-1].seq if events else 0
    return RollbackDecision(found, dict(pointers), seen, request=request, target=target)


def _target(target: str | None, *, known: bool) -> str:
    if target is None:
        return "no version was in production before this one"
    return f"version {target}" if known else f"there is no version {target}"


def apply_rollback(ledger: Ledger, decision: RollbackDecision, *, dry_run: bool = False) -> Event | None:
    """Record a rollback, or its refusal; returns and raises what ``transition.carry_out`` does."""
    return carry_out(
        _ROLLBACK,
        ledger,
        decision,
        version=decision.target,
        to_stage="production",
        moves={"production": decision.target},
        actor=decision.request.actor,
        reason=decision.request.reason,
        asked=recorded_request(decision.conditions, decision.request.signed),
        more={},
        dry_run=dry_run,
    )
