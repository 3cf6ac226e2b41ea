"""What the service would have logged of a roll-out."""

from datetime import datetime, timedelta
from secrets import token_hex

import numpy as np
import pandas as pd

from readmission_platform.governance.rollouts.assignment import arm_of
from readmission_platform.governance.rollouts.state import RolloutState
from readmission_platform.serving.journal import SERVED_ON, frame_of
from readmission_platform.storage.tables import SERVED, ModelLake

KEY = b"k" * 32


def answered(
    lake: ModelLake,
    state: RolloutState,
    *,
    patients: int = 4000,
    failed: float = 0.0,
    withheld: float = 0.0,
    shift: float = 0.0,
    slower_ms: float = 0.0,
    seed: int = 1,
) -> None:
    """Log one answer for each of so many new patients; what is said of failures, risks and times is the candidate's."""
    # In the present step, however soon after its beginning this is called.
    random, began = np.random.default_rng(seed), datetime.fromisoformat(state.since)
    people = [f"patient-{seed}-{number}" for number in range(patients)]
    arms = np.array([arm_of(state, person, KEY) for person in people], dtype=object)
    beside = np.full(patients, "shadow") if state.in_shadow else np.array([], dtype=object)
    rows = pd.DataFrame({
        "entity_key": [*people, *people[: len(beside)]],
        "arm": np.concatenate([arms, beside]),
    })  # fmt: skip
    count = len(rows)
    candidate = rows["arm"].isin(["candidate", "shadow"]).to_numpy()
    fails = candidate & (random.random(count) < failed)
    held = candidate & ~fails & (random.random(count) < withheld)
    risk = 1 / (1 + np.exp(-(random.normal(-2, 0.6, count) + shift * candidate)))
    rows = rows.assign(
        request_id=[f"request-{seed}-{number}" for number in range(count)],
        at=[(began + timedelta(microseconds=number)).isoformat(timespec="microseconds") for number in range(count)],
        model_version=np.where(candidate, state.candidate_version, state.control_version),
        artifact_digest="sha256:a",
        rollout=pd.array([state.plan_event] * count, dtype="Int64"),
        status=np.select([fails, held], ["failed", "withheld"], "scored"),
        risk=np.where(fails | held, np.nan, risk),
        latency_ms=random.gamma(4, 0.2, count) + slower_ms * candidate,
    )
    rows[lake.row] = np.arange(count) + 10_000_000 * (seed + 1)
    rows[lake.day] = "2026-01-01"
    lines = rows.astype(object).where(rows.notna(), None).to_dict("records")
    lake.append(SERVED, frame_of(lines, lake.contract), partition=SERVED_ON, writer=token_hex(8), position=1)
