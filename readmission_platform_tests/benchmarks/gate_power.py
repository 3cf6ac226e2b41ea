"""Do the gates mean something? Honest models should pass the shipped policy, deliberately broken ones not.

    python -m readmission_platform_tests.benchmarks.gate_power [--archive PATH | --synthetic] [--json]

Honest models are trained as shipped, once per seed at one pseudonym key, then once per key at the shipped
seed: folds follow from the keyed pseudonyms, so every hospital, having its own key, has other test patients.
On synthetic data the cohort's seed varies with the model's. Broken models repeat mistakes that people make.

A model can also be merely worse: one that loses the utilisation counts but keeps the patient's history is
still as good as plain boosting, which the floors let through on purpose. Such a model is shown as a candidate
and must not be able to replace an honest one, which the comparison with the version in use decides.

Ends with 0 when at least 90 % of the honest models pass (over seeds, and over keys), every broken model fails
and no worse model replaces an honest one; with 1 when not, with 2 when it could not be measured.

What belongs here: ways to break a model, and counting verdicts. What does not: a copy of anything that trains
or judges; models are broken by altering what the package's own functions are given.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
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
from readmission_platform.foundation.errors import GovernanceError
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates, verdict
from readmission_platform.governance.policy.required import MEASURED_AT_TRAINING, required_gates
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.lifecycle.training.training_table import TrainingTable, evidence_of
from readmission_platform.lifecycle.versions.version_facts import champion_estimates, estimates_of
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


@dataclass(frozen=True)
class Trial:
    """One model and what the gates say of it: as a candidate, and against the honest model of the same setting."""

    setting: str
    figures: dict[str, float | None]
    gates: list[GateResult]
    against_honest: list[GateResult]

    @property
    def passed(self) -> bool:
        return verdict(self.gates) == "pass"

    @property
    def failed(self) -> list[GateResult]:
        return [gate for gate in self.gates if gate.blocks]

    @property
    def replaces_honest(self) -> bool:
        return self.passed and verdict(self.against_honest) == "pass"

    def to_json(self) -> dict[str, Any]:
        shown = ("gate", "metric", "result", "observed", "low", "high", "limit", "blocks", "detail")

        def plain(gates: list[GateResult]) -> list[dict[str, Any]]:
            return [{name: gate.to_json()[name] for name in shown} for gate in gates]

        return {
            "setting": self.setting,
            "passed": self.passed,
            "figures": self.figures,
            "gates": plain(self.gates),
            "against_honest": plain(self.against_honest),
        }


Scores = Callable[[Cohort, ModelConfig, int], np.ndarray]


def honest(cohort: Cohort, model: ModelConfig, seed: int) -> np.ndarray:
    return _out_of_fold(cohort.inputs, cohort.labels, cohort, model, seed)


def permuted_labels(cohort: Cohort, model: ModelConfig, seed: int) -> np.ndarray:
    """Train and recalibrate on labels dealt out at random; the evidence keeps the true ones."""
    shuffled = np.random.default_rng(seed).permutation(cohort.labels)
    return _out_of_fold(cohort.inputs, shuffled, cohort, model, seed)


def balanced_weights(cohort: Cohort, model: ModelConfig, seed: int) -> np.ndarray:
    """Balance the classes and ship the boosting's own probabilities, with nothing to recalibrate them."""
    pipeline = build_pipeline(_balanced(model), target_smoothing=model.settings["target_smoothing"], seed=seed)
    scores = np.empty(len(cohort.labels))
    for fold in range(model.folds):
        held_out = cohort.folds == fold
        with threadpool_limits(1, user_api="openmp"):
            fitted = clone(pipeline).fit(cohort.inputs[~held_out], cohort.labels[~held_out])
            scores[held_out] = fitted.predict_proba(cohort.inputs[held_out])[:, 1]
    return scores


def balanced_then_recalibrated(cohort: Cohort, model: ModelConfig, seed: int) -> np.ndarray:
    """Balance the classes within the shipped recipe, whose recalibration undoes the harm."""
    return _out_of_fold(cohort.inputs, cohort.labels, cohort, model, seed, boosting=_balanced(model))


def leaked_total(cohort: Cohort, model: ModelConfig, seed: int) -> np.ndarray:
    """Let the encoder pass on how often the patient occurs in the whole file, later encounters included."""
    with patch.object(encoding, "COUNTS", [*encoding.COUNTS, LEAK]):
        return honest(cohort, model, seed)


def without(columns: Sequence[str], cohort: Cohort, model: ModelConfig, seed: int) -> np.ndarray:
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
) -> np.ndarray:
    settings_used = model.settings | ({"boosting": boosting} if boosting else {})
    return CONTRACT.estimator.cross_validate(inputs, labels, cohort.folds, settings_used, seed=seed).scores


def _balanced(model: ModelConfig) -> dict[str, Any]:
    return {**model.settings["boosting"], "class_weight": "balanced"}


BROKEN: dict[str, tuple[str, Scores]] = {
    "permuted labels": ("training labels shuffled, judged on the true ones", permuted_labels),
    "balanced class weights": ('class_weight="balanced", raw scores without recalibration', balanced_weights),
    "leaked total": (f"{LEAK}, later encounters included, as a further feature", leaked_total),
    "no utilisation counts": (
        f"dropped: {', '.join([*UTILISATION, *HISTORY])}, acute_visits",
        partial(without, [*UTILISATION, *HISTORY]),
    ),
}
WORSE: dict[str, tuple[str, Scores]] = {
    "no utilisation counts, history stays": (
        f"dropped: {', '.join(UTILISATION)}, acute_visits",
        partial(without, UTILISATION),
    )
}
CONTROL: dict[str, tuple[str, Scores]] = {
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

    def evidence(self, recipe: Scores, *, variation: int = 0, key_number: int = 0) -> pd.DataFrame:
        """Train by a recipe; evidence rows as training stores them."""
        cohort = self.cohort(variation, key_number)
        scores = recipe(cohort, self.model, self.model.seed + variation)
        table = TrainingTable(cohort.inputs, cohort.labels, cohort.folds, self.model.seed)
        baselines = CONTRACT.data.baselines(cohort.inputs, cohort.labels, cohort.folds, fitted=False)
        return evidence_of(CONTRACT, table, scores, cohort.key, baselines=baselines)

    def judge(self, name: str, setting: str, rows: pd.DataFrame, honest_rows: pd.DataFrame | None = None) -> Trial:
        """Judge evidence as a candidate's is, and against an honest model's if that is given."""
        estimates = estimates_of(rows, digest_rows(rows, CONTRACT.evidence), self.model, CONTRACT.evidence)["estimates"]
        gates = evaluate_gates(
            estimates,
            self.policy,
            required=required_gates(CONTRACT.evidence),
            limit_set=self.limit_set,
            stages=["candidate"],
        )
        # What is measured on recipe, inputs and split when a version is trained is not measured here.
        gates = [gate for gate in gates if gate.metric not in MEASURED_AT_TRAINING]
        against: list[GateResult] = []
        if honest_rows is not None:
            both = estimates | champion_estimates(rows, honest_rows, self.model)
            against = evaluate_gates(
                both,
                self.policy,
                required=required_gates(CONTRACT.evidence),
                limit_set=self.limit_set,
                stages=["production"],
            )
        trial = Trial(
            setting,
            {figure: estimates[figure]["value"] for figure in FIGURES},
            gates,
            [gate for gate in against if gate.metric.startswith("champion_")],
        )
        outcome = "passes" if trial.passed else f"fails {', '.join(gate.gate for gate in trial.failed)}"
        self.log.print(f"{name}, {setting}: AUROC {_short(trial.figures['auroc'])}, {outcome}")
        return trial


Trials = dict[str, dict[str, list[Trial]]]


def measure(bench: Bench, *, seeds: int, broken_seeds: int) -> Trials:
    """Train every model of the bench; trials by kind (honest, broken, worse, control) and by name."""
    trials: Trials = {
        "honest": {"seeds": [], "keys": []},
        **{
            kind: {name: [] for name in recipes}
            for kind, recipes in (("broken", BROKEN), ("worse", WORSE), ("control", CONTROL))
        },
    }
    for seed in range(seeds):
        setting = f"key 0, seed + {seed}"
        rows = bench.evidence(honest, variation=seed)
        trials["honest"]["seeds"].append(bench.judge("honest", setting, rows))
        for kind, recipes in (("broken", BROKEN), ("worse", WORSE), ("control", CONTROL)):
            for name, (_, recipe) in recipes.items() if seed < broken_seeds else ():
                found = bench.evidence(recipe, variation=seed)
                trials[kind][name].append(bench.judge(name, setting, found, rows))
    for number in range(1, seeds + 1):
        rows = bench.evidence(honest, key_number=number)
        trials["honest"]["keys"].append(bench.judge("honest", f"key {number}, seed + 0", rows))
    return trials


def policy_holds(trials: Trials) -> bool:
    """Tell whether enough honest models pass, no broken one does, and no worse one replaces an honest one."""
    enough = all(_passed(group) >= HONEST_SHARE * len(group) for group in trials["honest"].values())
    broken_passes = any(trial.passed for group in trials["broken"].values() for trial in group)
    replaced = any(trial.replaces_honest for group in trials["worse"].values() for trial in group)
    return enough and not broken_passes and not replaced


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
    for kind, recipes in (("broken", BROKEN), ("worse", WORSE), ("control", CONTROL)):
        for name, (what, _) in recipes.items():
            group = trials[kind][name]
            table.add_row(
                f"{name} ({kind})\n[dim]{what}",
                *(_spread(trial.figures[figure] for trial in group) for figure in ("auroc", "observed_expected")),
                f"{_passed(group)} of {len(group)}",
                _stopped_by([trial.failed for trial in group], "")
                + _stopped_by(
                    [[g for g in t.against_honest if g.blocks and t.passed] for t in group],
                    "against the honest model: ",
                )
                or "nothing",
            )
    return table


def _stopped_by(failed: Sequence[Sequence[GateResult]], prefix: str) -> str:
    """Name each gate, in how many trials it stopped the model, its first observation, and the limit."""
    counted = Counter(gate.gate for gates in failed for gate in gates)
    first = {gate.gate: gate for gates in reversed(failed) for gate in gates}
    return "".join(
        f"{prefix}{name} ({count} of {len(failed)}): {_short(first[name].observed)}, limit {first[name].limit}\n"
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
    worse = "".join(
        f"; {name}: accepted as a candidate in {_passed(group)} of {len(group)}, replaces an honest model in "
        f"{sum(trial.replaces_honest for trial in group)}"
        for name, group in trials["worse"].items()
    )
    console.print(f"{outcome}: honest models pass {passes}; {caught}{more}{worse}.")


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
    usual = SourceConfig()
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
