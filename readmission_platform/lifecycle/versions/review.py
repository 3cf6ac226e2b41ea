"""What an approver has to see of a version, gathered from the ledger, the evidence and the shadow days.

What belongs here: finding out what the page says. What does not: how it looks (``reports.review``), and the decision
itself (``governance.promotion.decision``). No row of a patient gets here: only figures with small cells hidden.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from readmission_platform.config.governance import GatePolicy
from readmission_platform.evaluation.disclosure import suppress_small_cells, telling_shares
from readmission_platform.evaluation.words import Wording
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.adoption import in_force
from readmission_platform.governance.policy.gates import GateResult, warnings_of
from readmission_platform.governance.policy.shown import INSUFFICIENT, judged_groups
from readmission_platform.governance.promotion.approvals import MEANING
from readmission_platform.governance.promotion.approved import approvers
from readmission_platform.governance.promotion.case import Condition
from readmission_platform.governance.promotion.decision import PromotionRequest
from readmission_platform.governance.promotion.drift_acceptances import acceptances
from readmission_platform.lifecycle.pages import write_page
from readmission_platform.lifecycle.versions.comparison import version_changes
from readmission_platform.lifecycle.versions.decisions import Considered, consider_closely
from readmission_platform.lifecycle.versions.shadow import shadow_of
from readmission_platform.lifecycle.versions.version_facts import recall_figures
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.reports.page_links import REVIEW
from readmission_platform.reports.review import pictures_of, review_html

_IN_PRODUCTION = (
    "There is nothing to approve. This page shows what the version rests on, computed again today. What one reviews is "
    "a candidate or the version in staging; `readmission status` lists them."
)
_OVER = {
    "rejected": "A gate failed. This version can never be promoted; train a new one.",
    "archived": "It was promoted before. If it was in production, a rollback brings it back without a new approval.",
}


def write_review(version: str, *, ledger: Ledger, workspace: Workspace, out: Path | None = None) -> Path:
    """Write the approver's page, whole or not at all, and return where it is.

    Parameters
    ----------
    out
        File to write; default ``reports/<model>/<version>/review.html`` in the home.

    Raises
    ------
    BadInput
        When there is no such version.
    OSError
        When the file cannot be written.
    """
    target = out or workspace.reports / version / REVIEW
    page = review_html(review_of(version, ledger=ledger, workspace=workspace))
    return write_page(workspace.settings, target, page)


def review_of(version: str, *, ledger: Ledger, workspace: Workspace) -> dict[str, Any]:
    """Return what the page says, as plain values."""
    rules = workspace.promotion_rules
    request = PromotionRequest(version, "production", workspace.actor, replace=True, reason="review")
    known = version_records(*ledger.snapshot()).get(version)
    if known is not None:  # the promotion itself computes them anew
        recall_figures(known, workspace)
    considered = consider_closely(request, ledger=ledger, workspace=workspace)
    decision = considered.decision
    records = version_records(considered.events, considered.pointers)
    record, champion = records[version], records.get(considered.pointers["production"].version or "")
    gathered, wording = considered.gathered, workspace.wording
    counted = gathered.evidence.document if gathered.evidence else None
    evidence = suppress_small_cells(counted) if counted else None
    policy = in_force(considered.events)
    return {
        "model": ledger.model,
        "words": asdict(wording.words),
        "flag": wording.flag,
        "version": version,
        "environment": workspace.environment,
        "written_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "state": record.state,
        "source": record.source,
        "limit_set": record.limit_set,
        "verdict": headline(record, decision.conditions),
        "cohort": {name: evidence[name] for name in ("n", "positives", "entities")} if evidence else None,
        "champion": champion.version if champion and champion.version != version else None,
        **version_changes(record, champion, considered, workspace),
        "conditions": [item.to_json() for item in decision.conditions],
        "gates": [gate.to_json() for gate in _in_order(decision.gates)],
        "groups": list(_groups(evidence, counted, policy.content if policy else None, wording)),
        "warnings": [gate.to_json() for gate in decision.gates if gate.gate in warnings_of(decision.gates)],
        "shadow": shadow_of(workspace.lake, gathered.shadow, workspace.config)
        | {"required": rules.shadow_days_required},
        "record": _provenance(record),
        "policy_digest": policy.digest if policy else None,
        "plan_digest": decision.plan_digest,
        "accepted_drift": list(_accepted(considered, version)),
        "approvals": list(_approvals(considered, version)),
        "approvals_required": rules.approvals_required,
        "meaning": MEANING,
        "commands": _commands(record, demo=workspace.platform.has_demo_approver, replaces=champion is not None),
        "pictures": pictures_of(evidence, wording) if evidence else [],
    }


# Who approves, and who promotes, is asked when they do.
_OF_PEOPLE = ("approvals", "actor_permitted")


def headline(record: VersionRecord, conditions: Sequence[Condition]) -> dict[str, str]:
    """Say in one line what stands between this version and production, and its tone (good, warn, bad)."""
    open_ones = [item.name for item in conditions if item.blocks and item.name not in _OF_PEOPLE]
    approved = not any(item.blocks for item in conditions if item.name == "approvals")
    if record.state == "production":
        return {"tone": "good", "text": "In production", "more": _IN_PRODUCTION}
    if record.state in ("rejected", "archived"):
        return {"tone": "bad", "text": record.state.capitalize(), "more": _OVER[record.state]}
    if not open_ones and approved:
        return {"tone": "good", "text": "Approved and ready for production", "more": "Every condition holds."}
    if not open_ones:
        more = "Every gate and condition holds. Only the signature of somebody who did not train it is missing."
        return {"tone": "warn", "text": "Ready for your decision", "more": more}
    named = ", ".join(name.replace("_", " ") for name in open_ones)
    return {"tone": "bad", "text": "Not ready for production", "more": f"These conditions do not hold: {named}."}


def _in_order(gates: Sequence[GateResult]) -> list[GateResult]:
    """Put first what blocks, then what could not be judged."""
    return sorted(gates, key=lambda gate: (not gate.blocks, gate.result == "pass"))


def _groups(
    evidence: Mapping[str, Any] | None, counted: Mapping[str, Any] | None, policy: GatePolicy | None, wording: Wording
) -> Iterator[dict[str, Any]]:
    if evidence is None or counted is None:
        return
    judged = judged_groups(evidence["groups"], counted["groups"], policy, wording.words)
    for attribute, groups in judged.items():
        unshown = telling_shares(evidence, groups, of_negatives=False)
        for name, group in groups.items():
            yield {"words": wording.group(attribute, name), "name": name, "hidden": bool(group.get("suppressed")),
                   "insufficient": group["result"] == INSUFFICIENT, "share_hidden": name in unshown,
                   **group}  # fmt: skip


def _provenance(record: VersionRecord) -> dict[str, Any]:
    return {
        "trained_by": record.trained_by,
        "trained_at": record.trained_at[:19].replace("T", " ") + " UTC",
        "dagster_run": record.run_id,
        "mlflow_run": record.trained.get("mlflow_run_id"),
        "digests": {
            "model file": record.artifact_digest,
            "evidence rows": record.evidence_digest,
            "data": record.data_version,
            "split": record.split_digest,
            "model configuration": record.trained.get("model_config"),
        },
        "code_version": record.code_version,
        "seed": record.seed,
    }


def _approvals(considered: Considered, version: str) -> Iterator[dict[str, Any]]:
    signed = approvers(considered.events)
    spent = {seq: event.seq for event in considered.events if event.kind == "version_promoted"
             for seq in event.payload.get("approvals") or []}  # fmt: skip
    for event in considered.events:
        if event.kind != "version_approved" or event.version != version:
            continue
        counts = "counts" if event.seq in considered.decision.approvals else "does not count; see the conditions"
        if event.seq in spent:
            counts = f"counted in the promotion of event {spent[event.seq]}"
        if event.seq not in signed:
            counts = "does not count: it is not signed with a key that was registered at that time"
        yield _approval(event) | {"counts": counts}


def _accepted(considered: Considered, version: str) -> Iterator[dict[str, Any]]:
    """Yield the drift of a version that was accepted, with why an acceptance does not count any more."""
    counted_out = {each.event for each in considered.decision.drift_accepted}
    for each in acceptances(considered.events, now=considered.now):
        if each.version == version:
            counts = "counted out" if each.event in counted_out else "counts; not in the latest windows"
            columns = [column.model_dump() for column in each.columns]
            yield {"event": each.event, "columns": columns, "until": each.until, "whose": each.whose,
                   "role": each.role, "reason": each.reason,
                   "counts": f"does not count: {'; '.join(each.problems)}" if each.problems else counts}  # fmt: skip


def _approval(event: Event) -> dict[str, Any]:
    statement = event.payload.get("statement")
    said = statement if isinstance(statement, Mapping) else {}
    names = ("approver", "role", "reason", "issued_at", "expires_at", "demo", "warnings")
    return {"seq": event.seq, **{name: said.get(name) for name in names}}


def _commands(record: VersionRecord, *, demo: bool, replaces: bool) -> dict[str, str | None]:
    """Return the exact commands to approve and then to promote."""
    if record.state not in ("candidate", "staging"):
        return {"approve": None, "demo": None, "promote": None}
    approve = f"readmission approve --version {record.version} --reason 'WHY'"
    promote = f"readmission promote --version {record.version} --to-stage production --reason 'WHY'"
    return {
        "approve": f"{approve} --approver YOUR_IDENTITY --key YOUR_KEY.pem",
        "demo": approve if demo else None,
        "promote": f"{promote} --replace" if replaces else promote,
    }
