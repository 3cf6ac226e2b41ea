"""What the figures of a roll-out say: fine, worse, or not enough yet.

What belongs here: the arms put into the tests, and what may be shown of their findings. What does not: the tests
(``evaluation.sequential``), and what follows from the verdict (``driving``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from readmission_platform.config.rollouts import RolloutLimits
from readmission_platform.evaluation.disclosure import tells_few
from readmission_platform.evaluation.sequential.comparison import compare
from readmission_platform.evaluation.sequential.findings import ArmCounts, Finding, SequentialLimits, Verdict
from readmission_platform.governance.rollouts.state import RolloutState
from readmission_platform.lifecycle.rollouts.arms import MANY, Arm, Arms

_OF_PLAN = (
    *("alpha", "min_samples", "error_margin", "error_ceiling", "withheld_margin", "withheld_ceiling"),
    *("latency_tolerance", "latency_quantile", "latency_margin_ms", "latency_ceiling_ms"),
    *("score_tolerance", "score_shift", "proof"),
)
_COUNTED = frozenset({"failed", "failed_ceiling", "withheld", "withheld_ceiling"})


@dataclass(frozen=True)
class Judgement:
    """The verdict on the candidate so far.

    Attributes
    ----------
    reasons
        Why it is not *fine*; each fit to be shown.
    enough
        Whether each arm has the samples that the step needs.
    figures
        Plain JSON, fit to be recorded and shown.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    enough: bool
    figures: Mapping[str, Any]


def judge(state: RolloutState, arms: Arms, *, baked: bool) -> Judgement:
    """Compare the arms by the limits of the plan, over everything they answered since the roll-out began.

    Parameters
    ----------
    baked
        Whether the step has lasted as long as the plan says.
    """
    counts = _counts(arms.control), _counts(arms.candidate)
    found = compare(*counts, limits_of(state.plan), baked=baked)
    hidden = {each.name for each in found.findings if _tells_of_few(each, *counts)}
    said = {each.name: _without_figures(each) if each.name in hidden else each.words for each in found.findings}
    reasons = tuple(said[each.name] for each in found.findings if each.verdict == found.verdict != "fine")
    tests = {
        each.name: {
            "verdict": each.verdict,
            "p_value": None if each.name in hidden else float(f"{each.p_value:.2g}"),
            "said": said[each.name],
        }
        for each in found.findings
    }
    return Judgement(
        found.verdict,
        reasons,
        _enough(state, arms),
        {"verdict": found.verdict, "arms": arms.shown(), "tests": tests},
    )


def limits_of(limits: RolloutLimits) -> SequentialLimits:
    """Return the limits of the tests as a plan, or an environment for its plans, sets them."""
    return SequentialLimits(**{name: getattr(limits, name) for name in _OF_PLAN})


def _enough(state: RolloutState, arms: Arms) -> bool:
    """Tell whether both arms have the samples of the step; at 100 % there is only one arm left."""
    needed = state.plan.min_samples
    beside = state.share < 1
    return arms.candidate.answers_in_step >= needed and (not beside or arms.control.answers_in_step >= needed)


def _counts(arm: Arm) -> ArmCounts:
    return ArmCounts(
        failed=arm.failed,
        withheld=arm.withheld & ~arm.failed,
        latencies_ms=arm.latency_ms[np.isfinite(arm.latency_ms)],
        risks=arm.risk[np.isfinite(arm.risk)],
        inputs=arm.inputs,
    )


def _tells_of_few(finding: Finding, control: ArmCounts, candidate: ArmCounts) -> bool:
    """Tell whether the figures of a test, its p value among them, would tell of a few people of either arm."""
    arms = (control, candidate)
    if finding.name in _COUNTED:
        flags = [getattr(arm, _counted_by(finding)) for arm in arms]
        return any(len(each) and tells_few(float(each.mean()), len(each)) for each in flags)
    if finding.name == "inputs":
        return min(arm.requests for arm in arms) < MANY
    values = [arm.risks if finding.name == "scores" else arm.latencies_ms for arm in arms]
    return min(map(len, values)) < MANY


def _counted_by(finding: Finding) -> str:
    return "failed" if finding.name.startswith("failed") else "withheld"


def _without_figures(finding: Finding) -> str:
    if finding.name in _COUNTED:
        return f"Of the requests {_counted_by(finding)}, too few to be shown: {finding.verdict}."
    if finding.name == "inputs":  # its sentence has none
        return finding.words
    return f"Too few answers for figures of the {finding.name.replace('_', ' ')} to be shown: {finding.verdict}."
