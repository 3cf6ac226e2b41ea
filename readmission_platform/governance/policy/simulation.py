"""What another gate policy would have said of past versions, on the estimates recorded at the time.

What belongs here: a pure function over events. What does not: comparing the policies themselves (``gates_diff``).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from pydantic import ValidationError

from readmission_platform.config.governance import AdditionalGates, GatePolicy, GateStage, LimitSet
from readmission_platform.governance.ledger.chain import Event, Pointer
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy.gates import GateResult, evaluate_gates
from readmission_platform.governance.policy.required import RequiredGates

Step = Literal["acceptance", "production"]


@dataclass(frozen=True)
class GateOutcome:
    """One gate whose answer would have been another, or that blocks."""

    gate: str
    recorded: str
    simulated: str
    observed: float | None
    limit: str


@dataclass(frozen=True)
class SimulatedVersion:
    """What was recorded of a version at one step, and what the other policy says.

    ``blocked_by`` names the gates that block under the other policy; ``differing`` every gate with another result.
    """

    version: str
    step: Step
    at: str
    recorded: Literal["pass", "fail"]
    simulated: Literal["pass", "fail"]
    blocked_by: tuple[str, ...]
    differing: tuple[GateOutcome, ...]

    @property
    def changed(self) -> bool:
        """Whether the other policy comes to another verdict."""
        return self.recorded != self.simulated

    def to_json(self) -> dict[str, Any]:
        """Return the outcome as plain JSON values."""
        return {**asdict(self), "changed": self.changed}


def simulate_policy(
    policy: GatePolicy, *, required: RequiredGates, events: Iterable[Event], pointers: Mapping[str, Pointer]
) -> list[SimulatedVersion]:
    """Judge every version that was ever validated, and every promotion to production, by another policy.

    Limits asked for in addition at the time keep applying, as they do in every decision.

    Raises
    ------
    PolicyError
        When the policy lacks a required gate.
    """
    seen = list(events)
    found = []
    for record in version_records(seen, pointers).values():
        limit_set = record.limit_set
        if limit_set is None or record.validated_payload is None:
            continue
        estimates = _mapping(record.validated_payload.get("estimates"))
        additional = list(_readable(record))
        found.append(
            _outcome(
                record.version, "acceptance", record.validations[-1],
                recorded="pass" if record.validated_payload.get("verdict") == "pass" else "fail",
                results=_judged(policy, required, estimates, additional, limit_set, ("candidate", "staging")),
            )
        )  # fmt: skip
        for event in seen:
            if event.kind == "version_promoted" and event.version == record.version and _to_production(event):
                found.append(_promotion(policy, required, event, estimates, additional, limit_set))
    return found


def _promotion(
    policy: GatePolicy,
    required: RequiredGates,
    event: Event,
    estimates: Mapping[str, Any],
    additional: list[AdditionalGates],
    limit_set: LimitSet,
) -> SimulatedVersion:
    known = {**estimates, **_mapping(event.payload.get("estimates"))}
    results = _judged(policy, required, known, additional, limit_set, ("candidate", "staging", "production"))
    if event.payload.get("from_version") is None:  # nothing was in production to compare with
        results = [result for result in results if not result.metric.startswith("champion_")]
    return _outcome(str(event.version), "production", event, recorded="pass", results=results)


def _outcome(
    version: str, step: Step, event: Event, *, recorded: Literal["pass", "fail"], results: list[GateResult]
) -> SimulatedVersion:
    before = {_key(gate): str(gate.get("result")) for gate in _gates(event)}
    differing = tuple(
        GateOutcome(
            result.gate, before.get(_key(result.to_json()), "not asked"), result.result, result.observed, result.limit
        )
        for result in results
        if before.get(_key(result.to_json())) != result.result
    )
    blocked = tuple(dict.fromkeys(result.gate for result in results if result.blocks))
    return SimulatedVersion(version, step, event.at, recorded, "fail" if blocked else "pass", blocked, differing)


def _judged(
    policy: GatePolicy,
    required: RequiredGates,
    estimates: Mapping[str, Any],
    additional: list[AdditionalGates],
    limit_set: LimitSet,
    stages: tuple[GateStage, ...],
) -> list[GateResult]:
    judge = partial(evaluate_gates, estimates, policy, required=required, limit_set=limit_set, stages=stages)
    results = judge()
    for asked in additional:
        # A gate that the other policy does not know has no metric there, so nothing can be asked in addition to it.
        known = AdditionalGates(gates={name: limits for name, limits in asked.gates.items() if name in policy.gates})
        results += [result for result in judge(additional=known) if result.additional]
    return results


def _readable(record: VersionRecord) -> Iterator[AdditionalGates]:
    for asked in record.additional_gates():
        try:
            yield AdditionalGates.model_validate(asked)
        except ValidationError:
            continue


def _key(gate: Mapping[str, Any]) -> tuple[str, bool]:
    return str(gate.get("gate")), bool(gate.get("additional"))


def _gates(event: Event) -> list[dict[str, Any]]:
    gates = event.payload.get("gates")
    return [gate for gate in gates if isinstance(gate, dict)] if isinstance(gates, list) else []


def _to_production(event: Event) -> bool:
    return event.payload.get("to_stage") == "production"


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
