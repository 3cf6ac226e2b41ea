"""How long a step has lasted while somebody watched.

What belongs here: the time that counts. What does not: the ledger's clock, which never goes back.

A step lasts as long as its plan says *while it is watched*: between two looks no more than a few minutes count. A
clock that jumps forward by a day therefore brings a step forward by minutes, one that is set back brings it nowhere,
and the hours in which nothing ran do not count as quiet ones. What is remembered is a mark of the operations database:
when that is lost, the step begins anew.
"""

import json
import math
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from readmission_platform.governance.ledger.chain import utc_text
from readmission_platform.governance.rollouts.state import RolloutState

# So much counts between two looks at most; the sensor looks every half minute.
LONGEST_LOOK = timedelta(minutes=2)


@dataclass(frozen=True)
class Baked:
    """The seconds of a step that were watched, until the last look at it; it names its roll-out and step."""

    plan_event: int
    since: str
    seconds: float
    looked_at: str

    @property
    def minutes(self) -> float:
        """The same in minutes."""
        return self.seconds / 60

    def to_mark(self) -> str:
        """Return it as it is remembered."""
        return json.dumps(asdict(self), sort_keys=True)


def mark_of(model: str) -> str:
    """Return the name under which it is remembered."""
    return f"rollout {model}"


def baked(mark: str | None, state: RolloutState, *, now: datetime) -> Baked:
    """Return how long the current step has been watched, this look included.

    Parameters
    ----------
    mark
        What was remembered at the last look; anything else (None, another step's, damaged) begins at 0.
    now
        By the ledger (``Ledger.now``).
    """
    before = _read(mark)
    seconds = 0.0
    if before is not None and (before.plan_event, before.since) == (state.plan_event, state.since):
        passed = now - datetime.fromisoformat(before.looked_at)
        seconds = before.seconds + max(timedelta(0), min(passed, LONGEST_LOOK)).total_seconds()
    return Baked(state.plan_event, state.since, seconds, utc_text(now))


def _read(mark: str | None) -> Baked | None:
    try:
        found = Baked(**json.loads(mark or ""))
        datetime.fromisoformat(found.looked_at)
        return found if 0 <= found.seconds < math.inf else None
    except (TypeError, ValueError):
        return None
