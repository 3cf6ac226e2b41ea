"""Decisions about a version, with the facts gathered: the one way to them for jobs, sensors and commands.

What belongs here: gathering facts and asking ``governance``. What does not: recording anything.
"""

from datetime import datetime
from typing import NamedTuple

from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import Event, Pointer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.promotion.decision import Decision, PromotionRequest, decide
from readmission_platform.governance.promotion.drift_acceptances import counting
from readmission_platform.governance.promotion.rollback import (
    RollbackDecision,
    RollbackRequest,
    decide_rollback,
    version_before,
)
from readmission_platform.lifecycle.asking import signed
from readmission_platform.lifecycle.days.seals import unchanged_rows
from readmission_platform.lifecycle.versions.stages import Stage
from readmission_platform.lifecycle.versions.version_facts import Gathered, digest_now, gather
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.tables import SHADOW


class Considered(NamedTuple):
    """A decision about a version, and what it was taken on."""

    decision: Decision
    gathered: Gathered
    events: list[Event]
    pointers: dict[str, Pointer]
    now: datetime


def consider(request: PromotionRequest, *, ledger: Ledger, workspace: Workspace) -> Decision:
    """Gather the facts about a version and decide; changes nothing.

    The one way to a decision: the job, the sensor and the command line all come through here.
    """
    return consider_closely(request, ledger=ledger, workspace=workspace).decision


def consider_closely(request: PromotionRequest, *, ledger: Ledger, workspace: Workspace) -> Considered:
    """Decide as :func:`consider` does, and return what was gathered and the events as well.

    Raises
    ------
    BadInput
        When there is no such version.
    PredictionsChanged
        When what it scored in the shadow is not what the ledger recorded.
    """
    if not ledger.events(kind="version_trained", version=request.version):
        raise BadInput(f"there is no version {request.version} of {ledger.model}; `readmission status` lists them")
    # Only now: on first use it adopts the policy, and a mistyped version is to leave everything as it was.
    workspace.policy_in_force(ledger)
    events, pointers = ledger.snapshot()
    records, now = version_records(events, pointers), ledger.now()
    gathered = gather(
        records[request.version],
        records=records,
        pointers=pointers,
        workspace=workspace,
        accepted=counting(events, request.version, now=now) if request.to_stage == Stage.production.value else None,
    )
    if request.to_stage == Stage.production.value:
        lake = workspace.lake
        unchanged_rows(lake, ledger, SHADOW, days=set(gathered.shadow[lake.day]))
    decision = decide(
        request,
        events=events,
        pointers=pointers,
        facts=gathered.facts,
        required=workspace.required,
        environment_name=workspace.environment,
        now=now,
    )
    return Considered(decision, gathered, events, pointers, now)


def rollback_request(to_version: str | None, reason: str, *, ledger: Ledger, workspace: Workspace) -> RollbackRequest:
    """Return the signed request to go back to a version; None stands for the one before, which the request names."""
    target = to_version or version_before(ledger.events())
    asked = RollbackRequest(target, workspace.actor, reason)
    return signed(asked, "version_rolled_back", ledger=ledger, workspace=workspace)


def consider_rollback(request: RollbackRequest, *, ledger: Ledger, workspace: Workspace) -> RollbackDecision:
    """Verify the artifacts of the versions that were in production, and decide about a rollback; changes nothing."""
    events, pointers = ledger.snapshot()
    records = version_records(events, pointers)
    digests = {
        version: digest_now(workspace.registry.root, record)
        for version, record in records.items()
        if record.was_in_production
    }
    return decide_rollback(
        request,
        events=events,
        pointers=pointers,
        records=records,
        artifact_digests=digests,
        environment_name=workspace.environment,
        model=ledger.model,
        now=ledger.now(),
    )


def chosen_version(ledger: Ledger, version: str | None, from_stage: Stage | None) -> str:
    """Return the version asked for by number or by the stage it is in.

    Raises
    ------
    BadInput
        When neither or both are given, or the stage is empty.
    """
    if version is not None and from_stage is None:
        return version
    if from_stage is None or version is not None:
        raise BadInput("name the version, by its number or by the stage it is in")
    found = ledger.pointers()[from_stage.value].version
    if found is None:
        raise BadInput(f"no version is in {from_stage.value}")
    return found
