"""Intake: the delivered rows of each day, from the landing zone into the lake.

What belongs here: the asset of delivered rows and its accounting. What does not: judging rows (``intake.rows``),
reading files (``storage.landed_file``), comparing with what was taken in before (``lifecycle.days.intake``), and
scoring (``assets.daily.inference``).

Seven tables hold what became of a day; the accounting is written last, so a day that has its account is there as a
whole. ``revision`` counts how often the accepted rows of a day have changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import dagster as dg

from readmission_platform.assets.feed.delivery_checks import RULES as UNUSUAL_RULES
from readmission_platform.assets.feed.delivery_checks import delivery_checks
from readmission_platform.assets.feed.translations import codes_results, codes_rule, codes_taken_in, said_of
from readmission_platform.assets.model_assets import ModelAssets
from readmission_platform.assets.partitions import days_asked_for
from readmission_platform.assets.presentation import (
    DATA_TEAM,
    check_result,
    hideable,
    nothing_to_check,
    reasons_table,
    table,
)
from readmission_platform.evaluation.disclosure import HIDDEN
from readmission_platform.evaluation.operation.shown import shown_counts
from readmission_platform.foundation.counting import counted
from readmission_platform.intake.contract import RowContract
from readmission_platform.lifecycle.days.intake import COUNTS, ROW_COUNTS, TakenIn, take_in_days
from readmission_platform.lifecycle.days.unusual import named_days, unusual
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.models.contract import Words
from readmission_platform.storage.lake import Written
from readmission_platform.storage.landing import LandedFile
from readmission_platform.storage.tables import (
    ACCOUNTING,
    CODE_TRANSLATIONS,
    CORRECTIONS,
    FILES,
    HELD,
    QUARANTINE,
    UNUSUAL,
)

CHECK, FILES_CHECK = "every_row_accounted_for", "every_file_readable"
RULE = {CHECK: "On each day every received row is accepted, quarantined or a duplicate; none is lost."}
FILES_RULE = {FILES_CHECK: "Every file can be read; one that cannot is set aside as a whole."}


def delivered_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the accepted rows of each day."""
    words, folder = model.words, model.contract.landing.rows
    translation_rule = codes_rule(model)

    @model.daily(
            model.names.delivered, group="ingestion", owners=[DATA_TEAM], kinds={"pandas", "deltalake"},
            code_version="3", blocking=RULE, warning={**FILES_RULE, **UNUSUAL_RULES, **translation_rule},
            description=f"The accepted {words.rows} of each day, from the files in `landing/{folder}/<date>/`. Rows "
            "that break the feed's contract are quarantined with file hash, row number and reason, never with "
            f"values. {words.rows.capitalize()} accepted before are counted as duplicates. A day without a file is "
            f"skipped; if it had been taken in before, it stays as it was. A day whose accepted {words.rows} change "
            "gets a new revision.",
    )  # fmt: skip
    def delivered(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        workspace, days = model.workspace(platform), days_asked_for(context)
        # One run after the other, from what was accepted before to what is accepted now: of two at once neither would
        # see the rows of the other's days, and both would accept a row that is among both.
        with platform.operations() as operations, operations.exclusively(f"intake-{workspace.name}"):
            landed = {day: files for day in days if (files := workspace.landing.read_day(day))}
            done = _taken_in(landed, days, workspace, run_id=context.run.run_id) if landed else None
        if done is None:
            why = f"no file in landing/{folder} for {days[0]} to {days[-1]}"
            context.log.warning(f"skipped: {why}")
            for check in (CHECK, FILES_CHECK, *UNUSUAL_RULES, *translation_rule):
                yield nothing_to_check(check, why)
            return
        feed, limits = workspace.contract.feed, workspace.monitoring.translation
        _tell(context, done.taken, feed)
        yield dg.MaterializeResult(
            value=done.written,
            data_version=dg.DataVersion(done.written.digest),
            metadata={"dates": "as delivered; those of a replay are simulated"},
            check_results=[
                _accounted_for(done.taken, done.unbalanced),
                _readable(done.taken),
                *_usual(workspace, done.taken, model.words, run_id=context.run.run_id),
                *codes_results(done.taken, feed, limits, translation_rule),
            ],
        )

    return delivered


class _Done(NamedTuple):
    """What was taken in, where the accepted rows went, and the days on which a row was lost or counted twice."""

    taken: TakenIn
    written: Written
    unbalanced: list[str]


def _taken_in(
    landed: Mapping[str, Sequence[LandedFile]], days: Sequence[str], workspace: Workspace, *, run_id: str
) -> _Done:
    """Take in the files of days, and write every table about them."""
    lake, metadata = workspace.lake, {"run_id": run_id}
    taken = take_in_days(landed, days, workspace)
    partition = (lake.day, list(landed))
    lake.write(QUARANTINE, taken.quarantined, partition=partition, metadata=metadata)
    lake.write(FILES, taken.files, partition=partition, metadata=metadata)
    lake.write(HELD, taken.held, partition=partition, metadata=metadata)
    lake.write(CORRECTIONS, taken.corrections, partition=partition, metadata=metadata)
    lake.write(CODE_TRANSLATIONS, taken.translations, partition=partition, metadata=metadata)
    written = lake.write(lake.names.delivered, taken.delivered, partition=(lake.day, days), metadata=metadata)
    done = _Done(taken, written, taken.unbalanced_days(landed))
    if not done.unbalanced:  # else no day of these is there as a whole
        lake.write(ACCOUNTING, taken.accounts_at(written.version), partition=partition, metadata=metadata)
    return done


def _usual(workspace: Workspace, taken: TakenIn, words: Words, *, run_id: str) -> Iterator[dg.AssetCheckResult]:
    """Judge the days that were taken in, keep what is unusual, and yield the checks that name it."""
    lake, days = workspace.lake, [str(day) for day in taken.accounts[taken.day]]
    found = unusual(workspace, days)
    lake.write(UNUSUAL, found.found, partition=(lake.day, days), metadata={"run_id": run_id})
    named = named_days(lake, now=datetime.now(UTC))
    yield from delivery_checks(named, found, workspace.monitoring.deliveries, words, day=lake.day)


def _tell(context: dg.AssetExecutionContext, taken: TakenIn, feed: RowContract) -> None:
    """Show each day's account on its own partition, and warn of what was set aside."""
    of_day = {str(day): lines for day, lines in taken.quarantined.groupby(taken.day)}
    codes, translated = codes_taken_in(taken, feed), set(taken.translations[taken.day])
    for account in _shown_accounts(taken):
        day = account.pop(taken.day)
        aside = {}
        if day in of_day:
            aside["set aside"] = reasons_table(of_day[day], ["file", "column", "code", "reason"], counted="lines",
                                               hidden=account["quarantined"] == HIDDEN)  # fmt: skip
        if day in translated:
            aside["codes"] = dg.MetadataValue.text(said_of(codes.loc[[day]], feed))
        context.add_asset_metadata({**account, **aside}, partition_key=day)
    rows, files = (int(taken.accounts[name].sum()) for name in ("quarantined", "files_quarantined"))
    if rows or files:
        said = " and ".join([*(["rows"] if rows else []), *([counted(files, "whole file")] if files else [])])
        context.log.warning(f"set aside: {said}; `readmission quarantine list` says why")


def _shown_accounts(taken: TakenIn) -> Iterator[dict[str, Any]]:
    """Yield the account of each day as it may be shown, in the words of the UI."""
    others = [name for name in [*COUNTS, "revision"] if name not in ROW_COUNTS]
    for account in taken.accounts.to_dict("records"):
        counts = hideable(shown_counts({name: int(account[name]) for name in ROW_COUNTS}))
        yield {taken.day: str(account[taken.day]), **counts,
               **{name.replace("_", " "): int(account[name]) for name in others}}  # fmt: skip


def _accounted_for(taken: TakenIn, unbalanced: Sequence[str]) -> dg.AssetCheckResult:
    days = len(taken.accounts)
    balanced = f"{days - len(unbalanced)} of {counted(days, 'day')} {'adds' if days == 1 else 'add'} up"
    return check_result(
        CHECK,
        not unbalanced,
        observed=balanced + (f"; not {', '.join(unbalanced)}" if unbalanced else ""),
        rule=RULE[CHECK],
        action="Stop: rows were lost during intake. Compare the files with the table of days.",
        more={"table of days": table(_shown_accounts(taken))},
    )


def _readable(taken: TakenIn) -> dg.AssetCheckResult:
    aside = taken.accounts[taken.accounts["files_quarantined"] > 0]
    days = ", ".join(map(str, aside[taken.day]))
    return check_result(
        FILES_CHECK,
        aside.empty,
        observed=f"{counted(int(aside['files_quarantined'].sum()), 'file')} set aside{f' on {days}' if days else ''}",
        rule=FILES_RULE[FILES_CHECK],
        action="`readmission quarantine list` says why; have the source deliver the files again.",
        severity=dg.AssetCheckSeverity.WARN,
    )
