"""Whether a version is still what the ledger says: every recorded digest, figure and signature looked at again.

What belongs here: pure functions from events and what was recomputed to checks. What does not: recomputing
(``lifecycle.versions.verification``), and approvals (``approved``).

Checks of *integrity* fail when something was changed. Checks of *policy* fail when everything is as recorded and the
rules still say no.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from readmission_platform.config.governance import AdditionalGates, GatePolicy
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import Event, pointers_from
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.policy.adoption import in_force
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates, verdict
from readmission_platform.governance.policy.required import RequiredGates
from readmission_platform.governance.promotion.approved import approval_checks, moves_check
from readmission_platform.governance.promotion.check import Check, Outcome
from readmission_platform.governance.promotion.drift_acceptances import acceptance_checks
from readmission_platform.governance.promotion.requested import requests_check

# Another processor may round the last digit differently; whoever changes evidence changes its digest.
ROUNDING = 1e-9
# Grows with every day in the shadow, so the figure at validation cannot be had again.
_GROWING = "shadow_"
_FIGURES = ("value", "low", "high", "n", "positives")
# Of a gate's result, what follows from figures and limits.
_JUDGED = ("gate", "additional", "result", "blocks", "metric", "observed", "low", "high", "n", "positives")


@dataclass(frozen=True)
class Recomputed:
    """What was found out just now; None stands for missing or unreadable.

    ``estimates`` are those the last validation recorded, from the same evidence rows and the same champion's.
    ``settings_alike`` says whether ``model.yaml`` of the model is the one the version was trained with.
    """

    artifact_digest: str | None
    evidence_digest: str | None
    estimates: Mapping[str, Any] | None
    settings_alike: bool


def chain_check(problem: str | None, events: int) -> Check:
    """Report the ledger's own verification; ``problem`` is what it found, or None."""
    detail = problem or f"{events} events, each hash and link recomputed, pointers agree"
    return Check("ledger_chain", "integrity", "fail" if problem else "pass", detail)


def verify_version(
    record: VersionRecord,
    *,
    events: Sequence[Event],
    found: Recomputed,
    required: RequiredGates,
) -> list[Check]:
    """Check one version against what the ledger recorded of it.

    Parameters
    ----------
    events
        All events of the model and its environment, in order.
    required
        The gates that the model requires of every policy.
    """
    return [
        _digest("artifact_digest", "the model file", found.artifact_digest, record.artifact_digest),
        _digest("evidence_digest", "the evidence rows", found.evidence_digest, record.evidence_digest),
        _metrics(record, found),
        *_validated_under(record, events, found, required),
        moves_check(events),
        *approval_checks(record, events),
        *acceptance_checks(record.version, events),
        requests_check(record.version, events),
        _gates_in_force(record, events, found, required),
    ]


def champion_then(
    record: VersionRecord, records: Mapping[str, VersionRecord], events: Sequence[Event]
) -> VersionRecord | None:
    """Return the version that was in production when this one was last validated."""
    if not record.validations:
        return None
    before = [event for event in events if event.seq < record.validations[-1].seq]
    live = pointers_from(before)["production"].version
    return records.get(live or "") if live != record.version else None


def largest_difference(
    recorded: Mapping[str, Any], recomputed: Mapping[str, Any]
) -> tuple[float, str | None, list[str]]:
    """Compare estimates figure by figure.

    Returns
    -------
    The largest difference, the metric it is of, and every metric of which a figure is missing on one side or differs
    in a count. Estimates of the shadow stage, which grow by the day, are left out.
    """
    largest, where, unlike = 0.0, None, []
    for name in sorted(name for name in {*recorded, *recomputed} if not name.startswith(_GROWING)):
        one, other = (source.get(name) for source in (recorded, recomputed))
        if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
            unlike.append(name)
            continue
        for figure in _FIGURES:
            before, now = one.get(figure), other.get(figure)
            if before == now:
                continue
            apart = None if figure in ("n", "positives") else _apart(before, now)
            if apart is None:
                unlike.append(name)
            elif apart > largest:
                largest, where = apart, name
    return largest, where, list(dict.fromkeys(unlike))


def _digest(name: str, what: str, found: str | None, recorded: str | None) -> Check:
    if recorded is None:
        return Check(name, "integrity", "fail", f"the ledger holds no digest of {what}")
    if found is None:
        return Check(name, "integrity", "fail", f"{what} cannot be read: missing or damaged")
    same = found == recorded
    detail = f"{found}" if same else f"{what} changed: now {found}, recorded {recorded}"
    return Check(name, "integrity", "pass" if same else "fail", detail)


def _metrics(record: VersionRecord, found: Recomputed) -> Check:
    def check(result: Outcome, detail: str) -> Check:
        other = result == "fail" and not found.settings_alike
        note = "; model.yaml of the model is not that of the training" if other else ""
        return Check("metrics_recomputed", "integrity", result, detail + note)

    if record.validated_payload is None:
        return check("not applicable", "the version was never validated, so no figures are recorded")
    recorded = record.validated_payload.get("estimates")
    if not isinstance(recorded, Mapping) or found.estimates is None:
        return check("fail", "the figures cannot be recomputed from the evidence rows")
    largest, where, unlike = largest_difference(recorded, found.estimates)
    count = sum(not name.startswith(_GROWING) for name in recorded)
    if unlike:
        return check("fail", f"missing or counted differently: {', '.join(unlike[:5])} ({len(unlike)} in all)")
    if largest > ROUNDING:
        return check("fail", f"largest difference {largest:.3g}, in {where}")
    exact = (
        "identical" if largest == 0 else f"the same except for rounding: largest difference {largest:.1e}, in {where}"
    )
    return check("pass", f"{count} estimates with intervals and counts, {exact}")


def _validated_under(
    record: VersionRecord, events: Sequence[Event], found: Recomputed, required: RequiredGates
) -> Iterator[Check]:
    """Check the policy of the last validation, and that it gives the recorded results once more."""
    if not record.validations:
        yield Check("adopted_policy", "integrity", "not applicable", "the version was never validated")
        return
    validation = record.validations[-1]
    policy = in_force([event for event in events if event.seq < validation.seq])
    if policy is None or policy.digest != record.policy_digest:
        detail = "the policy it was judged by is not the one that was properly adopted at that time"
        yield Check("adopted_policy", "integrity", "fail", detail)
        return
    adopted = f"{policy.digest}, content and signature verify, adopted by {policy.adopted_by} (event {policy.seq})"
    yield Check("adopted_policy", "integrity", "pass", adopted)
    # Another validation's additional gates keep applying in a decision; what was recorded is this validation's own.
    own = [gates for gates in [validation.payload.get("additional_gates")] if gates]
    again = _evaluated(record, policy.content, required, found.estimates, additional=own)
    if again is None:
        yield Check("gates_recomputed", "integrity", "fail", "the gates cannot be evaluated on the evidence")
        return
    unlike = _unlike_results(record.gates, again)
    if validation.payload.get("verdict") != verdict(again):
        unlike = ["the verdict", *unlike]
    detail = f"other than recorded: {', '.join(unlike)}" if unlike else f"{len(again)} results as recorded"
    yield Check("gates_recomputed", "integrity", "fail" if unlike else "pass", detail)


def _unlike_results(recorded: Sequence[Mapping[str, Any]], again: Sequence[GateResult]) -> list[str]:
    """Name the gates of which the record has another result or figure, or none, or one too many.

    Words are left out: they follow from the policy, and another release may put them otherwise.
    """
    left = list(recorded)
    unlike = []
    for result in again:
        expected = result.to_json()
        there = [gate for gate in left if all(_same(gate.get(name), expected[name]) for name in _JUDGED)]
        if there:
            left.remove(there[0])
        else:
            unlike.append(result.gate)
    return sorted({*unlike, *(str(gate.get("gate")) for gate in left)})


def _same(one: object, other: object) -> bool:
    apart = None if isinstance(one, bool) or isinstance(other, bool) else _apart(one, other)
    return one == other or (apart is not None and apart <= ROUNDING)


def _gates_in_force(
    record: VersionRecord, events: Sequence[Event], found: Recomputed, required: RequiredGates
) -> Check:
    """Judge the recomputed figures by the policy in force now, with every limit ever asked for in addition."""
    policy = in_force(events)
    if policy is None:
        return Check("gates_in_force", "policy", "fail", "no gate policy is in force")
    results = _evaluated(record, policy.content, required, found.estimates, additional=record.additional_gates())
    if results is None:
        return Check("gates_in_force", "policy", "fail", "the gates cannot be evaluated on the evidence")
    blocking = sorted({gate.gate for gate in results if gate.blocks})
    detail = f"{len(results)} gates of acceptance hold under policy {policy.digest[:19]}"
    if blocking:
        detail = f"block under the policy in force: {', '.join(blocking)}"
    return Check("gates_in_force", "policy", "fail" if blocking else "pass", detail)


def _evaluated(
    record: VersionRecord,
    policy: GatePolicy,
    required: RequiredGates,
    estimates: Mapping[str, Any] | None,
    *,
    additional: Sequence[Any],
) -> list[GateResult] | None:
    limit_set = record.limit_set
    if limit_set is None or estimates is None:
        return None
    judge = partial(
        evaluate_gates, estimates, policy, required=required, limit_set=limit_set, stages=("candidate", "staging")
    )
    try:
        results = judge()
        for asked in additional:
            extra = AdditionalGates.model_validate(asked)
            results += [result for result in judge(additional=extra) if result.additional]
    except (BadInput, ValidationError):
        return None
    return results


def _apart(one: object, other: object) -> float | None:
    if not (isinstance(one, (int, float)) and isinstance(other, (int, float))):
        return None
    apart = abs(one - other)
    return apart if math.isfinite(apart) else None
