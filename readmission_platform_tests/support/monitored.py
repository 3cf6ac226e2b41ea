"""A home with two months of operation, written as tables: what monitoring leaves behind, without any training.

The numbers are made up and look like those of the real data. Version 2 replaced version 1 after two thirds of the days;
two columns drift away; days hold 1 to 3 quarantined rows, one holds very many.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import sqlalchemy as sa

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.lifecycle.days.replay import manifest_of
from readmission_platform.operations import schema as operations_schema
from readmission_platform.operations.database import Operations
from readmission_platform_tests.support.homes import MODEL, Home

DAYS = 60
COLUMNS = ["number_inpatient", "discharge_disposition_id", "payer_code", "medical_specialty", "age"]
DRIFTING = ["payer_code", "medical_specialty"]
BANDS = ["low", "medium", "high", "very_high"]
MEASURES = {"auroc": (0.655, 0.02), "observed_expected": (0.93, 0.09), "calibration_slope": (0.95, 0.13),
            "brier": (0.097, 0.006), "brier_skill": (0.038, 0.012), "recall_at_flag": (0.225, 0.03),
            "ppv_at_flag": (0.255, 0.03), "accuracy": (0.84, 0.01)}  # fmt: skip
NOT_ESTIMATED = {"observed_expected", "calibration_slope"}
MANY_QUARANTINED = 20  # the place of the day


@cache
def last_day() -> datetime:
    """Yesterday in the hospital, noon there: the same date in UTC, and before whatever the ledger dates now."""
    there = datetime.now(ZoneInfo("America/New_York"))
    return (there.replace(hour=12, minute=0) - timedelta(days=1)).astimezone(UTC)


def days_of(count: int) -> list[str]:
    return [(last_day() - timedelta(days=count - 1 - place)).date().isoformat() for place in range(count)]


def accounting(days: list[str], *, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    received = rng.integers(20, 36, len(days))
    quarantined = np.where(rng.random(len(days)) < 0.2, rng.integers(1, 4, len(days)), 0)
    duplicate = np.where(rng.random(len(days)) < 0.1, 1, 0)
    if len(days) > MANY_QUARANTINED:
        quarantined[MANY_QUARANTINED], duplicate[MANY_QUARANTINED] = 12, 0
        received[MANY_QUARANTINED] = 30
    return pd.DataFrame({"discharge_date": days, "received": received, "accepted": received - quarantined - duplicate,
                         "quarantined": quarantined, "duplicate": duplicate})  # fmt: skip


def predictions(accounts: pd.DataFrame, *, switch: str, seed: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    parts = []
    for place, (day, count) in enumerate(zip(accounts["discharge_date"], accounts["accepted"], strict=True)):
        risk = pd.Series(np.clip(rng.beta(2.2, 15, count), 0.01, 0.95)).mask(rng.random(count) < 0.01)
        rank = risk.rank(ascending=False, method="first")
        parts.append(pd.DataFrame({
            "encounter_id": 70_000_000 + 1000 * place + np.arange(count),
            "entity_key": [f"{place:016x}{row:016x}" for row in range(count)],
            "risk": risk, "band": pd.cut(risk, [0, 0.1, 0.2, 0.3, 1.01], labels=BANDS, right=False).astype(object),
            "rank": rank.astype("Int64"), "flagged": rank <= max(1, round(0.1 * count)),
            "status": np.where(risk.isna(), "withheld", "scored"), "discharge_date": day,
            "model_version": "1" if day < switch else "2",
            "delivered_version": np.int64(0), "run_id": "run",
        }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def answers(listed: pd.DataFrame, *, seed: int = 5) -> pd.DataFrame:
    """What the service answered on the day of each listed row: as listed, but for one of ten; now and then twice."""
    rng = np.random.default_rng(seed)
    rows = listed.rename(columns={"discharge_date": "served_on"}).drop(columns=["rank", "flagged", "run_id"])
    rows["risk"] = rows["risk"].mask(rng.random(len(rows)) < 0.1, rows["risk"] * 0.9)
    rows["at"] = rows["served_on"] + "T12:00:00.000000+00:00"
    again = rows.sample(frac=0.05, random_state=seed)
    again["at"] = again["served_on"] + "T13:00:00.000000+00:00"
    again["risk"] = again["risk"] * 0.5
    failed = rows[rng.random(len(rows)) < 0.02].assign(status="failed", risk=np.nan)
    lines = pd.concat([rows, again, failed], ignore_index=True)
    return lines.assign(request_id=[f"r{place}" for place in range(len(lines))], arm=None, discharge_date="")


def drift_report(accounts: pd.DataFrame, *, switch: str, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows: list[tuple[object, ...]] = []
    for version, days in (("1", accounts["discharge_date"] < switch), ("2", accounts["discharge_date"] >= switch)):
        own = accounts[days].reset_index(drop=True)
        window = (own["accepted"].cumsum() // 200).astype(int)
        for number, of_window in own.groupby(window):
            ends = (of_window["discharge_date"].iloc[0], of_window["discharge_date"].iloc[-1])
            total = int(of_window["accepted"].sum())
            for column in COLUMNS:
                drifting = 0.25 if column in DRIFTING and version == "2" else 0.0
                for measure, score, limit in (("drift", 0.04 + drifting + 0.03 * rng.random(), 0.2),
                                              ("missing", 0.03 * rng.random(), 0.1)):  # fmt: skip
                    rows.append(
                        (version, int(str(number)) + 1, *ends, total, column, measure, score, limit, score >= limit)
                    )
            rows.append((version, int(str(number)) + 1, *ends, total, "risk", "drift", 0.05, 0.2, False))
    names = [
        "version",
        "window",
        "first_day",
        "last_day",
        "rows",
        "column",
        "measure",
        "score",
        "limit",
        "drifted",
    ]
    return pd.DataFrame(rows, columns=names)


def performance(days: list[str], *, matured: str, seed: int = 4) -> pd.DataFrame:
    """Judged and monthly figures of version 1, estimates after ``matured``; a cohort of 9 people is among them."""
    rng = np.random.default_rng(seed)
    rows: list[tuple[object, ...]] = []

    def add(period: str, chosen: list[str], cohort: str, share: float, kind: str = "measured") -> None:
        n = round(27 * len(chosen) * share)
        positives = None if kind == "estimate" else round(0.11 * n)
        for measure, (value, error) in MEASURES.items():
            if kind == "estimate" and measure in NOT_ESTIMATED:
                continue
            seen = value + rng.normal(0, error / 2)
            if measure == "observed_expected":
                seen = 0.6
            ends = (None, None) if kind == "estimate" else (seen - 2 * error, seen + 2 * error)
            result = "" if period != "judged" or cohort != "all" or measure in ("brier", "accuracy") else "holds"
            if result and measure == "observed_expected":
                result = "worse"
            if kind == "measured" and (positives or 0) < 50:
                result = "insufficient"
            rows.append(("1", period, chosen[0], chosen[-1], cohort, measure, kind, seen, *ends, n, positives,
                         value + 0.01, value, value + 0.02, "" if kind == "estimate" else result))  # fmt: skip

    known = [day for day in days if day <= matured]
    if known:
        shares = {"all": 1.0, "seen": 0.31, "unseen": 0.69, "gender: Female": 0.53,
                  "gender: Male": 0.47, "race: Asian": 9 / (27 * len(known))}  # fmt: skip
        for cohort, share in shares.items():
            add("judged", known, cohort, share)
    for (month, is_known), chosen in groupby(days, key=lambda day: (day[:7], day <= matured)):
        add(month, list(chosen), "all", 1.0, "measured" if is_known else "estimate")
    names = ["version", "period", "first_day", "last_day", "cohort", "measure", "kind", "value", "low", "high", "n",
             "positives", "promised", "promised_low", "promised_high", "result"]  # fmt: skip
    return pd.DataFrame(rows, columns=names).astype({"low": float, "high": float, "n": "Int64", "positives": "Int64"})


def monitored_home(path: Path, *, days: int = DAYS, simulated: bool = True) -> Home:
    """Return a home with all tables that figures are made from, and what the platform observed of itself."""
    home = Home.new(path)
    _ledger(home)
    every = days_of(days)
    switch = every[2 * len(every) // 3]
    matured = (last_day() - timedelta(days=30)).date().isoformat()
    accounts = accounting(every)
    day = ("discharge_date", every)
    home.lake.write("intake_accounting", accounts, partition=day)
    listed = predictions(accounts, switch=switch)
    home.lake.write("daily_predictions", listed, partition=day)
    home.lake.write("served_predictions", answers(listed), partition=("served_on", every))
    home.record_predictions()
    home.lake.write("drift_report", drift_report(accounts, switch=switch))
    home.lake.write("live_performance", performance(every, matured=matured))
    known = accounts[accounts["discharge_date"] <= matured]
    outcomes = pd.DataFrame({"discharge_date": known["discharge_date"], "expected": known["accepted"],
                             "received": known["accepted"], "accepted": known["accepted"]})  # fmt: skip
    home.lake.write("outcome_accounting", outcomes, partition=("discharge_date", list(known["discharge_date"])))
    if simulated:
        manifest_of(home.landing).write_text("{}", encoding="utf-8")
    _operations(home, every)
    return home


def _ledger(home: Home) -> None:
    with home.ledger() as ledger:
        for version in ("1", "2"):
            ledger.append("version_trained", {"trained_by": "t"}, actor="t", version=version)
            _move(ledger, version)


def _move(ledger: Ledger, version: str) -> None:
    for stage in ("staging", "production"):
        moves = {"staging": version} if stage == "staging" else {"staging": None, "production": version}
        ledger.move("version_promoted", {"reason": "x"}, actor="o", version=version, moves=moves,
                    expected=ledger.pointers())  # fmt: skip


def _operations(home: Home, days: list[str]) -> None:
    """Enter a run of each of the last ten days, one of them failed, and three alerts: two open, one over."""
    moments = [f"{day}T05:00:00+00:00" for day in days[-10:]]
    run = {"model": MODEL, "job": "scoring_job", "actor": "x", "trigger": "schedule", "seconds": 9.0,
           "failed_checks": 0, "quiet": False, "audited": True, "tracked": True}  # fmt: skip
    alert = {"model": MODEL, "place": "x", "action": "Look at it.", "times_seen": 1, "quiet": False,
             "last_at": moments[-1], "opened_at": moments[-6]}  # fmt: skip
    with Operations(f"sqlite:///{home.path / 'operations.db'}") as operations, operations.writing() as connection:

        def enter(table: sa.Table, **values: object) -> None:
            connection.execute(sa.insert(table).values(**values))

        for place, at in enumerate(moments):
            failed = place == 4
            ended = {"status": "failure", "cause": "error"} if failed else {"status": "success"}
            enter(operations_schema.observed_runs, run_id=f"run{place}", started_at=at, ended_at=at, observed_at=at,
                  **run, **ended)  # fmt: skip
            enter(operations_schema.asset_runs, run_id=f"run{place}", model=MODEL, asset_key="daily_predictions",
                  asset="daily_predictions", started_at=at, seconds=2.7, rows=27,
                  outcome="failed" if failed else "made")  # fmt: skip
        over = {"resolved_at": moments[-5], "resolved_how": "recovered"}
        enter(operations_schema.alerts, rule="drift_alarm", kind="check", subject="drift_report/no_drift_alarm",
              severity="warning", what="Version 2: 2 of the latest 2 windows drifted.", **alert)  # fmt: skip
        enter(operations_schema.alerts, rule="quarantine_high", kind="figure", subject="quarantined_share",
              severity="critical", what="quarantined_share is 0.0741; the limit is at most 0.05.", **alert)  # fmt: skip
        enter(operations_schema.alerts, rule="run_failed", kind="run", subject="scoring_job", severity="warning",
              what="The run failed (OSError) in: daily_predictions.", **alert, **over)  # fmt: skip
