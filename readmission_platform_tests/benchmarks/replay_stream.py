"""How good the shipped recipe is on the encounters that nothing was chosen by: the replay stream.

    python -m readmission_platform_tests.benchmarks.replay_stream --archive PATH [--json]

Trains as shipped on the development encounters, scores the last tenth day by day as production does, and only then
looks at its outcomes. Every look makes the next one less independent: use it to report a finished recipe, never to
choose between two.

What belongs here: reporting. What does not: a copy of anything that scores or measures.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.operation.live import measured, suppressed
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform_tests.benchmarks.performance_power import scored_stream

KEY = b"the replay stream, as reported"


def report_of(archive: Path | None) -> pd.DataFrame:
    """Return every measure of everybody, of patients seen and unseen in training, and of subgroups."""
    model = model_config(settings(), "readmission_30d")
    loaded = load_uci(SourceRequest(archive=archive)) if archive else load_synthetic(SourceRequest(rows=40_000, seed=7))
    rows = scored_stream(loaded.frame, model, key=KEY, seed=model.seed, stand_in=False)
    found = measured(
        rows,
        schema=CONTRACT.evidence,
        flag_share=model.flag_share,
        replicates=model.bootstrap_replicates,
        seed=model.seed,
    )
    return suppressed(found)


def show(found: pd.DataFrame, console: Console) -> None:
    """Print a line per cohort."""
    measures = list(dict.fromkeys(found["measure"]))
    table = Table("cohort", "n", "readmitted", *measures, box=box.SIMPLE)
    for cohort, rows in found.groupby("cohort", sort=False):
        of = rows.set_index("measure")
        figures = [f"{row.value:.3f} ({row.low:.3f}-{row.high:.3f})" for row in of.loc[measures].itertuples()]
        table.add_row(str(cohort), *(f"{of[name].iloc[0]:,.0f}" for name in ("n", "positives")), *figures)
    console.print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="local copy of the real data; without it a synthetic cohort")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found = report_of(given.archive)
    if given.json:
        json.dump(json.loads(found.to_json(orient="records")), sys.stdout, indent=1)
    else:
        show(found, console(wide=220))


if __name__ == "__main__":
    main()
