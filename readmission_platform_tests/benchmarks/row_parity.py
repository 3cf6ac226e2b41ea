"""Does whoever waits for a single row get the answer of the batch, bit for bit, and how soon?

    python -m readmission_platform_tests.benchmarks.row_parity [--rows 100000] [--archive PATH] [--json]

Trains each shipped model as it ships, compiles it, and asks about random rows with random pasts: the edges of every
rule, missing values and values that training never saw among them. Risk, withholding, reasons and contributions have to
be those of the batch. Ends with 0 when no answer differs, else with 1.

What belongs here: training, counting, timing and printing. What does not: the rows (``conformance.random_rows``), and
what counts as the same (``models.single_rows``).
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.progress import track
from rich.table import Table

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config
from readmission_platform.encounters.sources import load_uci
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models import frequent_visits, readmission_30d
from readmission_platform.models.conformance.random_rows import random_rows
from readmission_platform.models.contract import ModelContract, RowScorer
from readmission_platform.models.single_rows import answers, rows_differ

KEY = b"rows that are asked about one at a time"
CONTRACTS = {"readmission_30d": readmission_30d.CONTRACT, "frequent_visits": frequent_visits.CONTRACT}
GENERATED = {"readmission_30d": 40_000, "frequent_visits": 20_000}
SEED = 7
CHUNK = 2_000
TIMED = 4_000


def trained(name: str, raw: pd.DataFrame) -> Any:
    """Return the model that would be shipped."""
    contract, config = CONTRACTS[name], model_config(settings(), name)
    cohort = contract.data.cohort(raw, key=KEY, replay_share=config.replay_share)
    rows = cohort[cohort["part"] == "development"].reset_index(drop=True)
    return contract.estimator.cross_validate(
        contract.data.inputs_of(rows, rows), rows[contract.outcome].to_numpy(),
        entity_folds(rows["entity_key"], folds=config.folds).to_numpy(), config.settings,
        entities=rows["entity_key"].to_numpy(), seed=config.seed,
    ).model  # fmt: skip


def milliseconds(contract: ModelContract, scorer: RowScorer, raw: pd.DataFrame, *, explain: bool) -> dict[str, float]:
    """Time single answers, each by itself."""
    took: list[float] = []

    class Timed:
        def score(self, row: Any, past: Any, **_: Any) -> Any:
            begun = perf_counter()
            answer = scorer.score(row, past, explain=explain)
            if answer.risk is not None:  # a withheld row is answered sooner
                took.append(perf_counter() - begun)
            return answer

    some = raw.sample(min(3 * TIMED, len(raw)), random_state=SEED)
    rows, known = random_rows(contract, count=TIMED, seed=SEED, raw=some)
    for _ in answers(contract, Timed(), rows, known):
        pass
    return dict(zip(("p50", "p99"), np.percentile(1000 * np.array(took[100:]), [50, 99]).tolist(), strict=True))


def report_of(name: str, raw: pd.DataFrame, rows: int) -> dict[str, Any]:
    """Train, compile, ask, and return what was found."""
    contract = CONTRACTS[name]
    part = contract.rows
    assert part is not None
    model = trained(name, raw)
    content = part.compiled(model)
    begun = perf_counter()
    scorer = part.load(content)
    loading = perf_counter() - begun
    differing = withheld = asked_of = 0
    seeds = range(-(-rows // CHUNK))
    for seed in track(seeds, name, console=console(stderr=True)):
        some = raw.sample(min(3 * CHUNK, len(raw)), random_state=seed)
        asked, known = random_rows(contract, count=min(CHUNK, rows - asked_of), seed=seed, raw=some)
        differing += rows_differ(contract, model, scorer, asked, known)
        withheld += sum(each.risk is None for each in answers(contract, scorer, asked.head(200), known))
        asked_of += len(asked)
    return {
        "rows": asked_of,
        "differing": differing,
        "withheld share": withheld / max(min(200, CHUNK, rows) * len(seeds), 1),
        "bytes": len(content),
        "loading seconds": loading,
        "risk alone, ms": milliseconds(contract, scorer, raw, explain=False),
        "with reasons, ms": milliseconds(contract, scorer, raw, explain=True),
    }


def show(reports: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what was found."""
    facts = ("model", "rows", "differ", "withheld", "file", "loading")
    table = Table(*facts, "risk p50", "p99", "with reasons p50", "p99", box=box.SIMPLE)
    for name, of in reports.items():
        times = [f"{of[key][each]:.3f} ms" for key in ("risk alone, ms", "with reasons, ms") for each in ("p50", "p99")]
        table.add_row(name, f"{of['rows']:,}", f"{of['differing']:,}", f"{of['withheld share']:.0%}",
                      f"{of['bytes'] / 1e6:.2f} MB", f"{of['loading seconds']:.2f} s", *times)  # fmt: skip
    console(wide=160).print(table)


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask and print; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="random rows of each model")
    parser.add_argument("--archive", type=Path, help="local copy of the real data; without it synthetic encounters")
    parser.add_argument("--model", choices=sorted(CONTRACTS), help="only this model")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    reports = {}
    for name in [given.model] if given.model else CONTRACTS:
        if given.archive and name == "readmission_30d":
            raw = load_uci(SourceRequest(archive=given.archive)).frame
        else:
            source = CONTRACTS[name].sources["synthetic"]
            raw = source.load(SourceRequest(rows=GENERATED[name], seed=SEED)).frame
        reports[name] = report_of(name, raw, given.rows)
    if given.json:
        json.dump(reports, sys.stdout, indent=1)
    else:
        show(reports)
    return 1 if any(each["differing"] for each in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
