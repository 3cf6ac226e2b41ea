"""What was tried for the model, each variant against the recipe that is shipped, on the same patients.

    python -m readmission_platform_tests.benchmarks.model_development [--archive PATH] [--keys N] [--only TEXT] [--json]

Every variant is fitted by patient-grouped fold on the development encounters, as the shipped recipe is, and judged out
of fold. Its difference to the shipped recipe is paired: the same encounters in the same folds, resampled by patient.
Folds follow from the pseudonym key, so each further key divides the patients anew. The encounters stay the same: a
difference that shows under every key is stable, not confirmed. The replay stream is never touched.

What belongs here: fitting and judging. What does not: the variants (``model_variants``).
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config
from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.cohort import eligible_encounters
from readmission_platform.encounters.history import history_of
from readmission_platform.encounters.icd9 import category_of
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.estimates.comparison import compare
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.evaluation.estimates.metrics import auroc
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models.readmission_30d.inputs import TARGET_STATISTICS
from readmission_platform_tests.benchmarks.model_variants import FURTHER_SEEDS, SHIPPED, Fit, variants


@dataclass(frozen=True)
class Trial:
    """A variant under one key; the difference is variant minus shipped, with its 95 % interval."""

    variant: str
    key: int
    n: int
    auroc: float
    difference: float
    low: float
    high: float
    brier_difference: float
    seconds: float


# Averages in log odds of what was fitted above.
AVERAGES = {
    "average of two seeds": (SHIPPED, *FURTHER_SEEDS[:1]),
    "average of four seeds": (SHIPPED, *FURTHER_SEEDS),
    "average with extra trees": (SHIPPED, "extra trees"),
    "average of boosting, extra trees and logistic regression": (SHIPPED, "extra trees", "logistic regression"),
    "average of LightGBM and CatBoost": ("LightGBM", "CatBoost"),
    "average of boosting, LightGBM and CatBoost": (SHIPPED, "LightGBM", "CatBoost"),
}
STACKED = "stacked: logistic regression over the three"


def cohort_of(archive: Path | None, model: ModelConfig, key: bytes) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the development encounters with what variants may use, labels (n,) and folds (n,)."""
    loaded = load_uci(SourceRequest(archive=archive)) if archive else load_synthetic(SourceRequest(rows=40_000, seed=7))
    eligible = eligible_encounters(loaded.frame, key=key, replay_share=model.replay_share)
    development = eligible[eligible["part"] == "development"].reset_index(drop=True)
    frame = development.join(history_of(development, development)).join(_further_history(development))
    return frame, frame["readmitted_30d"].to_numpy(), entity_folds(frame["entity_key"], folds=model.folds).to_numpy()


def _further_history(development: pd.DataFrame) -> pd.DataFrame:
    """Describe the past in ways that the shipped history does not; backwards only, like that."""
    rows = development.sort_values(["entity_key", "encounter_id"], kind="stable")
    patient = rows["entity_key"]

    def before(flag: pd.Series) -> pd.Series:
        return flag.groupby(patient, sort=False).cumsum() - flag

    clock, first = rows["encounter_id"].rank(), rows["diag_1"].map(category_of, na_action="ignore")
    earlier = first.groupby(patient, sort=False).shift()
    return pd.DataFrame({
        "prior_later_readmissions": before((rows["readmitted"] == ">30").astype(float)),
        "same_diagnosis_as_before": (first == earlier).astype(float).where(earlier.notna()),
        "prior_emergency_admissions": before((rows["admission_type_id"] == 1).astype(float)),
        "clock_since_stay_before": np.log1p(clock - clock.groupby(patient, sort=False).shift()),
    }).reindex(development.index)  # fmt: skip


def out_of_fold(fit: Fit, frame: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, seed: int) -> np.ndarray:
    """Return log odds of all encounters, each from a fit that saw neither it nor its patient."""
    scores = np.empty(len(frame))
    with threadpool_limits(1, user_api="openmp"):
        for fold in np.unique(folds):
            held_out = folds == fold
            train = frame[~held_out].reset_index(drop=True)
            scores[held_out] = fit(train, labels[~held_out], frame[held_out].reset_index(drop=True), seed)
    return scores


def stacked(parts: Sequence[np.ndarray], labels: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Weigh out-of-fold log odds by a logistic regression fitted on the other folds."""
    both, scores = np.column_stack(parts), np.empty(len(labels))
    for fold in np.unique(folds):
        held_out = folds == fold
        scores[held_out] = (
            LogisticRegression().fit(both[~held_out], labels[~held_out]).decision_function(both[held_out])
        )
    return scores


def judged(
    name: str,
    scores: np.ndarray,
    shipped: np.ndarray,
    rows: pd.DataFrame,
    *,
    key: int,
    seconds: float,
    model: ModelConfig,
) -> Trial:
    """Compare a variant with the shipped recipe."""
    risks = rows.assign(score=_risk(scores), champion_score=_risk(shipped))
    found = compare(risks, thresholds=model.decision_thresholds, replicates=model.bootstrap_replicates, seed=model.seed)
    gain = found["champion_auroc_difference"]
    return Trial(name, key, len(rows), auroc(labels=rows["label"].to_numpy("int64"), scores=scores), gain["value"],
                 gain["low"], gain["high"], found["champion_brier_difference"]["value"], seconds)  # fmt: skip


def _risk(log_odds: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def trials_of(archive: Path | None, model: ModelConfig, *, key: int, only: str, told: Console) -> list[Trial]:
    """Fit and judge the variants whose name has the regular expression ``only``, under one key."""
    frame, labels, folds = cohort_of(archive, model, f"model development {key}".encode())
    rows = pd.DataFrame({"row_key": frame["encounter_id"].astype(str), "entity_key": frame["entity_key"],
                         "label": labels})  # fmt: skip
    scores: dict[str, np.ndarray] = {}
    found = []
    for name, fit in variants(model).items():
        if name != SHIPPED and not re.search(only, name):
            continue
        began = time.monotonic()
        scores[name] = out_of_fold(fit, frame, labels, folds, model.seed)
        trial = judged(
            name, scores[name], scores[SHIPPED], rows, key=key, seconds=time.monotonic() - began, model=model
        )
        told.print(f"key {key}: {name}: {trial.auroc:.4f}", style="dim")
        found.append(trial)
    combined = {name: np.mean([scores[part] for part in parts], axis=0)
                for name, parts in AVERAGES.items() if all(part in scores for part in parts)}  # fmt: skip
    three = AVERAGES["average of boosting, extra trees and logistic regression"]
    if all(part in scores for part in three):
        combined[STACKED] = stacked([scores[part] for part in three], labels, folds)
    return found + [judged(name, each, scores[SHIPPED], rows, key=key, seconds=0.0, model=model)
                    for name, each in combined.items()]  # fmt: skip


def show(trials: Sequence[Trial], console: Console) -> None:
    """Print one line per variant and key."""
    table = Table("variant", "key", "AUROC", "difference to shipped (95 %)", "Brier", "seconds", box=box.SIMPLE)
    for trial in trials:
        gain = f"{trial.difference:+.4f} ({trial.low:+.4f} to {trial.high:+.4f})" if trial.variant != SHIPPED else ""
        brier = f"{trial.brier_difference:+.5f}" if trial.variant != SHIPPED else ""
        table.add_row(trial.variant, str(trial.key), f"{trial.auroc:.4f}", gain, brier,
                      f"{trial.seconds:.0f}" if trial.seconds else "")  # fmt: skip
    console.print(table)
    console.print(f"n = {trials[0].n:,} development encounters, five folds by patient, one thread; "
                  f"{len(TARGET_STATISTICS)} target statistics as shipped")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="local copy of the real data; without it the synthetic cohort")
    parser.add_argument("--keys", type=int, default=1, help="divisions of the patients to try")
    parser.add_argument("--only", default="", help="variants whose name has this regular expression")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    model = model_config(settings(), "readmission_30d")
    told = Console(stderr=True)
    trials = [trial for key in range(given.keys)
              for trial in trials_of(given.archive, model, key=key, only=given.only, told=told)]  # fmt: skip
    if given.json:
        json.dump([asdict(trial) for trial in trials], sys.stdout, indent=1)
    else:
        show(trials, console())


if __name__ == "__main__":
    main()
