"""A version beside the one in production: what went into each, and how each did.

What belongs here: putting recorded values side by side. What does not: judging the difference (the gates do).
"""

from typing import Any

from readmission_platform.evaluation.disclosure import shown_estimates
from readmission_platform.foundation.errors import Unavailable
from readmission_platform.governance.ledger.versions import RECALIBRATED, VersionRecord
from readmission_platform.lifecycle.versions.decisions import Considered
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.reports.review import compared
from readmission_platform.storage.registry import Registry


def version_changes(
    record: VersionRecord, champion: VersionRecord | None, considered: Considered, workspace: Workspace
) -> dict[str, Any]:
    """Return ``changes`` (what went in) and ``figures`` (how they did), ours beside the champion's.

    Parameters
    ----------
    champion
        The version in production; None when there is none. A version is not compared with itself.
    """
    wording = workspace.wording  # reads what is in force from the ledger
    other = champion if champion is not None and champion.version != record.version else None
    ours = shown_estimates(considered.gathered.facts.estimates or {})
    theirs = shown_estimates(((other.validated_payload or {}).get("estimates") or {}) if other else {})
    return {
        "changes": _inputs(record, other, workspace.registry),
        "figures": [
            {"label": wording.label(metric), "ours": ours[metric], "theirs": theirs.get(metric),
             "difference": ours.get(paired) if paired and other else None}
            for metric, paired in compared(ours)
        ],
    }  # fmt: skip


def _inputs(record: VersionRecord, other: VersionRecord | None, registry: Registry) -> list[dict[str, Any]]:
    parts = [
        ("data", _data(record), _data(other)),
        ("source", record.source, other.source if other else None),
        ("split", _split(record), _split(other)),
        ("code", record.code_version, other.code_version if other else None),
        (
            "model configuration",
            record.trained.get("model_config"),
            other.trained.get("model_config") if other else None,
        ),
        ("risks corrected", _correction(record), _correction(other)),
        ("seed", record.seed, other.seed if other else None),
        ("trained by", record.trained_by, other.trained_by if other else None),
    ]
    rows = [{"what": what, "ours": mine, "theirs": theirs, "same": mine == theirs} for what, mine, theirs in parts]
    if other is not None and record.trained.get("model_config") != other.trained.get("model_config"):
        rows += _parameters(record, other, registry)
    return rows


def _correction(record: VersionRecord | None) -> str | None:
    if record is None or record.keeps_model_of is None:
        return None
    made = record.trained[RECALIBRATED]
    return f"model of version {record.keeps_model_of}, slope {made['slope']:.3f}, intercept {made['intercept']:+z.3f}"


def _data(record: VersionRecord | None) -> str | None:
    """Return what a version was trained on; of one that is recalibrated also what has matured since."""
    if record is None or record.keeps_model_of is None:
        return record.data_version if record else None
    made = record.trained[RECALIBRATED]
    since = f"{made['matured']:,} matured since, until {made['until']}"
    return f"{record.data_version}, and for the correction the latest {made['rows']:,} rows, {since}"


def _split(record: VersionRecord | None) -> str | None:
    """Return by which split a version was made; what has matured since is in none that was recorded."""
    if record is None or record.keeps_model_of is None:
        return record.split_digest if record else None
    return f"{record.split_digest} of version {record.keeps_model_of}; what matured since by the same rule"


def _parameters(record: VersionRecord, other: VersionRecord, registry: Registry) -> list[dict[str, Any]]:
    """Return the training parameters that differ, from the runs that tracked them."""
    try:
        ours, theirs = (registry.parameters(str(each.trained.get("mlflow_run_id"))) for each in (record, other))
    except Unavailable:
        return [{"what": "parameters", "ours": "not at hand", "theirs": "not at hand", "same": False}]
    return [
        {"what": f"parameter {name}", "ours": ours.get(name), "theirs": theirs.get(name), "same": False}
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name) and name != "seed"
    ]
