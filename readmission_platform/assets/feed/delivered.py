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
from readmission_platform.assets.presentation import (
    DATA_TEAM,
    check_result,
    hideable,
    nothing_to_check,
    reasons_table,
    table,
)
from readmission_platform.evaluation.disclosure import in_words
from readmission_platform.evaluation.operation.shown import shown_counts
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.lifecycle.days.intake import COUNTS, ROW_COUNTS, TakenIn, take_in_days
from readmission_platform.lifecycle.workspace import Platform
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
        landing, days, lake = workspace.landing, list(context.partition_keys), workspace.lake
        landed = {day: files for day in days if (files := landing.read_day(day))}
        if not landed:
            why = f"no file in landing/{folder} for {days[0]} to {days[-1]}"
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

    return delivered


def _tell(context: dg.AssetExecutionContext, taken: TakenIn, *, ignored: int) -> None:
    """Show each day's account on its own partition, and warn of what was set aside."""
    of_day = {
        str(day): reasons_table(lines, ["file", "column", "code", "reason"], counted="lines")
        for day, lines in taken.quarantined.groupby(taken.day)
    }
    for account in _shown_accounts(taken):
        day = account.pop(taken.day)
        aside = {"set aside": of_day[day]} if day in of_day else {}
        context.add_asset_metadata({**account, **aside}, partition_key=day)
    rows, files = (int(taken.accounts[name].sum()) for name in ("quarantined", "files_quarantined"))
    if rows or files:
        said = f"{in_words(rows)} rows and {files} whole files"
        context.log.warning(f"set aside: {said}; `readmission quarantine list` says why")
    if ignored:
        context.log.warning(f"{ignored} files were not read: they are not CSV (.csv, .csv.gz) or Parquet")


def _shown_accounts(taken: TakenIn) -> Iterator[dict[str, Any]]:
    """Yield the account of each day as it may be shown, in the words of the UI."""
    others = [name for name in [*COUNTS, "revision"] if name not in ROW_COUNTS]
    for account in taken.accounts.to_dict("records"):
        counts = hideable(shown_counts({name: int(account[name]) for name in ROW_COUNTS}))
        yield {taken.day: str(account[taken.day]), **counts,
               **{name.replace("_", " "): int(account[name]) for name in others}}  # fmt: skip


def _accounted_for(taken: TakenIn, unbalanced: Sequence[str]) -> dg.AssetCheckResult:
    days = len(taken.accounts)
    balanced = f"{days - len(unbalanced)} of {days} days add up"
    return check_result(
        CHECK,
        not unbalanced,
        observed=balanced + (f"; not {', '.join(unbalanced)}" if unbalanced else ""),
        rule=RULE[CHECK],
        action="Stop: rows were lost on the way in. Compare the files with the table of the days.",
        more={"days": table(_shown_accounts(taken))},
    )
