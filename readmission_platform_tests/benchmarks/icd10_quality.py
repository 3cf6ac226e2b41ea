"""What translation from ICD-10-CM does to the quality of the readmission model.

    python -m readmission_platform_tests.benchmarks.icd10_quality [--archive PATH] [--json]

Fits the shipped recipe on the development encounters, whose codes are ICD-9-CM, and scores the encounters of each fold
with its codes as they are and once more with codes that went forth to ICD-10-CM and were translated back as intake does
it. A category, as the data have it, is written as one of the codes under it, drawn by encounter. The recipe is also
fitted on codes that went forth and back, as in a hospital that has written ICD-10-CM from the start. Intervals and
differences are from one bootstrap of patients. The replay stream is never touched.

What belongs here: fitting, scoring twice, and printing. What does not: translating (``encounters.icd10``).
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config
from readmission_platform.encounters.cohort import eligible_encounters
from readmission_platform.encounters.icd9 import as_recorded, category_of
from readmission_platform.encounters.icd10 import DRAWS, forth, translated
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.estimates.bootstrap import Estimate, bootstrap
from readmission_platform.evaluation.estimates.calibration import (
    observed_expected_of,
    recalibrate,
    recalibration_groups,
)
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.evaluation.estimates.ranking import (
    Ranking,
    accumulate,
    auroc_of,
    grouped_by_place,
    rank_rows,
    ratio,
    squared_errors,
    weighted_sum,
)
from readmission_platform.evaluation.estimates.recalibration import corrected, correction
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.inputs import DIAGNOSES

KEY = b"translation forth and back"
NATIVE, TRANSLATED, FROM_THE_START = "as they are", "translated", "translated from the start"
MEASURES = {"auroc": "AUROC", "calibration_slope": "calibration slope", "observed_expected": "O/E", "brier": "Brier"}


def out_of_fold(
    inputs: Mapping[str, pd.DataFrame], fitted_on: str, labels: np.ndarray, folds: np.ndarray, entities: np.ndarray,
    given: Mapping[str, Any], *, seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, list[float]]]:  # fmt: skip
    """Return out-of-fold risks by inputs, recalibrated on those fitted on, and how often their codes have a statistic.

    The latter by inputs and feature: shares of the codes in the folds, one per fold.
    """
    raw = {name: np.empty(len(labels)) for name in inputs}
    known: dict[str, list[float]] = {}
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        with threadpool_limits(1, user_api="openmp"):
            others = CONTRACT.estimator.fitted_with(entities[~held_out])
            fit = CONTRACT.estimator.pipeline(given, seed=seed).fit(
                inputs[fitted_on][~held_out], labels[~held_out], **others
            )
            for name, frame in inputs.items():
                raw[name][held_out] = fit.predict_proba(frame[held_out])[:, 1]
        for name, frame in inputs.items():
            for kind, of_codes in (("code", as_recorded), ("category", category_of)):
                shares = [frame.loc[held_out, column].dropna().map(of_codes).isin(
                    fit[0].common_[f"{column}_{'category_' * (kind == 'category')}rate"]).mean()
                    for column in DIAGNOSES]  # fmt: skip
                known.setdefault(f"{name}: {kind}", []).append(float(np.mean(shares)))
    scores = {name: np.empty(len(labels)) for name in inputs}
    for fold in range(int(folds.max()) + 1):
        held_out = folds == fold
        slope, intercept = correction(raw[fitted_on][~held_out], labels[~held_out])
        for name in inputs:
            scores[name][held_out] = corrected(raw[name][held_out], slope, intercept)
    return scores, known


def judged(
    scores: Mapping[str, np.ndarray], labels: np.ndarray, entities: np.ndarray, *, replicates: int, seed: int
) -> dict[tuple[str, ...], Estimate]:
    """Return every measure of every score, by both names, and its difference to that of codes as they are."""
    rankings = {name: rank_rows(labels=labels, scores=each, columns=entities) for name, each in scores.items()}
    return bootstrap(
        partial(_measures, rankings), clusters=int(entities.max()) + 1, rows=len(labels) * len(scores),
        replicates=replicates, seed=seed,
    )  # fmt: skip


def _measures(rankings: Mapping[str, Ranking], counts: Any) -> dict[tuple[str, ...], np.ndarray]:
    found = {}
    for name, ranking in rankings.items():
        running = accumulate(ranking=ranking, weights=counts)
        edges, logits = recalibration_groups(ranking)
        total, positive = grouped_by_place(running, edges=edges)
        found[name, "auroc"] = auroc_of(running)
        found[name, "brier"] = ratio(weighted_sum(running, values=squared_errors(ranking)), running.total)
        found[name, "calibration_slope"] = recalibrate(x=logits, total=total, positive=positive).slope
        found[name, "observed_expected"] = observed_expected_of(running)
    differences = {(name, measure, "difference"): found[name, measure] - found[NATIVE, measure]
                   for name, measure in found if name != NATIVE}  # fmt: skip
    return {**found, **differences}


def fates(inputs: pd.DataFrame, back: pd.DataFrame, draws: np.ndarray) -> dict[str, float]:
    """Return the share of the codes by how they came back, and of those that came back in their category."""
    ways: Counter[str] = Counter()
    same = 0
    for place, column in enumerate(DIAGNOSES):
        there = inputs[column].notna()
        same += int((back.loc[there, column].map(category_of) == inputs.loc[there, column].map(category_of)).sum())
        pairs = Counter(zip(inputs.loc[there, column], (draws // (place + 1) % DRAWS)[there].tolist(), strict=True))
        for (code, draw), count in pairs.items():
            written = forth(code, draw)
            ways["lost" if written is None else translated(written).how] += count
    total = ways.total()
    return {**{how: count / total for how, count in sorted(ways.items())}, "in the same category": same / total}


def report_of(archive: Path | None) -> dict[str, Any]:
    """Measure, and return everything by name."""
    model = model_config(settings(), "readmission_30d")
    loaded = load_uci(SourceRequest(archive=archive)) if archive else load_synthetic(SourceRequest(rows=40_000, seed=7))
    eligible = eligible_encounters(loaded.frame, key=KEY, replay_share=model.replay_share)
    development = eligible[eligible["part"] == "development"].reset_index(drop=True)
    inputs = CONTRACT.data.inputs_of(development, development)
    labels = development["readmitted_30d"].to_numpy("int64")
    folds = entity_folds(development["entity_key"], folds=model.folds).to_numpy()
    entities = development["entity_key"].to_numpy()
    # What each code is written as is drawn by encounter.
    draws = pd.util.hash_array(development["encounter_id"].to_numpy("int64"))
    both = {NATIVE: inputs, TRANSLATED: CONTRACT.watch.translated(inputs, draws)}
    scores, known = out_of_fold(both, NATIVE, labels, folds, entities, model.settings, seed=model.seed)
    own, own_known = out_of_fold({FROM_THE_START: both[TRANSLATED]}, FROM_THE_START, labels, folds, entities,
                                 model.settings, seed=model.seed)  # fmt: skip
    found = judged(scores | own, labels, pd.factorize(development["entity_key"])[0],
                   replicates=model.bootstrap_replicates, seed=model.seed)  # fmt: skip
    return {
        "origin": loaded.origin,
        "n": len(labels),
        "positives": int(labels.sum()),
        "codes": fates(inputs, both[TRANSLATED], draws),
        "with a statistic": {name: float(np.mean(shares)) for name, shares in (known | own_known).items()},
        "largest difference of a risk": float(np.abs(scores[TRANSLATED] - scores[NATIVE]).max()),
        "mean difference of a risk": float(np.abs(scores[TRANSLATED] - scores[NATIVE]).mean()),
        "figures": {", ".join(key): vars(estimate) for key, estimate in found.items()},
    }


def show(report: Mapping[str, Any], out: Console) -> None:
    """Print what was found."""
    out.print(f"{report['origin']}: {report['n']:,} development encounters, {report['positives']:,} readmitted")
    table = Table("codes", *MEASURES.values(), box=box.SIMPLE)
    figures = report["figures"]
    for name in (NATIVE, TRANSLATED, FROM_THE_START):
        for more in ("", ", difference"):
            if f"{name}, auroc{more}" in figures:
                cells = [figures[f"{name}, {measure}{more}"] for measure in MEASURES]
                sign = "+" if more else ""
                table.add_row(name + more, *(f"{each['value']:{sign}.4f} ({each['low']:{sign}.4f} to "
                                             f"{each['high']:{sign}.4f})" for each in cells))  # fmt: skip
    out.print(table)
    out.print("codes came back: " + ", ".join(f"{how} {share:.1%}" for how, share in report["codes"].items()))
    out.print("codes that a statistic was learnt of: "
              + "; ".join(f"{name} {share:.1%}" for name, share in report["with a statistic"].items()))  # fmt: skip
    out.print(f"risks differ by {report['mean difference of a risk']:.4f} on average, "
              f"by {report['largest difference of a risk']:.3f} at most")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="local copy of the real data; without it a synthetic cohort")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    report = report_of(given.archive)
    if given.json:
        json.dump(report, sys.stdout, indent=1)
    else:
        show(report, console(wide=160))


if __name__ == "__main__":
    main()
