"""The work list: what the care team is handed every morning.

What belongs here: ``work_list``. What does not: reading a day's list from the predictions
(``lifecycle.days.work_lists``), and how the list looks (``reports.work_list``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.partitions import days_asked_for
from readmission_platform.assets.presentation import (
    CARE_TEAM,
    PLATFORM_TEAM,
    check_result,
    hideable,
    nothing_made,
    nothing_to_check,
)
from readmission_platform.evaluation.disclosure import in_words
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.lifecycle.days.accounts import shown_outputs
from readmission_platform.lifecycle.days.scoring import delivered_now
from readmission_platform.lifecycle.days.work_lists import work_lists
from readmission_platform.lifecycle.pages import renew_links, write_work_lists
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.reports.work_list import FOLDER, JUDGE_BY_HAND, WorkList, take_back_work_list
from readmission_platform.storage.tables import PREDICTIONS, ModelLake

WORK_LIST = "work_list"
CHECK = "every_row_listed_once"
RULE = "Every prediction of the day is on the written list exactly once, with its flag."


def work_list_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the work lists."""

    @model.asset(
            WORK_LIST, group="inference", owners=[CARE_TEAM, PLATFORM_TEAM], kinds={"html", "csv", "parquet"},
            deps=[PREDICTIONS], blocking={CHECK: RULE}, partitions_def=model.days,
            backfill_policy=dg.BackfillPolicy.single_run(), output_required=False,
            description="The care team's list for each day: a page for printing, and the same rows as CSV and "
            f"Parquet. Flagged {model.words.rows} come first, with the main reasons in plain words; those that could "
            "not be scored need the team's own judgement. The files are in "
            f"`reports/{model.entry.name}/{FOLDER}/<date>/`, readable by owner and group only, and are replaced when "
            "a day is scored again.",
    )  # fmt: skip
    def work_list(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        workspace, days = model.workspace(platform), days_asked_for(context)
        with workspace.ledger() as ledger:
            lists = work_lists(workspace, ledger, days=days)
            live = ledger.pointers()["production"].version
        for day in set(days) - {each.day for each in lists}:
            if take_back_work_list(workspace.reports / FOLDER / day):
                renew_links(workspace.settings)
                context.log.warning(f"the list of {day} is withdrawn: nobody of that day is left")
        if not lists and live is None and _delivered(workspace.lake, days):
            yield nothing_made("list", "no version was in production", [CHECK])
            return
        if not lists:
            why = "there are no predictions of this day; `readmission score` makes them"
            context.log.warning(f"skipped: {why}")
            yield nothing_to_check(CHECK, why)
            return
        written = write_work_lists(workspace.settings, lists)
        differing = [each.day for each, paths in zip(lists, written, strict=True)
                     if not pd.read_parquet(paths["parquet"]).equals(each.rows)]  # fmt: skip
        every = pd.concat([each.rows.assign(**{model.contract.day: each.day}) for each in lists], ignore_index=True)
        accounts = shown_outputs(workspace.lake, {each.day: _counts(each) for each in lists})
        twice = int(every[model.contract.row].duplicated().sum())
        for each in lists:
            # No paths: who looks at this is not at the server, and the files are for the care team alone.
            page = {"command that opens it": f"readmission worklist --model {workspace.name} --date {each.day} --open"}
            account = {"version": each.version, **hideable(accounts[each.day])}
            context.add_asset_metadata({**page, **account}, partition_key=each.day)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(frame_digest(every)),
            check_results=[
                check_result(CHECK, not (differing or twice), rule=RULE,
                             observed=f"{in_words(twice)} listed twice, {len(differing)} files differ",
                             action="Do not hand out the list; score the day again.")
            ],
        )  # fmt: skip

    return work_list


def _delivered(lake: ModelLake, days: Sequence[str]) -> bool:
    return lake.exists(lake.names.delivered) and not delivered_now(lake, days).rows.empty


def _counts(found: WorkList) -> dict[str, int]:
    withheld = int((found.rows["status"] == JUDGE_BY_HAND).sum())
    return {
        "scored": len(found.rows) - withheld,
        "withheld": withheld,
        "flagged": int((found.rows["follow_up"] == "yes").sum()),
    }
