"""The conditions of a promotion, each on its own.

What belongs here: pure functions from a ``Case`` to a ``Condition``. What does not: gathering the facts,
putting conditions together (``promotion``), and the gates (``policy``).
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from readmission_platform.evaluation.disclosure import rough_count
from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.errors import LedgerCorrupt
from readmission_platform.governance.ledger.binding import LOCAL
from readmission_platform.governance.ledger.chain import Event, Pointer, first_difference, is_intact, pointers_from
from readmission_platform.governance.policy.adoptable import ADOPTABLE
from readmission_platform.governance.policy.change_plan import limits_missed, outside_of
from readmission_platform.governance.policy.gates import GateResult, warnings_of
from readmission_platform.governance.promotion.approvals import check_approval, used_nonces
from readmission_platform.governance.promotion.case import Case, Condition, condition
from readmission_platform.governance.promotion.drift_acceptances import Acceptance, counting
from readmission_platform.governance.rollouts.state import rollout_of, to_be_known

STATE_BEFORE = {"staging": "candidate", "production": "staging"}
_NO_RULES = "no promotion rules are in force"
_ADOPT_RULES = "Adopt them with a signature (readmission policy adopt --promotion)."
_ADOPT_A_PLAN = "Have the change plan reviewed, then adopt it with a signature: readmission policy adopt --plan."
_NEW_REVIEW = (
    "Train a version inside the plan, or have the change reviewed and a plan that allows it adopted with a signature: "
    "readmission policy adopt --plan."
)
_LOOK_AT_DRIFT = "Run monitoring_job (`readmission drift judge`), then decide again."
_WAY_ON = (
    "Find out what changed (`readmission drift list` names it, docs/alerts.md says more). An interface is repaired at "
    "its source. A changed population: train on what has matured, recalibrate, or have it accepted until a day "
    "(`readmission drift accept`)."
)


def ledger_intact(events: Sequence[Event], pointers: Mapping[str, Pointer]) -> Condition:
    """Every event's content gives its hash, and the pointers are those that the events made."""
    edited = next((event.seq for event in events if not is_intact(event)), None)
    ordered = all(before.seq < after.seq for before, after in pairwise(events))
    try:
        moved = first_difference(pointers_from(events), pointers)
    except LedgerCorrupt as error:
        moved = str(error)
    detail = "events and pointers agree"
    if edited is not None or not ordered:
        detail = f"event {edited} was edited" if edited is not None else "events are out of order"
    elif moved:
        detail = f"a stage was moved without an event: {moved}"
    holds = edited is None and ordered and moved is None
    return condition("ledger_intact", holds, detail, "Run the audit of the ledger and restore it from a backup.")


def accepted(case: Case) -> Condition:
    """The version was validated, and the verdict was to accept it."""
    record = case.record
    verdict = "accepted" if record.accepted and record.state != "rejected" else "rejected"
    detail = f"validation: {verdict}" if record.validated else "it was never validated"
    holds = record.validated and verdict == "accepted"
    return condition(
        "version_accepted", holds, detail, "Validate it; a rejected version cannot be used: train a new one."
    )


def step_allowed(case: Case) -> Condition:
    """A candidate goes to staging, a version in staging goes to production; nothing is skipped."""
    stage, state = case.request.to_stage, case.record.state
    if state == stage:
        return condition("step_allowed", False, f"already in {stage}", "Nothing needs to be done.")
    before = STATE_BEFORE[stage]
    detail = f"it is {state}; only a version that is {before} can enter {stage}"
    action = "Promote it to staging first." if state == "candidate" else "Choose another version, or train a new one."
    return condition("step_allowed", state == before, detail, action)


def provenance_complete(case: Case) -> Condition:
    """Everything that says where the version comes from is recorded, once and without contradiction."""
    record = case.record
    needed = {
        "run": record.run_id,
        "artifact digest": record.artifact_digest,
        "evidence digest": record.evidence_digest,
        "data version": record.data_version,
        "split digest": record.split_digest,
        "code version": record.code_version,
        "who trained it": record.trained_by,
    }
    missing = [name for name, value in needed.items() if value is None]
    detail = f"missing: {', '.join(missing)}" if missing else "complete"
    if record.ambiguous:
        detail = "its training was recorded twice with different content"
    return condition("provenance_complete", not missing and not record.ambiguous, detail, "Train a new version.")


def artifact_unchanged(case: Case) -> Condition:
    """The model file is, byte for byte, the one that was validated."""
    found, recorded = case.facts.artifact_digest, case.record.artifact_digest
    return _unchanged("artifact_unchanged", "the model file", found, recorded)


def evidence_unchanged(case: Case) -> Condition:
    """The evidence rows are those that were recorded at training."""
    found, recorded = case.facts.evidence_digest, case.record.evidence_digest
    return _unchanged("evidence_unchanged", "the evidence", found, recorded)


def _unchanged(name: str, what: str, found: str | None, recorded: str | None) -> Condition:
    holds = bool(found) and found == recorded
    detail = f"{what} is as recorded" if holds else f"{what} differs from what was recorded"
    if not found:
        detail = f"{what} is missing"
    return condition(name, holds, detail, "Restore it from a backup, or train a new version; do not use this one.")


def source_allowed(case: Case) -> Condition:
    """A version trained on synthetic data reaches production in ``local`` only."""
    source, kind = case.record.source, case.facts.limit_set
    if source is None or kind is None:
        return condition("source_allowed", False, "its source of data is not known", "Train a new version.")
    may = case.rules is not None and case.rules.allow_synthetic_in_production and case.environment_name == LOCAL
    holds = kind != "synthetic" or case.request.to_stage != "production" or may
    detail = f"trained on {kind} data ({source})"
    return condition("source_allowed", holds, detail, "Train a version on real data; this one is a demonstration.")


def gates_hold(gates: Sequence[GateResult], problem: str | None) -> Condition:
    """Every gate of this step holds under the policy in force, on estimates recomputed just now."""
    if problem or not gates:
        detail = problem or "no gate was evaluated"
        return condition("gates_hold", False, detail, "Adopt a complete policy, or restore the evidence.")
    blocking = [gate for gate in gates if gate.blocks]
    if blocking:
        found = "; ".join(f"{gate.gate}: {_observed(gate)}, must be {gate.limit}" for gate in blocking)
        actions = " ".join(dict.fromkeys(gate.action for gate in blocking))
        return condition("gates_hold", False, found, actions)
    warned = warnings_of(gates)
    if warned:
        detail = f"{len(gates)} gates; too small to judge: {', '.join(warned)}"
        return Condition("gates_hold", "insufficient", detail, "Name these gates in the approval.", blocks=False)
    return condition("gates_hold", True, f"{len(gates)} gates hold", "")


def _observed(gate: GateResult) -> str:
    return gate.detail if gate.observed is None else f"{gate.observed:.4g} ({gate.result})"


def inside_change_plan(case: Case, gates_held: Condition) -> Condition:
    """The version is made as the change plan in force allows, and is as good as the plan itself asks for.

    Its limits are checked only where the gates hold; otherwise the failed gate has been named already. What compares
    with the version in production is asked for on the way there.
    """
    name = "inside_change_plan"
    if case.plan is None:
        return condition(name, False, "no change plan is in force", _ADOPT_A_PLAN)
    outside = outside_of(case.plan.content, case.record.trained)
    if not gates_held.blocks:
        live = case.pointers["production"].version
        has_champion = case.request.to_stage == "production" and live not in (None, case.record.version)
        estimates = case.facts.estimates
        outside += limits_missed(
            case.plan.content, estimates, limit_set=case.facts.limit_set, has_champion=has_champion
        )
    detail = f"outside: {'; '.join(outside)}" if outside else f"inside the plan {case.plan.digest[:19]}"
    return condition(name, not outside, detail, _NEW_REVIEW)


def shadow_days(case: Case) -> Condition:
    """The version ran in the shadow for the configured number of days."""
    if case.rules is None:
        return condition("shadow_days", False, _NO_RULES, _ADOPT_RULES)
    days, needed = case.facts.shadow_days, case.rules.shadow_days_required
    is_count = type(days) is int  # True would compare as one day
    detail = f"{days} of {counted(needed, 'day')} scored in shadow mode"
    return condition("shadow_days", is_count and days >= needed, detail, "Score more shadow days first.")


def no_drift_alarm(case: Case) -> tuple[Condition, list[Acceptance]]:
    """The rows it scored resemble its own training data, but for what somebody who may has accepted.

    One rule for every version, the first one and those that replace it. Fewer rows than a window are *insufficient* and
    block: chance alone would look like drift, and a version that waits in the shadow loses nothing. Where there are
    fewer windows than make an alarm, none of them may have drifted. A window that is full and not judged blocks too,
    because somebody has to look before the version treats patients.

    Returns
    -------
    The condition, and the acceptances by which drift was counted out. They are judged here once more.
    """
    name, drift = "no_drift_alarm", case.facts.drift
    if drift is None:
        what = "the data it scored could not be compared with its training data"
        return condition(name, False, what, _LOOK_AT_DRIFT), []
    if drift.closed == 0:
        # Exact, it would tell beside that of the day before how many of a day were scored.
        detail = (
            f"collecting: about {rough_count(drift.collecting)} rows so far, of the {drift.window_rows} of a window"
        )
        action = "Score more shadow days until a window is full, then run monitoring_job."
        return Condition(name, "insufficient", detail, action, blocks=True), []
    latest = min(drift.closed, drift.of_windows)
    if drift.unjudged:
        detail = f"{drift.unjudged} of the latest {latest} windows not judged"
        return condition(name, False, detail, _LOOK_AT_DRIFT), []
    alarm_from = min(drift.alarm_windows, latest)
    detail = f"{len(drift.drifted)} of the latest {latest} windows drifted; the alarm starts at {alarm_from}"
    if drift.drifted:
        detail += f" (window {', '.join(map(str, drift.drifted))}: {', '.join(drift.columns)})"
    valid = counting(case.events, case.record.version, now=case.now) if drift.acceptances else []
    counted_out = [each for each in valid if each.event in drift.acceptances]
    if drift.accepted:
        said = (
            "; ".join(each.says() for each in counted_out)
            or f"{', '.join(drift.accepted)}, by nobody with the permission"
        )
        detail += f"; accepted drift: {said}"
    holds = len(drift.drifted) < alarm_from and len(counted_out) == len(drift.acceptances)
    return condition(name, holds, detail, _WAY_ON), counted_out


def rollout_finished(case: Case) -> Condition:
    """No other version is being rolled out, and this one, if it is, has held at every step."""
    name, state = "rollout_finished", rollout_of(case.events)
    if state is None:
        return condition(name, True, "no roll-out is open", "")
    which = f"the roll-out of version {state.candidate_version} (event {state.plan_event})"
    if state.candidate_version != case.record.version:
        action = "Let it end, or take it back: readmission rollout abort."
        return condition(name, False, f"{which} is open", action)
    holds = case.request.to_stage != "production" or state.status == "completed"
    detail = f"{which} is {state.status} at step {state.step + 1} of {len(state.plan.shares)}"
    action = "Let it go on (readmission rollout status), or take it back: readmission rollout abort."
    return condition(name, holds, detail, action)


def champion_compared(case: Case) -> Condition:
    """There is a comparison with the version in production, when there is one."""
    live = case.pointers["production"].version
    if live in (None, case.record.version):
        return condition("champion_compared", True, "no incumbent to compare with", "")
    compared = case.facts.champion_version
    holds = case.facts.has_champion and compared in (None, live)
    detail = f"compared with version {live}" if holds else f"not compared with version {live}, now in production"
    return condition("champion_compared", holds, detail, "Validate again, so that both are judged on the same rows.")


def replacement_acknowledged(case: Case) -> Condition:
    """Replacing a version in production needs an explicit acknowledgement."""
    other = case.incumbent not in (None, case.request.version)
    holds = case.request.replace or not other
    detail = f"replaces version {case.incumbent}" if other else "replaces nothing"
    return condition("replacement_acknowledged", holds, detail, "Repeat with --replace if that is intended.")


def approvals(case: Case, gates: Sequence[GateResult]) -> tuple[Condition, list[int]]:
    """Enough different people approved exactly this; returns the events that count as well."""
    action = "Have it approved by somebody who has the permission and did not train it."
    if case.rules is None or case.in_force.missing:
        missing = ", ".join(ADOPTABLE[kind].words for kind in case.in_force.missing)
        return condition("approvals", False, f"not in force: {missing}", "Adopt each with a signature."), []
    needed = case.rules.approvals_required
    counting: list[int] = []
    reasons: list[str] = []
    people: set[str] = set()
    keys: set[str] = set()
    used = used_nonces(case.events)
    known = to_be_known(case.record.version, case.events)
    for event in case.events:
        if event.kind != "version_approved" or event.version != case.record.version:
            continue
        if known is not None and event.seq < known:
            reasons.append(f"approval in event {event.seq} did not know how its roll-out ended in event {known}")
            continue
        found = check_approval(
            event.payload,
            record=case.record,
            in_force=case.in_force,
            registered_keys=case.demo_keys,
            now=case.now,
            used_nonces=used,
            warnings=warnings_of(gates),
        )
        if found:
            reasons.append(f"approval in event {event.seq} does not count: {', '.join(found)}")
            continue
        statement = event.payload["statement"]
        used.add(statement["nonce"])
        if statement["approver"] in people or event.payload["public_key"] in keys:
            reasons.append(f"approval in event {event.seq} is a second one by the same person")
            continue
        people.add(statement["approver"])
        keys.add(event.payload["public_key"])
        counting.append(event.seq)
    detail = "; ".join([f"{len(counting)} of {needed} approvals", *reasons])
    return condition("approvals", len(counting) >= max(needed, 1), detail, action), counting
