"""Intake: the delivered rows of each day, from the landing zone into the lake.

What belongs here: the asset of delivered rows and its accounting. What does not: judging rows (``intake.rows``),
reading files (``storage.landed_file``), comparing with what was taken in before (``lifecycle.days.intake``), and
scoring (``assets.daily.inference``).

Four tables hold what became of a day; the accounting is written last, so a day that has its account is there as a
whole. ``revision`` counts how often the accepted rows of a day have changed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.presentation import DATA_TEAM, check_result, nothing_to_check, table
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.lifecycle.days.intake import COUNTS, ROW_COUNTS, TakenIn, take_in_days
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.storage.tables import ACCOUNTING, FILES, QUARANTINE

CHECK = "every_row_accounted_for"
RULE = {CHECK: "On each day the received rows are accepted, quarantined or duplicates; none is lost."}


def delivered_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the accepted rows of each day."""
    words, folder = model.words, model.contract.landing.rows

    @model.daily(
            model.names.delivered, group="inference", owners=[DATA_TEAM], kinds={"pandas", "deltalake"},
            code_version="2", blocking=RULE,
            description=f"The accepted {words.rows} of each day, from the files in `landing/{folder}/<date>/`. Rows "
            "that break the contract of the feed are quarantined with file hash, row number and reason, never with "
            f"values. {words.rows.capitalize()} accepted before are counted as duplicates. A day without a file is "
            f"skipped, and stays as it was if it had been taken in. A day whose accepted {words.rows} changed has a "
            "new revision.",
    )  # fmt: skip
    def delivered(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        workspace = model.workspace(platform)
        # One run after the other, from what was accepted before to what is accepted now: of two at once neither would
        # see the rows of the other's days, and both would accept a row that is among both.
        with platform.operations() as operations, operations.exclusively(f"intake-{workspace.name}"):
            yield from _taken_in(context, workspace)

    return delivered


def _taken_in(context: dg.AssetExecutionContext, workspace: Workspace) -> Iterator[Any]:
    """Take in the days of a run, and yield what the asset does."""
    landing, days, lake = workspace.landing, list(context.partition_keys), workspace.lake
    landed = {day: files for day in days if (files := landing.read_day(day))}
    if not landed:
        why = f"no file in landing/{landing.folders.rows} for {days[0]} to {days[-1]}"
        context.log.warning(f"skipped: {why}")
        yield nothing_to_check(CHECK, why)
        return
    taken = take_in_days(landed, days, workspace)
    written: dict[str, Any] = {"partition": (lake.day, list(landed)), "metadata": {"run_id": context.run.run_id}}
    lake.write(QUARANTINE, taken.quarantined, **written)
    lake.write(FILES, taken.files, **written)
    _tell(context, taken, ignored=sum(landing.ignored(day) for day in landed))
    yield dg.MaterializeResult(
        value=taken.delivered,
        data_version=dg.DataVersion(frame_digest(taken.delivered)),
        metadata={"dates": "as delivered; those of a replay are simulated"},
        check_results=[_accounted_for(taken, taken.unbalanced_days(landed))],
    )
    # Dagster has the rows written before it goes on here. Only now is their version known, and the day complete.
    lake.write(ACCOUNTING, taken.accounts_at(lake.open(lake.names.delivered).version()), **written)


def _tell(context: dg.AssetExecutionContext, taken: TakenIn, *, ignored: int) -> None:
    """Show each day's account on its own partition, and warn of what was set aside."""
    reasons = (
        taken.quarantined.groupby([taken.day, "file", "column", "code", "reason"]).size().reset_index(name="lines")
    )
    of_day = {day: lines.drop(columns=taken.day).to_dict("records") for day, lines in reasons.groupby(taken.day)}
    for account in taken.accounts.to_dict("records"):
        day = str(account[taken.day])
        shown = {name.replace("_", " "): int(account[name]) for name in [*COUNTS, "revision"]}
        aside = {"set aside": table(of_day[day])} if day in of_day else {}
        context.add_asset_metadata({**shown, **aside}, partition_key=day)
    rows, files = (int(taken.accounts[name].sum()) for name in ("quarantined", "files_quarantined"))
    if rows or files:
        context.log.warning(f"set aside: {rows} rows and {files} whole files; `readmission quarantine list` says why")
    if ignored:
        context.log.warning(f"{ignored} files were not read: they are not CSV (.csv, .csv.gz) or Parquet")


def _accounted_for(taken: TakenIn, unbalanced: Sequence[str]) -> dg.AssetCheckResult:
    total = ", ".join(f"{name} {int(taken.accounts[name].sum())}" for name in ROW_COUNTS)
    return check_result(
        CHECK,
        not unbalanced,
        observed=total + (f"; not on {', '.join(unbalanced)}" if unbalanced else ""),
        rule=RULE[CHECK],
        action="Stop: rows were lost on the way in. Compare the files with the table of the days.",
        more={"days": table(taken.accounts[[taken.day, *COUNTS, "revision"]].to_dict("records"))},
    )
