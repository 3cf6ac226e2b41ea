"""The change plan: what lies inside may change without a new review, and whatever else changed is found."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from readmission_platform.config.change_plan import ChangePlan
from readmission_platform.foundation.errors import BadInput, Conflict, Refused
from readmission_platform.foundation.values import digest_of
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.versions import version_records
from readmission_platform.governance.policy.change_plan import check_plan, limits_missed, outside_of
from readmission_platform.governance.promotion.decision import apply
from readmission_platform.governance.promotion.rollback import RollbackRequest, decide_rollback
from readmission_platform.lifecycle.training.training_record import recipe_of
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.models.readmission_30d.inputs import feature_names
from readmission_platform_tests.support.altered import altered
from readmission_platform_tests.support.scenario import (
    KEYS,
    MODEL_CONFIG,
    PLAN,
    REQUIRED,
    Scenario,
    adopt,
    cohort,
    estimate,
    honest_estimates,
    ready_for_production,
    ready_for_staging,
    recipe,
)

CLINICIAN = Signer("clinician", KEYS["clinician"])
CONDITION = "inside_change_plan"
SETTINGS = [name for name in PLAN.ranges if name.startswith("settings.")]


def trained(**changes: Any) -> dict[str, Any]:
    """Return what training records of a version made by the shipped recipe on the published file."""
    return {"source": "uci", "seed": MODEL_CONFIG.seed, "recipe": recipe(), "cohort": cohort()} | changes


def put(payload: dict[str, Any], path: str, value: Any) -> None:
    """Set a recorded value by the name the plan has for it."""
    if path.startswith("rows."):
        payload["cohort"]["rows"] = value
    elif path == "seed":
        payload["seed"] = value
    elif path.startswith("recalibration."):
        corrected = payload.setdefault("recalibrated", {"of_version": "1", "slope": 1.0, "intercept": 0.0})
        corrected[path.removeprefix("recalibration.")] = value
    else:
        *parents, last = path.split(".")
        place = payload["recipe"]
        for parent in parents:
            place = place[parent]
        place[last] = value


def plan_with(**changes: Any) -> ChangePlan:
    return altered(PLAN, **changes)


def blocking(decision: Any) -> list[str]:
    return [item.name for item in decision.conditions if item.blocks]


def test_the_shipped_recipe_is_inside_the_shipped_plan():
    made = recipe_of(CONTRACT, MODEL_CONFIG, feature_names())
    assert outside_of(PLAN, trained(recipe=made)) == []
    assert outside_of(PLAN, trained(recipe=made, source="synthetic")) == []
    check_plan(PLAN, REQUIRED)


@given(st.data())
def test_whatever_changes_within_its_range_stays_inside(data: st.DataObject):
    payload = trained()
    for name, span in PLAN.ranges.items():
        if name != "rows.synthetic":
            put(payload, name, data.draw(st.floats(span.at_least, span.at_most), label=name))
    assert outside_of(PLAN, payload) == []


@given(st.data())
def test_one_value_out_of_its_range_is_found_and_named_alone(data: st.DataObject):
    name = data.draw(st.sampled_from([name for name in PLAN.ranges if name != "rows.synthetic"]))
    span = PLAN.ranges[name]
    below = st.floats(max_value=span.at_least, exclude_max=True, allow_nan=False)
    above = st.floats(min_value=span.at_most, exclude_min=True, allow_nan=False)
    unusable = st.sampled_from([None, float("nan"), float("inf"), True, "0.05", [], {}])
    payload = trained()
    put(payload, name, data.draw(below | above | unusable))
    found = outside_of(PLAN, payload)
    assert len(found) == 1
    assert found[0].startswith(f"{name}:")


DEVIATIONS: dict[str, tuple[Any, str]] = {
    "another algorithm": (lambda p: p["recipe"].update(algorithm="a forest"), "algorithm"),
    "no algorithm recorded": (lambda p: p["recipe"].pop("algorithm"), "algorithm"),
    "other folds": (lambda p: p["recipe"].update(folds=10), "folds"),
    "another source": (lambda p: p.update(source="another_hospital"), "source another_hospital"),
    "a setting the plan does not know": (
        lambda p: p["recipe"]["settings"]["boosting"].update(max_bins=64),
        "settings.boosting.max_bins",
    ),
    "a setting left out": (
        lambda p: p["recipe"]["settings"]["boosting"].pop("max_iter"),
        "settings.boosting.max_iter: not recorded",
    ),
    "no settings": (lambda p: p["recipe"].pop("settings"), "settings"),
    "seed not recorded": (lambda p: p.pop("seed"), "seed"),
    "size not recorded": (lambda p: p["cohort"].pop("rows"), "rows.uci"),
    "flow not recorded": (lambda p: p["cohort"].update(flow=[]), "cohort flow: not recorded"),
    "an exclusion more": (
        lambda p: p["cohort"]["flow"].append({"step": "excluded: younger than 18", "rows": 20}),
        "cohort rule added: excluded: younger than 18",
    ),
    "an exclusion less": (
        lambda p: p["cohort"]["flow"].pop(2),
        "cohort rule left out: excluded: discharged to hospice",
    ),
    "an exclusion that takes out more": (
        lambda p: p["cohort"]["flow"][1].update(rows=5_000),
        "excluded: died in hospital: 5,000",
    ),
    "another file": (lambda p: p["cohort"]["flow"][0].update(rows=1_000), "encounters in the source: 1,000"),
}


@pytest.mark.parametrize("case", DEVIATIONS)
def test_what_has_to_stay_as_it_is_and_does_not_is_found(case: str):
    change, named = DEVIATIONS[case]
    payload = deepcopy(trained())
    change(payload)
    assert named in "; ".join(outside_of(PLAN, payload))


@given(st.data(), st.sampled_from(["inputs", "features"]))
def test_an_input_or_feature_added_dropped_doubled_or_moved_is_found(data: st.DataObject, name: str):
    payload = trained()
    names = payload["recipe"][name]
    place = data.draw(st.integers(0, len(names) - 1))
    match data.draw(st.sampled_from(["add", "drop", "double", "move"])):
        case "add":
            names.insert(place, "number_of_future_stays")
        case "drop":
            names.pop(place)
        case "double":
            names.append(names[place])
        case "move":
            names.append(names.pop(0))
    found = outside_of(PLAN, payload)
    assert len(found) == 1
    assert found[0].startswith(name)


@pytest.mark.parametrize(
    ("part", "named"), [("recipe", "features: not recorded"), ("cohort", "cohort flow: not recorded")]
)
@pytest.mark.parametrize("found", [None, "nonsense", []])
def test_a_version_whose_recipe_or_cohort_was_not_recorded_is_outside(part: str, named: str, found: object):
    assert named in outside_of(PLAN, trained() | {part: found})
    without = {name: content for name, content in trained().items() if name != part}
    assert named in outside_of(PLAN, without)


def test_an_honest_version_misses_no_limit():
    assert limits_missed(PLAN, honest_estimates(), limit_set="real", has_champion=True) == []


@pytest.mark.parametrize(
    ("metric", "raw", "named"),
    [
        ("auroc", estimate(0.6549), "limit auroc: auroc 0.6549, must be >= 0.655"),
        ("auroc", estimate(float("nan")), "auroc missing"),
        ("auroc", None, "auroc missing"),
        ("observed_expected", estimate(0.9, 0.86, 0.94), "limit observed_expected"),
        ("observed_expected.gender.Male", estimate(1.3, 1.2, 1.4), "observed_expected.gender.Male"),
        ("champion_auroc_difference", estimate(-0.01, -0.02, -0.004), "auroc_against_production"),
        ("champion_net_benefit_difference", estimate(-0.002, -0.003, 0.0), "net_benefit_against_production"),
    ],
)
def test_a_limit_that_is_missed_is_named_with_what_was_seen(metric: str, raw: Any, named: str):
    found = limits_missed(PLAN, {**honest_estimates(), metric: raw}, limit_set="real", has_champion=True)
    assert named in "; ".join(found)


def test_a_limit_holds_at_its_boundary():
    for_the_worst = {**honest_estimates(), "auroc": estimate(0.655)}
    assert limits_missed(PLAN, for_the_worst, limit_set="real", has_champion=False) == []


def test_a_group_too_small_to_judge_misses_nothing_and_one_without_a_count_does():
    small = estimate(1.6, 1.3, 1.9, n=900, positives=99)
    found = {**honest_estimates(), "observed_expected.race.Asian": small}
    assert limits_missed(PLAN, found, limit_set="real", has_champion=False) == []
    found["observed_expected.race.Asian"] = small | {"positives": None}
    assert limits_missed(PLAN, found, limit_set="real", has_champion=False)


def test_a_limit_on_groups_of_which_there_is_no_figure_is_missed():
    found = {name: each for name, each in honest_estimates().items() if not name.startswith("observed_expected.race.")}
    (missed,) = limits_missed(PLAN, found, limit_set="real", has_champion=False)
    assert "observed_expected.race.* missing" in missed


@pytest.mark.parametrize(("positives", "holds"), [(10_000, True), (41_000, False), (1_000, False), (None, False)])
def test_another_outcome_is_found_by_how_often_it_occurs(positives: int | None, holds: bool):
    found = {**honest_estimates(), "auroc": estimate(0.67, positives=positives)}
    missed = limits_missed(PLAN, found, limit_set="real", has_champion=False)
    assert (missed == []) is holds
    assert holds or missed[0].startswith("outcome")


def test_a_version_outside_the_plan_goes_nowhere_and_the_refusal_says_what_to_do(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    made = deepcopy(recipe())
    made["settings"]["boosting"]["learning_rate"] = 0.5
    scenario.train("2", recipe=made)
    scenario.validate("2")
    decision = scenario.decide("staging", "2")
    assert blocking(decision) == [CONDITION]
    assert "settings.boosting.learning_rate: 0.5, allowed 0.02 to 0.1" in " ".join(decision.reasons())
    assert "readmission policy adopt --plan" in " ".join(decision.reasons())
    with pytest.raises(Refused):
        apply(ledger, decision)
    assert ledger.pointers()["staging"].version is None


def test_a_new_review_is_a_plan_that_allows_it_adopted_with_a_signature(ledger: Ledger):
    scenario = ready_for_staging(ledger)
    made = deepcopy(recipe())
    made["settings"]["target_smoothing"] = 900.0
    scenario.train("2", recipe=made)
    scenario.validate("2")
    assert blocking(scenario.decide("staging", "2")) == [CONDITION]
    wider = plan_with(
        **{"modifications__target_smoothing__ranges": {"settings.target_smoothing": {"at_least": 10, "at_most": 1000}}}
    )
    adopt(ledger, "change_plan_adopted", wider, CLINICIAN)
    scenario.promote("staging", "2")
    promoted = ledger.events(kind="version_promoted")[-1].payload
    assert promoted["plan_digest"] == digest_of(wider)
    assert scenario.decide("production", "2").plan_digest == digest_of(wider)


def test_without_a_plan_in_force_nothing_is_promoted_and_one_line_says_to_adopt_one(ledger: Ledger):
    scenario = Scenario(ledger)
    scenario.adopt(plan=None)
    scenario.train()
    scenario.validate()
    decision = scenario.decide("staging")
    assert blocking(decision) == [CONDITION]
    assert decision.plan_digest is None
    assert len(decision.reasons()) == 1
    assert "readmission policy adopt --plan" in decision.reasons()[0]
    adopt(ledger, "change_plan_adopted", PLAN, CLINICIAN)
    assert scenario.decide("staging").allowed


def test_limits_stay_when_the_gates_are_loosened(ledger: Ledger):
    scenario = ready_for_production(ledger)
    narrower = plan_with(**{"limits__auroc__limits__real": {"at_least": 0.67}})
    adopt(ledger, "change_plan_adopted", narrower, CLINICIAN)
    # Every gate holds; the approvals were given under the plan before.
    assert blocking(scenario.decide()) == [CONDITION, "approvals"]


def test_a_plan_adopted_between_decision_and_recording_is_a_conflict(ledger: Ledger):
    scenario = ready_for_production(ledger)
    decision = scenario.decide()
    adopt(ledger, "change_plan_adopted", plan_with(purpose="another"), CLINICIAN)
    with pytest.raises(Conflict):
        apply(ledger, decision)


def test_a_rollback_asks_for_no_plan_and_no_recipe(ledger: Ledger):
    scenario = Scenario(ledger)
    scenario.adopt()
    for version in ("1", "2"):
        scenario.train(version, recipe=None, cohort=None)
        scenario.validate(version)
        scenario.approve("clinician", version)
        scenario.approve("second", version)
        scenario.stage(version, "production")
    adopt(ledger, "change_plan_adopted", plan_with(purpose="another"), CLINICIAN)
    events, pointers = ledger.snapshot()
    decision = decide_rollback(
        scenario.ask(RollbackRequest(to_version="1", actor="ops", reason="worse"), "version_rolled_back"),
        events=events, pointers=pointers,
        records=version_records(events, pointers), artifact_digests={"1": "sha256:artifact"},
        environment_name="production", model=ledger.model, now=ledger.now(),
    )  # fmt: skip
    assert decision.allowed, decision.reasons()


def test_a_plan_that_names_no_gate_or_an_unusable_limit_is_not_adopted():
    with pytest.raises(BadInput, match="no_such_gate"):
        check_plan(plan_with(modifications__seed__verified_by=["no_such_gate"]), REQUIRED)
    with pytest.raises(BadInput, match="synthetic"):
        check_plan(plan_with(limits__auroc__limits={"real": {"at_least": 0.6}}), REQUIRED)
    odd = PLAN.limits["auroc"].model_copy(
        update={"limits": {kind: limits.model_copy(update={"at_least": float("nan")})
                           for kind, limits in PLAN.limits["auroc"].limits.items()}}
    )  # fmt: skip
    with pytest.raises(BadInput, match="auroc"):
        check_plan(PLAN.model_copy(update={"limits": {**PLAN.limits, "auroc": odd}}), REQUIRED)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"modifications__seed__ranges": {"seed": {"at_least": 2, "at_most": 1}}}, "above"),
        ({"modifications__seed__ranges": {"seed": {"at_least": 0, "at_most": float("inf")}}}, "numbers"),
        ({"modifications__seed__ranges": {"settings.target_smoothing": {"at_least": 0, "at_most": 1}}}, "two mod"),
        ({"unchanged__sources": ["uci", "elsewhere"]}, "rows.elsewhere"),
        ({"modifications__seed__ranges": {}}, "ranges"),
        ({"modifications__seed__verified_by": []}, "verified_by"),
        ({"purpose": ""}, "purpose"),
    ],
)
def test_a_plan_that_contradicts_itself_or_leaves_something_out_is_not_read(changes: dict[str, Any], said: str):
    with pytest.raises(ValidationError, match=said):
        plan_with(**changes)
