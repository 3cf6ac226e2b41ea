"""Outcomes: what became of the delivered rows of each day, once they are old enough.

What belongs here: ``matured_outcomes`` with its accounting. What does not: judging rows (``intake.outcomes``), which
days have matured (``lifecycle.days.outcomes``), and what is made of them: training and live performance.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pandas as pd

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
from readmission_platform.evaluation.operation.shown import shown_outcome_counts
from readmission_platform.foundation.counting import counted, percent
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.lifecycle.days.accounts import counts_taken_in
from readmission_platform.lifecycle.days.outcomes import (
    COUNTS,
    FILE_COUNTS,
    days_set_aside,
    recorded_outcomes,
    take_in_outcome_days,
)
from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform.lifecycle.workspace import Platform, Workspace
from readmission_platform.storage.tables import (
    OUTCOME_ACCOUNTING,
    OUTCOME_CORRECTIONS,
    OUTCOME_FILES,
    OUTCOME_QUARANTINE,
    OUTCOMES,
    ModelLake,
)

CHECK = "every_outcome_accounted_for"
RULE = {CHECK: "Every received outcome is accepted, quarantined or a duplicate; none is lost."}
FILES_CHECK, ROWS_CHECK = "every_outcome_file_readable", "most_outcomes_accepted"
WARNINGS = {
    FILES_CHECK: "Every outcome file can be read; one that cannot is set aside as a whole.",
    ROWS_CHECK: "On no day is more than the agreed share of the outcomes set aside.",
}


def outcomes_asset(model: ModelAssets) -> dg.AssetsDefinition:
    """Return the asset of the matured outcomes of each day."""
    words, folder, maturity = model.words, model.contract.landing.outcomes, model.contract.maturity_days

    @model.daily(
            OUTCOMES, group="ingestion", owners=[DATA_TEAM], kinds={"pandas", "deltalake"},
            deps=[model.names.delivered], blocking=RULE, warning=WARNINGS,
            description=f"Which {words.rows} were {words.positive}, by day, from the files in "
            f"`landing/{folder}/<date>/`. A day less than {maturity} days old is refused: more {words.events} may "
            f"still happen. Rows of unknown {words.rows}, without an outcome, or that contradict each other within "
            "one delivery are quarantined with a code, never with values; between deliveries, the newer one counts. "
            "A day without a file is skipped and keeps what it has.",
    )  # fmt: skip
    def outcomes(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        workspace = model.workspace(platform)
        days, landing, lake = days_asked_for(context), workspace.landing, workspace.lake
        found = {day: files for day in days if (files := landing.read_day(day, kind="outcomes"))}
        if not found:
            why = f"no file in landing/{folder} for {days[0]} to {days[-1]}"
            context.log.warning(f"skipped: {why}")
            for check in (CHECK, *WARNINGS):
                yield nothing_to_check(check, why)
            return
        taken = take_in_outcome_days(found, lake, hospital_day(workspace.rules))
        written: dict[str, Any] = {"partition": (lake.day, list(found)), "metadata": {"run_id": context.run.run_id}}
        lake.write(OUTCOME_QUARANTINE, taken.quarantined, **written)
        lake.write(OUTCOME_FILES, taken.files, **written)
        lake.write(OUTCOME_CORRECTIONS, taken.corrections, **written)
        lake.write(OUTCOME_ACCOUNTING, taken.accounts, **written)
        _tell(context, taken.accounts)
        shown = list(_shown_days(taken.accounts, lake))
        kept = recorded_outcomes(lake, [day for day in days if day not in found])
        yield dg.MaterializeResult(
            value=pd.concat([taken.accepted, kept], ignore_index=True),
            data_version=dg.DataVersion(frame_digest(taken.accepted)),
            metadata={
                "days": table(shown),
                "quarantined": reasons_table(
                    taken.quarantined,
                    [lake.day, "column", "code", "reason"],
                    counted="rows",
                    hidden=any(each["quarantined"] == HIDDEN for each in shown),
                ),
                "dates": "as delivered; those of a replay are simulated",
            },
            check_results=[_accounted_for(taken.accounts, taken.accepted), *_set_aside(workspace)],
        )

    return outcomes


def _tell(context: dg.AssetExecutionContext, accounts: pd.DataFrame) -> None:
    rows, files = (int(accounts[name].sum()) for name in ("quarantined", "files_quarantined"))
    if rows or files:
        said = " and ".join([*(["rows"] if rows else []), *([counted(files, "whole file")] if files else [])])
        context.log.warning(f"set aside: {said}; `readmission quarantine list` says why")


def _shown_days(accounts: pd.DataFrame, lake: ModelLake) -> Iterator[dict[str, Any]]:
    taken_in = counts_taken_in(lake, list(accounts[lake.day]))
    for account in accounts.to_dict("records"):
        counts = {name: int(account[name]) for name in COUNTS}
        shown = shown_outcome_counts(counts, taken_in.get(account[lake.day], {}))
        files = {name.replace("_", " "): int(account[name]) for name in FILE_COUNTS}
        yield {lake.day: account[lake.day], **hideable(shown), **files}


def _accounted_for(accounts: pd.DataFrame, accepted: pd.DataFrame) -> dg.AssetCheckResult:
    total = accounts[COUNTS].sum()
    balanced = int(total["received"]) == int(total["accepted"] + total["quarantined"] + total["duplicate"])
    complete = balanced and len(accepted) == int(total["accepted"])
    found = "each row accounted for" if complete else "and rows that are not there"
    return check_result(
        CHECK, complete, rule=RULE[CHECK], observed=f"{counted(len(accounts), 'day')}, {found}",
        action="Stop: outcomes were lost during intake. Compare the files with the table of days.",
    )  # fmt: skip


def _set_aside(workspace: Workspace) -> Iterator[dg.AssetCheckResult]:
    """Yield the checks that name days whose outcomes were set aside: those of now, and lately of others."""
    share = workspace.monitoring.deliveries.quarantined_share
    named = days_set_aside(workspace.lake, share=share, now=datetime.now(UTC))
    what = ("files set aside", f"more than {percent(share)} set aside")
    for (check, rule), said, days in zip(WARNINGS.items(), what, named, strict=True):
        listed = f"{said}: {', '.join(days)}"
        yield check_result(
            check, not days, observed=listed if days else "none", rule=f"{rule} Here {listed}." if days else rule,
            action="`readmission quarantine list` says why; have the source deliver the outcomes again. Until then "
            "they are missing from live performance and from retraining.",
            severity=dg.AssetCheckSeverity.WARN,
        )  # fmt: skip
