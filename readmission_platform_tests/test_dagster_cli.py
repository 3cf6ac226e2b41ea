"""Dagster's own command line, as users and CI call it."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from readmission_platform_tests.support.homes import COHORT, Home

MODULE = ("-m", "readmission_platform.definitions")
SMALL = {"source": "synthetic", "rows": int(COHORT[1]), "seed": int(COHORT[3])}

pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.new(tmp_path / "home")


def write_config(folder: Path, ops: dict[str, dict]) -> str:
    file = folder / "run.yaml"
    file.write_text(yaml.safe_dump({"ops": {name: {"config": config} for name, config in ops.items()}}))
    return str(file)


def test_the_definitions_validate(home: Home):
    outcome = home.shell("dagster", "definitions", "validate")
    assert outcome.code == 0, outcome.err
    assert "readmission_platform" in outcome.out + outcome.err


def test_the_jobs_are_listed(home: Home):
    outcome = home.shell("dagster", "job", "list", *MODULE)
    assert outcome.code == 0, outcome.err
    for job in ("training_job", "promotion_job", "scoring_job", "projection_job", "replay_job"):
        assert f"Job: {job}" in outcome.out


def test_assets_materialize_one_by_one(home: Home, tmp_path: Path):
    outcome = home.shell(
        "dagster", "asset", "materialize", "--select", "raw_encounters,eligible_encounters", *MODULE,
        "--config-json", '{"ops": {"raw_encounters": {"config": {"rows": 3000}}}}',
    )  # fmt: skip
    assert outcome.code == 0, outcome.err
    assert len(home.lake.read("raw_encounters")) == 3000
    assert home.lake.exists("eligible_encounters")
    with home.instance() as instance:
        for asset in ("raw_encounters", "eligible_encounters"):
            assert instance.get_latest_materialization_event(dg.AssetKey(asset)) is not None


def test_the_training_job_makes_a_candidate_that_the_readmission_command_knows(home: Home, tmp_path: Path):
    config = write_config(tmp_path, {"raw_encounters": SMALL})
    outcome = home.shell("dagster", "job", "execute", "-j", "training_job", "-c", config, *MODULE)
    assert outcome.code == 0, outcome.err
    found = home.command("status", "--json").json
    assert [(each["version"], each["state"]) for each in found["versions"]] == [("1", "candidate")]


def test_a_failing_gate_fails_the_job_for_ci(trained_home: Home, tmp_path: Path):
    home = trained_home.copy(tmp_path / "copy")
    outcome = home.shell(
        "dagster", "asset", "materialize", "--select", "validation_report", *MODULE, "--config-json",
        '{"ops": {"validation_report": {"config":'
        ' {"additional_gates": {"discrimination_auroc": {"at_least": 0.99}}}}}}',
    )  # fmt: skip
    assert outcome.code != 0
    assert "discrimination_auroc" in outcome.out + outcome.err
    found = home.command("status", "--json").json
    assert [each["state"] for each in found["versions"]] == ["rejected"]


def test_the_promotion_job_is_refused_what_the_command_is_refused(trained_home: Home, tmp_path: Path):
    home = trained_home.copy(tmp_path / "copy")
    config = write_config(tmp_path, {"promote_version": {"version": "1", "to_stage": "production"}})
    outcome = home.shell("dagster", "job", "execute", "-j", "promotion_job", "-c", config, *MODULE)
    assert outcome.code != 0
    assert home.stages == {"staging": None, "production": None}
    assert home.kinds()[-1] == "promotion_refused"
    said = (outcome.out + outcome.err).splitlines()
    began = next(place for place, line in enumerate(said) if line.endswith("refused, and nothing was changed:"))
    block = said[began + 1 : said.index("", began)]
    asked = home.command("promote", "--version", "1", "--to-stage", "production", "--dry-run", "--json").json
    blocking = [each["name"] for each in asked["conditions"] if each["blocks"]]
    assert [line[2:].split(":")[0] for line in block if line.startswith("- ")] == blocking
    assert all(line.startswith(("- ", "  what to do: ")) for line in block)
    assert "The above exception was caused by" not in outcome.out + outcome.err


def test_a_run_of_days_that_names_no_day_says_how_to_name_one(trained_home: Home):
    outcome = trained_home.shell("dagster", "job", "execute", "-j", "scoring_job", *MODULE)
    assert outcome.code != 0
    assert """--tags '{"dagster/partition": "YYYY-MM-DD"}'""" in outcome.out + outcome.err


def test_a_misspelt_environment_is_said_clearly(home: Home):
    outcome = home.having(READMISSION_ENVIRONMENT="prod").shell("dagster", "definitions", "validate")
    assert outcome.code != 0
    assert "READMISSION_ENVIRONMENT" in outcome.out + outcome.err
