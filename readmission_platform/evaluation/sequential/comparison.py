"""A candidate against its concurrent control arm: every test, at one error rate.

What belongs here: which tests there are, and when each is *worse* or *fine*. What does not: the tests themselves, and
what a verdict leads to (``governance.rollouts``).

All evidence is a function of the requests in their order, so the verdict *worse*, once reached, stays: it does not
matter at which requests somebody looked. The requests of an arm are taken to be as good as independent. Where a patient
comes again and again, give the first request of each only.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from readmission_platform.evaluation.sequential.bets import FloatArray, evidence_of, highest, mean_interval
from readmission_platform.evaluation.sequential.findings import (
    ArmCounts,
    Comparison,
    Finding,
    InOrder,
    SequentialLimits,
    Test,
    UnusableSample,
    Verdict,
)
from readmission_platform.evaluation.sequential.inputs import input_evidence
from readmission_platform.evaluation.sequential.running import running_evidence
from readmission_platform.evaluation.sequential.shares import BoolArray, share_interval
from readmission_platform.evaluation.sequential.shifts import quantile_interval, shift_interval
from readmission_platform.foundation.counting import percent

# Below a microsecond a clock measures nothing, and 0 has no logarithm.
_SHORTEST_MS = 1e-3
_WORDS: Final[dict[InOrder, str]] = {
    "failed": "failed",
    "failed_ceiling": "failed",
    "withheld": "were withheld",
    "withheld_ceiling": "were withheld",
}
_LATENCIES: Final[tuple[Test, ...]] = ("latency", "latency_tail", "latency_ceiling")


def compare(control: ArmCounts, candidate: ArmCounts, limits: SequentialLimits, *, baked: bool = True) -> Comparison:
    """Judge a candidate by all that both arms have logged so far.

    Parameters
    ----------
    control, candidate : arms of the same age, with about as many requests each; pairs are made of the i-th of each.
    baked : whether the bake time has passed; before that nothing is fine.

    Returns
    -------
    The comparison. Over all looks together a candidate within the limits is found worse with probability ``alpha`` at
    most. It is fine only after ``min_samples`` requests of each arm and the bake time, by the rule ``limits.proof``.

    Raises
    ------
    UnusableSample
        The arms have other input columns, or other categories.
    """
    ready = baked and min(control.requests, candidate.requests) >= limits.min_samples
    findings = (
        *_shares(control, candidate, limits, ready),
        *_latencies(control, candidate, limits, ready),
        _scores(control, candidate, limits, ready),
        *_inputs(control, candidate, limits, ready),
    )
    return Comparison(overall(each.verdict for each in findings), findings)


def overall(verdicts: Iterator[Verdict]) -> Verdict:
    """Return the verdict of all tests: *worse* if one is, else *fine* if all are, else *inconclusive*."""
    found = set(verdicts)
    if "worse" in found:
        return "worse"
    return "fine" if found == {"fine"} else "inconclusive"


def _verdict(log: float, alpha: float, *, ready: bool, limits: SequentialLimits, proven: bool) -> Verdict:
    if log >= math.log(1 / alpha):
        return "worse"
    if not ready:
        return "inconclusive"
    return "fine" if limits.proof == "samples" or proven else "inconclusive"


def _half(pairs: int, limits: SequentialLimits) -> bool:
    """Tell whether enough of the requests have what a test needs: some fail or are withheld."""
    return 2 * pairs >= limits.min_samples


def _shares(control: ArmCounts, candidate: ArmCounts, limits: SequentialLimits, ready: bool) -> Iterator[Finding]:
    failed = candidate.failed, control.failed
    withheld = candidate.withheld, control.withheld
    yield _difference("failed", *failed, limits, ready, limits.error_margin)
    yield _ceiling("failed_ceiling", candidate.failed, control.requests, limits, ready, limits.error_ceiling)
    yield _difference("withheld", *withheld, limits, ready, limits.withheld_margin)
    yield _ceiling("withheld_ceiling", candidate.withheld, control.requests, limits, ready, limits.withheld_ceiling)


def _difference(
    name: InOrder, candidate: BoolArray, control: BoolArray, limits: SequentialLimits, ready: bool, margin: float
) -> Finding:
    alpha, pairs = limits.alpha_of(name), min(len(candidate), len(control))
    log = highest(running_evidence(name, control[:pairs], candidate[:pairs], limits))
    if not pairs:
        return _nothing(name, alpha, control, candidate)
    differences = candidate[:pairs].astype(float) - control[:pairs]
    low, high = mean_interval(differences, least=-1, most=1, alpha=alpha)
    within = high <= margin and (name == "failed" or low >= -margin)
    verdict = _verdict(log, alpha, ready=ready, limits=limits, proven=within)
    words = (
        f"{percent(float(candidate.mean()), 1)} of the candidate's requests {_WORDS[name]}, "
        f"{percent(float(control.mean()), 1)} of the control arm's; difference {percent(low, 1)} to "
        f"{percent(high, 1)}: {verdict}."
    )
    return Finding(name, evidence_of(log), alpha, float(differences.mean()), low, high, len(control), len(candidate),
                   verdict, words)  # fmt: skip


def _ceiling(
    name: InOrder, flags: BoolArray, n_control: int, limits: SequentialLimits, ready: bool, allowed: float
) -> Finding:
    alpha = limits.alpha_of(name)
    if not len(flags):
        return _nothing(name, alpha, np.empty(n_control), flags)
    log = highest(running_evidence(name, flags, flags, limits))
    low, high = share_interval(int(flags.sum()), len(flags), alpha=alpha)
    verdict = _verdict(log, alpha, ready=ready, limits=limits, proven=high <= allowed)
    words = (
        f"{percent(float(flags.mean()), 1)} of the candidate's requests {_WORDS[name]} "
        f"({percent(low, 1)} to {percent(high, 1)}), at most {percent(allowed, 1)} allowed: {verdict}."
    )
    return Finding(name, evidence_of(log), alpha, float(flags.mean()), low, high, n_control, len(flags), verdict,
                   words)  # fmt: skip


def _latencies(control: ArmCounts, candidate: ArmCounts, limits: SequentialLimits, ready: bool) -> Iterator[Finding]:
    ours, theirs = (np.maximum(arm.latencies_ms, _SHORTEST_MS) for arm in (candidate, control))
    pairs = min(len(ours), len(theirs))
    if not pairs:
        yield from (_nothing(name, limits.alpha_of(name), theirs, ours) for name in _LATENCIES)
        return
    ready = ready and _half(pairs, limits)
    yield _slower(theirs, ours, limits, ready)
    yield _tail(theirs, ours, limits, ready)
    yield _latency_ceiling(theirs, ours, limits, ready)


def _slower(control: FloatArray, candidate: FloatArray, limits: SequentialLimits, ready: bool) -> Finding:
    alpha, pairs = limits.alpha_of("latency"), min(len(candidate), len(control))
    log = highest(running_evidence("latency", control[:pairs], candidate[:pairs], limits))
    ours, theirs = (quantile_interval(values, 0.5, alpha=alpha / 2) for values in (candidate, control))
    ratio = float(np.median(candidate) / np.median(control))
    low, high = ours[0] / theirs[1], ours[1] / theirs[0] if theirs[0] else math.inf
    verdict = _verdict(log, alpha, ready=ready, limits=limits, proven=True)
    words = (
        f"The candidate's typical latency is {np.median(candidate):.2f} ms, the control arm's "
        f"{np.median(control):.2f} ms, {percent(limits.latency_tolerance)} more allowed: {verdict}."
    )
    return Finding("latency", evidence_of(log), alpha, ratio, low, _finite(high), len(control), len(candidate), verdict,
                   words)  # fmt: skip


def _tail(control: FloatArray, candidate: FloatArray, limits: SequentialLimits, ready: bool) -> Finding:
    alpha, pairs, quantile = limits.alpha_of("latency_tail"), min(len(candidate), len(control)), limits.latency_quantile
    log = highest(running_evidence("latency_tail", control[:pairs], candidate[:pairs], limits))
    ours, theirs = (quantile_interval(values, quantile, alpha=alpha / 2) for values in (candidate, control))
    difference = float(np.quantile(candidate, quantile) - np.quantile(control, quantile))
    low, high = _finite(ours[0] - theirs[1]), _finite(ours[1] - theirs[0])
    proven = high is not None and high <= limits.latency_margin_ms
    verdict = _verdict(log, alpha, ready=ready, limits=limits, proven=proven)
    words = (
        f"The {percent(quantile, 1)} quantile of the candidate's latency is {difference:+.2f} ms from the control "
        "arm's, "
        f"+{limits.latency_margin_ms:g} ms allowed: {verdict}."
    )
    return Finding("latency_tail", evidence_of(log), alpha, difference, low, high, len(control), len(candidate),
                   verdict, words)  # fmt: skip


def _latency_ceiling(control: FloatArray, candidate: FloatArray, limits: SequentialLimits, ready: bool) -> Finding:
    alpha, quantile = limits.alpha_of("latency_ceiling"), limits.latency_quantile
    log = highest(running_evidence("latency_ceiling", control, candidate, limits))
    low, high = quantile_interval(candidate, quantile, alpha=alpha)
    estimate = float(np.quantile(candidate, quantile))
    verdict = _verdict(log, alpha, ready=ready, limits=limits, proven=high <= limits.latency_ceiling_ms)
    words = (
        f"The {percent(quantile, 1)} quantile of the candidate's latency is {estimate:.2f} ms, at most "
        f"{limits.latency_ceiling_ms:g} ms allowed: {verdict}."
    )
    return Finding("latency_ceiling", evidence_of(log), alpha, estimate, low, _finite(high), len(control),
                   len(candidate), verdict, words)  # fmt: skip


def _scores(control: ArmCounts, candidate: ArmCounts, limits: SequentialLimits, ready: bool) -> Finding:
    alpha, ours, theirs = limits.alpha_of("scores"), candidate.risks, control.risks
    pairs = min(len(ours), len(theirs))
    if pairs < 2:
        return _nothing("scores", alpha, theirs, ours)
    log = highest(running_evidence("scores", theirs[:pairs], ours[:pairs], limits))
    low, high = shift_interval(theirs[:pairs], ours[:pairs], alpha=alpha)
    deviation = math.sqrt((float(np.var(ours)) + float(np.var(theirs))) / 2)
    shift = float(ours.mean() - theirs.mean()) / deviation if deviation > 0 else 0.0
    within = -limits.score_shift <= low and high <= limits.score_shift
    verdict = _verdict(log, alpha, ready=ready and _half(pairs, limits), limits=limits, proven=within)
    words = (
        f"The candidate's risks lie {shift:+.2f} standard deviations from the control arm's ({low:+.2f} to {high:+.2f})"
        f", {limits.score_tolerance:g} either way allowed: {verdict}."
    )
    return Finding("scores", evidence_of(log), alpha, shift, low, high, len(theirs), len(ours), verdict, words)


def _inputs(control: ArmCounts, candidate: ArmCounts, limits: SequentialLimits, ready: bool) -> Iterator[Finding]:
    if {name: len(counts) for name, counts in control.inputs.items()} != {
        name: len(counts) for name, counts in candidate.inputs.items()
    }:
        raise UnusableSample("the two arms have other input columns, or other categories")
    if not control.inputs:
        return
    alpha, found = limits.alpha_of("inputs"), input_evidence(control.inputs, candidate.inputs)
    log = max(0.0, found.log)
    known = control.requests > 0 and candidate.requests > 0
    verdict = _verdict(log, alpha, ready=ready and known, limits=limits, proven=True)
    words = (
        # Without the distance: of small arms it would tell of few people.
        f"Of {len(control.inputs)} input columns, {found.column} differs most between the arms: {verdict}."
    )
    yield Finding("inputs", evidence_of(log), alpha, found.distance, None, None, control.requests, candidate.requests,
                  verdict, words)  # fmt: skip


def _nothing(name: Test, alpha: float, control: np.ndarray, candidate: np.ndarray) -> Finding:
    words = f"Nothing to compare yet for {name.replace('_', ' ')}: inconclusive."
    return Finding(name, 1.0, alpha, None, None, None, len(control), len(candidate), "inconclusive", words)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
