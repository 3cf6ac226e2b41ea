"""The command line: JSON that scripts can rely on, and one clear line with the right exit code for bad input."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from readmission_platform.cli import COMMANDS
from readmission_platform.encounters.contract import ENCOUNTERS_WITH_OUTCOME
from readmission_platform.reports.review import figure, signed
from readmission_platform.summary import status
from readmission_platform.tables import interval_text, show_status
from readmission_platform_tests.conftest import PRODUCTION_DAYS, SHADOW_DAYS
from readmission_platform_tests.support.homes import COHORT, MODEL, Home, Outcome

STAGES = {"staging", "production"}
STEP = re.compile(r"  [a-z ]+ +[0-9.]+ s")


def refused(outcome: Outcome, code: int, *words: str) -> None:
    """Assert an exit code with exactly one line of error that has these words; steps may have been told before it."""
    assert outcome.code == code, outcome.err
    said = [line for line in outcome.err.strip("\n").splitlines() if not STEP.fullmatch(line)]
    assert len(said) == 1, outcome.err
    assert said[0].startswith(("error: ", "refused: "))
    for word in words:
        assert word in said[0]
    assert not outcome.out


@pytest.fixture
def empty_home(tmp_path: Path) -> Home:
    return Home.new(tmp_path / "home")


@pytest.mark.parametrize(
    "command",
    [
        ("recalibrate", "--version", "1"),
        ("promote", "--version", "1", "--reason", "too early"),
        ("drift", "withdraw", "1", "--reason", "there is none"),
        ("identities", "part", "1", "--reason", "there is none"),
    ],
    ids=" ".join,
)
def test_a_refusal_is_json_where_that_is_asked_for_and_tells_no_step_as_done(
    trained_home: Home, changing: Callable[[Home], Home], command: tuple[str, ...]
):
    home = changing(trained_home)
    refusal = home.command(*command, "--json")
    assert refusal.code == 3
    assert refusal.json["allowed"] is False
    assert [f"refused: {reason}" for reason in refusal.json["reasons"]] == refusal.err.splitlines()
    said = home.command(*command).err.splitlines()
    assert said
    assert all(line.startswith("refused: ") for line in said)


def test_status_names_the_command_that_shows_how_configs_differ_from_what_is_in_force(trained_home: Home):
    with trained_home.workspace() as workspace:
        found = status(workspace)
    found["roles"]["differs_from_configs"] = found["policy"]["differs_from_configs"] = True
    show_status(Console(file=(written := io.StringIO()), width=200), found)
    said = written.getvalue()
    assert "see `readmission policy diff --roles`" in said
    assert "see `readmission policy diff`" in said


def test_counts_are_whole_numbers_and_nothing_is_minus_zero():
    assert interval_text({"value": 40967.0, "low": 40967.0, "high": 40967.0}) == "40,967"
    assert interval_text({"value": 40967.0, "low": None, "high": None}) == "40,967"
    assert interval_text({"value": -0.00001, "low": -0.00004, "high": 0.2}) == "0.000 (0.000 to 0.200)"
    assert interval_text({"value": 1.25e-16, "low": None, "high": None}) == "1.25e-16"
    assert signed({"value": -0.00001, "low": -0.1, "high": 0.1}) == "+0.0000 (-0.1000 to +0.1000)"
    assert figure(-0.0) == "0.0000"


def test_every_command_explains_itself():
    home = Home(Path("not-created-for-help"))
    for name in COMMANDS:
        outcome = home.command(name, "--help")
        assert outcome.code == 0
        assert outcome.out.count("\n") > 5, name
    assert not home.path.exists()


def test_no_command_at_all_shows_the_commands():
    outcome = Home(Path("not-created-for-help")).command()
    assert "train" in outcome.out
    assert "promote" in outcome.out


# ------------------------------------------------------------------------------------------------ JSON for scripts


def test_status_has_the_keys_that_scripts_rely_on(blocked_home: Home):
    found = blocked_home.command("status", "--json").json
    assert found["environment"] == "local"
    assert found["model"] == MODEL
    assert set(found["stages"]) == STAGES
    assert found["stages"]["production"]["version"] == "1"
    assert found["stages"]["staging"]["version"] is None
    assert [each["version"] for each in found["versions"]] == ["1", "2"]
    for each in found["versions"]:
        assert {"version", "state", "source", "auroc", "artifact_digest", "data_version", "code_version"} <= set(each)
        assert set(each["auroc"]) == {"value", "low", "high", "n"}
        assert each["artifact_digest"].startswith("sha256:")
        assert each["data_version"].startswith("sha256:")
        assert each["code_version"]


def test_status_of_an_empty_home_has_the_same_keys(empty_home: Home):
    found = empty_home.command("status", "--json").json
    assert {stage: held["version"] for stage, held in found["stages"].items()} == dict.fromkeys(STAGES)
    assert found["versions"] == []


def test_status_for_people_names_what_is_live(lived_home: Home):
    said = lived_home.command("status").out
    assert "production: version 1" in said
    assert "staging: none" in said


@pytest.mark.parametrize("version", ["1", "2"])
def test_gates_is_a_list_of_results_also_for_a_rejected_version(blocked_home: Home, version: str):
    found = blocked_home.command("gates", version, "--json").json
    assert len(found) > 20
    for each in found:
        assert {"gate", "result", "observed", "low", "high", "limit", "n", "stage"} <= set(each)
        assert each["result"] in {"pass", "fail", "insufficient"}
        assert each["stage"] in {"candidate", "staging", "production"}


def test_json_holds_no_figure_that_json_does_not_know(blocked_home: Home):
    for arguments in (("status",), ("gates", "1"), ("policy", "show")):
        unknown: list[str] = []
        json.loads(blocked_home.command(*arguments, "--json").out, parse_constant=unknown.append)
        assert not unknown, arguments


def test_train_reports_the_version_its_state_and_the_failed_gates(blocked_training: tuple[Home, Outcome]):
    assert set(blocked_training[1].json) >= {"version", "state", "auroc", "failed_gates"}


def test_score_reports_the_account_of_each_day(lived_home: Home, changing: Callable[[Home], Home]):
    home = changing(lived_home)
    days = home.landed()[:2]
    found = home.command("score", "--from", days[0], "--to", days[-1], "--json").json
    assert [each["date"] for each in found] == days
    for each in found:
        assert {"received", "accepted", "quarantined", "duplicate", "scored", "version"} <= set(each)


def test_replay_reports_its_days_and_that_they_are_simulated(lived_home: Home, changing: Callable[[Home], Home]):
    home = changing(lived_home)
    # The days are there already: nothing is written twice.
    before = {day: (home.path / "landing/discharges" / day / "discharges.csv").stat().st_mtime_ns
              for day in home.landed()}  # fmt: skip
    days = str(SHADOW_DAYS + PRODUCTION_DAYS)
    found = home.command("replay", "--start", home.landed()[0], "--days", days, "--json").json
    assert found == {"days": home.landed(), "written": [], "simulated": True}
    assert before == {day: (home.path / "landing/discharges" / day / "discharges.csv").stat().st_mtime_ns
                      for day in home.landed()}  # fmt: skip


def test_replay_says_which_days_were_there_and_how_they_come_again_in_another_format(
    lived_home: Home, changing: Callable[[Home], Home]
):
    home = changing(lived_home)
    day = home.landed()[-1]
    again = ("replay", "--start", day, "--days", "1", "--format", "fhir")
    out = home.command(*again).out
    assert f"0 days written, 1 was there already: {day} (simulated dates)" in out
    assert "remove the folder of a day from landing/discharges" in out
    folder = home.path / "landing/discharges" / day
    (folder / "discharges.csv").unlink()
    folder.rmdir()
    assert f"1 day written: {day} (simulated dates)" in home.command(*again).out
    assert [path.suffix for path in folder.iterdir()] == [".ndjson"]


def test_promote_reports_the_stages(challenged_home: Home, changing: Callable[[Home], Home]):
    found = changing(challenged_home).command("promote", "--version", "2", "--to-stage", "staging", "--json").json
    assert {stage: found[stage]["version"] for stage in STAGES} == {"staging": "2", "production": "1"}


def test_approve_reports_the_signed_statement(shadowed_home: Home, changing: Callable[[Home], Home]):
    found = changing(shadowed_home).command("approve", "--version", "2", "--reason", "reviewed", "--json").json
    assert found["version"] == "2"
    assert found["approver"] == "demo-approver"
    assert {"event", "artifact_digest", "evidence_digest", "policy_digest", "warnings", "reason"} <= set(found)


def test_policy_show_prints_what_is_in_force(lived_home: Home):
    found = lived_home.command("policy", "show", "--json").json
    assert found["digest"].startswith("sha256:")
    assert "discrimination_auroc" in found["gates"]
    assert found["adopted_by"] == "demo-approver"


def test_a_rollback_to_a_version_that_there_is_not_says_so(lived_home: Home, changing: Callable[[Home], Home]):
    home = changing(lived_home)
    for command in (("rollback", "--dry-run"), ("rollback", "--reason", "it went wrong")):
        outcome = home.command(*command, "--to-version", "7")
        assert outcome.code == 3
        assert "refused: target_known: there is no version 7. Name a version that was in production." in outcome.err


def test_rollback_and_reconcile_report_in_json(succeeded_home: Home, changing: Callable[[Home], Home]):
    home = changing(succeeded_home)
    planned = home.command("rollback", "--dry-run", "--json")
    assert planned.code == 0
    assert planned.json["allowed"] is True
    assert planned.json["version"] == "1"
    assert home.kinds() == succeeded_home.kinds()
    assert home.command("reconcile", "--dry-run", "--json").json["differences"] == []


@pytest.mark.parametrize(("share", "code"), [("0.05", 3), ("1", 0)])
def test_the_sample_registers_and_records_nothing_and_ends_with_three_where_a_gate_fails(
    lived_home: Home, changing: Callable[[Home], Home], share: str, code: int
):
    home = changing(lived_home)
    tables = {table.name for table in home.lake.root.iterdir()}
    runs = runs_of(home)
    outcome = home.command("train", *COHORT, "--sample", share, "--json")
    failed = sorted({gate["gate"] for gate in outcome.json["gates"] if gate["blocks"]})
    said = f"refused: the sample failed {', '.join(failed)}; nothing was registered or recorded\n"
    assert (outcome.code, outcome.err) == (code, said if failed else "")
    assert {"sample", "estimates", "gates"} <= set(outcome.json)
    assert home.kinds() == lived_home.kinds()
    assert runs_of(home) == runs
    assert {table.name for table in home.lake.root.iterdir()} == tables
    home.aliases()
    assert len(home.registry().search_model_versions(f"name = '{MODEL}'")) == 1


def runs_of(home: Home) -> set[str]:
    with home.instance() as instance:
        return {run.run_id for run in instance.get_runs()}


# ------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "--source", "mimic"), ("--source", "mimic", "synthetic", "uci")),
        (("train", "--archive", "some.zip"), ("--archive", "uci")),
        (("train", "--sample", "0"), ("--sample",)),
        (("train", "--sample", "1.5"), ("--sample",)),
        (("train", "--encounters", "10"), ("encounters",)),
        (("run", "--source", "mimic"), ("--source",)),
        (("gates", "99"), ("no version 99",)),
        (("promote",), ("name the version",)),
        (("promote", "--version", "1", "--from-stage", "staging"), ("name the version",)),
        (("promote", "--from-stage", "staging"), ("no version is in staging",)),
        (("promote", "--version", "99"), ("no version 99",)),
        (("promote", "--version", "99", "--dry-run"), ("no version 99",)),
        (("promote", "--version", "1", "--to-stage", "prod"), ("--to-stage", "prod")),
        (("approve", "--version", "99", "--reason", "why not"), ("99",)),
        (("approve", "--version", "1", "--reason", "x", "--approver", "me"), ("--key", "--approver")),
        (("policy", "show"), ("no policy in force yet",)),
        (("rollback",), ("--reason",)),
        (("score",), ("--date",)),
        (("score", "--date", "2026-13-01"), ("2026-13-01", "YYYY-MM-DD")),
        (("score", "--date", "yesterday"), ("yesterday", "YYYY-MM-DD")),
        (("score", "--date", "20260105"), ("YYYY-MM-DD",)),
        (("score", "--from", "2026-01-05"), ("--to",)),
        (("score", "--from", "2026-01-05", "--to", "2026-01-01"), ("after",)),
        (("score", "--date", "2026-01-05", "--from", "2026-01-05"), ("either",)),
        (("score", "--date", "2026-01-05"), ("no files", "readmission replay")),
        (("replay",), ("readmission train",)),
        (("replay", "--start", "soon"), ("soon", "YYYY-MM-DD")),
        (("replay", "--days", "0"), ("--days", "at least one day")),
        (("run", "--encounters", "-5"), ("--encounters", "at least 200")),
        (("card", "1", "--out", "card.docx"), ("--out", ".docx", "html or md")),
        (("replay", "--start", "2999-01-01"), ("before today",)),
    ],
    ids=" ".join,
)
def test_bad_input_is_one_line_and_exit_code_two(empty_home: Home, arguments: tuple[str, ...], words: tuple[str, ...]):
    refused(empty_home.command(*arguments), 2, *words)
    assert empty_home.kinds() == ["ledger_created"]


def test_a_day_that_has_not_begun_in_the_hospital_is_not_scored(empty_home: Home):
    day = empty_home.path / "landing" / "discharges" / "2999-01-01"
    day.mkdir(parents=True)
    (day / "discharges.csv").write_text("encounter_id\n1\n", encoding="utf-8")
    refused(empty_home.command("score", "--date", "2999-01-01"), 2, "2999-01-01 is not a day from 2020-01-01 to today")
    assert runs_of(empty_home) == set()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("gates:\n  discrimination_aurok: {at_least: 0.7}\n", ("discrimination_aurok",)),
        ("gates:\n  discrimination_auroc: {at_leest: 0.7}\n", ("at_leest",)),
        ("gates:\n  discrimination_auroc: {}\n", ("limit",)),
        ("gates: [unclosed\n", ("YAML",)),
        ("just text\n", ("gates.yaml",)),
        ("", ("gates.yaml",)),
        ("gates:\n  discrimination_auroc: {at_least: high}\n", ("at_least",)),
    ],
    ids=["unknown gate", "misspelt limit", "no limit", "not YAML", "no mapping", "empty", "not a number"],
)
def test_a_file_of_gates_that_cannot_be_used_stops_before_anything_is_trained(
    empty_home: Home, tmp_path: Path, content: str, words: tuple[str, ...]
):
    file = tmp_path / "gates.yaml"
    file.write_text(content, encoding="utf-8")
    refused(empty_home.command("train", *COHORT, "--gates", str(file)), 2, *words)
    assert empty_home.kinds() == ["ledger_created"]
    assert runs_of(empty_home) == set()


def test_a_file_of_gates_that_is_not_there_is_named(empty_home: Home, tmp_path: Path):
    missing = tmp_path / "nowhere.yaml"
    refused(empty_home.command("train", *COHORT, "--gates", str(missing)), 2, "nowhere.yaml", "no such file")


def test_an_archive_that_is_not_there_is_named(empty_home: Home, tmp_path: Path):
    missing = tmp_path / "nowhere.zip"
    refused(empty_home.command("train", "--source", "uci", "--archive", str(missing)), 2, "nowhere.zip")


def test_an_archive_that_is_no_archive_is_refused(empty_home: Home, tmp_path: Path):
    archive = tmp_path / "archive.zip"
    archive.write_bytes(b"this is no archive")
    refused(empty_home.command("train", "--source", "uci", "--archive", str(archive)), 2, "archive.zip")


def test_an_archive_with_other_content_than_the_published_one_is_refused(
    empty_home: Home, lived_home: Home, tmp_path: Path
):
    rows = lived_home.lake.read("raw_encounters").head(50)
    assert not ENCOUNTERS_WITH_OUTCOME.missing_columns(rows)
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("diabetic_data.csv", rows.to_csv(index=False))
    outcome = empty_home.command("train", "--source", "uci", "--archive", str(archive))
    refused(outcome, 2, "sha256", "not the published one")
    assert not empty_home.lake.exists("raw_encounters")


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--no-such-option"),
        ("no-such-command",),
        ("train", "--encounters", "many"),
        ("gates",),
        ("approve", "--version", "1"),
        ("approve", "--version", "1", "--reason", "x", "--expires", "0d"),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_two(empty_home: Home, arguments: tuple[str, ...]):
    outcome = empty_home.command(*arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


def test_a_replay_beyond_the_end_of_the_stream_says_how_much_is_left(
    lived_home: Home, changing: Callable[[Home], Home]
):
    home = changing(lived_home)
    outcome = home.command("replay", "--days", "400", "--start", "2021-01-01")
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
    assert home.landed() == lived_home.landed()


def test_a_secret_key_is_never_overwritten(empty_home: Home, tmp_path: Path):
    key = tmp_path / "me.pem"
    first = empty_home.command("keys", "create", str(key))
    assert first.code == 0
    assert first.out.startswith("public_key: ")
    assert key.stat().st_mode & 0o077 == 0
    before = key.read_bytes()
    refused(empty_home.command("keys", "create", str(key)), 2, "me.pem")
    assert key.read_bytes() == before


def test_a_misspelt_environment_is_one_line(empty_home: Home):
    outcome = empty_home.having(READMISSION_ENVIRONMENT="prod").command("status")
    refused(outcome, 2, "READMISSION_ENVIRONMENT", "local", "production")


@pytest.mark.slow
def test_a_misspelt_environment_is_one_line_for_a_fresh_process_too(empty_home: Home):
    outcome = empty_home.having(READMISSION_ENVIRONMENT="prod").shell("readmission", "train", "--encounters", "5000")
    refused(outcome, 2, "READMISSION_ENVIRONMENT")


@pytest.mark.parametrize("arguments", [("setup",), ("train",), ("replay",), ("run",)], ids=" ".join)
def test_a_home_that_cannot_be_written_is_an_unavailable_service(tmp_path: Path, arguments: tuple[str, ...]):
    blocked = tmp_path / "a_file"
    blocked.write_text("not a folder", encoding="utf-8")
    refused(Home(blocked / "home").command(*arguments), 5, "cannot be written")


def test_a_ledger_that_is_no_database_is_said_in_one_line(lived_home: Home, changing: Callable[[Home], Home]):
    home = changing(lived_home)
    for leftover in home.path.glob("ledger.db*"):
        leftover.unlink()
    (home.path / "ledger.db").write_bytes(b"no database at all " * 100)
    outcome = home.command("status")
    assert outcome.code in {1, 5}
    assert "Traceback" not in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_missing_configuration_file_is_one_line(empty_home: Home, tmp_path: Path):
    outcome = empty_home.having(READMISSION_CONFIGS=str(tmp_path / "no_configs")).command("status")
    refused(outcome, 2, "no_configs", "holds no model")


def test_a_moved_home_keeps_working(lived_home: Home, tmp_path: Path):
    copied = lived_home.copy(tmp_path / "first")
    moved = Home(copied.path.rename(tmp_path / "second"))
    assert moved.stages == lived_home.stages
    assert moved.aliases() == {"production": "1"}
    assert moved.command("score", "--date", moved.landed()[0], "--json").json[0]["scored"] == 27


@pytest.mark.slow
def test_asking_for_the_status_takes_a_moment_only(lived_home: Home):
    program = (
        "import sys; sys.argv = ['readmission', 'status', '--json'];"
        "from readmission_platform import cli\n"
        "try:\n    cli.main()\n"
        "finally:\n    print(sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    outcome = lived_home.shell("python", "-c", program)
    assert outcome.json["stages"]["production"]["version"] == "1"
    for heavy in ("'dagster'", "'mlflow'", "'sklearn'", "'deltalake'"):
        assert heavy not in outcome.err
