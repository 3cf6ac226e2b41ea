"""What the service answered about one row, and the same once more from the tables that it was answered from.

What belongs here: following the lines of the prediction log. What does not: predictions of the daily lists
(``tracing``), and answering (``serving``).
"""

from typing import Any

import pandas as pd

from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.days.identities import known_identities
from readmission_platform.lifecycle.days.scoring import InputVersions, score_rows
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.models.scoring import SCORED, WITHHELD
from readmission_platform.storage.lake import TableMissing
from readmission_platform.storage.tables import SERVED, ModelLake

_WHOLE = ("rollout", "delivered_version", "cohort_version", "outcomes_version", "identities_event")
_TOLD = ("at", "request_id", "client", "model_version", "artifact_digest", "arm", "status", "risk", "band", "reasons",
         "withheld_because", "error", *_WHOLE)  # fmt: skip


def answers_about(row: int, *, day: str | None, lake: ModelLake) -> list[dict[str, Any]]:
    """Return the lines of the prediction log about a row (of a day), the oldest first: ``date`` and what was answered.

    Lines whose ``arm`` is ``shadow`` were seen by nobody.
    """
    from pyarrow import compute

    if not lake.exists(SERVED):
        return []
    lines = lake.read(SERVED, kept=compute.field(lake.row) == row, where={lake.day: [day]} if day else None)
    return [{"date": line[lake.day], **{name: _plain(name, line.get(name)) for name in _TOLD}}
            for line in lines.sort_values("at", kind="stable").to_dict("records")]  # fmt: skip


def answered_again(found: dict[str, Any], row: int, *, ledger: Ledger, workspace: Workspace) -> dict[str, Any]:
    """Score a row again as it was delivered, with the version and the tables that an answer was made from.

    The log does not keep what was sent. So another risk means that something else was sent than delivered, or that
    the answer cannot be had again; the same risk means that neither is so.

    Parameters
    ----------
    found
        One of ``answers_about``.

    Returns
    -------
    ``at``, ``request_id``, ``model_version``, ``recorded`` and ``replayed`` risk, ``identical`` (bit by bit, or
    withheld for the same reason; None where it cannot be told) and ``because``, why not.

    Raises
    ------
    BadInput
        When the lake does not hold any more what was read.
    ArtifactRefused
        When the model file is missing or is not the recorded one.
    """
    told = {name: found[name] for name in ("at", "request_id", "model_version")} | {"recorded": found["risk"]}
    lake, day = workspace.lake, found["date"]
    record = version_records(*ledger.snapshot()).get(found["model_version"])
    untold = told | {"replayed": None, "identical": None}
    if found["status"] not in (SCORED, WITHHELD):
        return untold | {"because": "it failed"}
    if record is None or record.artifact_digest != found["artifact_digest"]:
        return untold | {"because": "the ledger does not know the version"}
    delivered = lake.read(lake.names.delivered, where={lake.day: [day]}) if lake.exists(lake.names.delivered) else None
    if delivered is None or not delivered[lake.row].eq(row).any():
        return untold | {"because": f"this {lake.contract.words.row} was not delivered on {day}"}
    read = InputVersions(
        found["delivered_version"], found["cohort_version"], found["outcomes_version"],
        known_identities(ledger, until=found["identities_event"]),
    )  # fmt: skip
    try:
        again = score_rows(delivered, record, read, workspace)[delivered[lake.row] == row].iloc[0]
    except TableMissing as error:
        raise BadInput(f"what was read to answer at {found['at']} is no longer in the lake: {error}") from error
    replayed = _plain("risk", again["risk"])
    same = replayed == found["risk"] and again["withheld_because"] == found["withheld_because"]
    because = None if same else "what was sent is not what was delivered, or it cannot be had again"
    return told | {"replayed": replayed, "identical": bool(same), "because": because}


def _plain(name: str, value: Any) -> Any:
    if value is None or pd.isna(value):
        return None
    return int(value) if name in _WHOLE else value
