"""The work lists of days, read from the predictions.

What belongs here: reading. What does not: the predictions (``assets.daily.inference``), and how a list looks
(``reports.work_list``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from readmission_platform.config.files import model_card_config
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.days.progress import Progress, day_states
from readmission_platform.lifecycle.days.replay import simulated_days
from readmission_platform.lifecycle.days.seals import day_digests, unchanged_rows
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.reports.work_list import WorkList, listed
from readmission_platform.storage.tables import ACCOUNTING, FILES, PREDICTIONS, ModelLake

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
    lists, asked = [], cache(lambda source: whom_to_ask(workspace, source))
    for day, rows in predictions.groupby(lake.day, sort=True):
        version = str(rows["model_version"].iloc[0])
        moment = str(rows["scored_at"].max())[:16].replace("T", " ")
        record = records.get(version)
        lists.append(
            WorkList(
                day=str(day),
                simulated=str(day) in simulated,
                example=workspace.entry.example,
                model=workspace.name,
                row=lake.row,
                words=workspace.contract.words,
                version=version,
                source=str(record.source if record else _NOT_IN_SOURCE),
                limit_set=record.limit_set if record else None,
                scored_at=f"{moment} UTC",
                made_from=digests[str(day)],
                rows=listed(rows, row=lake.row),
                ask=asked(record.source if record else None),
            )
        )
    return lists


def whom_to_ask(workspace: Workspace, source: str | None) -> str:
    """Return the contact that the model card names; the owner of the model as long as nobody has filled it in."""
    owner = workspace.entry.owner
    try:
        text = model_card_config(workspace.settings, workspace.name).texts["contact"]
    except (ConfigurationError, KeyError):  # the list is needed whatever is wrong with the card
        said = ""
    else:
        said = text.text or text.by_source.get(source or "", "")
    return said.strip() or (f"team {owner.removeprefix('team:')}" if owner.startswith("team:") else owner)


@dataclass(frozen=True)
class EmptyDay:
    """A day that was taken in and is complete, and of which nobody is left.

    Attributes
    ----------
    taken_in_at
        When the newest of its files was taken in first (UTC, ISO 8601).
    revision
        How often who is accepted of the day has changed.
    delivered
        Whether its files have rows at all: then these are on other days.
    """

    day: str
    simulated: bool
    taken_in_at: str
    revision: int
    delivered: bool


def empty_day(workspace: Workspace, day: str) -> EmptyDay | None:
    """Return a day without predictions whose list is empty; None where it has not been taken in or scored yet.

    Raises
    ------
    BadInput
        When everything of the day was set aside: nobody knows who would be on its list.
    """
    (state,) = day_states(workspace, [day])
    if state.progress is Progress.nothing_accepted:
        raise BadInput(
            f"there is no list of {day}: everything that was delivered was set aside; `readmission quarantine show "
            f"--date {day}` says why"
        )
    if state.progress is not Progress.complete:
        return None
    lake, where = workspace.lake, {workspace.lake.day: [day]}
    (account,) = lake.read(ACCOUNTING, where=where).to_dict("records")
    if account["accepted"]:
        return None
    return EmptyDay(
        day,
        day in simulated_days(workspace.landing),
        str(lake.read(FILES, where=where)["first_taken_in"].max()),
        int(account["revision"]),
        bool(account["received"]),
    )


def days_with_lists(lake: ModelLake, days: Sequence[str]) -> set[str]:
    """Return those of the days that have predictions."""
    if not lake.exists(PREDICTIONS):
        return set()
    return lake.partitions(PREDICTIONS).intersection(days)


def scored_days(lake: ModelLake) -> list[str]:
    """Return the days that have predictions, in order."""
    if not lake.exists(PREDICTIONS):
        return []
    return sorted(lake.partitions(PREDICTIONS))
