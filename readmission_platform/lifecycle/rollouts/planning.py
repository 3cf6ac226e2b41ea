"""How long an A/B roll-out would have to run, before anybody is exposed to it.

What belongs here: sample sizes from what is known of the version in production. What does not: the formula
(``evaluation.sequential.matured``), and comparing arms (``judging``).
"""

from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np

from readmission_platform.evaluation.sequential.matured import MaturedArm, row_values, sample_size
from readmission_platform.foundation.errors import BadInput, Refused
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.rollouts.plan import Metric
from readmission_platform.lifecycle.versions.version_facts import recorded_evidence
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.tables import ACCOUNTING, ModelLake

_RECENT_DAYS = 28


@dataclass(frozen=True)
class Planned:
    """A sample size and what it follows from.

    Attributes
    ----------
    deviation
        Standard deviation of what one row adds to the metric, in the evidence of the version in production.
    rows_per_day, days
        Rows delivered a day (median of the last four weeks), and days until the outcomes of so many are known; None
        where nothing has been delivered.
    """

    metric: str
    effect: float
    alpha: float
    power: float
    split: float
    version: str
    deviation: float
    sample_size: int
    rows_per_day: float | None
    days: float | None

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return asdict(self)


def planned_sample(
    metric: str, effect: float, *, power: float, split: float, ledger: Ledger, workspace: Workspace
) -> Planned:
    """Return how many matured outcomes each arm needs to find a difference.

    Parameters
    ----------
    effect
        Smallest difference worth finding, in units of the metric.
    power
        Probability that it is found by then.
    split
        The candidate's share of the patients.

    Raises
    ------
    BadInput
        When a number or the metric makes no sense.
    Refused
        When no version is in production.
    """
    if metric not in get_args(Metric):
        raise BadInput(f"--metric: {metric} is unknown; choose {', '.join(get_args(Metric))}")
    events, pointers = ledger.snapshot()
    live = pointers["production"].version
    if live is None:
        raise Refused(["no version is in production: there is nothing to compare with"])
    rows = recorded_evidence(workspace.lake, version_records(events, pointers)[live])
    arm = MaturedArm(rows["label"].to_numpy() == 1, rows["score"].to_numpy(dtype="float64"))
    deviation = float(np.std(row_values(arm, metric)))  # type: ignore[arg-type]
    alpha, a_day = workspace.rules.rollouts.limits.alpha, _rows_per_day(workspace.lake)
    try:
        found = sample_size(
            effect,
            deviation,
            alpha=alpha,
            power=power,
            rows_per_day=a_day,
            share=min(split, 1 - split),
            maturing_days=workspace.contract.maturity_days,
        )
    except ValueError as error:
        raise BadInput(str(error)) from error
    return Planned(metric, effect, alpha, power, split, live, deviation, found.per_arm, a_day, found.days)


def _rows_per_day(lake: ModelLake) -> float | None:
    if not lake.exists(ACCOUNTING):
        return None
    accounts = lake.read(ACCOUNTING, columns=[lake.day, "accepted"]).sort_values(lake.day)
    median = accounts["accepted"].tail(_RECENT_DAYS).median()
    return float(median) if median > 0 else None
