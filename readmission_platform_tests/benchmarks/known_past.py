"""What scoring knows of a patient who comes back soon: with the early return known at the admission, and without.

    python -m readmission_platform_tests.benchmarks.known_past [--archive PATH] [--json]

Trains as shipped on the first four fifths of the development encounters. The last fifth arrives by day and is scored
twice: as shipped, and as if how a stay ended became known only once it had matured. Judged are all patients, those seen
and unseen in training, those with a past, and the encounters at which both differ. Every history is also compared with
what training makes of the same encounters. The replay stream is never touched.

What belongs here: scoring twice, and printing. What does not: history (``encounters.history``).
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich import box
from rich.table import Table

from readmission_platform.commands.terminal import console
from readmission_platform.config.environment import settings
from readmission_platform.config.files import model_config
from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.cohort import PREVIOUS_RETURN, eligible_encounters
from readmission_platform.encounters.history import HISTORY_COLUMNS, history_of
from readmission_platform.encounters.sources import load_synthetic, load_uci
from readmission_platform.evaluation.estimates.comparison import compare
from readmission_platform.evaluation.operation.cohorts import ALL, SEEN, UNSEEN
from readmission_platform.evaluation.operation.live import measured
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models.conformance.subject import differing
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform_tests.benchmarks.streams import Stream, listed, train

KEY = b"the past that is known"
LAST = 0.2
AS_SHIPPED, WHEN_MATURED = "known at the next admission", "known when matured"
PAST, CONCERNED = "with a past", "an early return was not known"
MEASURES = ("auroc", "observed_expected", "calibration_slope")
# A stay as long as this overlaps the one before, so that dates tell nothing.
_ENDLESS = 99_999


def known_when_matured(stream: Stream, inputs: pd.DataFrame) -> pd.DataFrame:
    """Return the inputs as if an admission told nothing of the previous stay."""
    silent = {"time_in_hospital": _ENDLESS, PREVIOUS_RETURN: None}
    late = history_of(stream.discharges.assign(**silent), stream.known.assign(**silent))
    return inputs.assign(**{name: late[name] for name in ("previous_outcome", "prior_readmissions_30d")})


def judged(rows: pd.DataFrame, cohorts: Mapping[str, np.ndarray], model: ModelConfig) -> dict[str, Any]:
    """Measure all, seen and unseen patients and further cohorts of a scored stream."""
    how: Any = {"schema": None, "flag_share": model.flag_share, "replicates": model.bootstrap_replicates,
                "seed": model.seed}  # fmt: skip
    parts = [measured(rows, **how)]
    parts += [measured(rows[members].drop(columns="seen"), **how).assign(cohort=name)
              for name, members in cohorts.items()]  # fmt: skip
    found = pd.concat(parts).set_index(["cohort", "measure"])
    return {cohort: {measure: found.loc[(cohort, measure), ["value", "low", "high", "n", "positives"]].to_dict()
                     for measure in MEASURES} for cohort in (ALL, SEEN, UNSEEN, *cohorts)}  # fmt: skip


def report_of(archive: Path | None) -> dict[str, Any]:
    """Measure, and return everything by name."""
    model = model_config(settings(), "readmission_30d")
    loaded = load_uci(SourceRequest(archive=archive)) if archive else load_synthetic(SourceRequest(rows=40_000, seed=7))
    eligible = eligible_encounters(loaded.frame, key=KEY, replay_share=model.replay_share)
    development = eligible[eligible["part"] == "development"].reset_index(drop=True)
    first = len(development) - int(len(development) * LAST)
    stream = Stream.of(development.iloc[:first], development.iloc[first:], per_day=model.daily_rows)
    trained = train(stream.before, model, seed=model.seed)
    inputs = stream.served()
    both = {AS_SHIPPED: inputs, WHEN_MATURED: known_when_matured(stream, inputs)}
    offline = history_of(development, development).iloc[first : first + len(inputs)].reset_index(drop=True)
    apart = {name: differing(offline, each[HISTORY_COLUMNS]) for name, each in both.items()}
    rows = {name: listed(stream, CONTRACT.estimator.score(trained.fitted.model, each), model, seen=trained.seen)
            .sort_values("encounter_id", ignore_index=True) for name, each in both.items()}  # fmt: skip
    order = stream.arrived["encounter_id"].argsort().to_numpy()
    early = both[AS_SHIPPED]["prior_readmissions_30d"] > both[WHEN_MATURED]["prior_readmissions_30d"]
    cohorts = {PAST: (inputs["prior_encounters"] > 0).to_numpy()[order], CONCERNED: early.to_numpy()[order]}
    paired = rows[AS_SHIPPED].assign(row_key=rows[AS_SHIPPED]["encounter_id"].astype(str),
                                     champion_score=rows[WHEN_MATURED]["score"])  # fmt: skip
    gain = {name: compare(paired[members], thresholds=model.decision_thresholds,
                          replicates=model.bootstrap_replicates, seed=model.seed)["champion_auroc_difference"]
            for name, members in {ALL: np.ones(len(paired), bool), PAST: cohorts[PAST]}.items()}  # fmt: skip
    concerned = {name: each[cohorts[CONCERNED]] for name, each in rows.items()}
    return {
        "origin": loaded.origin,
        "n": len(inputs),
        "with a past": int(cohorts[PAST].sum()),
        "columns of history that differ from training": apart,
        "figures": {name: judged(each, cohorts, model) for name, each in rows.items()},
        "AUROC gained": gain,
        CONCERNED: {
            "n": int(cohorts[CONCERNED].sum()),
            "readmitted": float(concerned[AS_SHIPPED]["label"].mean()),
            **{name: {"mean risk": float(each["score"].mean()), "flagged": int(each["flagged"].sum())}
               for name, each in concerned.items()},
        },
    }  # fmt: skip


def show(report: Mapping[str, Any]) -> None:
    """Print what was found."""
    out = console(wide=160)
    out.print(f"{report['origin']}: {report['n']:,} encounters as a stream, {report['with a past']:,} with a past")
    table = Table("cohort", "early return", "n", *("AUROC", "O/E", "calibration slope"), box=box.SIMPLE)
    for cohort in report["figures"][AS_SHIPPED]:
        for name in (WHEN_MATURED, AS_SHIPPED):
            of = report["figures"][name][cohort]
            cells = [f"{of[m]['value']:.3f} ({of[m]['low']:.3f} to {of[m]['high']:.3f})" for m in MEASURES]
            table.add_row(cohort, name, f"{of['auroc']['n']:,.0f}", *cells)
    out.print(table)
    for name, gain in report["AUROC gained"].items():
        out.print(f"AUROC gained, {name}: {gain['value']:+.4f} ({gain['low']:+.4f} to {gain['high']:+.4f})")
    of = report[CONCERNED]
    out.print(f"{CONCERNED}: {of['n']:,}, of whom {of['readmitted']:.1%} were readmitted; " + "; ".join(
        f"{name}: mean risk {of[name]['mean risk']:.3f}, {of[name]['flagged']:,} flagged"
        for name in (WHEN_MATURED, AS_SHIPPED)))  # fmt: skip
    for name, columns in report["columns of history that differ from training"].items():
        out.print(f"history unlike in training, {name}: {', '.join(columns) or 'none'}")


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
        show(report)


if __name__ == "__main__":
    main()
