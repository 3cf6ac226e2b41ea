"""What people and scripts are shown: status, gates, work lists, the summary of a run.

What belongs here: reading state into plain values. What does not: how they look (``tables``), and changing anything.
Light on imports, so that asking for the status takes a moment only.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from readmission_platform.config.files import check_files
from readmission_platform.config.models import all_models
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.values import ConfigurationError, digest_of
from readmission_platform.governance.ledger.chain import STAGES, Event
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.adoption import everything_in_force
from readmission_platform.governance.policy.key_changes import key_history
from readmission_platform.governance.rollouts.state import rollout_of
from readmission_platform.lifecycle.proposals import PROPOSALS
from readmission_platform.lifecycle.versions.stages import pointer_problems

if TYPE_CHECKING:
    from readmission_platform.lifecycle.records import ModelRecords
    from readmission_platform.lifecycle.workspace import Platform, Workspace

# What of a flagged row is shown besides its day and number: nothing that names the patient.
_LISTED = ("rank", "risk", "band", "flagged", "reasons", "model_version",
           "artifact_digest", "scored_at", "run_id")  # fmt: skip


def models(platform: "Platform") -> list[dict[str, Any]]:
    """Return every model of the installation: what it predicts, whose it is, whether it is in use, and what is live.

    Of a model whose files are wrong, ``error`` says what is wrong, and what they would have said is None.
    """
    from readmission_platform.lifecycle.workspace import contract_of

    known, found = all_models(platform.settings), []
    for name in known.names:
        with platform.ledger(name) as ledger:
            live = {stage: pointer.version for stage, pointer in ledger.pointers().items()}
        entry, error, title = known.entries.get(name), known.broken.get(name), None
        if entry is not None:
            try:
                title = contract_of(entry.contract).words.title
                check_files(platform.settings, name)
            except ConfigurationError as wrong:
                error = str(wrong)
        found.append({
            "model": name,
            "title": title,
            "owner": entry and entry.owner,
            "cost_center": entry and entry.cost_center,
            "example": entry and entry.example,
            "in_use": name in platform.models,
            "prefix": entry and entry.prefix,
            "stages": live,
            "error": error,
        })  # fmt: skip
    return found


def status(model: "ModelRecords") -> dict[str, Any]:
    """Return environment, model, what each stage holds, any open roll-out, and every version (stable keys)."""
    settings, name = model.settings, model.name
    with model.ledger() as ledger:
        events, pointers = ledger.snapshot()
        installation = ledger.binding.installation
    records, problems = version_records(events, pointers), pointer_problems(events, pointers)
    in_force, rollout = everything_in_force(events), rollout_of(events)
    return {
        "environment": settings.environment,
        "installation": installation,
        "model": name,
        "example": model.entry.example,
        "home": str(settings.home),
        "stages": {
            stage: {
                "version": pointers[stage].version,
                **_since(events, pointers[stage].seq),
                "problem": problems.get(stage),
            }
            for stage in STAGES
        },
        "rollout": rollout.to_json() if rollout else None,
        **{
            kind.removesuffix("_adopted"): _adopted(adopted, digest_of(PROPOSALS[kind].read(settings, name)))
            for kind, adopted in in_force.adoptions.items()
        },
        "keys": [each for each in _keys(events) if each["state"] == "in use"],
        "rotate_keys_after_days": model.rules.rotate_keys_after_days,
        "versions": [_version(record) for record in records.values()],
    }


def keys(platform: "Platform") -> list[dict[str, Any]]:
    """Return every signing key that ever counted in the environment, its state, age in days and use."""
    with platform.ledger() as ledger:
        return _keys(ledger.events_of_all())


def _keys(events: Sequence[Event]) -> list[dict[str, Any]]:
    now = datetime.now(UTC)
    return [{**each.to_json(), "age_days": each.age_days(now)} for each in key_history(events)]


def _adopted(adopted: Any, in_checkout: str) -> dict[str, Any]:
    if adopted is None:
        return {"digest": None, "adopted_by": None, "differs_from_configs": False}
    return {
        "digest": adopted.digest,
        "adopted_by": adopted.adopted_by,
        "differs_from_configs": adopted.digest != in_checkout,
    }


def _since(events: Sequence[Any], seq: int) -> dict[str, Any]:
    moved = next((event for event in events if event.seq == seq and seq), None)
    return {
        "since": moved.at if moved else None,
        "by": moved.actor if moved else None,
        "identity": moved.payload.get("identity", "claimed") if moved else None,
    }


def _version(record: VersionRecord) -> dict[str, Any]:
    return {
        "version": record.version,
        "state": record.state,
        "source": record.source,
        "auroc": record.auroc,
        "artifact_digest": record.artifact_digest,
        "data_version": record.data_version,
        "code_version": record.code_version,
        "trained_by": record.trained_by,
        "trained_at": record.trained_at,
        "failed_gates": sorted({gate["gate"] for gate in record.gates if gate.get("blocks")}),
    }


def gates(model: "ModelRecords", version: str) -> list[dict[str, Any]]:
    """Return the gate results of a version's last validation.

    Raises
    ------
    BadInput
        When there is no such version, or it has not been judged.
    """
    with model.ledger() as ledger:
        record = version_records(*ledger.snapshot()).get(version)
    if record is None:
        raise BadInput(f"there is no version {version}; `readmission status` lists them")
    if not record.validated:
        raise BadInput(f"version {version} has not been judged yet; materialize validation_report")
    return record.gates


def day_accounts(workspace: "Workspace", days: Sequence[str]) -> list[dict[str, Any]]:
    """Return per day: received, accepted, quarantined, duplicate, scored, withheld and the version that scored it.

    A count that would tell of 1 to 10 people is None (``evaluation.operation.shown``).
    Besides these ``files``, ``files_quarantined`` and ``revision``, which are None for days that were not taken in.
    """
    from readmission_platform.evaluation.operation.shown import shown_counts
    from readmission_platform.storage.tables import ACCOUNTING, PREDICTIONS

    lake = workspace.lake
    where = {lake.day: list(days)}
    accounts = _rows(lake, ACCOUNTING, where)
    scored: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(lake, PREDICTIONS, where, [lake.day, "risk", "model_version"]):
        scored.setdefault(row[lake.day], []).append(row)
    found = {row[lake.day]: row for row in accounts}
    nothing = {"received": 0, "accepted": 0, "quarantined": 0, "duplicate": 0}
    accounts_of_days = []
    for day in days:
        counts = {
            **{name: int(found.get(day, nothing)[name]) for name in nothing},
            # A withheld row has no risk.
            "scored": sum(row["risk"] == row["risk"] for row in scored.get(day, [])),
            "withheld": sum(row["risk"] != row["risk"] for row in scored.get(day, [])),
        }
        shown = shown_counts(counts)
        accounts_of_days.append({
            "date": day,
            **{name: shown[name] for name in nothing},
            **{name: _count(found.get(day, {}).get(name)) for name in ("files", "files_quarantined", "revision")},
            **{name: shown[name] for name in ("scored", "withheld")},
            "version": scored[day][0]["model_version"] if day in scored else None,
        })  # fmt: skip
    return accounts_of_days


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


def work_list(workspace: "Workspace", day: str) -> list[dict[str, Any]]:
    """Return a day's flagged rows, highest risk first."""
    from readmission_platform.storage.tables import PREDICTIONS

    lake = workspace.lake
    rows = _rows(lake, PREDICTIONS, {lake.day: [day]})
    flagged = sorted((row for row in rows if row["flagged"]), key=lambda row: int(row["rank"]))
    return [{name: row[name] for name in (lake.day, lake.row, *_LISTED)} for row in flagged]


def _rows(lake: Any, table: str, where: Mapping[str, Sequence[str]], columns: Sequence[str] | None = None) -> list[Any]:
    if not lake.exists(table):
        return []
    return list(lake.read(table, where=where, columns=columns).to_dict("records"))
