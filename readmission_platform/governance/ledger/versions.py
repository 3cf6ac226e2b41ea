"""What the ledger says of each model version.

What belongs here: pure functions from events and pointers to records. What does not: judging a version
(``promotion``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from readmission_platform.config.governance import LimitSet
from readmission_platform.evaluation.estimates.schema import EvidenceSchema
from readmission_platform.governance.ledger.chain import Event, Pointer

# What training records of a version that keeps another one's model (``lifecycle.training.recalibration``).
RECALIBRATED = "recalibrated"
State = Literal["candidate", "staging", "production", "archived", "rejected"]


@dataclass(frozen=True)
class VersionRecord:
    """One version, as recorded; None where the ledger holds nothing usable.

    ``accepted`` is the last validation's verdict. A candidate that was rejected once stays rejected.
    ``ambiguous`` says that training was recorded twice with different content; the first record is shown.
    """

    model: str
    version: str
    state: State
    validated: bool
    accepted: bool
    source: str | None
    limit_set: LimitSet | None
    trained_by: str | None
    recorded_by: str
    trained_at: str
    run_id: str | None
    artifact_digest: str | None
    artifact_path: str | None
    evidence: dict[str, Any]
    data_version: str | None
    code_version: str | None
    split_digest: str | None
    seed: int | None
    gates: list[dict[str, Any]]
    auroc: dict[str, Any] | None
    policy_digest: str | None
    was_in_production: bool
    ambiguous: bool
    trained: dict[str, Any]
    validated_payload: dict[str, Any] | None
    validations: tuple[Event, ...] = field(default=(), repr=False)

    @property
    def evidence_digest(self) -> str | None:
        """Digest of the evidence rows as recorded at training."""
        return _text(self.evidence.get("digest"))

    @property
    def cohort_version(self) -> int:
        """Version of the table of the cohort that it was trained on."""
        return int(self.trained["cohort_table"]["table_version"])

    @property
    def rows(self) -> dict[str, Any] | None:
        """What single rows are scored with: ``path``, ``digest``, and the risks of ``probes``; None if not compiled."""
        return _mapping(self.trained.get("rows")) or None

    @property
    def keeps_model_of(self) -> str | None:
        """The version whose model this one keeps, its risks corrected; None of a version that was fitted."""
        return _text(_mapping(self.trained.get(RECALIBRATED)).get("of_version"))

    @property
    def words(self) -> dict[str, str]:
        """How its model was spoken of when it was trained (``evaluation.words.Words``)."""
        return dict(self.trained["model"]["words"])

    @property
    def evidence_schema(self) -> EvidenceSchema:
        """What its evidence holds."""
        return EvidenceSchema.from_json(self.trained["model"]["evidence_schema"])

    def additional_gates(self) -> list[Any]:
        """Return the additional gates of every validation; each of them keeps applying."""
        asked = (event.payload.get("additional_gates") for event in self.validations)
        return [gates for gates in asked if gates]


def version_records(events: Iterable[Event], pointers: Mapping[str, Pointer]) -> dict[str, VersionRecord]:
    """Read every trained version's record, in the order of training.

    Parameters
    ----------
    events
        All events of one model and its environment, in order.
    pointers
        The stage pointers at the same moment.
    """
    trained: dict[str, list[Event]] = {}
    validated: dict[str, list[Event]] = {}
    once_staged: set[str] = set()
    once_live: set[str] = set()
    for event in events:
        if event.version is not None and event.kind == "version_trained":
            trained.setdefault(event.version, []).append(event)
        if event.version is not None and event.kind == "version_validated":
            validated.setdefault(event.version, []).append(event)
        moves = _mapping(event.payload.get("moves"))
        once_staged.update(version for version in moves.values() if version is not None)
        once_live.update(version for version in [moves.get("production")] if version is not None)
    staged_by = {pointer.version: stage for stage, pointer in pointers.items() if pointer.version is not None}
    return {
        version: _record(
            entries,
            tuple(validated.get(version, ())),
            stage=staged_by.get(version),
            was_staged=version in once_staged,
            was_live=version in once_live,
        )
        for version, entries in trained.items()
    }


def _record(
    trained: list[Event],
    validations: tuple[Event, ...],
    *,
    stage: str | None,
    was_staged: bool,
    was_live: bool,
) -> VersionRecord:
    first = trained[0]
    content = first.payload
    artifact, data = _mapping(content.get("artifact")), _mapping(content.get("data"))
    last = validations[-1].payload if validations else None
    verdicts = [event.payload.get("verdict") for event in validations]
    seed = content.get("seed")
    return VersionRecord(
        model=first.model,
        version=str(first.version),
        state=_state(stage, was_staged=was_staged, was_rejected=any(verdict != "pass" for verdict in verdicts)),
        validated=last is not None,
        accepted=bool(verdicts) and verdicts[-1] == "pass",
        source=_text(content.get("source")),
        limit_set=_limit_set(content.get("limit_set")),
        trained_by=_text(content.get("trained_by")),
        recorded_by=first.actor,
        trained_at=first.at,
        run_id=_text(content.get("run_id")),
        artifact_digest=_text(artifact.get("digest")),
        artifact_path=_text(artifact.get("path")),
        evidence=_mapping(content.get("evidence")),
        data_version=_text(data.get("digest")),
        code_version=_text(content.get("code_version")),
        split_digest=_text(content.get("split_digest")),
        seed=seed if isinstance(seed, int) and not isinstance(seed, bool) else None,
        gates=_gates(last),
        auroc=_auroc(last),
        policy_digest=_text(last.get("policy_digest")) if last else None,
        was_in_production=was_live,
        ambiguous=any(event.payload != content for event in trained[1:]),
        trained=content,
        validated_payload=last,
        validations=validations,
    )


def _state(stage: str | None, *, was_staged: bool, was_rejected: bool) -> State:
    if stage == "production":
        return "production"
    if stage == "staging":
        return "staging"
    if was_staged:
        return "archived"
    return "rejected" if was_rejected else "candidate"


def _gates(validated: dict[str, Any] | None) -> list[dict[str, Any]]:
    gates = (validated or {}).get("gates")
    return [gate for gate in gates if isinstance(gate, dict)] if isinstance(gates, list) else []


def _auroc(validated: dict[str, Any] | None) -> dict[str, Any] | None:
    estimate = _mapping(_mapping((validated or {}).get("estimates")).get("auroc"))
    return {name: estimate.get(name) for name in ("value", "low", "high", "n")} if estimate else None


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _limit_set(value: object) -> LimitSet | None:
    return next((known for known in get_args(LimitSet) if known == value), None)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
