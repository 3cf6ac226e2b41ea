"""What each arm of a roll-out answered, from the prediction log.

What belongs here: reading the log, and what of it may be shown. What does not: comparing the arms (``judging``), and
writing the log (``serving``).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.evaluation.disclosure import rough_count, shown_share
from readmission_platform.governance.rollouts.state import RolloutState
from readmission_platform.storage.tables import SERVED, ModelLake

CANDIDATE, CONTROL, SHADOW_ARM = "candidate", "control", "shadow"
_COLUMNS = ("arm", "at", "status", "risk", "latency_ms", "error")
_QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class Arm:
    """The answers of one arm, in the order in which they were given; all of one length n.

    ``failed`` and ``withheld`` flag answers, ``risk`` is NaN where there is none, ``latency_ms`` NaN where unknown.
    ``in_step`` flags those since the current step began.
    """

    failed: np.ndarray
    withheld: np.ndarray
    risk: np.ndarray
    latency_ms: np.ndarray
    in_step: np.ndarray

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
        n = self.answers
        known = self.latency_ms[np.isfinite(self.latency_ms)]
        scored = self.risk[np.isfinite(self.risk)]
        return {
            "answers": rough_count(n),
            "in_step": rough_count(self.answers_in_step),
            "failed_share": _share(self.failed),
            "withheld_share": _share(self.withheld),
            "mean_risk": round(float(scored.mean()), 3) if len(scored) > _MANY else None,
            "latency_ms": {f"p{round(100 * q)}": round(float(np.quantile(known, q)), 2) for q in _QUANTILES}
            if len(known) > _MANY else None,
        }  # fmt: skip


@dataclass(frozen=True)
class Arms:
    """Both arms of a roll-out."""

    candidate: Arm
    control: Arm

    def shown(self) -> dict[str, Any]:
        """Return what may be shown of both."""
        return {CANDIDATE: self.candidate.shown(), CONTROL: self.control.shown()}


# Figures of fewer answers would tell of one of them.
_MANY = 100


def arms_of(lake: ModelLake, state: RolloutState) -> Arms:
    """Read what both arms answered since the roll-out began.

    In the shadow, the candidate's are the lines of which no answer was used. Answers given before the step began, by
    the clock of the service, count for the comparison and not for the step.
    """
    rows = _rows(lake, state.plan_event)
    candidate = SHADOW_ARM if state.plan.kind == "shadow" else CANDIDATE
    since = datetime.fromisoformat(state.since)
    return Arms(_arm(rows[rows["arm"] == candidate], since), _arm(rows[rows["arm"] == CONTROL], since))


def _rows(lake: ModelLake, plan_event: int) -> pd.DataFrame:
    if not lake.exists(SERVED):
        return pd.DataFrame({name: pd.Series(dtype=object) for name in _COLUMNS})
    from pyarrow import compute

    rows = lake.read(SERVED, columns=list(_COLUMNS), kept=compute.field("rollout") == plan_event)
    return rows.assign(at=pd.to_datetime(rows["at"], utc=True, format="ISO8601")).sort_values("at", kind="stable")


def _arm(rows: pd.DataFrame, since: datetime) -> Arm:
    return Arm(
        failed=rows["status"].eq("failed").to_numpy(dtype=bool),
        withheld=rows["status"].eq("withheld").to_numpy(dtype=bool),
        risk=rows["risk"].to_numpy(dtype=float, na_value=np.nan),
        latency_ms=rows["latency_ms"].to_numpy(dtype=float, na_value=np.nan),
        in_step=(rows["at"] >= since).to_numpy(dtype=bool) if len(rows) else np.zeros(0, dtype=bool),
    )


def _share(flags: np.ndarray) -> float | None:
    found = shown_share(float(flags.mean()), len(flags)) if len(flags) else None
    return None if found is None else round(found, 4)
