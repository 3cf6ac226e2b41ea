"""From one prediction back to everything it rests on, and once more from there to the same risk.

What belongs here: following what each row of a prediction names. What does not: what a version's record means
(``governance``). A row's own score is shown; of its entity nothing is.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.promotion.approved import approvers
from readmission_platform.lifecycle.days.identities import known_identities
from readmission_platform.lifecycle.days.scoring import (
    InputVersions,
    score_rows,
)
from readmission_platform.lifecycle.days.seals import replaced_days, replaced_rows, unchanged_rows
from readmission_platform.lifecycle.days.served_answers import answers_about
from readmission_platform.lifecycle.days.translations import translated_codes
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.lake import TableMissing
from readmission_platform.storage.tables import CIRCUMSTANCES, CORRECTIONS, PREDICTIONS, SHADOW, ModelLake

TABLES = {"production": PREDICTIONS, "shadow": SHADOW}
_SHOWN = ("band", "flagged", "withheld_because", "scored_at", "run_id", "model_version", "artifact_digest")
_INPUTS = ("delivered_digest", "delivered_version", "cohort_version", "outcomes_version", "identities_event")
_CORRECTED = ("older_file", "older_file_row", "newer_file", "newer_file_row", "differing_columns")
_GATE = ("gate", "result", "observed", "low", "high", "limit", "stage")


def trace(row: int, *, day: str | None, ledger: Ledger, lake: ModelLake) -> dict[str, Any]:
    """Follow every prediction of a row back to its version, training, data, code, gates and approvals.

    Parameters
    ----------
    day
        None for every day the row was scored on.

    Returns
    -------
    ``predictions`` (production before shadow, by day), ``replaced`` (what was shown before a day was scored again,
    where that was something else; with ``replaced_at``; of both ``translated`` says which of the row's codes were, and
    how), ``answers`` (of the service, as ``served_answers`` returns them), ``corrections`` (by newer deliveries) and
    ``versions`` (by number, those that scored it).

    Raises
    ------
    BadInput
        When the row was never scored or asked about, or not on this day.
    PredictionsChanged
        When the predictions of one of its days are not those that the ledger recorded.
    TableMissing, TableDamaged
        When the lake has lost what was shown before.
    """
    predictions = [found for kind in TABLES for found in _predictions(lake, kind, row, day)]
    replaced = [found for kind in TABLES for found in _replaced(lake, ledger, kind, row, day, predictions)]
    for found in (*predictions, *replaced):
        found["translated"] = translated_codes(lake, row, found["date"], found["delivered_version"])
    answers = answers_about(row, day=day, lake=lake)
    if not predictions and not replaced and not answers:
        when = f" of {day}" if day else ""
        raise BadInput(
            f"there is no prediction{when} for this {lake.contract.words.row}; `readmission score` scores a day"
        )
    for kind, table in TABLES.items():
        unchanged_rows(lake, ledger, table, days={found["date"] for found in predictions if found["kind"] == kind})
    events, pointers = ledger.snapshot()
    records = version_records(events, pointers)
    every = [*predictions, *replaced]
    for found in every:
        found["put_into_stage_by"] = _promotion(found, events)
    signed = approvers(events)
    scored_by = sorted({found["model_version"] for found in (*every, *answers)})
    return {
        lake.row: row,
        "predictions": predictions,
        "replaced": replaced,
        "answers": answers,
        "corrections": _corrections(lake, row, day),
        "versions": {
            version: _version(records[version], events, signed) for version in scored_by if version in records
        },
    }


def rescored(found: dict[str, Any], row: int, *, ledger: Ledger, workspace: Workspace) -> dict[str, Any]:
    """Score a row again with the recorded version, from the inputs read then, and compare.

    Parameters
    ----------
    found
        One of the ``predictions`` of :func:`trace`.

    Returns
    -------
    ``recorded`` and ``replayed`` risk (None where withheld), ``difference``, ``identical`` (the risk bit by bit, or
    withheld for the same reason), and ``inputs_as_recorded``.

    Raises
    ------
    BadInput
        When the row does not say what was read, or the lake does not hold that any more.
    ArtifactRefused
        When the model file is missing or is not the recorded one.
    """
    lake, day = workspace.lake, found["date"]
    read = InputVersions(
        found["delivered_version"], found["cohort_version"], found["outcomes_version"],
        known_identities(ledger, until=found["identities_event"]),
    )  # fmt: skip
    record = version_records(*ledger.snapshot())[found["model_version"]]
    try:
        rows = lake.read(lake.names.delivered, version=read.delivered, where={lake.day: [day]})
        # The whole day again, as it was scored, so that nothing but the inputs can make a difference.
        again = score_rows(rows, record, read, workspace)[rows[lake.row] == row]
    except TableMissing as error:
        raise BadInput(f"what was read to score {day} is no longer in the lake: {error}") from error
    if again.empty:
        raise BadInput(f"what was read to score {day} does not hold this {lake.contract.words.row}")
    replayed, because = _number(again["risk"].iloc[0]), again["withheld_because"].iloc[0]
    recorded = found["risk"]
    both = replayed is not None and recorded is not None
    return {
        "date": day,
        "kind": found["kind"],
        "model_version": record.version,
        "recorded": recorded,
        "replayed": replayed,
        "difference": abs(replayed - recorded) if both else None,
        "identical": replayed == recorded and because == found["withheld_because"],
        "inputs_as_recorded": frame_digest(rows) == found["delivered_digest"],
    }


def _predictions(lake: ModelLake, kind: str, wanted: int, day: str | None) -> Iterator[dict[str, Any]]:
    table = TABLES[kind]
    if not lake.exists(table):
        return
    rows = lake.read(table, where={lake.day: [day]} if day else None)
    yield from _described(rows[rows[lake.row] == wanted].sort_values(lake.day), kind, lake.day)


def _replaced(
    lake: ModelLake,
    ledger: Ledger,
    kind: str,
    wanted: int,
    day: str | None,
    predictions: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Return what was shown of a row before its day was scored again, each time that it was something else."""
    table, found = TABLES[kind], []
    next_of: dict[str, dict[str, Any] | None] = {
        each["date"]: _told(each) for each in predictions if each["kind"] == kind
    }
    for before in reversed(replaced_days(ledger, table)):
        if day is not None and before.day != day:
            continue
        rows = replaced_rows(lake, table, before)
        shown = next(_described(rows[rows[lake.row] == wanted], kind, lake.day), None)
        told = None if shown is None else _told(shown)
        if shown is not None and told != next_of.get(before.day):
            found.append(shown | {"replaced_at": before.replaced_at})
        next_of[before.day] = told
    return found[::-1]


def _told(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a prediction says, without the circumstances of its making."""
    return {name: value for name, value in prediction.items() if name not in (*CIRCUMSTANCES, "delivered_digest")}


def _corrections(lake: ModelLake, wanted: int, day: str | None) -> list[dict[str, Any]]:
    """Return what newer deliveries of its day changed of a row: the names of columns, never values."""
    if not lake.exists(CORRECTIONS):
        return []
    rows = lake.read(CORRECTIONS, where={lake.day: [day]} if day else None)
    rows = rows[rows[lake.row] == wanted].sort_values(lake.day)
    return [{"date": row[lake.day], **{name: row[name] for name in _CORRECTED}} for row in rows.to_dict("records")]


def _described(rows: pd.DataFrame, kind: str, day: str) -> Iterator[dict[str, Any]]:
    for row in rows.to_dict("records"):
        inputs = {name: row.get(name) if name.endswith("digest") else _whole(row.get(name)) for name in _INPUTS}
        contributions = _present(row.get("contributions"))
        yield {
            "kind": kind,
            "date": row[day],
            "risk": _number(row["risk"]),
            "rank": _whole(row["rank"]),
            "status": row["status"],
            **{name: _present(row.get(name)) for name in _SHOWN},
            **inputs,
            "contributions": None if contributions is None else json.loads(contributions),
        }


def _present(value: Any) -> Any:
    return None if value is None or pd.isna(value) else value


def _number(value: Any) -> float | None:
    return None if _present(value) is None else float(value)


def _whole(value: Any) -> int | None:
    return None if value is None or pd.isna(value) else int(value)


def _promotion(found: dict[str, Any], events: Sequence[Event]) -> dict[str, Any] | None:
    """Return the event that had put the version into the stage it scored from."""
    stage = "staging" if found["kind"] == "shadow" else "production"
    scored_at = datetime.fromisoformat(found["scored_at"])
    moved = None
    for event in events:
        moves = event.payload.get("moves") or {}
        # Scoring times are whole seconds, so the promotion of the same second counts as earlier.
        before = datetime.fromisoformat(event.at).replace(microsecond=0) <= scored_at
        if moves.get(stage) == found["model_version"] and before:
            moved = event
    if moved is None:
        return None
    return {"event": moved.seq, "kind": moved.kind, "at": moved.at, "by": moved.actor,
            "reason": moved.payload.get("reason") or "", "approvals": moved.payload.get("approvals") or []}  # fmt: skip


def _version(record: VersionRecord, events: Sequence[Event], signed: Mapping[int, str]) -> dict[str, Any]:
    trained = record.trained
    return {
        "state": record.state,
        "source": record.source,
        "training": {
            "by": record.trained_by,
            "at": record.trained_at,
            "dagster_run": record.run_id,
            "mlflow_run": trained.get("mlflow_run_id"),
            "seed": record.seed,
            "model_config": trained.get("model_config"),
        },
        "data": {**(trained.get("data") or {}), "split_digest": record.split_digest},
        "code_version": record.code_version,
        "artifact_digest": record.artifact_digest,
        "evidence": record.evidence,
        "policy_digest": record.policy_digest,
        "verdict": "accepted" if record.accepted else "rejected",
        "gates": [{name: gate.get(name) for name in _GATE} for gate in record.gates],
        "approvals": [_approval(event, signed.get(event.seq)) for event in events
                      if event.kind == "version_approved" and event.version == record.version],
    }  # fmt: skip


def _approval(event: Event, approver: str | None) -> dict[str, Any]:
    statement = event.payload.get("statement") or {}
    return {"event": event.seq, "at": event.at, "by": approver,
            **{name: statement.get(name) for name in ("role", "reason", "warnings", "demo")}}  # fmt: skip
