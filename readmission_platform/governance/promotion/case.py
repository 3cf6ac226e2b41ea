"""What a promotion decision looks at, and what one condition says.

What belongs here: the types. What does not: the conditions themselves (``conditions``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from readmission_platform.config.governance import LimitSet, PromotionRules
from readmission_platform.governance.ledger.chain import Event, Pointer
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.policy.adoptable import InForce, PlanInForce, PolicyInForce, RolesInForce
from readmission_platform.governance.policy.limits import Result


@dataclass(frozen=True)
class PromotionRequest:
    """A version to bring into a stage, by whom and why; ``replace`` acknowledges an incumbent.

    ``signed`` is the signed request (``permission.sign_request``); None for a claim.
    """

    version: str
    to_stage: str
    actor: str
    replace: bool = False
    reason: str = ""
    signed: Mapping[str, Any] | None = None

    @property
    def what(self) -> dict[str, Any]:
        """What is signed."""
        return {"version": self.version, "to_stage": self.to_stage, "replace": self.replace}


@dataclass(frozen=True)
class DriftFacts:
    """How far the rows a version scored are from its own training data, in windows of whole days.

    ``collecting`` counts the rows that wait for a window of ``window_rows``. Of the latest ``of_windows``
    closed windows, ``unjudged`` have no judgement of the rows they hold now; ``drifted`` names those that have
    drifted, and ``columns`` what has in them. ``alarm_windows`` of them are an alarm. What was ``accepted`` is not
    among them: the columns, and the events (``acceptances``) by which they are.
    """

    closed: int
    unjudged: int
    collecting: int
    window_rows: int
    drifted: tuple[int, ...]
    columns: tuple[str, ...]
    alarm_windows: int
    of_windows: int
    accepted: tuple[str, ...] = ()
    acceptances: tuple[int, ...] = ()


@dataclass(frozen=True)
class VersionFacts:
    """What was found out about the version just now, from bytes and rows; None stands for missing.

    ``champion_version`` names the version that ``champion_*`` estimates compare with, where that is known;
    ``limit_set`` the limits that go with the source it was trained on, by what its model says now.
    """

    artifact_digest: str | None
    evidence_digest: str | None
    estimates: Mapping[str, Any] | None
    shadow_days: int
    has_champion: bool
    champion_version: str | None = None
    drift: DriftFacts | None = None
    limit_set: LimitSet | None = None


@dataclass(frozen=True)
class Condition:
    """One condition: whether it holds, what was found, and what to do when it does not."""

    name: str
    result: Result
    detail: str
    action: str
    blocks: bool

    def to_json(self) -> dict[str, Any]:
        """Return the condition as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Judged:
    """A decision as the conditions it rests on, the pointers it saw, and the last event it looked at."""

    conditions: list[Condition]
    expected: dict[str, Pointer]
    seen: int

    @property
    def allowed(self) -> bool:
        """Whether there are conditions and none of them blocks."""
        return bool(self.conditions) and not any(item.blocks for item in self.conditions)

    def reasons(self) -> list[str]:
        """Return every reason to refuse, each with what to do about it."""
        return [f"{item.name}: {item.detail}. {item.action}".strip() for item in self.conditions if item.blocks]


@dataclass(frozen=True)
class Case:
    """All that one decision looks at."""

    request: PromotionRequest
    record: VersionRecord
    events: Sequence[Event]
    pointers: Mapping[str, Pointer]
    facts: VersionFacts
    environment_name: str
    in_force: InForce
    demo_keys: Mapping[str, str]
    now: datetime

    @property
    def policy(self) -> PolicyInForce | None:
        """The gate policy in force."""
        return self.in_force.policy

    @property
    def plan(self) -> PlanInForce | None:
        """The change plan in force."""
        return self.in_force.plan

    @property
    def roles(self) -> RolesInForce | None:
        """The roles in force."""
        return self.in_force.roles

    @property
    def rules(self) -> PromotionRules | None:
        """What the environment asks of every promotion, as far as that is in force."""
        return self.in_force.promotion_rules.content if self.in_force.promotion_rules else None

    @property
    def incumbent(self) -> str | None:
        """The version now in the wanted stage."""
        return self.pointers[self.request.to_stage].version


def condition(name: str, holds: bool, detail: str, action: str) -> Condition:
    """Make a condition that blocks unless it holds."""
    return Condition(name, "pass" if holds else "fail", detail, "" if holds else action, blocks=not holds)
