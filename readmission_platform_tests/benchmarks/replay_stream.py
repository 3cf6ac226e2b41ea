"""How good the shipped recipe is on the encounters that nothing was chosen by: the replay stream.

    python -m readmission_platform_tests.benchmarks.replay_stream --archive PATH [--json]

Trains as shipped on the development encounters, scores the last tenth day by day as production does, and only then
looks at its outcomes. Every look makes the next one less independent: use it to report a finished recipe, never to
choose between two. Beside it stands what no model can know before: how often patients who come back within one tenth of
the source are readmitted, tenth by tenth.

What belongs here: reporting. What does not: a copy of anything that scores or measures.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config
from readmission_platform.encounters.cohort import eligible_encounters
from readmission_platform.encounters.history import DAY
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.operation.cohorts import ALL
from readmission_platform.evaluation.operation.live import measured, suppressed
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform_tests.benchmarks.performance_power import scored_stream

KEY = b"the replay stream, as reported"
AGAIN = {True: "back within the stream", False: "first stay within the stream"}


def report_of(archive: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return every measure of everybody, of patients seen and unseen in training, of those who come back within the
    stream and of subgroups; and what ``returns_by_tenth`` tells of the source.
    """
    model = model_config(settings(), "readmission_30d")
    loaded = load_uci(SourceRequest(archive=archive)) if archive else load_synthetic(SourceRequest(rows=40_000, seed=7))
    rows = scored_stream(loaded.frame, model, key=KEY, seed=model.seed, stand_in=False)
    rows = rows.sort_values([DAY, "encounter_id"], ignore_index=True)
    how: Any = {"flag_share": model.flag_share, "replicates": model.bootstrap_replicates, "seed": model.seed}
    found = [measured(rows, schema=CONTRACT.evidence, **how)]
    again = rows["entity_key"].duplicated()
    for back, name in AGAIN.items():
        of = measured(rows[again == back].reset_index(drop=True), schema=None, **how)
        found.append(of[of["cohort"] == ALL].assign(cohort=name))
    return suppressed(pd.concat(found, ignore_index=True)), returns_by_tenth(loaded.frame)


def returns_by_tenth(raw: pd.DataFrame) -> pd.DataFrame:
    """Return how often patients were readmitted, by where their previous stay is: one row per tenth of the clock.

    Columns ``tenth`` (from 1), ``back`` (encounters whose patient has an earlier one in the same tenth), ``back_rate``,
    ``rest_rate`` (shares readmitted within 30 days, of those and of the others), and ``contradicted``, the share of
    those previous stays of which the source says ``NO``, there was no later one.
    """
    eligible = eligible_encounters(raw, key=KEY, replay_share=0)
    tenth = np.arange(len(eligible)) * 10 // len(eligible) + 1
    back = eligible.groupby([tenth, "entity_key"]).cumcount() > 0
    of = eligible.assign(tenth=tenth, back=back, contradicted=eligible["previous_return"] == "NO")
    rates = of.pivot_table(index="tenth", columns="back", values="readmitted_30d", aggfunc="mean")
    return pd.DataFrame({
        "back": of.groupby("tenth")["back"].sum(), "back_rate": rates[True], "rest_rate": rates[False],
        "contradicted": of[back].groupby("tenth")["contradicted"].mean(),
    }).reset_index()  # fmt: skip


def show(found: pd.DataFrame, by_tenth: pd.DataFrame, console: Console) -> None:
    """Print a line per cohort and one per tenth."""
    measures = list(dict.fromkeys(found["measure"]))
    table = Table("cohort", "n", "readmitted", *measures, box=box.SIMPLE)
    for cohort, rows in found.groupby("cohort", sort=False):
        of = rows.set_index("measure")
        figures = [f"{row.value:.3f} ({row.low:.3f}-{row.high:.3f})" for row in of.loc[measures].itertuples()]
        table.add_row(str(cohort), *(f"{of[name].iloc[0]:,.0f}" for name in ("n", "positives")), *figures)
    console.print(table)
    tenths = Table("tenth of the source", "back within it", "readmitted", "the others", "back after NO", box=box.SIMPLE)
    for row in by_tenth.itertuples():
        shares = (f"{share:.1%}" for share in (row.back_rate, row.rest_rate, row.contradicted))
        tenths.add_row(str(row.tenth), f"{row.back:,}", *shares)
    console.print(tenths)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="local copy of the real data; without it a synthetic cohort")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    found, by_tenth = report_of(given.archive)
    if given.json:
        tables = {"measures": found, "tenths": by_tenth}
        records = {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}
        json.dump(records, sys.stdout, indent=1)
    else:
        show(found, by_tenth, console(wide=220))


if __name__ == "__main__":
    main()
