"""Moving a version into a stage: no step can be left out, and of two who try at once one wins."""

import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.clocks import NEXT_CENTURY, write_dated
from readmission_platform_tests.support.homes import BIN, MODEL, Home, Outcome
from readmission_platform_tests.support.rebound import rebound


def test_a_candidate_cannot_skip_staging(challenged_home: Home, changing: Callable[[Home], Home]):
    home = changing(challenged_home)
    outcome = home.command("promote", "--version", "2", "--to-stage", "production", "--replace")
    assert outcome.code == 3
    assert "step_allowed" in outcome.err
    assert home.stages == challenged_home.stages


def test_without_an_approval_nothing_goes_into_production(shadowed_home: Home, changing: Callable[[Home], Home]):
    home = changing(shadowed_home)
    outcome = home.command("promote", "--version", "2", "--replace")
    assert outcome.code == 3
    assert "0 of 1 approvals" in outcome.err
    assert home.stages == shadowed_home.stages
    assert home.kinds()[-1] == "promotion_refused"


def test_without_shadow_days_nothing_goes_into_production(challenged_home: Home, changing: Callable[[Home], Home]):
    home = changing(challenged_home)
    assert home.command("promote", "--version", "2", "--to-stage", "staging").code == 0
    home.command("approve", "--version", "2", "--reason", "in a hurry")
    outcome = home.command("promote", "--version", "2", "--replace")
    assert outcome.code == 3
    assert "0 of 3 days scored in shadow mode" in outcome.err
    assert home.stages == {"staging": "2", "production": "1"}


def test_replacing_a_version_has_to_be_said_and_then_replaces_it(shadowed_home: Home, changing: Callable[[Home], Home]):
    home = changing(shadowed_home)
    assert home.command("approve", "--version", "2", "--reason", "reviewed").code == 0
    outcome = home.command("promote", "--version", "2")
    assert outcome.code == 3
    assert "replacement_acknowledged" in outcome.err
    assert "--replace" in outcome.err
    assert home.stages == shadowed_home.stages

    assert home.command("promote", "--version", "2", "--force", "--reason", "refresh").code == 0
    assert home.stages == {"staging": None, "production": "2"}
    assert home.aliases() == {"production": "2"}
    states = {each["version"]: each["state"] for each in home.command("status", "--json").json["versions"]}
    assert states == {"1": "archived", "2": "production"}


def test_the_newcomer_is_compared_with_the_version_it_replaces(succeeded_home: Home):
    with succeeded_home.ledger() as ledger:
        promoted = ledger.events(kind="version_promoted", version="2")[-1].payload
    gates = {gate["gate"]: gate["result"] for gate in promoted["gates"]}
    assert gates["champion_non_inferior_auroc"] == "pass"
    assert gates["champion_non_inferior_net_benefit"] == "pass"
    assert promoted["from_version"] == "1"
    assert promoted["replaced"] is True
    assert len(promoted["approvals"]) == 1


def test_a_version_that_is_there_already_is_refused(lived_home: Home, changing: Callable[[Home], Home]):
    home = changing(lived_home)
    outcome = home.command("promote", "--version", "1", "--to-stage", "production", "--replace")
    assert outcome.code == 3
    assert "already in production" in outcome.err


@pytest.mark.parametrize(("stage", "code"), [("staging", 0), ("production", 3)])
def test_a_dry_run_shows_every_condition_and_changes_nothing(
    challenged_home: Home, changing: Callable[[Home], Home], stage: str, code: int
):
    home = changing(challenged_home)
    outcome = home.command("promote", "--version", "2", "--to-stage", stage, "--dry-run", "--json")
    assert outcome.code == code
    assert outcome.json["allowed"] is (code == 0)
    names = {condition["name"] for condition in outcome.json["conditions"]}
    assert {"artifact_unchanged", "evidence_unchanged", "gates_hold", "step_allowed"} <= names
    assert home.kinds() == challenged_home.kinds()
    assert home.stages == challenged_home.stages
    assert home.aliases() == challenged_home.aliases()


def test_a_dry_run_of_the_job_changes_nothing_either(challenged_home: Home, changing: Callable[[Home], Home]):
    from readmission_platform import launcher as lifecycle
    from readmission_platform.assets.model.promotion import PromotionConfig
    from readmission_platform.lifecycle.versions.stages import Stage

    home = changing(challenged_home)
    with home.workspace() as current:
        lifecycle.promote(
            lifecycle.Launcher(current), PromotionConfig(version="2", to_stage=Stage.staging, dry_run=True)
        )
    assert home.kinds() == challenged_home.kinds()
    assert home.stages == challenged_home.stages


def test_a_key_nobody_registered_signs_no_approval(
    shadowed_home: Home, changing: Callable[[Home], Home], tmp_path: Path
):
    home = changing(shadowed_home)
    key = str(tmp_path / "mine.pem")
    assert home.command("keys", "create", key).code == 0
    outcome = home.command(
        "approve", "--version", "2", "--reason", "trust me", "--key", key, "--approver", "a.stranger@example.org"
    )
    assert outcome.code in {2, 3}
    assert home.kinds() == shadowed_home.kinds()


def test_what_counts_as_a_demonstration_locally_opens_no_door_in_production(
    shadowed_home: Home, changing: Callable[[Home], Home]
):
    home = changing(shadowed_home)
    assert home.command("approve", "--version", "2", "--reason", "demonstration").code == 0
    strict = rebound(home, "production")
    outcome = strict.command("promote", "--version", "2", "--replace")
    assert outcome.code == 3
    assert strict.stages == shadowed_home.stages
    assert strict.command("approve", "--version", "2", "--reason", "demonstration").code == 3


def test_an_approval_that_has_expired_does_not_count_again_by_a_clock_that_was_set_back(
    shadowed_home: Home, changing: Callable[[Home], Home]
):
    home = changing(shadowed_home)
    assert home.command("approve", "--version", "2", "--reason", "as good as the one before").code == 0
    dry_run = ("promote", "--version", "2", "--replace", "--reason", "refresh", "--dry-run")
    assert home.command(*dry_run).code == 0
    write_dated(f"sqlite:///{home.path / 'ledger.db'}", NEXT_CENTURY)  # the clock is now behind by decades
    outcome = home.command(*dry_run)
    assert outcome.code == 3
    assert "expired" in outcome.err


def test_a_decision_that_somebody_else_overtook_is_a_conflict_and_moves_nothing(
    challenged_home: Home, changing: Callable[[Home], Home]
):
    from readmission_platform.foundation.errors import Conflict
    from readmission_platform.governance.promotion.decision import PromotionRequest, apply
    from readmission_platform.lifecycle.versions.decisions import consider

    home = changing(challenged_home)
    with home.workspace() as workspace, home.ledger() as ledger:
        first, second = (
            consider(PromotionRequest("2", "staging", actor), ledger=ledger, workspace=workspace)
            for actor in ("early", "late")
        )
        assert first.allowed
        assert second.allowed
        apply(ledger, first)
        events = len(ledger.events())
        with pytest.raises(Conflict) as lost:
            apply(ledger, second)
        assert lost.value.exit_code == 4
        assert len(ledger.events()) == events
        ledger.verify()
    assert home.stages == {"staging": "2", "production": "1"}


@pytest.mark.slow
def test_two_commands_at_the_same_time_leave_one_version_in_the_stage_and_each_is_told_how_it_went(
    demonstration: tuple[Home, Outcome], changing: Callable[[Home], Home]
):
    home = changing(demonstration[0])
    home.aliases()
    racers = [
        subprocess.Popen(
            [str(BIN / "readmission"), "promote", "--version", version, "--to-stage", "staging"],
            cwd=PROJECT_ROOT,
            env=home.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for version in ("2", "4")
    ]
    said = [racer.communicate(timeout=180)[1] for racer in racers]
    codes = [racer.returncode for racer in racers]
    assert set(codes) <= {0, 3, 4}, said
    assert not [text for text in said if "Traceback" in text]
    with home.ledger() as ledger:
        ledger.verify()
        moves = [event for event in ledger.events(kind="version_promoted") if event.payload["to_stage"] == "staging"]
    assert len(moves) - 1 == codes.count(0) > 0  # version 1 was there before
    assert home.stages == {"staging": moves[-1].version, "production": "1"}
    home.materialize("staging_model", "production_model")
    assert home.aliases() == {"staging": moves[-1].version, "production": "1"}


def test_the_history_of_a_version_is_in_the_ledger_and_the_registry_has_every_version(succeeded_home: Home):
    assert Counter(succeeded_home.kinds())["version_promoted"] == 4
    registered = succeeded_home.registry().search_model_versions(f"name = '{MODEL}'")
    assert {str(found.version) for found in registered} == {"1", "2"}
