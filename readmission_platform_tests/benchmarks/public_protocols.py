"""How good is the modelling code by other people's rules? Ours beside the figures published for the same data.

    python -m readmission_platform_tests.benchmarks.public_protocols --archive PATH [--json]

Two public benchmarks hold this data set, each with its own rows, target and measure:

- **TableShift** ``diabetes_readmission``: any readmission, accuracy, tested in distribution and on admissions from the
  emergency room, none of which are trained on. Its division of the rows is reproduced to the row.
- **TabArena** ``Diabetes130US`` (OpenML task 363630): readmission within 30 days, one encounter per patient, AUROC on
  the first fold, which others' figures are published for, and over three repeats of three folds. OpenML's folds are
  drawn again by its own procedure (``public/openml_folds``).

What is run is the shipped encoder, target statistics and boosting with the settings of configs/model.yaml; nothing is
tuned for either benchmark. Without an archive a synthetic cohort shows that the benchmark works; its figures compare
with nothing.

Ends with 0 when every figure asked for is reached, with 1 when not, with 2 when it could not be measured. What belongs
here: other people's rules. What does not: a copy of anything that encodes, fits or measures.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Column, Table

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config
from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.foundation.errors import GovernanceError
from readmission_platform.foundation.values import ConfigurationError
from readmission_platform.intake.sources import SourceRequest
from readmission_platform_tests.benchmarks.public.figures import Figure, figures
from readmission_platform_tests.benchmarks.public.rules import same_rows, tabarena, tableshift


def measure(raw: pd.DataFrame, model: ModelConfig, *, replicates: int) -> list[Figure]:
    """Measure the shipped recipe by both sets of rules."""
    return [
        figure
        for protocol in (tableshift(raw), tabarena(raw))
        for figure in figures(protocol, model, seed=model.seed, replicates=replicates)
    ]


def print_report(console: Console, found: Sequence[Figure]) -> None:
    """Print ours, and theirs where there is something to compare with."""
    table = Table(Column("rules", overflow="fold"), Column("method", overflow="fold"), "figure", "95 % interval",
                  "test rows", "patients", "seconds", box=box.SIMPLE_HEAD)  # fmt: skip
    for each in found:
        table.add_row(
            f"{each.protocol}, {each.test}: {each.measure}",
            "ours" + (f" (asked for: {each.asked})" if each.asked else ""),
            f"{each.value:.4f}",
            _interval(each.low, each.high),
            f"{each.n:,}",
            f"{each.patients:,}",
            f"{each.seconds:.0f}",
        )
        for other in each.published:
            table.add_row("", other.method, f"{other.value:.4f}", _interval(other.low, other.high), "", "", "")
    console.print(table)


def print_differences(console: Console, found: Sequence[Figure], rows: Mapping[str, bool]) -> None:
    """Print what is the same as in the published runs, what is not, and a last line that sums up."""
    same = "are the published ones" if all(rows.values()) else "are NOT the published ones"
    console.print(f"TableShift: the test rows {same}, judging by their number and the share of the commoner answer.")
    console.print(
        "TabArena: OpenML's folds (task 363630), drawn again by its procedure. Others' figures are published for"
    )
    console.print("the first fold alone, which is easier than most: the mean of nine says more about the recipe.")
    console.print("Intervals: ours over patients (bootstrap); TableShift's over rows (Clopper and Pearson).")
    missed = [each for each in found if not each.reached]
    for each in missed:
        console.print(f"{each.protocol}, {each.test}: {each.value:.4f} is below {each.asked}")
    console.print("NOT every figure asked for is reached." if missed else "Every figure asked for is reached.")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns the exit code."""
    parser = argparse.ArgumentParser(prog="public_protocols", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--archive", type=Path, help="local copy of the UCI archive; without it a synthetic cohort")
    parser.add_argument("--encounters", type=int, default=20_000, help="size of the synthetic cohort")
    parser.add_argument("--replicates", type=int, default=500, help="of the bootstrap over patients")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    asked = parser.parse_args(arguments)
    try:
        model = model_config(settings(), "readmission_30d")
        loaded = (load_uci(SourceRequest(archive=asked.archive)) if asked.archive
                  else load_synthetic(SourceRequest(rows=asked.encounters, seed=model.seed)))  # fmt: skip
    except (GovernanceError, ConfigurationError) as error:
        print(error, file=sys.stderr)
        return 2
    found = measure(loaded.frame, model, replicates=asked.replicates)
    rows: dict[str, bool] = {}
    if not asked.archive:
        found = [each.alone() for each in found]
    else:
        rows = same_rows(tableshift(loaded.frame))
    if asked.json:
        result = {"origin": loaded.origin, "same_rows": rows, "figures": [asdict(each) for each in found]}
        print(json.dumps(result, indent=1))
        return _code(found, rows)
    told = console(wide=160)
    told.print(loaded.origin)
    print_report(told, found)
    if rows:
        print_differences(told, found, rows)
    return _code(found, rows)


def _code(found: Sequence[Figure], rows: Mapping[str, bool]) -> int:
    return 0 if all(rows.values()) and all(each.reached for each in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
