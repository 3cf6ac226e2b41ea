"""What each arm of a roll-out answered, from the prediction log.

What belongs here: reading the log, and what of it may be shown. What does not: comparing the arms (``judging``), and
writing the log (``serving``).

Of a patient who was scored several times the first answer counts: the tests take answers to be independent.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.evaluation.disclosure import rough_count, shown_share
from readmission_platform.governance.rollouts.state import RolloutState
from readmission_platform.intake.cells import Cells
from readmission_platform.intake.contract import RowContract
from readmission_platform.lifecycle.days.outcomes import matured_rows
from readmission_platform.storage.tables import SERVED, SERVED_ON, ModelLake

CANDIDATE, CONTROL, SHADOW_ARM = "candidate", "control", "shadow"
_QUANTILES = (0.5, 0.95, 0.99)
# Figures of fewer answers would tell of one of them.
MANY = 100
# Where nobody is left to compare with, so many of the last answers before the roll-out stand in.
_BEFORE = 10_000


@dataclass(frozen=True)
class Arm:
    """The answers of one arm, in the order in which they were given: arrays of one length.

    ``failed`` and ``withheld`` flag answers, ``risk`` is NaN where there is none, ``latency_ms`` NaN where unknown.
    ``in_step`` flags those since the current step began. ``inputs`` counts them by column and cell (``intake.cells``).
    """

    failed: np.ndarray
    withheld: np.ndarray
    risk: np.ndarray
    latency_ms: np.ndarray
    in_step: np.ndarray
    inputs: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def answers(self) -> int:
        """How many answers there are."""
        return len(self.failed)

    @property
    def answers_in_step(self) -> int:
        """How many were given in this step."""
        return int(self.in_step.sum())

    def shown(self) -> dict[str, Any]:
        """Return what may be recorded and shown of the arm: nothing that tells of 1 to 10 people."""
        timed = self.latency_ms[np.isfinite(self.latency_ms)]
        scored = self.risk[np.isfinite(self.risk)]
        return {
            "answers": rough_count(self.answers),
            "in_step": rough_count(self.answers_in_step),
            "failed_share": _share(self.failed),
            "withheld_share": _share(self.withheld),
            "mean_risk": round(float(scored.mean()), 3) if len(scored) >= MANY else None,
            **{f"p{round(100 * q)}_ms": round(float(np.quantile(timed, q)), 2) if len(timed) >= MANY else None
               for q in _QUANTILES},
        }  # fmt: skip


@dataclass(frozen=True)
class Arms:
    """Both arms of a roll-out; ``concurrent`` unless the control arm answered before it."""

    candidate: Arm
    control: Arm
    concurrent: bool = True

    def shown(self) -> dict[str, Any]:
        """Return what may be shown of both."""
        return {CANDIDATE: self.candidate.shown(), CONTROL: self.control.shown(), "concurrent": self.concurrent}


def arms_of(lake: ModelLake, state: RolloutState) -> Arms:
    """Read what both arms answered since the roll-out began.

    In the shadow, the candidate's are the lines of which no answer was used. Where the candidate answers for everybody
    from the start, it is compared with what the other version answered before. Answers from before the step, by the
    clock of the service, count for the comparison and not for the step.
    """
    since = datetime.fromisoformat(state.since)
    candidate = SHADOW_ARM if state.plan.kind == "shadow" else CANDIDATE
    rows = _rows(lake, state)
    before = rows["rollout"].isna()
    concurrent = state.plan.kind != "blue_green"
    control = rows[before].tail(_BEFORE) if not concurrent else rows[~before & (rows["arm"] == CONTROL)]
    answered = rows[~before & (rows["arm"] == candidate)]
    arms = _arm(answered, since), _arm(control, since)
    counted = [_counts(each, lake.contract.feed) for each in (answered, control)]
    if counted[0].keys() == counted[1].keys():
        arms = replace(arms[0], inputs=counted[0]), replace(arms[1], inputs=counted[1])
    return Arms(*arms, concurrent)


def matured_arms(lake: ModelLake, state: RolloutState, *, today: date, coverage: float) -> dict[str, pd.DataFrame]:
    """Return by arm the ``risk`` and ``outcome`` (0 or 1) of each row whose day has matured, in order of scoring.

    Parameters
    ----------
    today, coverage
        As for ``lifecycle.days.outcomes.day_maturity``.
    """
    ended = matured_rows(lake, today=today, coverage=coverage)[[lake.row, lake.outcome]]
    rows = _rows(lake, state, more=[lake.row])
    rows = rows[rows["rollout"].notna() & rows["risk"].notna()].drop_duplicates(lake.row)
    found = rows.merge(ended, on=lake.row, how="inner").rename(columns={lake.outcome: "outcome"}).sort_values("at")
    return {arm: found.loc[found["arm"] == arm, ["risk", "outcome"]] for arm in (CANDIDATE, CONTROL)}


def _rows(lake: ModelLake, state: RolloutState, *, more: list[str] | None = None) -> pd.DataFrame:
    """Return the lines of the roll-out; of one without a control arm also the version's before it, in order."""
    columns = ["entity_key", "arm", "rollout", "at", "status", "risk", "latency_ms", "cells", *(more or ())]
    if not lake.exists(SERVED):
        return pd.DataFrame({name: pd.Series(dtype="float64" if name == "risk" else object) for name in columns})
    from pyarrow import compute

    # The partitions before it hold none of its lines.
    wanted = (compute.field("rollout") == state.plan_event) & (compute.field(SERVED_ON) >= state.started_at[:10])
    if state.plan.kind == "blue_green":
        of_control = compute.field("model_version") == state.control_version
        started = compute.field("at") < state.started_at
        wanted = wanted | (compute.field("rollout").is_null() & of_control & started)
    rows = lake.read(SERVED, columns=columns, kept=wanted)
    rows = rows.assign(at=pd.to_datetime(rows["at"], utc=True, format="ISO8601")).sort_values("at", kind="stable")
    repeated = rows.duplicated(["rollout", "arm", "entity_key"]) & rows["entity_key"].notna()
    return rows[~repeated]


def _arm(rows: pd.DataFrame, since: datetime) -> Arm:
    return Arm(
        failed=rows["status"].eq("failed").to_numpy(dtype=bool),
        withheld=rows["status"].eq("withheld").to_numpy(dtype=bool),
        risk=rows["risk"].to_numpy(dtype=float, na_value=np.nan),
        latency_ms=rows["latency_ms"].to_numpy(dtype=float, na_value=np.nan),
        in_step=(rows["at"] >= since).to_numpy(dtype=bool) if len(rows) else np.zeros(0, dtype=bool),
    )


def _counts(rows: pd.DataFrame, feed: RowContract) -> dict[str, np.ndarray]:
    """Count answers by column and cell, as far as they have cells."""
    cells = pd.DataFrame([json.loads(text) for text in rows["cells"].dropna()])
    sizes = Cells(feed, map(str, cells.columns)).sizes
    return {name: np.bincount(cells[name].dropna().astype("int64"), minlength=size) for name, size in sizes.items()}


def _share(flags: np.ndarray) -> float | None:
    found = shown_share(float(flags.mean()), len(flags)) if len(flags) else None
    return None if found is None else round(found, 4)
