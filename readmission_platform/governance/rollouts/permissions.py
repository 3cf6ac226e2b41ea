"""What it takes to start a roll-out, and to ask for each of its steps.

What belongs here: the permission of each kind of event. What does not: who holds it (``governance.roles``).
"""

from collections.abc import Mapping
from typing import Final

from readmission_platform.governance.rollouts.state import (
    ABORTED,
    ADVANCED,
    COMPLETED,
    PAUSED,
    RESUMED,
    ROLLOUT_ROLLED_BACK,
    STARTED,
)

TO_RUN: Final = "run_rollout"
# Of whatever takes the steps that a plan allows by itself.
TO_DRIVE: Final = "drive_rollout"
# To ask for it by hand. What has no permission here is done by a plan alone: by hand a roll-back is an abort.
BY_HAND: Final[Mapping[str, str]] = {
    STARTED: TO_RUN,
    ADVANCED: TO_RUN,
    RESUMED: TO_RUN,
    COMPLETED: TO_RUN,
    PAUSED: "rollback",
    ABORTED: "rollback",
}
BY_THE_PLAN: Final = frozenset({ADVANCED, PAUSED, ROLLOUT_ROLLED_BACK, COMPLETED})
