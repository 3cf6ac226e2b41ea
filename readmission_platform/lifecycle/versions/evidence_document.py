"""The evidence document: all that is known of a version's quality, in one JSON that every page is made from.

What belongs here: gathering it from the ledger and the evidence rows, with small cells hidden. What does not: the
computations (``evaluation``), and how it looks (``reports.evidence_report``, ``reports.model_card``).

It is a function of the ledger, the evidence rows, and the policy that the version was judged by: whoever makes it
again gets the same.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from readmission_platform.config.governance import GatePolicy
from readmission_platform.evaluation.disclosure import hide_telling_shares, suppress_small_cells
from readmission_platform.evaluation.words import Words
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import Event, Pointer
from readmission_platform.governance.ledger.versions import RECALIBRATED, VersionRecord, version_records
from readmission_platform.governance.policy.adoption import adoptions_with_effect
from readmission_platform.governance.policy.shown import judged_groups
from readmission_platform.lifecycle.versions.version_facts import (
    estimates_of,
    measured_at_training,
    recall_figures,
    recorded_evidence,
)
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.home import replace_file

FORMAT = "evidence-1"
EVIDENCE_FILE = "evidence.json"


def evidence_document(
    version: str,
    *,
    events: Sequence[Event],
    pointers: Mapping[str, Pointer],
    workspace: Workspace,
) -> dict[str, Any]:
    """Return the evidence document of a version: builtin types only, counts of 1 to 10 people hidden.

    Parameters
    ----------
    events, pointers
        ``Ledger.snapshot()``.

    Returns
    -------
    ``format``, ``model``, ``words``, ``version``, ``source``, ``limit_set``, ``provenance``, ``cohort``, all that
    ``evaluation.estimates.evidence.evaluate`` returns (``schema`` to ``comparisons``), ``explanations``, ``gates``,
    ``verdict``, ``policy_digest`` and ``robustness``, in alphabetical order. Figures that are undefined or hidden are
    None.

    Raises
    ------
    BadInput
        When there is no such version.
    EvidenceMissing
        When the evidence rows are gone or are not those recorded.
    """
    record = version_records(events, pointers).get(version)
    if record is None:
        raise BadInput(f"there is no version {version}; `readmission status` lists them")
    return document_from(record, _computed(record, workspace), events=events)


def document_from(record: VersionRecord, computed: Mapping[str, Any], *, events: Sequence[Event]) -> dict[str, Any]:
    """Return the document made of a version's record, what was computed from its rows, and the ledger's events.

    Parameters
    ----------
    computed
        As ``evaluation.estimates.evidence.evaluate`` returns it; it is left as it is.
    """
    version, validated, words = record.version, record.validated_payload or {}, Words(**record.words)
    evidence = {**computed, "estimates": dict(computed["estimates"])}
    recorded = {name: entry for name, entry in (validated.get("estimates") or {}).items()
                if name not in evidence["estimates"]}  # fmt: skip
    evidence["estimates"] |= recorded | measured_at_training(record)
    shown = hide_telling_shares(suppress_small_cells(evidence))
    policy = policy_of(events, validated.get("policy_digest"))
    document = {
        "format": FORMAT,
        "model": record.model,
        "words": asdict(words),
        "version": version,
        "source": record.source,
        "limit_set": record.limit_set,
        "provenance": _provenance(record),
        "cohort": record.trained.get("cohort"),
        **shown,
        "groups": judged_groups(shown["groups"], evidence["groups"], policy, words),
        "explanations": record.trained.get("explanations"),
        "gates": record.gates,
        "verdict": validated.get("verdict"),
        "policy_digest": validated.get("policy_digest"),
        "robustness": newest_study(events, version),
    }
    # In the order in which it is stored, so that what is made from it is the same as from the file.
    canonical: dict[str, Any] = json.loads(document_bytes(document))
    return canonical


def write_document(document: Mapping[str, Any], workspace: Workspace) -> Path:
    """Write a document where the reports of its version are, whole or not at all, and return where that is."""
    target: Path = workspace.reports / document["version"] / EVIDENCE_FILE
    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, document_bytes(document))
    return target


def document_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document as it is stored: the same content gives the same bytes."""
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def newest_study(events: Sequence[Event], version: str) -> dict[str, Any] | None:
    """Return what the newest robustness study of a version found, or None."""
    studies = (event for event in reversed(events) if event.kind == "version_studied" and event.version == version)
    found = next(studies, None)
    return dict(found.payload) if found else None


def policy_of(events: Sequence[Event], digest: str | None) -> GatePolicy | None:
    """Return the policy of a digest if it was ever in force; the one in force where no digest is known."""
    adopted = [
        (event.payload["digest"], content)
        for event, content in adoptions_with_effect(events)
        if isinstance(content, GatePolicy)
    ]
    return next((content for known, content in reversed(adopted) if digest in (known, None)), None)


def _computed(record: VersionRecord, workspace: Workspace) -> dict[str, Any]:
    rows = recorded_evidence(workspace.lake, record)
    recall_figures(record, workspace)
    return estimates_of(rows, str(record.evidence_digest), workspace.config, workspace.contract.evidence)


def _provenance(record: VersionRecord) -> dict[str, Any]:
    trained = record.trained
    return {
        "trained_at": record.trained_at,
        "trained_by": record.trained_by,
        "run_id": record.run_id,
        "code_version": record.code_version,
        "data": trained.get("data"),
        "split": trained.get("split") or {"table": None, "table_version": None, "digest": record.split_digest},
        "artifact_digest": record.artifact_digest,
        "evidence_digest": record.evidence_digest,
        "seed": record.seed,
        "recipe": trained.get("recipe"),
        "recalibrated": trained.get(RECALIBRATED),
    }
