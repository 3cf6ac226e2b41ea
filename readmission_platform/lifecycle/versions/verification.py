"""Verifying a version: recomputing everything the ledger recorded of it, from stored bytes and rows.

What belongs here: reading bytes and rows again. What does not: what the comparison means
(``governance.promotion.verification``).
"""

from collections.abc import Mapping
from typing import Any

from readmission_platform.config.model import ModelConfig
from readmission_platform.foundation.errors import BadInput, GovernanceError, LedgerCorrupt, Refused
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.adoption import everything_in_force
from readmission_platform.governance.promotion.check import Check
from readmission_platform.governance.promotion.verification import (
    Recomputed,
    chain_check,
    champion_then,
    verify_version,
)
from readmission_platform.lifecycle.versions.version_facts import (
    champion_estimates,
    digest_now,
    estimates_of,
    evidence_rows,
    measured_at_training,
)
from readmission_platform.lifecycle.workspace import Workspace


class VerificationFailed(GovernanceError):
    """Something is not as the ledger recorded it; the message names what."""

    exit_code = 1


def verify(version: str, *, ledger: Ledger, workspace: Workspace) -> list[Check]:
    """Verify the ledger, then everything it recorded of one version.

    Raises
    ------
    BadInput
        When there is no such version.
    """
    problem = None
    try:
        ledger.verify()
    except LedgerCorrupt as error:
        problem = str(error)
    try:
        events, pointers = ledger.events(), ledger.pointers()
    except LedgerCorrupt as error:  # not even its text can be read: nothing else can be said
        return [chain_check(problem or str(error), 0)]
    records = version_records(events, pointers)
    if version not in records:
        raise BadInput(f"there is no version {version} of {ledger.model}; `readmission status` lists them")
    record = records[version]
    artifact = digest_now(workspace.registry.root, record)
    evidence, estimates = _recomputed(record, records, events, workspace)
    settings = digest_of(_config_then(record, events, workspace))
    found = Recomputed(artifact, evidence, estimates, settings_alike=settings == record.trained.get("model_config"))
    checks = verify_version(record, events=events, found=found, required=workspace.required)
    return [chain_check(problem, len(events)), *checks]


def raise_unless_verified(version: str, checks: list[Check]) -> None:
    """Raise when a check failed.

    Raises
    ------
    VerificationFailed
        When something is not as recorded.
    Refused
        When everything is as recorded and only policy says no.
    """
    failed = [check for check in checks if check.result == "fail"]
    changed = [f"{check.name}: {check.detail}" for check in failed if check.kind == "integrity"]
    if changed:
        raise VerificationFailed(f"version {version} does not verify: {'; '.join(changed)}")
    if failed:
        raise Refused([f"{check.name}: {check.detail}" for check in failed])


def _config_then(record: VersionRecord, events: list[Event], workspace: Workspace) -> ModelConfig:
    """Return the configuration with the evaluation settings that were in force when a version was last validated."""
    if not record.validations:
        return workspace.config
    then = everything_in_force([event for event in events if event.seq < record.validations[-1].seq]).evaluation
    return workspace.config.model_copy(update=dict(then.content)) if then else workspace.config


def _recomputed(
    record: VersionRecord, records: Mapping[str, VersionRecord], events: list[Event], workspace: Workspace
) -> tuple[str | None, dict[str, Any] | None]:
    """Return the digest of the evidence rows as they are now, and the estimates made from them."""
    from readmission_platform.evaluation.estimates.rows import InvalidEvidence, digest_rows

    lake, schema = workspace.lake, workspace.contract.evidence
    config = _config_then(record, events, workspace)
    rows = evidence_rows(lake, record)
    if rows is None:
        return None, None
    try:
        digest = digest_rows(rows, schema)
        estimates = dict(estimates_of(rows, digest, config, schema)["estimates"]) | measured_at_training(record)
    except InvalidEvidence:
        return None, None
    champion = champion_then(record, records, events)
    champion_rows = evidence_rows(lake, champion) if champion else None
    if champion_rows is not None:
        estimates |= champion_estimates(rows, champion_rows, config)
    return digest, estimates
