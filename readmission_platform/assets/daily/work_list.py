"""The work list: what the care team is handed every morning.

What belongs here: ``work_list``, and reading a day's list from the predictions. What does not: the predictions
(``inference``), and how the list looks (``reports.work_list``).
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.assets.encounters.replay import MANIFEST
from readmission_platform.assets.partitions import daily_partitions
from readmission_platform.assets.presentation import (
    CARE_TEAM,
    PLATFORM_TEAM,
    blocking_specs,
    check_result,
    nothing_to_check,
)
from readmission_platform.config.environment import Settings
from readmission_platform.config.files import model_config
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.lifecycle.days.scoring import DAY
from readmission_platform.models.readmission_30d.evidence import WORDS
from readmission_platform.reports.work_list import JUDGE_BY_HAND, WorkList, listed, write_work_list
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.lake import Lake

PREDICTIONS_TABLE = "daily_predictions"
FOLDER = "work_lists"
ROW = "encounter_id"
LIST_CHECK = {
    "every_encounter_listed_once": "Every prediction of the day is on the written list exactly once, with its flag."
}
_NOT_IN_SOURCE = "unknown"


@dg.asset(
    group_name="inference",
    owners=[CARE_TEAM, PLATFORM_TEAM],
    kinds={"html", "csv", "parquet"},
    code_version="1",
    partitions_def=daily_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=["daily_predictions"],
    output_required=False,
    check_specs=blocking_specs("work_list", LIST_CHECK),
)
def work_list(context: dg.AssetExecutionContext, project: ProjectResource, lake: LakeResource) -> Iterator[Any]:
    """The list of each day for the care team: a page that prints well, and the same rows as CSV and Parquet.

    Flagged encounters come first, with what stands out in plain words; who could not be scored is to be judged by hand.
    The files lie in `reports/work_lists/<date>/`, readable by owner and group only, and are replaced when a day is
    scored again.
    """
    with project.ledger() as ledger:
        lists = work_lists(lake.open(), project.settings, ledger, days=context.partition_keys)
    if not lists:
        why = "there are no predictions of this day; `readmission score` makes them"
        context.log.warning(f"skipped: {why}")
        yield nothing_to_check("every_encounter_listed_once", why)
        return
    folder = project.settings.reports / FOLDER
    written = [write_work_list(each, folder / each.day) for each in lists]
    differing = [each.day for each, paths in zip(lists, written, strict=True)
                 if not pd.read_parquet(paths["parquet"]).equals(each.rows)]  # fmt: skip
    every = pd.concat([each.rows.assign(**{DAY: each.day}) for each in lists], ignore_index=True)
    twice = int(every[ROW].duplicated().sum())
    for each, paths in zip(lists, written, strict=True):
        files = {kind: dg.MetadataValue.path(str(path)) for kind, path in paths.items()}
        context.add_asset_metadata({**files, **_account(each)}, partition_key=each.day)
    yield dg.MaterializeResult(
        data_version=dg.DataVersion(frame_digest(every)),
        check_results=[
            check_result("every_encounter_listed_once", not (differing or twice),
                         observed=f"{len(every)} listed, {twice} twice, {len(differing)} files differ",
                         rule=LIST_CHECK["every_encounter_listed_once"],
                         action="Do not hand out the list; score the day again.")
        ],
    )  # fmt: skip


def _account(found: WorkList) -> dict[str, Any]:
    withheld = int((found.rows["status"] == JUDGE_BY_HAND).sum())
    return {
        "version": found.version,
        "scored": len(found.rows) - withheld,
        "not scored": withheld,
        "to follow up": int((found.rows["follow_up"] == "yes").sum()),
    }


def work_lists(lake: Lake, settings: Settings, ledger: Ledger, *, days: Sequence[str]) -> list[WorkList]:
    """Return the lists of those of the days that have predictions, in order."""
    if not lake.exists(PREDICTIONS_TABLE):
        return []
    predictions = lake.read(PREDICTIONS_TABLE, where={DAY: list(days)})
    records = version_records(*ledger.snapshot())
    simulated = _simulated_days(settings.landing)
    lists = []
    for day, rows in predictions.groupby(DAY, sort=True):
        version = str(rows["model_version"].iloc[0])
        moment = str(rows["scored_at"].max())[:16].replace("T", " ")
        source = records[version].source if version in records else _NOT_IN_SOURCE
        lists.append(
            WorkList(
                day=str(day),
                simulated=str(day) in simulated,
                model=model_config(settings).name,
                row=ROW,
                words=WORDS,
                version=version,
                source=str(source),
                scored_at=f"{moment} UTC",
                rows=listed(rows, row=ROW),
            )
        )
    return lists


def _simulated_days(landing: Path) -> frozenset[str]:
    """Return the days whose files a replay has delivered: their dates are simulated."""
    manifest = landing / MANIFEST
    if not manifest.exists():
        return frozenset()
    return frozenset(json.loads(manifest.read_text(encoding="utf-8"))["days"])


def latest_scored_day(lake: Lake) -> str | None:
    """Return the last day that has predictions."""
    if not lake.exists(PREDICTIONS_TABLE):
        return None
    days = lake.read(PREDICTIONS_TABLE, columns=[DAY])[DAY]
    return None if days.empty else str(days.max())
