"""What recalibration gives, beside doing nothing and beside retraining: a year of a stream, from several start points.

    python -m readmission_platform_tests.benchmarks.recalibration [--archive PATH] [--starts N] [--replay] [--json]

Trains as shipped on what came before a start point of the development encounters; the year after it arrives by day.
From the fourth month on, every quarter, the version is recalibrated as ``readmission recalibrate`` does it, on what has
matured by then, and on more rows; or its correction has a term for time besides; or a model is trained anew on what has
matured (with few start points: it takes long). Every month from the fifth on is judged under each. The replay stream is
opened with ``--replay`` alone, in place of the start points: every look at it makes the next one less independent.

What belongs here: living through a year several times, and printing. What does not: corrections
(``evaluation.estimates.recalibration``) and measures (``evaluation.operation.live``).
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from readmission_platform.encounters.cohort import MATURITY_DAYS, eligible_encounters
from readmission_platform.encounters.history import DAY
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.estimates.calibration import logit
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.evaluation.estimates.recalibration import corrected, cross_fitted
from readmission_platform.evaluation.operation.cohorts import ALL, UNSEEN
from readmission_platform.evaluation.operation.live import measured
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform_tests.benchmarks.streams import Stream, Trained, listed, train

KEY = b"a year of a stream"
FIRST_START, LAST_START, STARTS = 0.45, 0.85, 5
YEAR, FIRST_UPDATE, BETWEEN_UPDATES = 365, 120, 90
NOTHING, RECALIBRATED, RETRAINED = "nothing", "recalibrated", "retrained"
WITH_TIME = "with time, on four times the rows"
MEASURES = ("observed_expected", "calibration_slope", "auroc")

# Known rows in the order of time: risks, labels, folds. Returns what corrects a risk from then on.
Correction = Callable[[np.ndarray, np.ndarray, np.ndarray], Callable[[np.ndarray], np.ndarray]]


@dataclass(frozen=True)
class Year:
    """A stream with the version trained before it, and its risks."""

    name: str
    stream: Stream
    trained: Trained
    risks: np.ndarray
    model: ModelConfig

    @property
    def place(self) -> np.ndarray:
        """The number of each encounter's day, from 0."""
        return np.arange(len(self.risks)) // self.model.daily_rows

    def matured(self, day: int) -> int:
        """How many encounters have matured on a day."""
        return max(day - MATURITY_DAYS, 0) * self.model.daily_rows


def years(archive: Path | None, model: ModelConfig, *, starts: int, replay: bool) -> Iterator[Year]:
    """Yield the year after each start point, or that of the replay stream."""
    loaded = load_uci(SourceRequest(archive=archive)) if archive else load_synthetic(SourceRequest(rows=60_000, seed=7))
    eligible = eligible_encounters(loaded.frame, key=KEY, replay_share=model.replay_share)
    development = eligible[eligible["part"] == "development"].reset_index(drop=True)
    cuts = [("replay", development, eligible[eligible["part"] == "replay"])]
    if not replay:
        places = {share: int(share * len(development)) for share in np.linspace(FIRST_START, LAST_START, starts)}
        cuts = [(f"start {share:.2f}", development.iloc[:place], development.iloc[place:])
                for share, place in places.items()]  # fmt: skip
    for name, before, later in cuts:
        stream = Stream.of(before, later.head(YEAR * model.daily_rows), per_day=model.daily_rows)
        trained = train(stream.before, model, seed=model.seed)
        yield Year(name, stream, trained, CONTRACT.estimator.score(trained.fitted.model, stream.served()), model)


def updates(year: Year) -> list[int]:
    """Return the days on which a version is recalibrated or trained anew."""
    return list(range(FIRST_UPDATE, int(year.place[-1]), BETWEEN_UPDATES))


def recalibrated(year: Year, correction: Correction) -> np.ndarray:
    """Return the risks of a year under a correction that is fitted anew at each update."""
    before, arrived = year.stream.before, year.stream.arrived
    labels = np.concatenate([before["readmitted_30d"], arrived["readmitted_30d"]]).astype("int64")
    keys = pd.concat([before["entity_key"], arrived["entity_key"]], ignore_index=True)
    folds = entity_folds(keys, folds=year.model.folds).to_numpy()
    risks = year.risks.copy()
    for day in updates(year):
        known = len(before) + year.matured(day)
        all_risks = np.concatenate([year.trained.fitted.scores, year.risks])
        correct = correction(all_risks[:known], labels[:known], folds[:known])
        risks[year.place >= day] = correct(year.risks[year.place >= day])
    return risks


def by_latest(rows: int) -> Correction:
    """Return the correction that ``readmission recalibrate`` makes, on the latest so many rows."""

    def fitted(risks: np.ndarray, labels: np.ndarray, folds: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        found = cross_fitted(risks[-rows:], labels[-rows:], folds[-rows:])
        return lambda asked: corrected(asked, found.slope, found.intercept)

    return fitted


def with_time(rows: int) -> Correction:
    """Return slope, intercept and a straight line over time, of the latest so many rows, as it stands at its end."""

    def fitted(risks: np.ndarray, labels: np.ndarray, _folds: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        latest, known = risks[-rows:], labels[-rows:]
        since = np.linspace(-1, 0, len(latest))
        columns = np.column_stack([logit(latest), np.ones(len(latest)), since])
        found = np.array([1.0, 0.0, 0.0])
        for _ in range(30):  # Newton's method
            risk = 1 / (1 + np.exp(-columns @ found))
            curvature = columns.T @ (columns * (risk * (1 - risk))[:, None])
            found = found + np.linalg.solve(curvature, columns.T @ (known - risk))
        return lambda asked: corrected(asked, found[0], found[1])

    return fitted


def retrained(year: Year) -> np.ndarray:
    """Return the risks of a year in which a model is trained anew on what has matured at each update."""
    inputs, risks = year.stream.served(), year.risks.copy()
    for day in updates(year):
        fresh = year.stream.arrived.head(year.matured(day))
        ended = np.where(fresh["readmitted_30d"] == 1, "<30", None)
        known = [year.stream.before.assign(**{DAY: None}), fresh.assign(readmitted=ended)]
        model = train(pd.concat(known, ignore_index=True), year.model, seed=year.model.seed).fitted.model
        risks[year.place >= day] = CONTRACT.estimator.score(model, inputs[year.place >= day])
    return risks


def judged(year: Year, risks: np.ndarray) -> dict[str, Any]:
    """Measure what came after the first update: all and unseen patients with intervals, and month by month."""
    after = year.place >= FIRST_UPDATE
    rows = listed(year.stream, risks, year.model, seen=year.trained.seen)
    days = sorted(set(year.stream.arrived.loc[after, DAY]))
    rows = rows[rows[DAY].isin(days)].reset_index(drop=True)
    how: Any = {"schema": None, "flag_share": year.model.flag_share, "seed": year.model.seed}
    found = measured(rows, replicates=year.model.bootstrap_replicates, **how).set_index(["cohort", "measure"])
    months = {
        str(month): measured(of_month.drop(columns="seen").reset_index(drop=True), replicates=200, **how)
        .set_index("measure")
        .loc[list(MEASURES), ["value", "low", "high"]]
        .to_dict("index")
        for month, of_month in rows.groupby("month") if of_month[DAY].nunique() >= 20
    }  # fmt: skip
    return {"n": len(rows), "months": months, **{
        cohort: found.loc[cohort].loc[list(MEASURES), ["value", "low", "high"]].to_dict("index")
        for cohort in (ALL, UNSEEN)}}  # fmt: skip


def report_of(archive: Path | None, told: Console, *, starts: int, replay: bool) -> dict[str, Any]:
    """Live through every year in every way."""
    model = model_config(settings(), "readmission_30d")
    rows = monitoring_config(settings(), "readmission_30d").recalibration.rows
    ways: dict[str, Callable[[Year], np.ndarray]] = {
        NOTHING: lambda year: year.risks,
        RECALIBRATED: lambda year: recalibrated(year, by_latest(rows)),
        "on twice the rows": lambda year: recalibrated(year, by_latest(2 * rows)),
        "on four times the rows": lambda year: recalibrated(year, by_latest(4 * rows)),
        WITH_TIME: lambda year: recalibrated(year, with_time(4 * rows)),
    }
    if replay or starts <= STARTS:
        ways[RETRAINED] = retrained
    found: dict[str, Any] = {}
    for year in years(archive, model, starts=starts, replay=replay):
        for name, lived in ways.items():
            found.setdefault(year.name, {})[name] = judged(year, lived(year))
            told.print(f"{year.name}: {name}", style="dim")
    return {"rows": rows, "years": found}


def show(report: Mapping[str, Any], out: Console) -> None:
    """Print a line per year and way, and then O/E month by month."""
    table = Table("year", "way", "n", "O/E", "O/E, unseen patients", "calibration slope", "AUROC", box=box.SIMPLE)
    monthly = Table("year", "way", "O/E month by month", box=box.SIMPLE)
    for year, ways in report["years"].items():
        for way, of in ways.items():
            cells = [_interval(of[ALL]["observed_expected"]), _interval(of[UNSEEN]["observed_expected"]),
                     _interval(of[ALL]["calibration_slope"]), _interval(of[ALL]["auroc"])]  # fmt: skip
            table.add_row(year, way, f"{of['n']:,}", *cells)
            monthly.add_row(year, way, " ".join(f"{each['observed_expected']['value']:.2f}"
                                                for each in of["months"].values()))  # fmt: skip
    out.print(table)
    out.print(monthly)
    for way in next(iter(report["years"].values())):
        off = [abs(ways[way][ALL]["observed_expected"]["value"] - 1) for ways in report["years"].values()]
        out.print(f"{way}: O/E is off by {np.mean(off):.3f} on average, by {max(off):.3f} at most")
    out.print(f"recalibrated on the latest {report['rows']:,} encounters whose outcome is known")


def _interval(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="local copy of the real data; without it a synthetic cohort")
    parser.add_argument("--starts", type=int, default=STARTS, help="years to cut out of the development encounters")
    parser.add_argument("--replay", action="store_true", help="open the replay stream, to report a finished recipe")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    report = report_of(given.archive, Console(stderr=True), starts=given.starts, replay=given.replay)
    if given.json:
        json.dump(report, sys.stdout, indent=1)
    else:
        show(report, console(wide=160))


if __name__ == "__main__":
    main()
