"""Can evidence rows be traced back to the published archive by somebody who has no key?

    python -m readmission_platform_tests.benchmarks.linkage --archive PATH

Makes the evidence rows of the archive as training does, with arbitrary risks, tries every order that somebody who holds
only the rows could try, and prints how much more often than by chance outcome, prior inpatient visits and gender agree
with the archive row by row. Beside it stands what no order can hide: how many rows are the only ones with their
combination of subgroups, point scores and outcome.

What belongs here: the attempt and its report. What does not: making evidence rows.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.lifecycle.training.training_table import TrainingTable, evidence_of
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform_tests.support.linkage import agreement, orders

KEY = b"a key that nobody else has"
COLUMNS = ("label", "number_inpatient", "gender")


def evidence_and_source(archive: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the evidence rows, and the same rows in the order of the source."""
    loaded = load_uci(SourceRequest(archive=archive)) if archive else load_synthetic(SourceRequest(rows=20_000, seed=7))
    config = model_config(settings(), "readmission_30d")
    cohort = CONTRACT.data.cohort(loaded.frame, key=KEY, replay_share=config.replay_share)
    source = cohort[cohort["part"] == "development"].reset_index(drop=True)
    inputs = CONTRACT.data.inputs_of(source, source)
    frame = source[[CONTRACT.row, "entity_key", "clock", CONTRACT.outcome]].join(inputs)
    labels, folds = frame[CONTRACT.outcome].to_numpy(), entity_folds(frame["entity_key"], folds=config.folds).to_numpy()
    scores = np.random.default_rng(0).uniform(size=len(frame))
    baselines = CONTRACT.data.baselines(inputs, labels, folds, fitted=False)
    rows = evidence_of(CONTRACT, TrainingTable(frame, labels, folds, 0), scores, KEY, baselines=baselines)
    return rows, frame.assign(label=labels, number_inpatient=frame["number_inpatient"].astype("float64"))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archive", type=Path, help="local copy of the real data; without it a synthetic cohort")
    evidence, source = evidence_and_source(parser.parse_args(arguments).archive)
    table = Table("order of the evidence rows", *COLUMNS, box=box.SIMPLE)
    for name, ordered in orders(evidence):
        table.add_row(name, *(f"{agreement(ordered, source, column):+.3f}" for column in COLUMNS))
    out = console()
    out.print(table)
    said = [name for name in evidence if name not in ("row_key", "entity_key", "fold", "clock", "score")]
    alone = ~evidence.duplicated(said, keep=False)
    out.print(f"{alone.mean():.2%} of {len(evidence):,} rows are the only ones with their {', '.join(said)}")


if __name__ == "__main__":
    main()
