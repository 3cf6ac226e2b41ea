"""Does live performance notice a model that got worse, and leave alone one that did not?

    python -m readmission_platform_tests.benchmarks.performance_power [--archive PATH] [--seeds N] [--json]

A model is trained as shipped; a stream of later encounters is scored by day as production scores it; then the judged
period is looked at on the day each month matures, with the shipped limits. The outcomes of the stream are left alone,
or disturbed from the first day or from the middle on: more readmissions (negatives turned at random until there are 1.6
times as many), or outcomes dealt out anew among the encounters.

Synthetic cohorts use their own replay stream. With --archive the latest tenth of the development part stands in for the
stream and the model is trained on the rest: the outcomes of the real replay stream stay unopened.

Ends with 0 when no undisturbed stream is found worse and every disturbed one is, with 1 when not.

What belongs here: disturbing outcomes and counting verdicts. What does not: a copy of anything that scores or judges.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config, monitoring_config
from readmission_platform.config.model import ModelConfig
from readmission_platform.config.monitoring import PerformanceConfig
from readmission_platform.encounters.cohort import MATURITY_DAYS, eligible_encounters
from readmission_platform.encounters.history import DAY
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.operation.live import ALL, SEEN, UNSEEN
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.lifecycle.monitoring.live_verdicts import ESTIMATE, MEASURED, WORSE, Periods
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform_tests.benchmarks.streams import Stream, listed, train
from readmission_platform_tests.support.homes import MODEL

MORE = 1.6
Disturb = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def more_readmissions(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn randomly chosen negatives until there are 1.6 times as many readmissions."""
    negatives = np.flatnonzero(labels == 0)
    chosen = rng.choice(negatives, round((MORE - 1) * labels.sum()), replace=False)
    changed = labels.copy()
    changed[chosen] = 1
    return changed


def dealt_anew(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Deal the outcomes out at random: as many readmissions, of the wrong people."""
    return rng.permutation(labels)


DISTURBANCES: dict[str, tuple[Disturb | None, float]] = {
    "undisturbed": (None, 1.0),
    "1.6 x as many, from the first day": (more_readmissions, 0.0),
    "1.6 x as many, from the middle": (more_readmissions, 0.5),
    "dealt anew, from the first day": (dealt_anew, 0.0),
    "dealt anew, from the middle": (dealt_anew, 0.5),
}


@dataclass(frozen=True)
class Scored:
    """What one model scored by day, with all outcomes: the rows that live performance reads."""

    setting: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class Look:
    """The judged period as it stood on the day a month had matured."""

    month: str
    figures: pd.DataFrame

    @property
    def worse(self) -> list[str]:
        """Measures outside their limits."""
        return list(self.figures.loc[self.figures["result"] == WORSE, "measure"])


def scored_stream(raw: pd.DataFrame, model: ModelConfig, *, key: bytes, seed: int, stand_in: bool) -> pd.DataFrame:
    """Train on what is earlier and score what is later, by day, as production does.

    Parameters
    ----------
    stand_in
        Take the latest tenth of the development part as the stream, and leave the replay part alone.
    """
    eligible = eligible_encounters(raw, key=key, replay_share=model.replay_share)
    development = eligible[eligible["part"] == "development"].reset_index(drop=True)
    stream = eligible[eligible["part"] == "replay"].reset_index(drop=True)
    if stand_in:
        later = len(development) - int(len(development) * model.replay_share)
        development, stream = development.iloc[:later], development.iloc[later:].reset_index(drop=True)
    trained = train(development, model, seed=seed)
    arriving = Stream.of(development, stream, per_day=model.daily_rows)
    risks = CONTRACT.estimator.score(trained.fitted.model, arriving.served())
    return listed(arriving, risks, model, seen=trained.seen)


def disturbed(rows: pd.DataFrame, disturb: Disturb | None, since: float, *, seed: int) -> pd.DataFrame:
    """Return the rows with other outcomes from a point of the stream on."""
    if disturb is None:
        return rows
    days = sorted(set(rows[DAY]))
    late = (rows[DAY] >= days[int(since * len(days))]).to_numpy()
    labels = rows["label"].to_numpy().copy()
    labels[late] = disturb(labels[late], np.random.default_rng(seed))
    return rows.assign(label=labels)


def looks(rows: pd.DataFrame, rules: PerformanceConfig, model: ModelConfig) -> Iterator[Look]:
    """Yield the judged period as it stands on the day each month has matured."""
    for month, of_month in rows.groupby("month"):
        today = date.fromisoformat(of_month[DAY].max()) + timedelta(days=MATURITY_DAYS)
        last = (today - timedelta(days=MATURITY_DAYS)).isoformat()
        known = rows[rows[DAY] <= last]
        yield Look(str(month), pd.concat(Periods("1", {}, rules, model).judged(known), ignore_index=True))


@dataclass(frozen=True)
class Trial:
    """One stream with one disturbance: when it was first found worse, in what, and the figures at the end."""

    setting: str
    disturbance: str
    months: int
    raised_in: str | None
    measures: list[str]
    last: Look

    def to_json(self) -> dict[str, Any]:
        """Return the trial as plain JSON values."""
        kept = self.last.figures.drop(columns=["promised", "promised_low", "promised_high", "version"])
        rows = kept.astype(object).where(kept.notna(), None).to_dict("records")
        return {"setting": self.setting, "disturbance": self.disturbance, "months": self.months,
                "raised_in": self.raised_in, "measures": self.measures, "figures": rows}  # fmt: skip


def tried(stream: Scored, name: str, rules: PerformanceConfig, model: ModelConfig, *, seed: int) -> Trial:
    """Look at a stream month by month until it is found worse; the last look is at everything."""
    disturb, since = DISTURBANCES[name]
    seen = list(looks(disturbed(stream.rows, disturb, since, seed=seed), rules, model))
    first = next(((place, look) for place, look in enumerate(seen, start=1) if look.worse), None)
    where = f"{first[1].month} (month {first[0]})" if first else None
    return Trial(stream.setting, name, len(seen), where, first[1].worse if first else [], seen[-1])


def as_it_should_be(trials: Sequence[Trial]) -> bool:
    """Tell whether exactly the disturbed streams were found worse."""
    return all((trial.raised_in is None) is (trial.disturbance == "undisturbed") for trial in trials)


def print_report(console: Console, origin: str, trials: Sequence[Trial]) -> None:
    """Print the undisturbed figures of the first stream, and when each disturbance was found."""
    console.print(origin)
    first = trials[0].last.figures
    table = Table(title=f"Undisturbed, {trials[0].setting}: judged period at the end", box=box.SIMPLE_HEAD,
                  title_justify="left")  # fmt: skip
    for column in ("measure", "estimate", ALL, SEEN, UNSEEN):
        table.add_column(column)
    for measure in dict.fromkeys(first["measure"]):
        of_measure = first[first["measure"] == measure]
        estimate = of_measure[of_measure["kind"] == ESTIMATE]
        shown = of_measure[of_measure["kind"] == MEASURED].set_index("cohort")
        table.add_row(measure, f"{estimate['value'].iloc[0]:.4f}" if len(estimate) else "-",
                      *(_interval(shown.loc[cohort]) for cohort in (ALL, SEEN, UNSEEN)))  # fmt: skip
    sizes = first[first["kind"] == MEASURED].drop_duplicates("cohort").set_index("cohort")[["n", "positives"]]
    table.add_row("encounters (readmitted)", "", *(f"{sizes.loc[c, 'n']:,.0f} ({sizes.loc[c, 'positives']:,.0f})"
                                                   for c in (ALL, SEEN, UNSEEN)))  # fmt: skip
    console.print(table)
    found = Table(title="Found worse, looking when each month matures", box=box.SIMPLE_HEAD, title_justify="left")
    for column in ("outcomes", "stream", "first found in", "by", "AUROC at the end", "O/E at the end"):
        found.add_column(column)
    for trial in sorted(trials, key=lambda each: list(DISTURBANCES).index(each.disturbance)):
        end = trial.last.figures
        end = end[(end["cohort"] == ALL) & (end["kind"] == MEASURED)].set_index("measure")
        found.add_row(trial.disturbance, trial.setting, trial.raised_in or f"not in {trial.months} months",
                      ", ".join(trial.measures) or "-", _interval(end.loc["auroc"]),
                      _interval(end.loc["observed_expected"]))  # fmt: skip
    console.print(found)
    verdict = "As it should be" if as_it_should_be(trials) else "NOT as it should be"
    missed = sum(trial.raised_in is None for trial in trials if trial.disturbance != "undisturbed")
    false = sum(trial.raised_in is not None for trial in trials if trial.disturbance == "undisturbed")
    disturbed_ones = sum(trial.disturbance != "undisturbed" for trial in trials)
    console.print(f"{verdict}: {false} of {len(trials) - disturbed_ones} undisturbed streams found worse, "
                  f"{disturbed_ones - missed} of {disturbed_ones} disturbed ones.")  # fmt: skip


def _interval(row: pd.Series) -> str:
    return f"{row['value']:.3f} ({row['low']:.3f} to {row['high']:.3f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement; returns the exit code."""
    parser = argparse.ArgumentParser(prog="performance_power", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--archive", type=Path, help="local copy of the UCI archive")
    parser.add_argument("--encounters", type=int, default=60_000, help="size of a synthetic cohort")
    parser.add_argument("--seeds", type=int, default=5, help="models trained, each on another cohort or split")
    parser.add_argument("--disturbed-seeds", type=int, default=2, help="how many of them are disturbed as well")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    asked = parser.parse_args(arguments)
    model, rules = model_config(settings(), MODEL), monitoring_config(settings(), MODEL).performance
    raw = load_uci(SourceRequest(archive=asked.archive)) if asked.archive else None
    origin = raw.origin if raw else f"synthetic cohorts of {asked.encounters:,} encounters"
    log, trials = Console(stderr=True, highlight=False), []
    for number in range(asked.seeds):
        frame = raw.frame if raw else load_synthetic(SourceRequest(rows=asked.encounters, seed=7 + number)).frame
        key = f"performance power, hospital {number}".encode()
        rows = scored_stream(frame, model, key=key, seed=model.seed + number, stand_in=raw is not None)
        stream = Scored(f"hospital {number}", rows)
        for name in DISTURBANCES if number < asked.disturbed_seeds else ["undisturbed"]:
            trials.append(tried(stream, name, rules, model, seed=number))
            log.print(f"{stream.setting}, {name}: {trials[-1].raised_in or 'not found worse'}")
    if asked.json:
        sys.stdout.write(json.dumps([trial.to_json() for trial in trials], indent=1, default=float) + "\n")
    else:
        print_report(console(wide=160), origin, trials)
    return 0 if as_it_should_be(trials) else 1


if __name__ == "__main__":
    raise SystemExit(main())
