"""What an event of the ledger looks like when somebody else hands it over: strict types, and bounds on each value.

What belongs here: the shape of an event, and of the payloads that a version is verified from. What does not: whether
the chain holds (``extract``), and what events mean (``versions``, ``promotion.verification``). What is signed has its
shape where its signature is judged (``policy.adoption``, ``promotion.approvals``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from readmission_platform.config.governance import LimitSet
from readmission_platform.evaluation.estimates.schema import EvidenceSchema
from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.untrusted import MAX_WHOLE, is_printable
from readmission_platform.governance.ledger.chain import ENVIRONMENT, ROLLOUT, Event
from readmission_platform.governance.policy.adoptable import ADOPTABLE
from readmission_platform.governance.policy.keys import KEY_CHANGES
from readmission_platform.governance.policy.required import INFORMATION, is_measured_at_training
from readmission_platform.governance.rollouts.plan import RolloutPlan
from readmission_platform.governance.rollouts.state import ROLLOUT_KINDS, STARTED


def _known_measurement(name: str) -> str:
    if not is_measured_at_training(name):
        raise ValueError("no such measurement is made at training")
    return name


class Shape(BaseModel):
    """Base of what is read: no value is converted, and what is not named here is ignored."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


def _plain(text: str) -> str:
    if not is_printable(text):
        raise ValueError("it holds a character that is not printed")
    return text


def _moment(text: str) -> str:
    datetime.fromisoformat(text)
    return text


# A name that stands in tables and on terminals: of a model, a version, a person. No markup can be written with these.
Identity = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\w.@+:*/\\'(), -]+$"), AfterValidator(_plain)]
Label = Annotated[str, Field(max_length=500), AfterValidator(_plain)]
Text = Annotated[str, Field(max_length=20_000)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Moment = Annotated[str, Field(pattern=r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"), AfterValidator(_moment)]
Count = Annotated[int, Field(ge=0, le=MAX_WHOLE)]
Figure = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
Stage = Literal["staging", "production"]


class EventShape(Shape):
    """An event as a line of an extract."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seq: int = Field(ge=1, le=MAX_WHOLE)
    model: Identity
    at: Moment
    kind: str = Field(pattern=r"^[a-z_]{1,60}$")
    version: Identity | None
    actor: Identity
    payload: dict[str, Any]
    previous_hash: Digest
    hash: Digest


class LinkShape(Shape):
    """The place of an event whose content is not shown."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seq: int = Field(ge=1, le=MAX_WHOLE)
    previous_hash: Digest
    hash: Digest


class EstimateShape(Shape):
    """A figure with its interval and counts."""

    value: Figure | None
    low: Figure | None
    high: Figure | None
    n: Count | None
    positives: Count | None


class _Stored(Shape):
    table: Label | None
    table_version: Count | None
    digest: Digest | None


class _Artifact(Shape):
    digest: Digest
    path: Text


class _Words(Shape):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    title: Label
    row: Label
    rows: Label
    entity: Label
    entities: Label
    event: Label
    events: Label
    positive: Label
    delivery: Label


class _Attribute(Shape):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Label
    words: Label
    gate: Label
    every_group: bool


class _Baseline(Shape):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Label
    words: Label
    probability: bool
    required: bool
    fitted: bool
    note: Label


class _InformationSource(Shape):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    name: Label
    words: Label
    inputs: list[Label] = Field(max_length=2000)


class _Schema(Shape):
    attributes: list[_Attribute] = Field(max_length=20)
    baselines: list[_Baseline] = Field(max_length=20)
    information: list[_InformationSource] = Field(max_length=20)

    @model_validator(mode="after")
    def _makes_sense(self) -> "_Schema":
        EvidenceSchema.from_json(self.model_dump())
        return self


class _Model(Shape):
    words: _Words
    evidence_schema: _Schema


class _Step(Shape):
    step: Label
    rows: Count | None


class _Cohort(Shape):
    flow: list[_Step] = Field(max_length=100)
    missing: dict[Label, Figure | None] = Field(max_length=2000)


class _Recipe(Shape):
    algorithm: Label
    settings: dict[Label, Any] = Field(max_length=200)
    folds: Count
    inputs: list[Label] = Field(max_length=2000)
    features: list[Label] = Field(max_length=2000)


class _Importance(Shape):
    feature: Label
    loss: Figure | None
    low: Figure | None
    high: Figure | None


class _Point(Shape):
    value: Label | Figure
    label: Label
    n: Count
    risk: Figure
    low: Figure | None
    high: Figure | None


class _Effect(Shape):
    name: Label
    kind: Label
    unit: Label = ""
    points: list[_Point] = Field(max_length=200)


class _AddsUp(Shape):
    rows: Count
    largest_difference_log_odds: Figure


class _Explanations(Shape):
    importance: list[_Importance] = Field(max_length=500)
    importance_rows: Count
    effects: list[_Effect] = Field(max_length=50)
    effects_rows: Count
    adds_up: _AddsUp


class Payload(Shape):
    """What the payload of any event may hold: moves of stages."""

    moves: dict[Stage, Identity | None] | None = None


class _Reserved(Payload):
    run_id: Label


class _Interval(Shape):
    value: Figure
    low: Figure
    high: Figure


class _Recalibrated(Shape):
    of_version: Label
    slope: Figure
    intercept: Figure
    rows: Count
    matured: Count
    until: Label
    figures: dict[Label, dict[Label, Annotated[list[_Interval], Field(min_length=2, max_length=2)]]]


class _Rows(_Artifact):
    probes: list[Figure | None] = Field(max_length=1000)


class _Trained(Payload):
    artifact: _Artifact
    rows: _Rows | None = None
    evidence: _Stored
    data: _Stored | None = None
    split: _Stored | None = None
    split_digest: Digest | None = None
    source: Label | None = None
    limit_set: LimitSet | None = None
    trained_by: Identity | None = None
    code_version: Label | None = None
    run_id: Label | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_WHOLE)] | None = None
    model: _Model
    cohort: _Cohort | None = None
    recipe: _Recipe | None = None
    recalibrated: _Recalibrated | None = None
    explanations: _Explanations | None = None
    # Any other name could be taken for a figure that is recomputed.
    measurements: dict[Annotated[str, AfterValidator(_known_measurement)], Figure | None] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _of_its_own_sources(self) -> "_Trained":
        declared = {f"{INFORMATION}{source.name}" for source in self.model.evidence_schema.information}
        if any(name.startswith(INFORMATION) and name not in declared for name in self.measurements):
            raise ValueError("a source of information was measured that the model does not declare")
        return self


class _Gate(Shape):
    gate: Label
    metric: Label
    result: Literal["pass", "fail", "insufficient"]
    observed: Figure | None
    low: Figure | None
    high: Figure | None
    n: Count | None
    positives: Count | None
    limit: Label
    rule: Text
    blocks: bool
    additional: bool


class _Validated(Payload):
    verdict: Literal["pass", "fail"]
    policy_digest: Digest | None
    estimates: dict[Label, EstimateShape] = Field(max_length=5000)
    gates: list[_Gate] = Field(max_length=1000)
    additional_gates: dict[Label, Any] | None = None


class _CountedOut(Shape):
    event: Annotated[int, Field(ge=1, le=MAX_WHOLE)]
    columns: list[Label] = Field(max_length=2000)
    until: Label
    by: Identity
    demo: bool


class _Moved(Payload):
    to_stage: Stage
    moves: dict[Stage, Identity | None]
    approvals: list[Annotated[int, Field(ge=1, le=MAX_WHOLE)]] = Field(default=[], max_length=1000)
    approvals_required: Annotated[int, Field(ge=1, le=1000)] | None = None
    drift_accepted: list[_CountedOut] = Field(default=[], max_length=1000)
    policy_digest: Digest | None = None
    reason: Text = ""
    request: dict[str, Any] | None = None


class _Signed(Payload):
    statement: dict[str, Any]
    signature: Annotated[str, Field(max_length=200)]
    public_key: Annotated[str, Field(max_length=200)]


class _Spread(Shape):
    mean: Figure | None
    low: Figure | None


class _SeedFigure(Shape):
    name: Literal["auroc", "brier_skill", "calibration_slope", "observed_expected", "recall_at_flag"]
    mean: Figure
    sd: Figure | None
    low: Figure
    high: Figure
    values: list[Figure] = Field(min_length=1, max_length=1000)


class _FailedGate(Shape):
    gate: Label
    seeds: Count


class _SeedGates(Shape):
    passed: Count
    of: Count
    failed: list[_FailedGate] = Field(max_length=1000)


class _Seeds(Shape):
    used: list[Count] = Field(max_length=1000)
    flag_share: Figure
    own_seed_difference: Figure
    figures: list[_SeedFigure] = Field(max_length=5)
    rank_correlation: _Spread
    flagged_overlap: _Spread
    importance_rank_correlation: _Spread | None
    gates: _SeedGates


class _Reasons(Shape):
    rows: Count
    top: Count
    shared: Figure | None
    by_chance: Figure | None
    correlation: Figure | None


class _RuleFigures(Shape):
    auroc: EstimateShape
    calibration_slope: EstimateShape
    observed_expected: EstimateShape


class _Rule(Shape):
    rule: Label
    kind: Label
    n: Count | None
    figures: _RuleFigures


class _Studied(Payload):
    seeds: _Seeds
    reasons: _Reasons | None
    cohort_rules: list[_Rule] = Field(max_length=200)


def _plan_of_rollout(content: dict[str, Any]) -> dict[str, Any]:
    RolloutPlan.model_validate(content)
    return content


class _RolloutStarted(Payload):
    plan: Annotated[dict[str, Any], AfterValidator(_plan_of_rollout)]
    approvals: list[Annotated[int, Field(ge=1, le=MAX_WHOLE)]] = Field(max_length=1000)
    approvals_required: Annotated[int, Field(ge=1, le=1000)] | None
    reason: Text
    request: dict[str, Any] | None = None


class _RolloutStep(Payload):
    plan_event: Annotated[int, Field(ge=1, le=MAX_WHOLE)]
    step: Count
    reason: Text
    by_plan: bool
    figures: dict[Label, Any] | None
    request: dict[str, Any] | None = None


PAYLOADS: Mapping[str, type[Payload]] = {
    "version_reserved": _Reserved,
    "version_trained": _Trained,
    "version_validated": _Validated,
    "version_approved": _Signed,
    "drift_accepted": _Signed,
    "version_promoted": _Moved,
    "version_rolled_back": _Moved,
    "version_studied": _Studied,
    STARTED: _RolloutStarted,
    **dict.fromkeys((kind for kind in ROLLOUT_KINDS if kind != STARTED), _RolloutStep),
    **dict.fromkeys((*ADOPTABLE, *KEY_CHANGES), _Signed),
}


# Each is judged by all before it; a hospital adopts a few in a year.
_MOST_RULES = 2000
# A hospital accepts drift a few times in a year; each is judged by what was in force then.
_MOST_ACCEPTANCES = 500
_ACCEPTANCES = frozenset({"drift_accepted", "drift_acceptance_withdrawn"})
_RULES = frozenset({*ADOPTABLE, *KEY_CHANGES, "demo_approver_created"})


def check_payloads(events: Sequence[Event]) -> None:
    """Check that every event holds what its kind has to.

    Raises
    ------
    BadInput
        Naming the first event that does not, and the field.
    """
    if sum(event.kind in _RULES for event in events) > _MOST_RULES:
        raise BadInput(f"it holds more than {_MOST_RULES} adoptions")
    if sum(event.kind in _ACCEPTANCES for event in events) > _MOST_ACCEPTANCES:
        raise BadInput(f"it holds more than {_MOST_ACCEPTANCES} acceptances of drift")
    for event in events:
        if event.kind.startswith(("version_", ROLLOUT)) and (event.version is None or event.model == ENVIRONMENT):
            raise BadInput(f"event {event.seq} ({event.kind}) is about no version of a model")
        try:
            PAYLOADS.get(event.kind, Payload).model_validate(event.payload)
        except ValidationError as error:
            place = ".".join(str(part) for part in error.errors()[0]["loc"])
            raise BadInput(f"event {event.seq} ({event.kind}) is not of the form of its kind: see {place}") from error
