"""The example's configuration: complete, true to its code, and marked as an example."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from readmission_platform.config.change_plan import ChangePlan
from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.config.files import read_yaml
from readmission_platform.config.governance import GatePolicy
from readmission_platform.config.model_card import REQUIRED_ITEMS, REQUIRED_TEXTS, ModelCardConfig
from readmission_platform.config.monitoring import MonitoringConfig
from readmission_platform.evaluation.leakage import clock_told, distinct_shares, future_told, outcome_told
from readmission_platform.governance.policy.gates import check_policy
from readmission_platform.governance.policy.required import required_gates
from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models.frequent_visits import CONTRACT
from readmission_platform.models.frequent_visits.encoder import EnrolmentEncoder

FOLDER = PROJECT_ROOT / "configs" / "models" / "frequent_visits"


@pytest.fixture(scope="module")
def model() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((FOLDER / "model.yaml").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.name)
def test_every_file_says_that_it_is_an_example(file: Path) -> None:
    assert "EXAMPLE" in file.read_text(encoding="utf-8").splitlines()[0]


def test_the_settings_are_those_the_estimator_takes(model: dict[str, Any]) -> None:
    settings = CONTRACT.estimator.settings.model_validate(model["settings"])
    assert settings.model_dump() == model["settings"]


def test_columns_that_may_miss_values_are_those_the_feed_allows(model: dict[str, Any]) -> None:
    assert set(model["max_missing_fraction"]) == CONTRACT.feed.nullable


@pytest.mark.parametrize("source", sorted(CONTRACT.sources))
def test_honest_data_keep_the_limits_that_stop_a_training(model: dict[str, Any], source: str) -> None:
    raw = CONTRACT.sources[source].load(SourceRequest(rows=20_000, seed=7)).frame
    for column, share in raw.isna().mean().items():
        assert share <= model["max_missing_fraction"].get(column, 0.0)
    cohort = CONTRACT.data.cohort(raw, key=b"a key that is only used in tests", replay_share=model["replay_share"])
    rows = cohort[cohort["part"] == "development"].reset_index(drop=True)
    inputs, labels = CONTRACT.data.inputs_of(rows, rows), rows[CONTRACT.outcome].to_numpy()
    low, high = model["plausible_prevalence"]
    assert low < labels.mean() < high
    gates = read_yaml(FOLDER / "gates.yaml", GatePolicy).gates
    at_most = {name: gates[f"leakage_{name}"].limits["real"].at_most for name in
               ("outcome", "row_total", "distinct_values", "clock")}  # fmt: skip
    assert distinct_shares(inputs).max() <= at_most["distinct_values"]
    assert clock_told(inputs, rows["clock"]).max() <= at_most["clock"]
    assert 0.6 < outcome_told(inputs, labels, rows["entity_key"]).max() < at_most["outcome"]
    assert future_told(inputs, rows["entity_key"]).max() < at_most["row_total"]
    # What is no input, because it would be the clock in another form, is recognised.
    told = clock_told(inputs.assign(family_size=rows["contract_year"]), rows["clock"])
    assert list(told.index[told > at_most["clock"]]) == ["family_size"]


@pytest.mark.parametrize("limits", ["real", "synthetic"])
def test_the_policy_has_every_required_gate_and_sets_the_alarm_above_what_is_honest(limits: str) -> None:
    policy = read_yaml(FOLDER / "gates.yaml", GatePolicy)
    check_policy(policy, limits, required_gates(CONTRACT.evidence))
    floor = policy.gates["discrimination_auroc"].limits[limits].at_least
    alarm = policy.gates["discrimination_leakage_alarm"].limits[limits].at_most
    honest = {"real": (0.7588, 0.7617), "synthetic": (0.7182, 0.7622)}[limits]  # docs/frequent_visits.md
    assert floor < honest[0] < honest[1] < alarm


def test_the_change_plan_keeps_what_the_code_is(model: dict[str, Any]) -> None:
    plan = read_yaml(FOLDER / "change_plan.yaml", ChangePlan)
    assert plan.unchanged.algorithm == CONTRACT.estimator.algorithm
    assert plan.unchanged.folds == model["folds"]
    assert plan.unchanged.sources == tuple(CONTRACT.sources)
    assert plan.unchanged.inputs == CONTRACT.inputs
    assert plan.unchanged.features == tuple(EnrolmentEncoder().feature_names())
    for name, value in model["settings"]["boosting"].items():
        span = plan.ranges[f"settings.boosting.{name}"]
        assert span.at_least <= value <= span.at_most
    gates = set(read_yaml(FOLDER / "gates.yaml", GatePolicy).gates)
    assert {gate for each in plan.modifications.values() for gate in each.verified_by} <= gates


def test_monitoring_can_be_read_and_watches_no_more_columns_than_there_are() -> None:
    monitoring = read_yaml(FOLDER / "monitoring.yaml", MonitoringConfig)
    assert len(CONTRACT.watch.watched_columns(None, 1)) >= monitoring.drift.columns


def test_the_card_answers_every_question_or_says_why_not() -> None:
    card = read_yaml(FOLDER / "model_card.yaml", ModelCardConfig)
    assert set(REQUIRED_TEXTS) <= set(card.texts)
    assert card.texts["name"].text.startswith("EXAMPLE")
    for text in card.texts.values():
        assert text.text or text.not_available or set(text.by_source) == set(CONTRACT.sources)
    for standard, required in REQUIRED_ITEMS.items():
        items = {item.item: item for item in card.crosswalks[standard].items}
        assert set(items) == set(required)
        assert all(item.answers or item.not_available for item in items.values())
        names = {answer.removeprefix("text/") for item in items.values() for answer in item.answers
                 if answer.startswith("text/")}  # fmt: skip
        assert names <= set(card.texts)
