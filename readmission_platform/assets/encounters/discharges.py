"""Intake: the discharges of each day, from the landing zone into the lake.

What belongs here: ``daily_discharges`` and its accounting. What does not: judging rows (``intake.rows``), reading
files (``storage.landed_file``), comparing with what was taken in before (``intake``), and scoring (``inference``).

Four tables hold what became of a day; ``discharge_accounting`` is written last, so a day that has its account is there
as a whole. ``revision`` counts how often the accepted encounters of a day have changed.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from readmission_platform.assets.partitions import daily_partitions
from readmission_platform.assets.presentation import DATA_TEAM, blocking_specs, check_result, nothing_to_check, table
from readmission_platform.encounters.contract import LANDING
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.lifecycle.days.intake import COUNTS, FILES_TABLE, ROW_COUNTS, TakenIn, take_in_days
from readmission_platform.lifecycle.days.quarantine import QUARANTINE_TABLE
from readmission_platform.lifecycle.days.scoring import DAY, DISCHARGES_TABLE
from readmission_platform.lifecycle.versions.version_facts import ACCOUNTING_TABLE
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.landing import Landing

DISCHARGE_CHECK = {
    "every_row_accounted_for": "On each day the received rows are accepted, quarantined or duplicates; none is lost."
}


@dg.asset(
    group_name="inference",
    owners=[DATA_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="2",
    dagster_type=dg.Any,
    partitions_def=daily_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={"partition_column": DAY},
    output_required=False,
    check_specs=blocking_specs("daily_discharges", DISCHARGE_CHECK),
)
def daily_discharges(context: dg.AssetExecutionContext, project: ProjectResource, lake: LakeResource) -> Iterator[Any]:
    """The accepted discharges of each day, from the files in `landing/discharges/<date>/`.

    Rows that break the encounter contract are quarantined with file hash, row number and reason, never with values.
    Encounters accepted before are counted as duplicates. A day without a file is skipped, and stays as it was if it had
    been taken in. A day whose accepted encounters changed since has a new revision.
    """
    landing, days, opened = Landing(project.settings.landing, LANDING), list(context.partition_keys), lake.open()
    landed = {day: files for day in days if (files := landing.read_day(day))}
    if not landed:
        why = f"no file in landing/discharges for {days[0]} to {days[-1]}"
        context.log.warning(f"skipped: {why}")
        yield nothing_to_check("every_row_accounted_for", why)
        return
    taken = take_in_days(landed, days, opened, project)
    written: dict[str, Any] = {"partition": (DAY, list(landed)), "metadata": {"run_id": context.run.run_id}}
    opened.write(QUARANTINE_TABLE, taken.quarantined, **written)
    opened.write(FILES_TABLE, taken.files, **written)
    _tell(context, taken, ignored=sum(landing.ignored(day) for day in landed))
    yield dg.MaterializeResult(
        value=taken.discharges,
        data_version=dg.DataVersion(frame_digest(taken.discharges)),
        metadata={"dates": "as delivered; those of a replay are simulated"},
        check_results=[_accounted_for(taken, taken.unbalanced_days(landed))],
    )
    # Dagster has the encounters written before it goes on here. Only now is their version known, and the day complete.
    opened.write(ACCOUNTING_TABLE, taken.accounts_at(opened.open(DISCHARGES_TABLE).version()), **written)


def _tell(context: dg.AssetExecutionContext, taken: TakenIn, *, ignored: int) -> None:
    """Show each day's account on its own partition, and warn of what was set aside."""
    reasons = taken.quarantined.groupby([DAY, "file", "column", "code", "reason"]).size().reset_index(name="lines")
    of_day = {day: lines.drop(columns=DAY).to_dict("records") for day, lines in reasons.groupby(DAY)}
    for account in taken.accounts.to_dict("records"):
        day = str(account[DAY])
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
        "every_row_accounted_for",
        not unbalanced,
        observed=total + (f"; not on {', '.join(unbalanced)}" if unbalanced else ""),
        rule=DISCHARGE_CHECK["every_row_accounted_for"],
        action="Stop: rows were lost on the way in. Compare the files with the table of the days.",
        more={"days": table(taken.accounts[[DAY, *COUNTS, "revision"]].to_dict("records"))},
    )
