"""What the example model reaches, honestly and with a mistake in it, and whether its gates tell these apart.

    python -m readmission_platform_tests.benchmarks.frequent_visits [--synthetic [--rows N]] [--seeds N] [--json FILE]

Honest models are trained as shipped, with five seeds at one pseudonym key, then with one seed at each of three keys:
folds follow from the pseudonyms, so every key has other test persons. On synthetic data the cohort's seed varies with
the model's. Mistakes: the outcome of the year *after* among the inputs, the share of *all* years with frequent visits
among them, the history left out, and balanced classes without recalibration.

Ends with 0 when every honest model passes the gates of a candidate and every mistake is stopped, with 1 when not.

What belongs here: training, breaking and counting. What does not: a copy of anything that trains or judges.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.config.files import read_yaml
from readmission_platform.config.governance import GatePolicy, LimitSet
from readmission_platform.evaluation.estimates.evidence import evaluate
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.evaluation.information import risks_moved
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates, verdict
from readmission_platform.governance.policy.required import MEASURED_AT_TRAINING, information_metrics, required_gates
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.lifecycle.training.training_table import TrainingTable, evidence_of
from readmission_platform.models.boosting.crossvalidation import cross_validate
from readmission_platform.models.boosting.recalibrated import RecalibratedClassifier
from readmission_platform.models.contract import CrossValidated
from readmission_platform.models.frequent_visits import CONTRACT
from readmission_platform.models.frequent_visits.encoder import build_pipeline

CONFIGS = PROJECT_ROOT / "configs" / "models" / "frequent_visits"
SEEDS, KEYS, ROWS = 5, 3, 20_000
SYNTHETIC_SEED = 7
BEFORE = "frequent_year_before"
SHARE = "frequent_share_before"

Configuration = Mapping[str, Any]


@dataclass(frozen=True)
class Cohort:
    """Development enrolments under one key, ready to train on."""

    rows: pd.DataFrame
    inputs: pd.DataFrame
    folds: np.ndarray
    key: bytes

    @property
    def labels(self) -> np.ndarray:
        return self.rows[CONTRACT.outcome].to_numpy()


@dataclass(frozen=True)
class Trial:
    """What one model reached, and what the gates of a candidate say of it."""

    setting: str
    estimates: Mapping[str, Any]
    gates: Sequence[GateResult]

    @property
    def passed(self) -> bool:
        return verdict(self.gates) == "pass"


@dataclass(frozen=True)
class Trained:
    """Out-of-fold scores (n,), and how far the risks of the model of fold 0 move with each source of information."""

    scores: np.ndarray
    moved: Mapping[str, float]


Recipe = Callable[[Cohort, Configuration, int], Trained]


def configuration() -> Configuration:
    """Read ``model.yaml`` of the example as plain values."""
    content: Configuration = yaml.safe_load((CONFIGS / "model.yaml").read_text(encoding="utf-8"))
    return content


@cache
def loaded(source: str, rows: int, seed: int) -> pd.DataFrame:
    return CONTRACT.sources[source].load(SourceRequest(rows=rows, seed=seed)).frame


def cohort(raw: pd.DataFrame, *, key_number: int, config: Configuration) -> Cohort:
    """Prepare enrolments as the platform does."""
    key = f"frequent visits, insurer {key_number}".encode()
    everything = CONTRACT.data.cohort(raw, key=key, replay_share=config["replay_share"])
    rows = everything[everything["part"] == "development"].reset_index(drop=True)
    folds = entity_folds(rows["entity_key"], folds=config["folds"]).to_numpy()
    return Cohort(rows, CONTRACT.data.inputs_of(rows, rows), folds, key)


def honest(cohort: Cohort, config: Configuration, seed: int) -> Trained:
    return _out_of_fold(cohort.inputs, cohort, config, seed)


def next_year(cohort: Cohort, config: Configuration, seed: int) -> Trained:
    """Let the outcome of the year after in, in place of an input that tells little."""
    after = cohort.rows.groupby("entity_key")[CONTRACT.outcome].shift(-1)
    return _out_of_fold(cohort.inputs.assign(family_size=after.astype("float64")), cohort, config, seed)


def all_years(cohort: Cohort, config: Configuration, seed: int) -> Trained:
    """Count every year of the person, the one that is predicted among them."""
    share = cohort.rows.groupby("entity_key")[CONTRACT.outcome].transform("mean")
    return _out_of_fold(cohort.inputs.assign(**{SHARE: share}), cohort, config, seed)


def no_history(cohort: Cohort, config: Configuration, seed: int) -> Trained:
    return _out_of_fold(cohort.inputs.assign(**{BEFORE: 0.0, SHARE: 0.0}), cohort, config, seed)


def balanced(cohort: Cohort, config: Configuration, seed: int) -> Trained:
    """Balance the classes and ship the boosting's own probabilities."""
    boosting = {**config["settings"]["boosting"], "class_weight": "balanced"}
    scores, fitted = np.empty(len(cohort.rows)), []
    for fold in range(config["folds"]):
        held_out = cohort.folds == fold
        fitted.append(build_pipeline(boosting, seed=seed).fit(cohort.inputs[~held_out], cohort.labels[~held_out]))
        scores[held_out] = fitted[fold].predict_proba(cohort.inputs[held_out])[:, 1]
    return _trained(CrossValidated(RecalibratedClassifier(fitted[0]), scores), cohort.inputs, cohort, seed)


def _out_of_fold(inputs: pd.DataFrame, cohort: Cohort, config: Configuration, seed: int) -> Trained:
    boosting = config["settings"]["boosting"]
    fitted = cross_validate(lambda: build_pipeline(boosting, seed=seed), inputs, cohort.labels, cohort.folds)
    return _trained(fitted, inputs, cohort, seed)


def _trained(fitted: CrossValidated, inputs: pd.DataFrame, cohort: Cohort, seed: int) -> Trained:
    """Measure on the test persons of fold 0 what a model draws on, as training does."""
    score, test = partial(CONTRACT.estimator.score, fitted.model), inputs[cohort.folds == 0]
    return Trained(fitted.scores, risks_moved(score, test, CONTRACT.evidence.information, seed=seed))


MISTAKES: Mapping[str, Recipe] = {
    "the year after among the inputs": next_year,
    "all years among the inputs": all_years,
    "no history": no_history,
    "balanced classes": balanced,
}


def trial(setting: str, cohort: Cohort, trained: Trained, limits: LimitSet, config: Configuration) -> Trial:
    """Make the evidence of a model, and judge it as a candidate."""
    baselines = CONTRACT.data.baselines(cohort.inputs, cohort.labels, cohort.folds)
    table = TrainingTable(cohort.rows, cohort.labels, cohort.folds, config["seed"])
    rows = evidence_of(CONTRACT, table, trained.scores, cohort.key, baselines=baselines)
    document = evaluate(
        rows,
        schema=CONTRACT.evidence,
        flag_share=config["flag_share"],
        wide_flag_share=config["wide_flag_share"],
        thresholds=config["decision_thresholds"],
        replicates=config["bootstrap_replicates"],
        seed=config["seed"],
    )
    policy = read_yaml(CONFIGS / "gates.yaml", GatePolicy)
    required = required_gates(CONTRACT.evidence)
    nothing = dict.fromkeys(("low", "high", "n", "positives"))
    moved = {metric: {"value": value} | nothing for metric, value in information_metrics(trained.moved).items()}
    estimates = document["estimates"] | moved
    gates = evaluate_gates(estimates, policy, required=required, limit_set=limits, stages=["candidate"])
    # What else is measured on recipe, inputs and split when a version is trained is not measured here.
    gates = [gate for gate in gates if gate.metric not in MEASURED_AT_TRAINING]
    alone = {f"baseline.{each['name']}": each["auroc"] for each in document["baselines"]}
    return Trial(setting, {**estimates, **alone}, gates)


def measure(source: str, log: Console, *, rows: int, seeds: int) -> dict[str, dict[str, list[Trial]]]:
    """Train everything; trials by kind (honest, mistakes) and by name."""
    config, limits = configuration(), CONTRACT.sources[source].limits
    found: dict[str, dict[str, list[Trial]]] = {"honest": {"seeds": [], "keys": []}, "mistakes": {}}

    def made(name: str, recipe: Recipe, *, seed: int, key_number: int) -> Trial:
        raw = loaded(source, rows, SYNTHETIC_SEED + seed if source == "synthetic" else 0)
        prepared = cohort(raw, key_number=key_number, config=config)
        trained = recipe(prepared, config, config["seed"] + seed)
        result = trial(f"seed + {seed}, key {key_number}", prepared, trained, limits, config)
        area, outcome = result.estimates["auroc"]["value"], "passes" if result.passed else "is stopped"
        log.print(f"{name}, {result.setting}: AUROC {area:.4f}, {outcome}")
        return result

    for seed in range(seeds):
        found["honest"]["seeds"].append(made("honest", honest, seed=seed, key_number=0))
    for number in range(1, KEYS + 1):
        found["honest"]["keys"].append(made("honest", honest, seed=0, key_number=number))
    for name, recipe in MISTAKES.items():
        found["mistakes"][name] = [made(name, recipe, seed=0, key_number=0)]
    return found


def holds(found: Mapping[str, Mapping[str, list[Trial]]]) -> bool:
    """Tell whether all honest models pass and all mistakes are stopped."""
    every_honest = all(each.passed for group in found["honest"].values() for each in group)
    return every_honest and not any(each.passed for group in found["mistakes"].values() for each in group)


def table(found: Mapping[str, Mapping[str, list[Trial]]], limits: LimitSet) -> Table:
    """One line a measure: what honest models reach over seeds and over keys, by the median and the range."""
    shown = Table(title=f"Honest models, {limits} data", box=box.SIMPLE_HEAD, title_justify="left")
    for column in ("measure", "over seeds", "over keys", "lowest lower, highest upper bound"):
        shown.add_column(column)
    trials = [each for group in found["honest"].values() for each in group]
    for name in trials[0].estimates:
        bounds = [trial.estimates[name] for trial in trials if trial.estimates[name]["low"] is not None]
        ends = (
            f"{min(each['low'] for each in bounds):.4f}, {max(each['high'] for each in bounds):.4f}" if bounds else ""
        )
        shown.add_row(name, *(_spread(group, name) for group in found["honest"].values()), ends)
    return shown


def _spread(group: Sequence[Trial], name: str) -> str:
    values = [each.estimates[name]["value"] for each in group if each.estimates[name]["value"] is not None]
    return f"{median(values):.4f} ({min(values):.4f} to {max(values):.4f})" if values else "none"


def stopped(found: Mapping[str, Mapping[str, list[Trial]]]) -> Table:
    """One line a mistake, and each honest model that was stopped: the gates that stopped it."""
    shown = Table(title="Stopped", box=box.SIMPLE_HEAD, title_justify="left")
    for column in ("model", "AUROC", "by"):
        shown.add_column(column)
    named = [(f"honest, {each.setting}", each) for group in found["honest"].values() for each in group]
    named += [(name, each) for name, group in found["mistakes"].items() for each in group]
    for name, each in named:
        gates = ", ".join(gate.gate for gate in each.gates if gate.blocks)
        if gates or not name.startswith("honest"):
            shown.add_row(name, f"{each.estimates['auroc']['value']:.4f}", gates or "nothing")
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--synthetic", action="store_true", help="measure on generated cohorts instead of the data")
    parser.add_argument("--rows", type=int, default=ROWS, help="size of a generated cohort")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many seeds honest models are trained with")
    parser.add_argument("--json", type=Path, help="write everything that was measured to this file as well")
    options = parser.parse_args(arguments)
    source = "synthetic" if options.synthetic else "rand"
    log = Console(stderr=True, soft_wrap=True, highlight=False)
    found = measure(source, log, rows=options.rows, seeds=options.seeds)
    console = Console(width=160)
    console.print(table(found, CONTRACT.sources[source].limits))
    console.print(stopped(found))
    if options.json:
        plain = {
            kind: {name: [{"setting": each.setting, "estimates": each.estimates,
                           "gates": [gate.to_json() for gate in each.gates]} for each in group]
                   for name, group in groups.items()}
            for kind, groups in found.items()
        }  # fmt: skip
        options.json.write_text(json.dumps(plain), encoding="utf-8")
    return 0 if holds(found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
