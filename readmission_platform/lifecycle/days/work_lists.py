"""The work lists of days, read from the predictions.

What belongs here: reading. What does not: the predictions (``assets.daily.inference``), and how a list looks
(``reports.work_list``).
"""

from collections.abc import Sequence

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.days.replay import simulated_days
from readmission_platform.lifecycle.days.seals import day_digests, unchanged_rows
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.reports.work_list import WorkList, listed
from readmission_platform.storage.tables import PREDICTIONS, ModelLake

_NOT_IN_SOURCE = "unknown"


def work_lists(workspace: Workspace, ledger: Ledger, *, days: Sequence[str]) -> list[WorkList]:
    """Return the lists of those of the days that have predictions, in order.

    Raises
    ------
    PredictionsChanged
        When the predictions of a day are not those that the ledger recorded.
    """
    lake = workspace.lake
    if not lake.exists(PREDICTIONS):
        return []
    predictions = unchanged_rows(lake, ledger, PREDICTIONS, days=days)
    records = version_records(*ledger.snapshot())
    simulated, digests = simulated_days(workspace.landing), day_digests(predictions, day=lake.day, row=lake.row)
    lists = []
    for day, rows in predictions.groupby(lake.day, sort=True):
        version = str(rows["model_version"].iloc[0])
        moment = str(rows["scored_at"].max())[:16].replace("T", " ")
        record = records.get(version)
        lists.append(
            WorkList(
                day=str(day),
                simulated=str(day) in simulated,
                model=workspace.name,
                row=lake.row,
                words=workspace.contract.words,
                version=version,
                source=str(record.source if record else _NOT_IN_SOURCE),
                limit_set=record.limit_set if record else None,
                scored_at=f"{moment} UTC",
                made_from=digests[str(day)],
                rows=listed(rows, row=lake.row),
            )
        )
    return lists


def latest_scored_day(lake: ModelLake) -> str | None:
    """Return the last day that has predictions."""
    if not lake.exists(PREDICTIONS):
        return None
    days = lake.read(PREDICTIONS, columns=[lake.day])[lake.day]
    return None if days.empty else str(days.max())
