"""Do the gates mean something? Honest models should pass the shipped policy, deliberately broken ones not.

    python -m readmission_platform_tests.benchmarks.gate_power [--archive PATH | --synthetic] [--json]

Honest models are trained as shipped, once per seed at one pseudonym key, then once per key at the shipped
seed: folds follow from the keyed pseudonyms, so every hospital, having its own key, has other test patients.
On synthetic data the cohort's seed varies with the model's. Broken models repeat mistakes that people make. One
that loses the utilisation counts but keeps the patient's history ranks as well as plain boosting, which the floors
let through on purpose: what it draws on tells it from an honest one.

Ends with 0 when at least 90 % of the honest models pass (over seeds, and over keys) and every broken model fails;
with 1 when not, with 2 when it could not be measured.

What belongs here: ways to break a model, and counting verdicts. What does not: a copy of anything that trains
or judges; models are broken by altering what the package's own functions are given.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from readmission_platform.assets.feed.ingestion import SourceConfig
from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import gate_policy, model_config
from readmission_platform.config.governance import GatePolicy, LimitSet
from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.cohort import eligible_encounters
from readmission_platform.encounters.history import HISTORY_COLUMNS
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.estimates.evidence import digest_rows
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.evaluation.information import risks_moved
from readmission_platform.foundation.errors import GovernanceError
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates, verdict
from readmission_platform.governance.policy.required import MEASURED_AT_TRAINING, information_metrics, required_gates
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.lifecycle.training.training_table import TrainingTable, evidence_of
from readmission_platform.lifecycle.versions.version_facts import estimates_of
from readmission_platform.models.boosting.recalibrated import RecalibratedClassifier
from readmission_platform.models.contract import CrossValidated
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d import features as encoding
from readmission_platform.models.readmission_30d.model import build_pipeline

REQUIRED = required_gates(CONTRACT.evidence)
HONEST_SHARE = 0.9
FIGURES = ("auroc", "average_precision_ratio", "brier_skill", "observed_expected", "calibration_slope")

# acute_visits is computed from the first three and goes with them.
UTILISATION = ["number_inpatient", "number_emergency", "number_outpatient", "prior_max_number_inpatient"]
# Earlier stays tell of utilisation too, so a model without it has none of these.
HISTORY = [name for name in HISTORY_COLUMNS if name not in UTILISATION]
LEAK = "encounters_in_whole_file"


@dataclass(frozen=True)
class Cohort:
    """Development encounters of one source under one pseudonym key: inputs, labels (n,), folds (n,)."""

    inputs: pd.DataFrame
    labels: np.ndarray
    folds: np.ndarray
    key: bytes

    @property
    def entities(self) -> np.ndarray:
        """Whose encounter each is."""
        return self.inputs["entity_key"].to_numpy()


@dataclass(frozen=True)
class Trial:
    """One model and what the gates say of it as a candidate."""

    setting: str
    figures: dict[str, float | None]
    gates: list[GateResult]

    @property
    def passed(self) -> bool:
        return verdict(self.gates) == "pass"

    @property
    def failed(self) -> list[GateResult]:
        return [gate for gate in self.gates if gate.blocks]

    def to_json(self) -> dict[str, Any]:
        shown = ("gate", "metric", "result", "observed", "low", "high", "limit", "blocks", "detail")
        return {
            "setting": self.setting,
            "passed": self.passed,
            "figures": self.figures,
            "gates": [{name: gate.to_json()[name] for name in shown} for gate in self.gates],
        }


@dataclass(frozen=True)
class Trained:
    """Out-of-fold scores (n,), and how far the risks of the model of fold 0 move with each source of information."""

    scores: np.ndarray
    moved: Mapping[str, float]


Recipe = Callable[[Cohort, ModelConfig, int], Trained]


def honest(cohort: Cohort, model: ModelConfig, seed: int) -> Trained:
    return _out_of_fold(cohort.inputs, cohort.labels, cohort, model, seed)


def permuted_labels(cohort: Cohort, model: ModelConfig, seed: int) -> Trained:
    """Train and recalibrate on labels dealt out at random; the evidence keeps the true ones."""
    shuffled = np.random.default_rng(seed).permutation(cohort.labels)
    return _out_of_fold(cohort.inputs, shuffled, cohort, model, seed)


def balanced_weights(cohort: Cohort, model: ModelConfig, seed: int) -> Trained:
    """Balance the classes and ship the boosting's own probabilities, with nothing to recalibrate them."""
    pipeline = build_pipeline(_balanced(model), target_smoothing=model.settings["target_smoothing"], seed=seed)
    scores, fitted = np.empty(len(cohort.labels)), []
    for fold in range(model.folds):
        held_out = cohort.folds == fold
        with threadpool_limits(1, user_api="openmp"):
            others = cohort.inputs[~held_out]
            whose = cohort.entities[~held_out]
            fitted.append(clone(pipeline).fit(others, cohort.labels[~held_out], encode__entities=whose))
            scores[held_out] = fitted[fold].predict_proba(cohort.inputs[held_out])[:, 1]
    return _trained(CrossValidated(RecalibratedClassifier(fitted[0]), scores), cohort.inputs, cohort, seed)


def balanced_then_recalibrated(cohort: Cohort, model: ModelConfig, seed: int) -> Trained:
    """Balance the classes within the shipped recipe, whose recalibration undoes the harm."""
    return _out_of_fold(cohort.inputs, cohort.labels, cohort, model, seed, boosting=_balanced(model))


def leaked_total(cohort: Cohort, model: ModelConfig, seed: int) -> Trained:
    """Let the encoder pass on how often the patient occurs in the whole file, later encounters included."""
    with patch.object(encoding, "COUNTS", [*encoding.COUNTS, LEAK]):
        return honest(cohort, model, seed)


def without(columns: Sequence[str], cohort: Cohort, model: ModelConfig, seed: int) -> Trained:
    """Train and score with these inputs constant: no tree can split on them, which is as good as dropping."""
    emptied = cohort.inputs.assign(**dict.fromkeys(columns, 0.0))
    return _out_of_fold(emptied, cohort.labels, cohort, model, seed)


def _out_of_fold(
    inputs: pd.DataFrame,
    labels: np.ndarray,
    cohort: Cohort,
    model: ModelConfig,
    seed: int,
    *,
    boosting: dict[str, Any] | None = None,
) -> Trained:
    settings_used = model.settings | ({"boosting": boosting} if boosting else {})
    fitted = CONTRACT.estimator.cross_validate(
        inputs, labels, cohort.folds, settings_used, entities=cohort.entities, seed=seed
    )
    return _trained(fitted, inputs, cohort, seed)


def _trained(fitted: CrossValidated, inputs: pd.DataFrame, cohort: Cohort, seed: int) -> Trained:
    """Measure on the test patients of fold 0 what a model draws on, as training does."""
    score, test = partial(CONTRACT.estimator.score, fitted.model), inputs[cohort.folds == 0]
    return Trained(fitted.scores, risks_moved(score, test, CONTRACT.evidence.information, seed=seed))


def _balanced(model: ModelConfig) -> dict[str, Any]:
    return {**model.settings["boosting"], "class_weight": "balanced"}


BROKEN: dict[str, tuple[str, Recipe]] = {
    "permuted labels": ("training labels shuffled, judged on the true ones", permuted_labels),
    "balanced class weights": ('class_weight="balanced", raw scores without recalibration', balanced_weights),
    "leaked total": (f"{LEAK}, later encounters included, as a further feature", leaked_total),
    "no utilisation counts": (
        f"dropped: {', '.join([*UTILISATION, *HISTORY])}, acute_visits",
        partial(without, [*UTILISATION, *HISTORY]),
    ),
    "no utilisation counts, history kept": (
        f"dropped: {', '.join(UTILISATION)}, acute_visits",
        partial(without, UTILISATION),
    ),
}
CONTROL: dict[str, tuple[str, Recipe]] = {
    "balanced class weights, recalibrated": (
        "not broken: the shipped recalibration repairs balanced weights",
        balanced_then_recalibrated,
    )
}


@dataclass
class Bench:
    """A source of encounters with the shipped configuration; trains and judges on it."""

    limit_set: LimitSet
    origin: str
    load: Callable[[int], pd.DataFrame]
    model: ModelConfig
    policy: GatePolicy
    log: Console
    _latest: tuple[pd.DataFrame, int, Cohort] | None = field(default=None, init=False)

    def cohort(self, variation: int, key_number: int) -> Cohort:
        """Return a cohort, prepared afresh when it is not the one that was asked for last."""
        raw = self.load(variation)
        if self._latest is None or self._latest[0] is not raw or self._latest[1] != key_number:
            self._latest = (raw, key_number, self._prepared(raw, key_number))
        return self._latest[2]

    def _prepared(self, raw: pd.DataFrame, key_number: int) -> Cohort:
        """Prepare development encounters as the assets do, plus the column that leaks."""
        key = f"gate power, hospital {key_number}".encode()
        eligible = eligible_encounters(raw, key=key, replay_share=self.model.replay_share)
        development = eligible[eligible["part"] == "development"].reset_index(drop=True)
        inputs = CONTRACT.data.inputs_of(development, development)
        inputs = pd.concat([development[["encounter_id", "entity_key", "clock"]], inputs], axis=1)
        patient = raw.set_index("encounter_id")["patient_nbr"]
        total = patient.map(patient.value_counts())
        inputs[LEAK] = total.loc[development["encounter_id"]].to_numpy()
        folds = entity_folds(development["entity_key"], folds=self.model.folds).to_numpy()
        return Cohort(inputs, development["readmitted_30d"].to_numpy(), folds, key)

    def trial(self, name: str, recipe: Recipe, *, variation: int = 0, key_number: int = 0) -> Trial:
        """Train by a recipe, make the evidence as training does, and judge it as a candidate's is judged."""
        cohort = self.cohort(variation, key_number)
        trained = recipe(cohort, self.model, self.model.seed + variation)
        table = TrainingTable(cohort.inputs, cohort.labels, cohort.folds, self.model.seed)
        baselines = CONTRACT.data.baselines(cohort.inputs, cohort.labels, cohort.folds, fitted=False)
        rows = evidence_of(CONTRACT, table, trained.scores, cohort.key, baselines=baselines)
        estimates = estimates_of(rows, digest_rows(rows, CONTRACT.evidence), self.model, CONTRACT.evidence)["estimates"]
        moved = {metric: {"value": value} for metric, value in information_metrics(trained.moved).items()}
        gates = evaluate_gates(
            estimates | moved,
            self.policy,
            required=required_gates(CONTRACT.evidence),
            limit_set=self.limit_set,
            stages=["candidate"],
        )
        # What else is measured when a version is trained, on recipe, inputs and split, is not measured here.
        gates = [gate for gate in gates if gate.metric not in MEASURED_AT_TRAINING]
        setting = f"key {key_number}, seed + {variation}"
        trial = Trial(setting, {figure: estimates[figure]["value"] for figure in FIGURES}, gates)
        outcome = "passes" if trial.passed else f"fails {', '.join(gate.gate for gate in trial.failed)}"
        self.log.print(f"{name}, {setting}: AUROC {_short(trial.figures['auroc'])}, {outcome}")
        return trial


Trials = dict[str, dict[str, list[Trial]]]


def measure(bench: Bench, *, seeds: int, broken_seeds: int) -> Trials:
    """Train every model of the bench; trials by kind (honest, broken, control) and by name."""
    trials: Trials = {
        "honest": {"seeds": [], "keys": []},
        **{kind: {name: [] for name in recipes} for kind, recipes in (("broken", BROKEN), ("control", CONTROL))},
    }
    for seed in range(seeds):
        trials["honest"]["seeds"].append(bench.trial("honest", honest, variation=seed))
        for kind, recipes in (("broken", BROKEN), ("control", CONTROL)):
            for name, (_, recipe) in recipes.items() if seed < broken_seeds else ():
                trials[kind][name].append(bench.trial(name, recipe, variation=seed))
    for number in range(1, seeds + 1):
        trials["honest"]["keys"].append(bench.trial("honest", honest, key_number=number))
    return trials


def policy_holds(trials: Trials) -> bool:
    """Tell whether enough honest models pass and no broken one does."""
    enough = all(_passed(group) >= HONEST_SHARE * len(group) for group in trials["honest"].values())
    broken_passes = any(trial.passed for group in trials["broken"].values() for trial in group)
    return enough and not broken_passes


def _passed(group: Iterable[Trial]) -> int:
    return sum(trial.passed for trial in group)


def _short(value: float | None) -> str:
    return "none" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4f}"


def _spread(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{_short(median(known))} ({_short(min(known))} to {_short(max(known))})" if known else "none"


def honest_table(trials: dict[str, list[Trial]]) -> Table:
    """One line per gate: its limit, the figures of the honest models, and how many it stopped."""
    table = Table(title="Honest models, gate by gate: median and range", box=box.SIMPLE_HEAD, title_justify="left")
    for column in ("gate", "limit", *(f"over {name}" for name in trials)):
        table.add_column(column)
    for name in trials:
        table.add_column(f"stopped, {name}", justify="right")
    by_gate = {name: [{gate.gate: gate for gate in trial.gates} for trial in group] for name, group in trials.items()}
    for gate in next(iter(trials.values()))[0].gates:
        results = {name: [each[gate.gate] for each in found] for name, found in by_gate.items()}
        stopped = [sum(result.blocks for result in found) for found in results.values()]
        table.add_row(
            gate.gate,
            gate.limit,
            *(_spread(result.observed for result in found) for found in results.values()),
            *(f"{count} of {len(found)}" for count, found in zip(stopped, results.values(), strict=True)),
            style="red" if any(stopped) else None,
        )
    return table


def broken_table(trials: Trials) -> Table:
    """One line per altered model: what was done, how it scores, what caught it."""
    table = Table(title="Altered models", box=box.SIMPLE_HEAD, title_justify="left", show_lines=True)
    for column in ("model", "AUROC", "observed/expected", "passed as candidate", "stopped by"):
        table.add_column(column, ratio=3 if column in ("model", "stopped by") else None)
    for kind, recipes in (("broken", BROKEN), ("control", CONTROL)):
        for name, (what, _) in recipes.items():
            group = trials[kind][name]
            table.add_row(
                f"{name} ({kind})\n[dim]{what}",
                *(_spread(trial.figures[figure] for trial in group) for figure in ("auroc", "observed_expected")),
                f"{_passed(group)} of {len(group)}",
                _stopped_by([trial.failed for trial in group]) or "nothing",
            )
    return table


def _stopped_by(failed: Sequence[Sequence[GateResult]]) -> str:
    """Name each gate, in how many trials it stopped the model, its first observation, and the limit."""
    counted = Counter(gate.gate for gates in failed for gate in gates)
    first = {gate.gate: gate for gates in reversed(failed) for gate in gates}
    return "".join(
        f"{name} ({count} of {len(failed)}): {_short(first[name].observed)}, limit {first[name].limit}\n"
        for name, count in counted.most_common()
    )


def print_report(console: Console, bench: Bench, trials: Trials) -> None:
    """Print the tables, every gate that stopped an honest model, and a last line that sums up."""
    console.print(f"{bench.origin}; limits: {bench.limit_set}")
    console.print(honest_table(trials["honest"]))
    stopped = [(trial, gate) for group in trials["honest"].values() for trial in group for gate in trial.failed]
    for trial, gate in stopped:
        seen = f"{_short(gate.observed)} ({_short(gate.low)} to {_short(gate.high)}), limit {gate.limit}"
        console.print(f"  honest, {trial.setting}: {gate.gate}, {gate.metric} {seen}; {gate.detail}")
    console.print(broken_table(trials))
    passes = ", ".join(f"{_passed(group)} of {len(group)} over {name}" for name, group in trials["honest"].items())
    slipped = [name for name, group in trials["broken"].items() if _passed(group)]
    caught = f"{len(BROKEN) - len(slipped)} of {len(BROKEN)} broken models fail in every trial"
    outcome = "The policy holds" if policy_holds(trials) else "The policy does NOT hold"
    more = "".join(f"; {name} got through" for name in slipped)
    console.print(f"{outcome}: honest models pass {passes}; {caught}{more}.")


def to_json(bench: Bench, trials: Trials) -> dict[str, Any]:
    """Return everything that was measured, for machines."""
    return {
        "origin": bench.origin,
        "limit_set": bench.limit_set,
        "policy_holds": policy_holds(trials),
        **{
            kind: {
                name: {
                    "passed": _passed(group),
                    "of": len(group),
                    "trials": [each.to_json() for each in group],
                }
                for name, group in groups.items()
            }
            for kind, groups in trials.items()
        },
    }


def make_bench(archive: Path | None) -> Bench:
    """Open the source with the shipped configuration."""
    shipped, policy, log = (
        model_config(settings(), "readmission_30d"),
        gate_policy(settings(), "readmission_30d"),
        Console(stderr=True, soft_wrap=True, highlight=False),
    )
    if archive is not None:
        loaded = load_uci(SourceRequest(archive=archive))
        return Bench("real", loaded.origin, lambda _: loaded.frame, shipped, policy, log)
    usual = SourceConfig().request(Path())
    return Bench(
        "synthetic",
        f"synthetic cohorts of {usual.rows:,} encounters, seeds from {usual.seed}",
        lru_cache(1)(lambda seed: load_synthetic(SourceRequest(rows=usual.rows, seed=usual.seed + seed)).frame),
        shipped,
        policy,
        log,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(prog="gate_power", description=(__doc__ or "").partition("\n")[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--archive", type=Path, help="local copy of the UCI archive")
    source.add_argument("--synthetic", action="store_true", help="synthetic cohorts (the default)")
    parser.add_argument("--seeds", type=int, default=10, help="honest models over seeds, and again over keys")
    parser.add_argument("--broken-seeds", type=int, default=2, help="trials of each altered model")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.broken_seeds <= asked.seeds:
        parser.error("at least one seed is needed, and no more broken models than honest ones to compare them with")
    try:
        bench = make_bench(asked.archive)
        trials = measure(bench, seeds=asked.seeds, broken_seeds=asked.broken_seeds)
    except (GovernanceError, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 2
    if asked.json:
        print(json.dumps(to_json(bench, trials), indent=1))
    else:
        print_report(console(wide=160), bench, trials)
    return 0 if policy_holds(trials) else 1


if __name__ == "__main__":
    raise SystemExit(main())
