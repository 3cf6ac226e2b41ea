"""Outcomes: what became of the discharges of each day, once 30 days are over.

What belongs here: ``matured_outcomes`` with its accounting, and which days have matured. What does not: judging rows
(``intake.outcomes``), and what is made of them: training (``ingestion``) and live performance (``performance``).
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pandas as pd

from readmission_platform.assets.partitions import FIRST_DAY, daily_partitions
from readmission_platform.assets.presentation import DATA_TEAM, blocking_specs, check_result, nothing_to_check, table
from readmission_platform.config.governance import EnvironmentConfig
from readmission_platform.encounters.cohort import MATURITY_DAYS
from readmission_platform.encounters.contract import ENCOUNTERS, LANDING
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.intake.files import LandedFile
from readmission_platform.intake.outcomes import has_matured
from readmission_platform.lifecycle.days.scoring import DAY, DISCHARGES_TABLE, OUTCOMES_TABLE
from readmission_platform.resources.lake import LakeResource
from readmission_platform.resources.project import ProjectResource
from readmission_platform.storage.lake import Lake
from readmission_platform.storage.landing import Landing, fingerprint_of

OUTCOME_QUARANTINE_TABLE = "quarantined_outcomes"
OUTCOME_ACCOUNTING_TABLE = "outcome_accounting"
COUNTS = ["expected", "received", "accepted", "quarantined", "duplicate"]
CHECK = "every_outcome_accounted_for"
OUTCOME_CHECK = {CHECK: "Received outcomes are accepted, quarantined or duplicates; none is lost."}


@dg.asset(
    group_name="monitoring",
    owners=[DATA_TEAM],
    kinds={"pandas", "deltalake"},
    code_version="1",
    dagster_type=dg.Any,
    partitions_def=daily_partitions,
    backfill_policy=dg.BackfillPolicy.single_run(),
    metadata={"partition_column": DAY},
    deps=["daily_discharges"],
    output_required=False,
    check_specs=blocking_specs("matured_outcomes", OUTCOME_CHECK),
)
def matured_outcomes(context: dg.AssetExecutionContext, project: ProjectResource, lake: LakeResource) -> Iterator[Any]:
    """Who was readmitted within 30 days, by discharge date, from the files in `landing/outcomes/<date>/`.

    A day younger than 30 days is refused: its later readmissions have not happened yet. Rows of unknown encounters,
    with other values than 0 and 1, or that contradict each other are quarantined with a code, never with values. A day
    without a file is skipped and keeps what it has.
    """
    days, landing = list(context.partition_keys), Landing(project.settings.landing, LANDING)
    found = {day: files for day in days if (files := landing.read_day(day, kind="outcomes"))}
    if not found:
        why = f"no file in landing/outcomes for {days[0]} to {days[-1]}"
        context.log.warning(f"skipped: {why}")
        yield nothing_to_check(CHECK, why)
        return
    opened, today = lake.open(), hospital_day(project.environment_rules)
    accepted, accounts, quarantined = _take_in_days(found, opened, today)
    metadata = {"run_id": context.run.run_id}
    opened.write(OUTCOME_QUARANTINE_TABLE, quarantined, partition=(DAY, list(found)), metadata=metadata)
    opened.write(OUTCOME_ACCOUNTING_TABLE, accounts, partition=(DAY, list(found)), metadata=metadata)
    total = accounts[COUNTS].sum()
    balanced = int(total["received"]) == int(total["accepted"] + total["quarantined"] + total["duplicate"])
    kept = _recorded(opened, [day for day in days if day not in found])
    yield dg.MaterializeResult(
        value=pd.concat([accepted, kept], ignore_index=True),
        data_version=dg.DataVersion(frame_digest(accepted)),
        metadata={
            "days": table(accounts[[DAY, *COUNTS]].to_dict("records")),
            "quarantined": table(quarantined.groupby([DAY, "column", "code", "reason"]).size().reset_index(name="rows")
                                 .to_dict("records")),
            "dates": "as delivered; those of a replay are simulated",
        },
        check_results=[
            check_result(CHECK, balanced and len(accepted) == int(total["accepted"]),
                         observed=", ".join(f"{name} {int(count)}" for name, count in total.items()),
                         rule=OUTCOME_CHECK[CHECK],
                         action="Stop: outcomes were lost on the way in. Compare the files with the table of the day.")
        ],
    )  # fmt: skip


def hospital_day(rules: EnvironmentConfig) -> date:
    """Return today's date in the hospital's time zone, which the age of a discharge is counted in."""
    return datetime.now(ZoneInfo(rules.timezone)).date()


def _take_in_days(
    found: Mapping[str, Sequence[LandedFile]], lake: Lake, today: date
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Take in the files of days; returns accepted outcomes, the account of each day, and quarantine lines."""
    from readmission_platform.intake.outcomes import take_in_outcomes

    discharged = _discharged(lake, list(found))
    matured = {day for day in found if has_matured(day, today, MATURITY_DAYS)}
    intake = take_in_outcomes(found, ENCOUNTERS, maturity_days=MATURITY_DAYS, known_rows=discharged, matured=matured)
    accepted = intake.accepted.merge(discharged, on=[DAY, "encounter_id"])[list(_no_outcomes().columns)]
    expected = intake.accounts[DAY].map(discharged.groupby(DAY).size()).fillna(0).astype("int64")
    digests = [fingerprint_of((file.name, file.digest) for file in files) for files in found.values()]
    accounts = intake.accounts.assign(expected=expected, files_digest=digests)
    return accepted, accounts[[DAY, *COUNTS, "files_digest"]], intake.quarantined


def _no_outcomes() -> pd.DataFrame:
    empty = pd.DataFrame(columns=[DAY, "encounter_id", "entity_key", "readmitted_30d"])
    return empty.astype({"encounter_id": "int64", "readmitted_30d": "int8"})


def _discharged(lake: Lake, days: Sequence[str]) -> pd.DataFrame:
    columns = [DAY, "encounter_id", "entity_key"]
    if not lake.exists(DISCHARGES_TABLE):
        return _no_outcomes()[columns]
    return lake.read(DISCHARGES_TABLE, columns=columns, where={DAY: days})


def _recorded(lake: Lake, days: Sequence[str]) -> pd.DataFrame:
    """Return the outcomes taken in earlier of days that have no file any more: a run over a range keeps them."""
    columns = list(_no_outcomes().columns)
    if not days or not lake.exists(OUTCOMES_TABLE):
        return _no_outcomes()
    return lake.read(OUTCOMES_TABLE, columns=columns, where={DAY: days})


def days_to_take_in(landing: Landing, lake: Lake, *, today: date) -> list[str]:
    """Return the days that are old enough and whose files or discharges changed since outcomes were taken in."""
    days = [day for day in landing.days("outcomes") if day >= FIRST_DAY and has_matured(day, today, MATURITY_DAYS)]
    taken_in: dict[str, tuple[str, int]] = {}
    if days and lake.exists(OUTCOME_ACCOUNTING_TABLE):
        rows = lake.read(OUTCOME_ACCOUNTING_TABLE, columns=[DAY, "files_digest", "expected"], where={DAY: days})
        taken_in = {str(row[DAY]): (str(row["files_digest"]), int(row["expected"])) for row in rows.to_dict("records")}
    expected = _discharged(lake, days).groupby(DAY).size()
    return [day for day in days
            if taken_in.get(day) != (landing.fingerprint(day, "outcomes"), int(expected.get(day, 0)))]  # fmt: skip


def day_maturity(lake: Lake, *, today: date, coverage: float) -> pd.DataFrame:
    """Tell of each day with accepted discharges whether its outcomes are known.

    Parameters
    ----------
    coverage
        Share of a day's outcomes without which the day has not matured: those that come first are not like the rest.

    Returns
    -------
    Indexed by ``discharge_date`` (text, ascending): ``expected`` and ``known`` encounters, ``coverage``, ``due`` (it is
    old enough) and ``matured``.
    """
    if not lake.exists(DISCHARGES_TABLE):
        return pd.DataFrame({name: [] for name in ("expected", "known", "coverage", "due", "matured")})
    discharged = lake.read(DISCHARGES_TABLE, columns=[DAY, "encounter_id"])
    one, outcomes = [DAY, "encounter_id"], _no_outcomes()
    if lake.exists(OUTCOMES_TABLE):
        outcomes = lake.read(OUTCOMES_TABLE, columns=one)
    known = pd.MultiIndex.from_frame(discharged[one]).isin(pd.MultiIndex.from_frame(outcomes[one]))
    days = discharged.assign(known=known).groupby(DAY).agg(expected=("encounter_id", "size"), known=("known", "sum"))
    days["coverage"] = days["known"] / days["expected"]
    days["due"] = [has_matured(str(day), today, MATURITY_DAYS) for day in days.index]
    days["matured"] = days["due"] & (days["coverage"] >= coverage)
    return days


def matured_discharges(lake: Lake, *, today: date, coverage: float) -> pd.DataFrame:
    """Return the accepted discharges of matured days with their outcome: ``readmitted_30d`` beside their columns."""
    days = day_maturity(lake, today=today, coverage=coverage)
    matured = [str(day) for day in days.index[days["matured"].astype(bool)]]
    if not matured:
        return _no_outcomes()
    outcomes = lake.read(OUTCOMES_TABLE, columns=[DAY, "encounter_id", "readmitted_30d"], where={DAY: matured})
    return lake.read(DISCHARGES_TABLE, where={DAY: matured}).merge(outcomes, on=[DAY, "encounter_id"])


def outcome_accounts(lake: Lake, days: Sequence[str]) -> list[dict[str, Any]]:
    """Return per day: expected, received, accepted, quarantined, duplicate, and the coverage (None: none expected)."""
    rows = {}
    if lake.exists(OUTCOME_ACCOUNTING_TABLE):
        rows = lake.read(OUTCOME_ACCOUNTING_TABLE, where={DAY: list(days)}).set_index(DAY).to_dict("index")
    accounts = []
    for day in days:
        counts = {name: int(rows.get(day, {}).get(name, 0)) for name in COUNTS}
        covered = counts["accepted"] / counts["expected"] if counts["expected"] else None
        accounts.append({"date": day, **counts, "coverage": covered})
    return accounts
