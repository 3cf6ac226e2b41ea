"""Intake: the discharges of each day, from the landing zone into the lake.

What belongs here: ``daily_discharges`` and its accounting. What does not: judging rows (``science.intake``), reading
files (``resources.landing``), and scoring (``inference``).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.assets.facts import ACCOUNTING_TABLE
from readmission_platform.assets.partitions import daily_partitions
from readmission_platform.assets.presentation import DATA_TEAM, blocking_specs, check_result, nothing_to_check, table
from readmission_platform.assets.scoring import DAY
from readmission_platform.resources.lake import Lake, LakeResource, frame_digest
from readmission_platform.resources.landing import Landing
from readmission_platform.resources.project import ProjectResource
from readmission_platform.science.cohort import pseudonyms

QUARANTINE_TABLE = "quarantined_discharges"
DISCHARGE_CHECK = {"every_row_accounted_for": "Received rows are accepted, quarantined or duplicates; none is lost."}


@dg.asset(
    group_name="inference",
    owners=[DATA_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="1",
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
    Encounters accepted before are counted as duplicates. A day without a file is skipped.
    """
    landing = Landing(project.settings.landing)
    days = list(context.partition_keys)
    found = [day for day in days if landing.read_day(day)]
    if not found:
        why = f"no file in landing/discharges for {days[0]} to {days[-1]}"
        context.log.warning(f"skipped: {why}")
        yield nothing_to_check("every_row_accounted_for", why)
        return
    accepted, accounts, quarantined = _take_in_days(landing, days, lake.open(), project.pseudonym_key)
    metadata = {"run_id": context.run.run_id}
    opened = lake.open()
    opened.write(QUARANTINE_TABLE, quarantined, partition=(DAY, days), metadata=metadata)
    opened.write(ACCOUNTING_TABLE, accounts, partition=(DAY, days), metadata=metadata)
    total = accounts.drop(columns=DAY).sum()
    balanced = int(total["received"]) == int(total["accepted"] + total["quarantined"] + total["duplicate"])
    yield dg.MaterializeResult(
        value=accepted,
        data_version=dg.DataVersion(frame_digest(accepted)),
        metadata={
            "days": table(accounts.to_dict("records")),
            "quarantined": table(quarantined.groupby([DAY, "column", "reason"]).size().reset_index(name="rows")
                                 .to_dict("records")),
            "dates": "as delivered; those of a replay are simulated",
        },
        check_results=[
            check_result("every_row_accounted_for", balanced and len(accepted) == int(total["accepted"]),
                         observed=", ".join(f"{name} {int(count)}" for name, count in total.items()),
                         rule=DISCHARGE_CHECK["every_row_accounted_for"],
                         action="Stop: rows were lost on the way in. Compare the files with the table of the day.")
        ],
    )  # fmt: skip


def _take_in_days(
    landing: Landing, days: Sequence[str], lake: Lake, key: bytes
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Take in the files of days in order; returns accepted rows, the account of each day, and quarantine lines."""
    from readmission_platform.science.intake import no_discharges, take_in

    seen = _accepted_on_other_days(lake, days)
    accepted = [no_discharges().assign(**{DAY: pd.Series(dtype=object)})]
    accounts, lines = [], []
    for day in days:
        count = dict.fromkeys(("received", "accepted", "quarantined", "duplicate"), 0)
        for file in landing.read_day(day):
            if file.cells is None:
                lines.append(pd.DataFrame({"row": [0], "column": "", "reason": [file.problem]}).assign(
                    **{DAY: day, "file_digest": file.digest}))  # fmt: skip
                continue
            intake = take_in(file.cells, already=seen)
            seen |= set(intake.accepted["encounter_id"])
            accepted.append(intake.accepted.assign(**{DAY: day}))
            lines.append(intake.quarantined.assign(**{DAY: day, "file_digest": file.digest}))
            count["received"] += intake.received
            count["accepted"] += len(intake.accepted)
            count["quarantined"] += intake.quarantined_rows
            count["duplicate"] += intake.duplicate
        accounts.append({DAY: day, **count})
    frame = pd.concat(accepted, ignore_index=True)
    frame.insert(1, "patient_key", pseudonyms(frame["patient_nbr"], key, purpose="patient"))
    empty = pd.DataFrame({"row": pd.Series(dtype="int64"), "column": pd.Series(dtype=object),
                          "reason": pd.Series(dtype=object), DAY: pd.Series(dtype=object),
                          "file_digest": pd.Series(dtype=object)})  # fmt: skip
    return (
        frame.drop(columns="patient_nbr"),
        pd.DataFrame(accounts),
        pd.concat([empty, *lines], ignore_index=True),
    )


def _accepted_on_other_days(lake: Lake, days: Sequence[str]) -> set[int]:
    if not lake.exists("daily_discharges"):
        return set()
    rows = lake.read("daily_discharges", columns=["encounter_id", DAY])
    return set(rows.loc[~rows[DAY].isin(days), "encounter_id"])
