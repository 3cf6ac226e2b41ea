"""Every way around the gates that somebody with access to Dagster, MLflow or the files might try."""

import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import yaml

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.homes import MODEL, Home


def unscored_day(home: Home) -> str:
    """Return a day that has landed and on which no work list was made: the first was in the shadow only."""
    return home.landed()[0]


def artifact_of(home: Home, version: str) -> Path:
    with home.ledger() as ledger:
        trained = ledger.events(kind="version_trained", version=version)[-1].payload
    return home.path / "mlartifacts" / trained["artifact"]["path"]


def configs_with(folder: Path, limit: float) -> Path:
    """Copy configs/ with another limit on the discrimination of models trained on synthetic data."""
    shutil.copytree(PROJECT_ROOT / "configs", folder)
    file = folder / "models" / MODEL / "gates.yaml"
    policy = yaml.safe_load(file.read_text(encoding="utf-8"))
    policy["gates"]["discrimination_auroc"]["limits"]["synthetic"] = {"at_least": limit}
    file.write_text(yaml.safe_dump(policy), encoding="utf-8")
    return folder


def test_materializing_the_production_model_promotes_no_candidate(trained_home: Home, changing: Callable[[Home], Home]):
    home = changing(trained_home)
    result = home.materialize("production_model")
    assert result.success
    assert not result.asset_materializations_for_node("production_model")
    assert home.stages == {"staging": None, "production": None}
    assert home.aliases() == {}
    assert home.kinds() == trained_home.kinds()


def test_materializing_predictions_without_a_production_version_writes_none(
    trained_home: Home, changing: Callable[[Home], Home]
):
    home = changing(trained_home)
    day = unscored_day(home)
    assert home.materialize("daily_discharges", day=day).success
    result = home.materialize("daily_predictions", day=day)
    assert result.success
    (recorded,) = result.asset_materializations_for_node("daily_predictions")
    assert "no version was in production" in str(recorded.metadata["predictions"].value)
    assert not home.lake.exists("daily_predictions")


def test_materializing_predictions_uses_the_approved_version_when_a_newer_one_was_rejected(
    blocked_home: Home, changing: Callable[[Home], Home]
):
    home = changing(blocked_home)
    day = unscored_day(home)
    assert home.materialize("daily_predictions", day=day).success
    scored = home.predictions().query("discharge_date == @day")
    assert set(scored["model_version"]) == {"1"}
    assert len(scored) == 27


def test_a_version_that_is_only_in_staging_is_on_no_work_list(shadowed_home: Home):
    assert set(shadowed_home.predictions()["model_version"]) == {"1"}
    shadow = shadowed_home.lake.read("shadow_predictions")
    assert set(shadow["model_version"]) == {"1", "2"}


def test_a_forged_check_result_changes_no_decision(blocked_home: Home, changing: Callable[[Home], Home]):
    home = changing(blocked_home)
    with home.instance() as instance:
        forged = dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey("validation_report"), check_name="discrimination_auroc", passed=True, metadata={}
        )
        instance.report_runless_asset_event(forged)
    assert home.command("promote", "--version", "2", "--to-stage", "staging").code == 3
    assert home.materialize("staging_model", "production_model").success
    assert home.stages == {"staging": None, "production": "1"}


def test_the_gates_cannot_be_deselected(lived_home: Home):
    from readmission_platform.definitions import build_definitions

    with lived_home.lived_in() as current:
        assets = list(build_definitions(current).assets or [])
    without = dg.AssetSelection.assets("validation_report").without_checks()
    with pytest.raises(dg.DagsterInvalidDefinitionError):
        dg.materialize(assets, selection=without)


def test_an_alias_moved_by_hand_is_not_believed_and_is_repaired(blocked_home: Home, changing: Callable[[Home], Home]):
    home = changing(blocked_home)
    home.aliases()  # the registry follows the copied home
    home.registry().set_registered_model_alias(MODEL, "production", "2")
    assert home.aliases() == {"production": "2"}
    day = unscored_day(home)
    assert home.command("score", "--date", day, "--json").json[0]["version"] == "1"

    assert home.materialize("production_model").success
    assert home.aliases() == {"production": "1"}
    with home.ledger() as ledger:
        repaired = ledger.events(kind="alias_repaired")
        ledger.verify()
    assert [event.payload["aliases"] for event in repaired] == [{"production": ["2", "1"]}]


def test_an_alias_set_by_hand_for_an_empty_stage_is_taken_away(trained_home: Home, changing: Callable[[Home], Home]):
    home = changing(trained_home)
    home.aliases()
    home.registry().set_registered_model_alias(MODEL, "production", "1")
    assert home.materialize("production_model").success
    assert home.aliases() == {}
    assert home.stages["production"] is None


def test_a_swapped_artifact_is_not_loaded_and_nothing_is_written(blocked_home: Home, changing: Callable[[Home], Home]):
    home = changing(blocked_home)
    with artifact_of(home, "1").open("ab") as file:
        file.write(b" ")
    before, day = home.predictions(), unscored_day(home)
    outcome = home.command("score", "--date", day)
    assert outcome.code == 3
    assert "has been changed" in outcome.err
    assert home.predictions().equals(before)
    result = home.materialize("production_model")
    assert not result.success
    assert "do not use it" in str(result.failure_data_for_node("production_model"))


def test_a_swapped_artifact_cannot_be_promoted(challenged_home: Home, changing: Callable[[Home], Home]):
    home = changing(challenged_home)
    with artifact_of(home, "2").open("ab") as file:
        file.write(b" ")
    outcome = home.command("promote", "--version", "2", "--to-stage", "staging")
    assert outcome.code == 3
    assert "artifact_unchanged" in outcome.err
    assert home.stages["staging"] is None


def test_evidence_that_was_deleted_cannot_be_promoted_on(challenged_home: Home, changing: Callable[[Home], Home]):
    home = changing(challenged_home)
    shutil.rmtree(home.lake.root / "model_evidence")
    outcome = home.command("promote", "--version", "2", "--to-stage", "staging")
    assert outcome.code == 3
    assert "evidence_unchanged" in outcome.err
    assert home.stages["staging"] is None


def test_a_looser_policy_in_the_checkout_has_no_effect_until_it_is_adopted(
    challenged_home: Home, changing: Callable[[Home], Home], tmp_path: Path
):
    home = changing(challenged_home)
    strict = home.having(READMISSION_CONFIGS=str(configs_with(tmp_path / "strict", 0.9)))
    assert strict.command("policy", "adopt").code == 0
    ask = ("promote", "--version", "2", "--to-stage", "staging")

    refused = home.command(*ask)  # the looser file lies in the checkout
    assert refused.code == 3
    assert "discrimination_auroc" in refused.err
    assert home.command("status", "--json").json["policy"]["differs_from_configs"]
    assert home.stages["staging"] is None

    assert home.command("policy", "adopt").code == 0
    assert home.command(*ask).code == 0


@pytest.mark.parametrize("version", ["2", "99"])
def test_a_version_that_was_never_approved_scores_nothing(
    blocked_home: Home, changing: Callable[[Home], Home], version: str
):
    home = changing(blocked_home)
    day = unscored_day(home)
    outcome = home.command("score", "--date", day, "--version", version, "--reason", "curious")
    assert outcome.code == 2
    assert "was never in production" in outcome.err
    assert day not in set(home.predictions()["discharge_date"])


@pytest.mark.slow
def test_dagsters_own_command_puts_nothing_unapproved_live_either(trained_home: Home, changing: Callable[[Home], Home]):
    home = changing(trained_home)
    module = ("-m", "readmission_platform.definitions")
    assert home.shell("dagster", "asset", "materialize", "--select", "production_model", *module).code == 0
    day = ("--partition", unscored_day(home))
    both = "daily_discharges,daily_predictions"
    assert home.shell("dagster", "asset", "materialize", "--select", both, *day, *module).code == 0
    assert home.stages == {"staging": None, "production": None}
    assert not home.lake.exists("daily_predictions")
