"""A hospital after a version went live: days of discharges, what was predicted for them, and what became of them.

Its tables are written as the assets write them, and nothing is trained, so that a test can have months of them in a
second. The risks are calibrated: an encounter of risk p is readmitted with probability p, unless a test says otherwise.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.config.files import monitoring_config
from readmission_platform.governance.demo_approver import Signer
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.scenario import KEYS, Scenario, adopt, honest_estimates

DAY = "discharge_date"
PER_DAY = 40
# Day 0 of a hospital; all of its days are old enough unless a test adds younger ones.
LONG_AGO = date(2024, 1, 1)


def days_ago(days: int) -> str:
    """Return the date so many days before today, in UTC."""
    from datetime import UTC, datetime

    return (datetime.now(UTC).date() - timedelta(days=days)).isoformat()


def days_from(first: date, count: int) -> list[str]:
    """Return days in order."""
    return [(first + timedelta(days=offset)).isoformat() for offset in range(count)]


@dataclass
class Hospital:
    """A home with version 1 in production, and the encounters of every day so far."""

    home: Home
    days: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def at(cls, path: Path, **estimates: Any) -> "Hospital":
        """Open a hospital in which version 1, with the estimates of an honest model, went live and scored nothing."""
        hospital = cls(Home.new(path))
        with hospital.home.ledger() as ledger:
            scenario = Scenario(ledger)
            scenario.adopt()
            scenario.train(evidence=hospital._evidence(), run_id="the run that trained it")
            scenario.validate(estimates=honest_estimates() | estimates)
            scenario.stage()
            scenario.stage(stage="production")
        return hospital

    def _evidence(self) -> dict[str, Any]:
        """Version 1 was fitted on the patients 0 to 99 and tested on 100 to 119."""
        patients = pd.DataFrame({"entity_key": [f"p{number}" for number in range(120)]})
        fold = np.where(patients.index < 100, 1, 0).astype("int8")
        rows = patients.assign(version="1", fold=fold, row_key=patients["entity_key"] + "'s first")
        written = self.home.lake.write("model_evidence", rows, partition=("version", ["1"]))
        return {"table": "model_evidence", "table_version": written.version, "digest": "sha256:evidence"}

    def learn(self, patients: "pd.Series[str]", encounters: list[str]) -> None:
        """Have version 2, trained on these encounters (pseudonyms) too, go live and take over all that was scored."""
        rows = pd.DataFrame({"entity_key": patients.to_numpy(), "row_key": encounters, "version": "2"})
        rows = rows.assign(fold=pd.Series(1, index=rows.index, dtype="int8"))
        written = self.home.lake.write("model_evidence", rows, partition=("version", ["2"]))
        evidence = {"table": "model_evidence", "table_version": written.version, "digest": "sha256:evidence"}
        with self.home.ledger() as ledger:
            scenario = Scenario(ledger)
            scenario.train("2", evidence=evidence)
            scenario.stage("2", "production")
        self.write_predictions(pd.concat(self.days.values()).assign(model_version="2"))

    def watch_by(self, configs: str) -> Home:
        """Put the monitoring limits of another configuration into force; returns the home with that configuration."""
        home = self.home.having(READMISSION_CONFIGS=configs)
        with home.workspace() as workspace, workspace.ledger() as ledger:
            limits = monitoring_config(workspace.settings, workspace.name)
            adopt(ledger, "monitoring_adopted", limits, Signer("clinician", KEYS["clinician"]))
        return home

    def go_on(self, days: list[str], *, per_day: int = PER_DAY, version: str = "1", seed: int = 0) -> None:
        """Discharge and score some days; a tenth of the encounters are flagged."""
        rng = np.random.default_rng([seed, len(self.days)])
        for number, day in enumerate(days, start=len(self.days)):
            risk = np.clip(rng.beta(1.6, 12, per_day), 0.01, 0.95)
            rows = pd.DataFrame(
                {
                    "encounter_id": np.arange(per_day) + 1_000 * (number + 1),
                    "entity_key": [f"p{patient}" for patient in rng.integers(0, 400, per_day)],
                    "gender": rng.choice(["Female", "Male"], per_day),
                    "race": rng.choice(["Caucasian", "AfricanAmerican"], per_day),
                    "age": rng.choice(["[40-50)", "[60-70)", "[70-80)"], per_day),
                    "risk": risk,
                    "status": "scored",
                    "flagged": pd.Series(risk).rank(ascending=False) <= max(1, round(per_day / 10)),
                    "outcome": (rng.random(per_day) < risk).astype("int8"),
                    "model_version": version,
                    DAY: day,
                }
            )
            self.days[day] = rows
        together = pd.concat([self.days[day] for day in days], ignore_index=True)
        discharged = together[["encounter_id", "entity_key", "gender", "race", "age", DAY]]
        self.home.lake.write("daily_discharges", discharged, partition=(DAY, days))
        self.write_predictions(together)

    def write_predictions(self, rows: pd.DataFrame) -> None:
        """Write the work lists of some days."""
        named = ["encounter_id", "entity_key", "risk", "flagged", "status", "model_version", DAY]
        scored = rows[[name for name in named if name in rows]].reset_index(drop=True)
        circumstances = {"artifact_digest": "sha256:artifact", "delivered_digest": "sha256:day"}
        self.home.lake.write(
            "daily_predictions", scored.assign(**circumstances), partition=(DAY, sorted(set(rows[DAY])))
        )
        self.home.record_predictions()

    def outcomes_of(self, day: str) -> pd.DataFrame:
        """Return what a complete and correct file of outcomes of a day holds."""
        rows = self.days[day]
        return rows[["encounter_id", "outcome"]].rename(columns={"outcome": "readmitted_30d"})

    def deliver(self, day: str, cells: pd.DataFrame, name: str = "outcomes.csv") -> Path:
        """Put a file of outcomes into the landing zone."""
        folder = self.home.path / "landing/outcomes" / day
        folder.mkdir(parents=True, exist_ok=True)
        cells.to_csv(folder / name, index=False)
        return folder / name

    def mature(self, days: list[str] | None = None) -> None:
        """Have the outcomes of days taken in: all that have not been yet, or those named."""
        chosen = list(self.days) if days is None else days
        outcomes = pd.concat([self.days[day] for day in chosen], ignore_index=True)
        table = outcomes.rename(columns={"outcome": "readmitted_30d"})
        table = table[[DAY, "encounter_id", "entity_key", "readmitted_30d"]]
        self.home.lake.write("matured_outcomes", table, partition=(DAY, chosen))

    def change_outcomes(self, change: Any) -> None:
        """Replace the outcomes of every day by ``change(rows)``."""
        for rows in self.days.values():
            rows["outcome"] = np.asarray(change(rows), dtype="int8")
