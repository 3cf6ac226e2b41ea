"""The gates that follow from a model's evidence schema, also of a model that has nothing to do with readmission."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from readmission_platform.config.governance import GatePolicy, GateRule
from readmission_platform.evaluation.estimates.evidence import digest_rows, evaluate
from readmission_platform.evaluation.estimates.schema import Attribute, Baseline, EvidenceSchema, InformationSource
from readmission_platform.foundation.errors import PolicyError
from readmission_platform.foundation.values import Limits
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoptable import check_content
from readmission_platform.governance.policy.adoption import adopt, in_force
from readmission_platform.governance.policy.gates import check_policy, evaluate_gates, verdict
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.models.readmission_30d.evidence import SCHEMA
from readmission_platform_tests.support.evidence_rows import SETTINGS, simulate_rows
from readmission_platform_tests.support.scenario import (
    KEYS,
    MEASURED_AT_TRAINING,
    POLICY,
    REQUIRED,
    STAFFED_ROLES,
    estimate,
)

SEPSIS = EvidenceSchema(
    attributes=(Attribute("ward", "ward", "ward"), Attribute("speaks", "language", "language", every_group=False)),
    baselines=(
        Baseline("news", "early warning score", required=True),
        Baseline("expert", "expert's guess", probability=True, fitted=True),
    ),
    information=(InformationSource("monitor", "bedside monitor", ("heart_rate", "blood_pressure")),),
)
OF_READMISSION = ("gender", "race", "age", "lace", "hospital", "inpatient", "logistic")


def sepsis_rows(n: int = 3000) -> pd.DataFrame:
    rows = simulate_rows(n, seed=8)
    generator = np.random.default_rng(1)
    own = rows[["row_key", "entity_key", "fold", "clock", "label", "score"]]
    return own.assign(
        ward=generator.choice(["surgery", "medicine"], n),
        speaks=generator.choice(np.array(["one", "another", None], dtype=object), n, p=[0.9, 0.05, 0.05]),
        news=rows["lace"],
        expert=np.clip(rows["score"] + generator.normal(0, 0.1, n), 0, 1),
    )


def policy_of(schema: EvidenceSchema) -> GatePolicy:
    """Return a policy with every gate that the schema requires, and limits that nothing misses."""
    loose = Limits(at_least=-10.0, at_most=10.0)
    gates = {}
    for stage, name, metric in required_gates(schema):
        warns = name.startswith("fairness_")
        gates[name] = GateRule(
            stage=stage, metric=metric, rule="r", action="a", why="w", min_positives=1 if warns else 0,
            insufficient="warns" if warns else "blocks", limits={"real": loose, "synthetic": loose},
        )  # fmt: skip
    return GatePolicy(gates=gates)


def test_the_gates_of_the_readmission_model_are_the_core_and_those_of_its_schema() -> None:
    assert required_gates(SCHEMA) == REQUIRED
    own = {name: metric for _, name, metric in REQUIRED}
    generated = {name: metric for name, metric in own.items()
                 if name.startswith(("fairness_", "discrimination_gain_", "information_"))}  # fmt: skip
    assert generated == {
        "discrimination_gain_over_lace": "auroc_gain_over_lace",
        "discrimination_gain_over_number_inpatient": "auroc_gain_over_number_inpatient",
        "information_utilisation": "risks_moved_by_utilisation",
        "information_history": "risks_moved_by_history",
        "information_discharge": "risks_moved_by_discharge",
        "information_diagnoses": "risks_moved_by_diagnoses",
        "information_admission": "risks_moved_by_admission",
        "information_stay": "risks_moved_by_stay",
        "information_treatment": "risks_moved_by_treatment",
        "fairness_gender": "equalised_odds_gender",
        "fairness_race": "equalised_odds_race",
        "fairness_age": "equalised_odds_age_band",
        "fairness_observed_expected_gender": "observed_expected.gender.*",
        "fairness_observed_expected_race": "observed_expected.race.*",
        "fairness_observed_expected_age": "observed_expected.age_band.*",
        "fairness_auroc_gap_gender": "auroc_gap.gender",
        "fairness_auroc_gap_race": "auroc_gap.race",
        "fairness_auroc_gap_age": "auroc_gap.age_band",
    }
    assert len(own) - len(generated) == 30
    assert len(REQUIRED.names("staging")) == 3


def test_another_model_goes_through_evidence_digest_and_gates_without_a_name_of_readmission() -> None:
    rows, required = sepsis_rows(), required_gates(SEPSIS)
    document = evaluate(rows, **SETTINGS | {"schema": SEPSIS, "replicates": 30})
    assert EvidenceSchema.from_json(json.loads(json.dumps(document["schema"]))) == SEPSIS
    assert digest_rows(rows, SEPSIS) != digest_rows(rows.drop(columns="expert"), SEPSIS)
    measured = MEASURED_AT_TRAINING | {"risks_moved_by_monitor": 0.3}
    known = {name: estimate(value) for name, value in measured.items()}
    stages = ("candidate", "staging")
    results = evaluate_gates(document["estimates"] | known, policy_of(SEPSIS), required=required, limit_set="real",
                             stages=stages)  # fmt: skip
    assert [result.gate for result in results] == list(required.names(*stages))
    assert verdict(results) == "pass"
    asked = {
        "discrimination_gain_over_news",
        "information_monitor",
        "fairness_ward",
        "fairness_language",
        "fairness_auroc_gap_language",
        "fairness_observed_expected_ward",
    }
    assert asked <= set(required.names())
    said = json.dumps([document, [result.to_json() for result in results]]).lower()
    assert not [name for name in OF_READMISSION if f'"{name}' in said or f"_{name}" in said or f".{name}" in said]


def test_groups_of_an_attribute_are_compared_as_its_schema_says() -> None:
    rows = sepsis_rows()
    strict = EvidenceSchema(tuple(Attribute(each.name, each.words, each.gate) for each in SEPSIS.attributes),
                            SEPSIS.baselines)  # fmt: skip
    found = {
        name: evaluate(rows, **SETTINGS | {"schema": schema, "replicates": 2})
        for name, schema in (("lenient", SEPSIS), ("strict", strict))
    }
    few = found["strict"]["groups"]["speaks"]["another"]
    assert few["positives"] < 100
    assert found["lenient"]["estimates"]["equalised_odds_speaks"]["value"] is None
    assert found["strict"]["estimates"]["equalised_odds_speaks"]["n"] == rows["speaks"].notna().sum()


def test_an_honest_version_passes_the_policy_when_another_share_is_flagged() -> None:
    generator = np.random.default_rng(5)
    rows, shift = simulate_rows(12_000, seed=21), generator.normal(0, 0.55, 12_000)
    risk = 1 / (1 + np.exp(-(np.log(rows["score"] / (1 - rows["score"])) + shift)))
    rows = rows.assign(score=risk, label=(generator.random(len(risk)) < risk).astype("int8"))
    estimates = evaluate(rows, **SETTINGS | {"flag_share": 0.15, "replicates": 40})["estimates"]
    assert {"recall_at_flag", "ppv_at_flag", "recall_at_wide_flag"} <= set(estimates)
    known = {name: estimate(value) for name, value in MEASURED_AT_TRAINING.items()}
    results = evaluate_gates(estimates | known, POLICY, required=REQUIRED, limit_set="synthetic", stages=["candidate"])
    assert [(result.gate, result.observed, result.limit) for result in results if result.blocks] == []
    assert verdict(results) == "pass"


def test_a_policy_of_one_model_is_none_of_another() -> None:
    check_policy(policy_of(SEPSIS), "real", required_gates(SEPSIS))
    with pytest.raises(PolicyError, match="discrimination_gain_over_news is missing"):
        check_policy(POLICY, "real", required_gates(SEPSIS))
    with pytest.raises(PolicyError, match="discrimination_gain_over_lace is missing"):
        check_policy(policy_of(SEPSIS), "real", REQUIRED)


def test_a_model_adopts_a_policy_that_holds_its_own_gates(ledger: Ledger) -> None:
    adopt(ledger, "roles_adopted", STAFFED_ROLES, Signer("admin", KEYS["admin"]))
    clinician, required = Signer("clinician", KEYS["clinician"]), required_gates(SEPSIS)
    with pytest.raises(PolicyError, match="discrimination_gain_over_news"):
        adopt(ledger, "policy_adopted", POLICY, clinician, required=required)
    adopt(ledger, "policy_adopted", policy_of(SEPSIS), clinician, required=required)
    adopted = in_force(ledger.events())
    assert adopted is not None
    assert adopted.content == policy_of(SEPSIS)


def test_a_policy_is_never_taken_unchecked(ledger: Ledger) -> None:
    adopt(ledger, "roles_adopted", STAFFED_ROLES, Signer("admin", KEYS["admin"]))
    with pytest.raises(TypeError, match="gates that its model requires"):
        adopt(ledger, "policy_adopted", POLICY, Signer("clinician", KEYS["clinician"]))
    with pytest.raises(TypeError):
        check_content("policy_adopted", POLICY)
    assert len(ledger.events(after=1)) == 1


def attributes(*gates: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(f"column_{place}", gate, gate) for place, gate in enumerate(gates))


def test_gates_of_two_attributes_cannot_share_a_name() -> None:
    odd = EvidenceSchema(attributes("age", "observed_expected_age"), SEPSIS.baselines)
    with pytest.raises(ValueError, match="gate of the same name"):
        required_gates(odd)


def source(name: str, *inputs: str) -> InformationSource:
    return InformationSource(name, name, inputs)


WRONG: dict[str, dict[str, Any]] = {
    "at least one attribute": {"attributes": ()},
    "at least one baseline": {"baselines": (Baseline("news", "early warning score"),)},
    "different names": {"attributes": (Attribute("news", "news", "news"),)},
    "different gates": {"attributes": attributes("ward", "ward")},
    "cannot be called score": {"attributes": (Attribute("score", "score", "score"),)},
    "cannot be called model": {"baselines": (Baseline("model", "model", required=True),)},
    "sources of information need different names": {"information": (source("monitor", "a"), source("monitor", "b"))},
    "shares none of them": {"information": (source("monitor", "a"), source("laboratory", "a"))},
    "has inputs": {"information": (source("monitor"),)},
    "letters, digits, underscores": {"attributes": (Attribute("ward.night", "ward", "ward"),)},
}


@pytest.mark.parametrize("message", WRONG)
def test_a_schema_that_would_mean_two_things_is_refused(message: str) -> None:
    parts: dict[str, Any] = {"attributes": SEPSIS.attributes, "baselines": SEPSIS.baselines} | WRONG[message]
    with pytest.raises(ValueError, match=message):
        EvidenceSchema(**parts)
