"""Recalibration: the model of a version kept, its risks corrected by outcomes that have become known since.

What belongs here: which rows a correction is fitted on, and the correction itself. What does not: formulas
(``evaluation.estimates.recalibration``), registering what comes of it (``assets.model.recalibration``), and judging it,
which is that of any version.

The correction is fitted on the latest rows whose outcome is known: deliveries that have matured and, as far as these
are fewer, the latest of the development part with their out-of-fold risks. No model that gave a row its risk was fitted
on that row's outcome, and no correction was either: each fold is corrected by what the entities of the others show.

The evidence of what comes of it is that of the version before and what has matured since. Earlier rows keep the risks
that they had: the correction is for the present, and the model ranks them as before.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.config.monitoring import RecalibrationConfig
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.evaluation.estimates.recalibration import CrossFitted, cross_fitted
from readmission_platform.evaluation.operation.cohorts import ALL
from readmission_platform.evaluation.operation.live import measured
from readmission_platform.foundation.errors import BadInput, Refused
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.promotion.identities import Identities
from readmission_platform.lifecycle.days.identities import known_identities
from readmission_platform.lifecycle.days.outcomes import matured_rows
from readmission_platform.lifecycle.days.progress import hospital_day
from readmission_platform.lifecycle.days.replay import SOURCE_COHORT, days_of_other_replays
from readmission_platform.lifecycle.days.scoring import InputVersions, known_rows
from readmission_platform.lifecycle.training.recorded_version import Recorded, gather
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.artifacts import load_artifact


@dataclass(frozen=True)
class KnownRows:
    """All rows whose outcome is known, in the order of time, with the risks that the version gives them.

    Attributes
    ----------
    frame
        The row, ``entity_key``, ``clock`` (place in [0, 1)), the outcome and the inputs.
    folds, risks
        Fold, and risk by a model that was not fitted on the row's outcome; shapes (rows,).
    matured
        Whether it is a delivery that has matured since the version was trained, shape (rows,).
    until
        The latest day of these deliveries.
    """

    frame: pd.DataFrame
    folds: np.ndarray
    risks: np.ndarray
    matured: np.ndarray
    until: str


@dataclass(frozen=True)
class Recalibration:
    """A version with its risks corrected.

    Attributes
    ----------
    labels, latest
        Outcome of each of ``rows``, and whether the correction was fitted on it; shapes (rows,).
    found
        The correction, with the corrected risks of the latest rows, each by what the other folds show.
    model
        What is to be registered.
    """

    recorded: Recorded
    rows: KnownRows
    labels: np.ndarray
    latest: np.ndarray
    found: CrossFitted
    model: object

    @property
    def risks(self) -> np.ndarray:
        """Risks of all rows: corrected those of the latest, as they were those of earlier ones; shape (rows,)."""
        risks = self.rows.risks.copy()
        risks[self.latest] = self.found.scores
        return risks

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps of it."""
        return {
            "of_version": self.recorded.record.version,
            "slope": self.found.slope,
            "intercept": self.found.intercept,
            "rows": int(self.latest.sum()),
            "matured": int(self.rows.matured.sum()),
            "until": self.rows.until,
        }


def fitted_version(version: str | None, ledger: Ledger) -> VersionRecord:
    """Return the version whose model a recalibration keeps: that of a version, by default of the one in production.

    A version that is itself recalibrated has the model of another, whose risks are then corrected anew.

    Raises
    ------
    Refused
        When none is in production.
    BadInput
        When there is no version of that name.
    """
    events, pointers = ledger.snapshot()
    records = version_records(events, pointers)
    asked = version or pointers["production"].version
    if asked is None:
        raise Refused(["no version is in production; name one with --version"])
    if asked not in records:
        raise BadInput(f"there is no version {asked} of {ledger.model}; `readmission status` lists them")
    record = records[asked]
    return records[record.keeps_model_of] if record.keeps_model_of else record


def recalibrate(record: VersionRecord, workspace: Workspace) -> Recalibration:
    """Correct the risks of a version by the latest outcomes that are known.

    Raises
    ------
    Refused
        When too few outcomes have matured since it was trained.
    NotReproducible, Unavailable
        When what it was made from is not as recorded, or out of reach.
    """
    recorded = gather(record, workspace)
    with workspace.ledger() as ledger:
        identities = known_identities(ledger)
    rules = workspace.monitoring.recalibration
    rows = known_rows_of(recorded, workspace, identities, today=hospital_day(workspace.rules))
    labels = rows.frame[workspace.contract.outcome].to_numpy("int64")
    enough(labels[rows.matured], rules, workspace)
    latest = np.arange(len(labels)) >= len(labels) - rules.rows
    found = cross_fitted(rows.risks[latest], labels[latest], rows.folds[latest])
    estimator = workspace.contract.estimator
    model = estimator.recalibrated(estimator.load(recorded.artifact), found.slope, found.intercept)
    return Recalibration(recorded, rows, labels, latest, found, model)


def before_and_after(found: Recalibration, workspace: Workspace) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Return calibration with intervals before and after: of the latest rows, and of those that matured since."""
    config, frame = workspace.config, found.rows.frame
    figures: dict[str, dict[str, list[dict[str, float]]]] = {}
    for name, members in (("latest", found.latest), ("matured", found.latest & found.rows.matured)):
        for risks in (found.rows.risks, found.risks):
            rows = frame.loc[members, ["entity_key"]].assign(score=risks[members], label=found.labels[members])
            figures_of = measured(
                rows.reset_index(drop=True), schema=None, flag_share=config.flag_share,
                replicates=config.bootstrap_replicates, seed=config.seed,
            )  # fmt: skip
            measures = figures_of[figures_of["cohort"] == ALL].set_index("measure")[["value", "low", "high"]]
            for measure in ("observed_expected", "calibration_slope", "auroc"):
                figure = {
                    str(part): float(value) for part, value in measures[["value", "low", "high"]].loc[measure].items()
                }
                figures.setdefault(name, {}).setdefault(measure, []).append(figure)
    return figures


def enough(matured: np.ndarray, rules: RecalibrationConfig, workspace: Workspace) -> None:
    """Refuse a recalibration before enough events have matured; how many have is not said, they may be few."""
    if int(matured.sum()) < rules.min_positives:
        words = workspace.contract.words
        raise Refused([f"fewer than {rules.min_positives} {words.events} have matured among what the version was not "
                       "trained on; take in more outcomes (`readmission outcomes --date DAY`), or train a "
                       "version"])  # fmt: skip


def known_rows_of(recorded: Recorded, workspace: Workspace, identities: Identities, *, today: date) -> KnownRows:
    """Return the rows that a version was trained on, with their out-of-fold risks, and what has matured since."""
    contract, outcome = workspace.contract, workspace.contract.outcome
    columns = [contract.row, "entity_key", outcome, *contract.inputs]
    matured, risks = _matured(recorded, workspace, identities, today)
    by_time = np.argsort(recorded.features["clock"].to_numpy(), kind="stable")
    parts = [recorded.features.iloc[by_time][columns], *([matured[columns]] if len(matured) else [])]
    frame = pd.concat(parts, ignore_index=True)
    frame.insert(2, "clock", np.arange(len(frame)) / len(frame))
    folds = entity_folds(matured["entity_key"], folds=workspace.config.folds).to_numpy()
    return KnownRows(
        frame.astype({outcome: "int8"}),
        np.concatenate([recorded.folds[by_time], folds]),
        np.concatenate([recorded.scores[by_time], risks]),
        np.arange(len(frame)) >= len(by_time),
        str(matured[contract.day].max()) if len(matured) else "",
    )


def _matured(
    recorded: Recorded, workspace: Workspace, identities: Identities, today: date
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return deliveries that matured and were not trained on, by day, with their inputs, and the version's risks.

    Rows that the version withholds are left out, and days that a replay of another source delivered.
    """
    contract, lake, record = workspace.contract, workspace.lake, recorded.record
    rows = matured_rows(lake, today=today, coverage=workspace.monitoring.performance.outcome_coverage)
    cohort = lake.read(lake.names.cohort, version=record.cohort_version, columns=[contract.row])
    others = days_of_other_replays(workspace.landing, str(cohort.attrs.get(SOURCE_COHORT, "")))
    fresh = ~rows[contract.row].isin(recorded.features[contract.row]) & ~rows[contract.day].isin(others)
    rows = rows[fresh].sort_values([contract.day, contract.row], ignore_index=True)
    if rows.empty:
        return rows.assign(**{name: None for name in contract.inputs if name not in rows}), np.empty(0)
    read = InputVersions.newest(lake, record.cohort_version, identities)
    named = rows.assign(entity_key=identities.named(rows["entity_key"]))
    inputs = contract.data.inputs_of(named.drop(columns=contract.outcome), known_rows(lake, rows, read))
    root = workspace.registry.root
    model = load_artifact(contract.estimator, root, str(record.artifact_path), digest=str(record.artifact_digest))
    risks = contract.estimator.score(model, inputs)
    sound = pd.isna(np.array(contract.estimator.unsound(model, inputs, risks), dtype=object))
    keys = named[[contract.row, "entity_key", contract.day, contract.outcome]]
    return pd.concat([keys, inputs], axis=1)[sound].reset_index(drop=True), risks[sound]
