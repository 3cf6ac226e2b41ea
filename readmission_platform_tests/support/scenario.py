"""A small hospital for the governance tests: people with keys, a policy in force, and one honest version."""

from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from readmission_platform.config.change_plan import ChangePlan
from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.config.files import read_yaml
from readmission_platform.config.governance import EnvironmentConfig, GatePolicy, Person, PromotionRules, RolesConfig
from readmission_platform.config.model import EvaluationConfig, ModelConfig
from readmission_platform.config.monitoring import MonitoringConfig
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import VersionRecord, version_records
from readmission_platform.governance.policy import adoption
from readmission_platform.governance.policy.adoption import everything_in_force, in_force
from readmission_platform.governance.policy.gates import evaluate_gates, verdict
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.governance.promotion.approvals import approval_statement, public_key_text, sign
from readmission_platform.governance.promotion.case import DriftFacts
from readmission_platform.governance.promotion.decision import (
    Decision,
    PromotionRequest,
    VersionFacts,
    apply,
    decide,
)
from readmission_platform.governance.promotion.permission import Kind, asked_of, sign_request
from readmission_platform.models.readmission_30d import CONTRACT

MODEL = "readmission_30d"
REQUIRED = required_gates(CONTRACT.evidence)
adopt = partial(adoption.adopt, required=REQUIRED)
MONITORING = read_yaml(PROJECT_ROOT / "configs" / "models" / "readmission_30d" / "monitoring.yaml", MonitoringConfig)
POLICY = read_yaml(PROJECT_ROOT / "configs" / "models" / "readmission_30d" / "gates.yaml", GatePolicy)
PLAN = read_yaml(PROJECT_ROOT / "configs" / "models" / "readmission_30d" / "change_plan.yaml", ChangePlan)
MODEL_CONFIG = read_yaml(PROJECT_ROOT / "configs" / "models" / "readmission_30d" / "model.yaml", ModelConfig)
EVALUATION = EvaluationConfig(**{name: value for name, value in MODEL_CONFIG if name != "settings"})
ROLES = read_yaml(PROJECT_ROOT / "configs" / "roles.yaml", RolesConfig)
# The same in every process, so that what one signs counts for another.
KEYS = {
    name: Ed25519PrivateKey.from_private_bytes(sha256(name.encode()).digest())
    for name in ("trainer", "ops", "clinician", "second", "admin", "stranger")
}
PEOPLE = {
    "trainer": Person(
        name="T", roles=("data_scientist", "clinical_approver"), public_key=public_key_text(KEYS["trainer"])
    ),
    "ops": Person(name="O", roles=("mlops_engineer",), public_key=public_key_text(KEYS["ops"])),
    "clinician": Person(name="C", roles=("clinical_approver",), public_key=public_key_text(KEYS["clinician"])),
    "second": Person(name="S", roles=("clinical_approver",), public_key=public_key_text(KEYS["second"])),
    "admin": Person(name="A", roles=("platform_engineer",), public_key=public_key_text(KEYS["admin"])),
}
STAFFED_ROLES = RolesConfig(roles=ROLES.roles, people=PEOPLE)


def write_key(path: Path, name: str) -> Path:
    """Write the private key of somebody into a file, as `readmission keys create` does."""
    path.write_bytes(KEYS[name].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def environment(name: str, **changes: Any) -> EnvironmentConfig:
    """Return a shipped environment, with changes."""
    shipped = read_yaml(PROJECT_ROOT / "configs" / "environments" / f"{name}.yaml", EnvironmentConfig)
    return shipped.model_copy(update=changes)


def promotion_rules(name: str, **changes: Any) -> PromotionRules:
    """Return what a shipped environment asks of promotions, with changes."""
    return environment(name).promotion.model_copy(update=changes)


def ensure_adopted(
    ledger: Ledger,
    *,
    policy: GatePolicy = POLICY,
    plan: ChangePlan = PLAN,
    roles: RolesConfig = ROLES,
    environment: EnvironmentConfig,
    keys: Path,
) -> adoption.PolicyInForce:
    """Have the demo approver adopt what is missing, where that may be."""
    contents: dict[adoption.AdoptionKind, Any] = {
        "roles_adopted": roles,
        "promotion_rules_adopted": environment.promotion,
        "policy_adopted": policy,
        "change_plan_adopted": plan,
        "monitoring_adopted": MONITORING,
        "evaluation_adopted": EVALUATION,
    }
    return adoption.ensure_adopted(ledger, contents=contents, required=REQUIRED, environment=environment, keys=keys)


def recipe() -> dict[str, Any]:
    """Return the recipe of the shipped configuration, as training records it."""
    kept = PLAN.unchanged
    return {
        "algorithm": kept.algorithm,
        "settings": deepcopy(MODEL_CONFIG.settings),
        "folds": MODEL_CONFIG.folds,
        "inputs": list(kept.inputs),
        "features": list(kept.features),
    }


def cohort() -> dict[str, Any]:
    """Return the cohort of the published file, as training records it."""
    counts = {
        "encounters in the source": 101_766,
        "excluded: died in hospital": 1_652,
        "excluded: discharged to hospice": 771,
        "added: matured discharges that are not in the source": 0,
        "eligible encounters": 99_343,
    }
    flow = [{"step": step, "rows": count} for step, count in counts.items()]
    return {"flow": flow, "missing": {"weight": 0.97}, "rows": 89_409, "entities": 63_000}


def estimate(value: float, low: float | None = None, high: float | None = None, **counts: Any) -> dict[str, Any]:
    """Return one estimate with a narrow interval and plenty of readmissions."""
    low, high = (value - 0.005 if low is None else low), (value + 0.005 if high is None else high)
    return {"value": value, "low": low, "high": high, "n": 89_000, "positives": 10_000} | counts


# What is measured on artifact, recipe, inputs and split of an honest version.
MEASURED_AT_TRAINING = {
    "roundtrip_difference": 0.0,
    "parity_difference": 0.0,
    "single_rows_that_differ": 0.0,
    "inputs_changed_without_future": 0.0,
    "future_told_by_one_input": 0.56,
    "outcome_told_by_one_input": 0.61,
    "distinct_share_of_one_input": 0.01,
    "clock_told_by_one_input": 0.2,
    "identifiers_among_inputs": 0.0,
    "entities_in_two_folds": 0.0,
    "prevalence_difference_of_folds": 0.004,
    "permuted_labels_auroc": 0.502,
    "risks_moved_by_utilisation": 0.45,
    "risks_moved_by_history": 0.2,
    "risks_moved_by_discharge": 0.43,
    "risks_moved_by_diagnoses": 0.38,
    "risks_moved_by_admission": 0.17,
    "risks_moved_by_stay": 0.2,
    "risks_moved_by_treatment": 0.13,
}


def honest_estimates() -> dict[str, Any]:
    """Return what an honest model shows on the real data (DATA.md), with one race too small to judge."""
    values = {
        "auroc": 0.664,
        "auroc_test": 0.663,
        "auroc_gain_over_lace": 0.11,
        "auroc_gain_over_number_inpatient": 0.076,
        "average_precision_ratio": 1.9,
        "brier_skill": 0.042,
        "calibration_slope": 1.0,
        "observed_expected": 1.006,
        "ece": 0.005,
        "recall_at_flag": 0.232,
        "ppv_at_flag": 0.266,
        "recall_at_wide_flag": 0.38,
        "latest_auroc": 0.647,
        "latest_observed_expected": 0.84,
        "equalised_odds_gender": 0.005,
        "equalised_odds_race": 0.06,
        "equalised_odds_age_band": 0.13,
        "observed_expected.gender.Female": 1.01,
        "observed_expected.gender.Male": 0.99,
        "observed_expected.race.Caucasian": 1.0,
        "observed_expected.age_band.<50": 1.02,
        "observed_expected.age_band.70+": 0.98,
        "auroc_gap.gender": 0.01,
        "auroc_gap.race": 0.04,
        "auroc_gap.age_band": 0.085,
        "champion_auroc_difference": 0.002,
        "champion_net_benefit_difference": 0.0002,
        "shadow_observed_expected_ratio": 1.02,
        "shadow_scored_share": 1.0,
        "shadow_withheld_share": 0.0,
        "rows": 89_000.0,
    }
    estimates = {name: estimate(value) for name, value in (values | MEASURED_AT_TRAINING).items()}
    estimates["champion_net_benefit_difference"] = estimate(0.0002, -0.0005, 0.0009)
    estimates["observed_expected.race.Asian"] = estimate(0.8, 0.5, 1.2, n=600, positives=65)
    return estimates


def judged_windows(**changes: Any) -> DriftFacts:
    """Return what fourteen shadow days come to: one full window, judged, that has not drifted."""
    quiet = DriftFacts(
        closed=1, unjudged=0, collecting=162, window_rows=200, drifted=(), columns=(), alarm_windows=2,
        of_windows=3,
    )  # fmt: skip
    return replace(quiet, **changes)


@dataclass
class Scenario:
    """A ledger and everything a decision about it needs; tests change one thing and look."""

    ledger: Ledger
    environment_name: str = "production"
    rules: PromotionRules | None = None
    now: datetime | None = None

    def __post_init__(self) -> None:
        """Fill in the rules of the shipped environment and the present moment."""
        self.rules = self.rules or promotion_rules(self.environment_name)
        self.now = self.now or datetime.now(UTC)
        self.facts = VersionFacts(
            "sha256:artifact", "sha256:evidence", honest_estimates(), 14, has_champion=False, drift=judged_windows()
        )

    def adopt(
        self, policy: GatePolicy = POLICY, roles: RolesConfig | None = STAFFED_ROLES, plan: ChangePlan | None = PLAN
    ) -> None:
        """Put everything into force, from roles to evaluation settings."""
        assert self.rules is not None
        if roles is not None:
            adopt(self.ledger, "roles_adopted", roles, Signer("admin", KEYS["admin"]))
        clinician = Signer("clinician", KEYS["clinician"])
        adopt(self.ledger, "promotion_rules_adopted", self.rules, clinician)
        adopt(self.ledger, "policy_adopted", policy, clinician)
        if plan is not None:
            adopt(self.ledger, "change_plan_adopted", plan, clinician)
        adopt(self.ledger, "monitoring_adopted", MONITORING, clinician)
        adopt(self.ledger, "evaluation_adopted", EVALUATION, clinician)

    def adopt_rules(self, **changes: Any) -> None:
        """Put other promotion rules into force."""
        assert self.rules is not None
        self.rules = self.rules.model_copy(update=changes)
        adopt(self.ledger, "promotion_rules_adopted", self.rules, Signer("clinician", KEYS["clinician"]))

    def policy_digest(self) -> str:
        """Return the digest of the policy in force."""
        policy = in_force(self.ledger.events())
        assert policy is not None
        return policy.digest

    def train(self, version: str = "1", **changes: Any) -> None:
        """Record a trained version; of another source it has the limits of that source."""
        source = CONTRACT.sources.get(str(changes.get("source", "uci")))
        payload = {
            "run_id": "run",
            "mlflow_run_id": "ml",
            "source": "uci",
            "limit_set": source.limits if source else None,
            "artifact": {"path": "models/1.skops", "digest": "sha256:artifact"},
            "evidence": {"table": "evidence", "table_version": 0, "digest": "sha256:evidence"},
            "cohort_table": {"table": "eligible_encounters", "table_version": 0},
            "data": {"table": "raw", "table_version": 0, "digest": "sha256:data"},
            "split_digest": "sha256:split",
            "code_version": "abc",
            "seed": 1,
            "trained_by": "trainer",
            "model": {
                "contract": "readmission_platform.models.readmission_30d",
                "words": asdict(CONTRACT.words),
                "purpose": CONTRACT.purpose,
                "evidence_schema": CONTRACT.evidence.to_json(),
            },
            "recipe": recipe(),
            "cohort": cohort(),
        }
        self.ledger.append("version_trained", payload | changes, actor="trainer", version=version)

    def validate(self, version: str = "1", **changes: Any) -> None:
        """Record the validation of a version under the policy in force."""
        limit_set = self.record(version).limit_set
        assert limit_set is not None
        gates = evaluate_gates(honest_estimates(), POLICY, required=REQUIRED, limit_set=limit_set, stages=["candidate"])
        payload = {
            "verdict": verdict(gates),
            "gates": [gate.to_json() for gate in gates],
            "policy_digest": self.policy_digest(),
            "additional_gates": None,
            "estimates": honest_estimates(),
            "run_id": "run",
            "report": "reports/1.html",
        }
        self.ledger.append("version_validated", payload | changes, actor="trainer", version=version)

    def stage(self, version: str = "1", stage: str = "staging") -> None:
        """Move a version by whatever approvals it has, without asking whether it may, as the past may have done."""
        given = [event.seq for event in self.ledger.events(kind="version_approved", version=version)]
        payload = {"to_stage": stage, "approvals": given if stage == "production" else []}
        moves = {stage: version} | ({"staging": None} if stage == "production" else {})
        pointers = self.ledger.pointers()
        self.ledger.move("version_promoted", payload, actor="ops", version=version, moves=moves, expected=pointers)

    def approve(
        self, approver: str = "clinician", version: str = "1", *, key: str | None = None, **changes: Any
    ) -> None:
        """Record an approval; ``changes`` are made before signing."""
        statement = self.statement(approver, version) | changes
        signed = sign(statement, KEYS[key or approver])
        self.ledger.append("version_approved", signed, actor=approver, version=version)

    def statement(self, approver: str = "clinician", version: str = "1") -> dict[str, Any]:
        """Return the statement an approver would sign now."""
        assert self.now is not None
        return approval_statement(
            self.record(version),
            in_force=everything_in_force(self.ledger.events()),
            approver=approver,
            role="clinical_approver",
            reason="evidence reviewed",
            now=self.now,
            valid_for=timedelta(days=7),
        )

    def record(self, version: str = "1") -> VersionRecord:
        """Return the record of a version."""
        return version_records(*self.ledger.snapshot())[version]

    def set_facts(self, **changes: Any) -> None:
        """Change what was found out about the version."""
        self.facts = replace(self.facts, **changes)

    def change_estimate(self, metric: str, raw: Any) -> None:
        """Change one recomputed estimate."""
        assert self.facts.estimates is not None
        self.set_facts(estimates={**self.facts.estimates, metric: raw})

    def decide(self, to_stage: str = "production", version: str = "1", **changes: Any) -> Decision:
        """Decide about a promotion on the ledger as it is."""
        assert self.now is not None
        events, pointers = self.ledger.snapshot()
        record = version_records(events, pointers).get(version)
        request = self.ask(PromotionRequest(**{"version": version, "to_stage": to_stage, "actor": "ops"} | changes))
        source = CONTRACT.sources.get(record.source or "") if record else None
        return decide(
            request,
            events=events,
            pointers=pointers,
            facts=replace(self.facts, limit_set=source.limits if source else None),
            required=REQUIRED,
            environment_name=self.environment_name,
            now=self.now,
        )

    def ask(self, request: Any, kind: Kind = "version_promoted") -> Any:
        """Return a request signed by whoever asks, as far as they have a key."""
        if self.environment_name == "local" or request.actor not in KEYS or request.signed is not None:
            return request
        signer = Signer(request.actor, KEYS[request.actor])
        asked = asked_of(kind, self.ledger.model, request)
        installation = self.ledger.binding.installation
        return replace(request, signed=sign_request(asked, signer, installation=installation, now=self.ledger.now()))

    def promote(self, to_stage: str = "production", version: str = "1", **changes: Any) -> None:
        """Decide and apply."""
        apply(self.ledger, self.decide(to_stage, version, **changes))


def ready_for_staging(ledger: Ledger) -> Scenario:
    """Return a version that may enter staging."""
    scenario = Scenario(ledger)
    scenario.adopt()
    scenario.train()
    scenario.validate()
    return scenario


def ready_for_production(ledger: Ledger) -> Scenario:
    """Return a version in staging that two clinicians approved."""
    scenario = ready_for_staging(ledger)
    scenario.stage()
    scenario.approve("clinician")
    scenario.approve("second")
    return scenario


def ledger_in(folder: Path) -> Ledger:
    """Open a ledger in a folder."""
    return Ledger(f"sqlite:///{folder / 'ledger.db'}", model=MODEL, environment="local")
