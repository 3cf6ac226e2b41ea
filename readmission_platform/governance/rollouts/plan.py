"""The plan of one roll-out: what somebody signs before a candidate answers for a patient.

What belongs here: the plan and its canonical form. What does not: how far it has come (``state``), who is given the
candidate (``assignment``), and whether it may begin (``decision``).

* ``shadow``: the candidate scores everything, and none of its answers is used.
* ``canary``: the candidate answers for a growing share of the patients.
* ``blue_green``: it answers for everybody at once; the old version stays ready.
* ``ab``: two versions answer side by side until the sample size fixed beforehand is reached. The better one goes live
  only with an approval that was given after the result.
"""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from readmission_platform.config.rollouts import RolloutLimits
from readmission_platform.foundation.values import digest_of

Kind = Literal["shadow", "canary", "blue_green", "ab"]
KINDS: Final[tuple[Kind, ...]] = ("shadow", "canary", "blue_green", "ab")
# What exposes patients to the answers of a version that is not in production.
EXPOSING: Final = frozenset({"canary", "blue_green", "ab"})
# What ends with the candidate in production.
REPLACING: Final = frozenset({"canary", "blue_green"})
# What an A/B roll-out may be decided by, once the outcomes have matured; smaller is better for each.
Metric = Literal["brier", "log_loss", "calibration", "event_rate"]

_Version = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]


class RolloutPlan(RolloutLimits):
    """Which version is rolled out beside which, how, and by which limits; ``digest`` covers all of it.

    ``split``, ``metric`` and ``sample_size`` belong to A/B roll-outs: the candidate's share of the patients, what
    decides, and how many matured outcomes each arm needs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind
    candidate_version: _Version
    control_version: _Version
    split: float | None = Field(default=None, gt=0, lt=1)
    metric: Metric | None = None
    sample_size: int | None = Field(default=None, ge=100)

    @model_validator(mode="after")
    def _makes_sense(self) -> "RolloutPlan":
        of_ab = (self.split, self.metric, self.sample_size)
        if self.kind == "ab" and None in of_ab:
            raise ValueError("an A/B roll-out needs its split, metric and sample size beforehand")
        if self.kind != "ab" and of_ab != (None, None, None):
            raise ValueError("split, metric and sample size belong to A/B roll-outs")
        if self.candidate_version == self.control_version:
            raise ValueError("a version cannot be rolled out beside itself")
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """The share of the patients for whom the candidate answers, between 0 and 1, step by step."""
        if self.kind == "shadow":
            return (0.0,)
        if self.kind == "ab":
            assert self.split is not None
            return (self.split,)
        return (1.0,) if self.kind == "blue_green" else tuple(percent / 100 for percent in self.steps)

    @property
    def digest(self) -> str:
        """``sha256:`` of the plan's canonical JSON."""
        return digest_of(self)
