"""`readmission policy show`, `adopt`, `diff` and `simulate`, and `readmission timeline`."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform_tests.support.homes import MODEL, Home

SHIPPED = PROJECT_ROOT / "configs" / "models" / MODEL / "gates.yaml"
GATE = "discrimination_auroc"


@pytest.fixture
def edited(lived_home: Home, tmp_path: Path) -> Callable[..., Home]:
    """Return the home with a gates file of its own, one gate's limit changed (None: the gate taken out)."""

    def edit(gate: str, **limits: float | None) -> Home:
        configs = tmp_path / "configs"
        shutil.copytree(PROJECT_ROOT / "configs", configs)
        content = yaml.safe_load((configs / "models" / MODEL / "gates.yaml").read_text(encoding="utf-8"))
        if limits:
            content["gates"][gate]["limits"]["synthetic"] = limits
        else:
            del content["gates"][gate]
        (configs / "models" / MODEL / "gates.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return lived_home.having(READMISSION_CONFIGS=str(configs))

    return edit


def test_the_file_that_was_adopted_does_not_differ(lived_home: Home):
    found = lived_home.command("policy", "diff", "--json")
    assert found.code == 0
    assert found.json["changes"] == []
    assert not found.json["loosens"]
    assert "what the policy in force says" in lived_home.command("policy", "diff").out


@pytest.mark.parametrize(("limit", "change"), [(0.1, "loosened"), (0.99, "tightened")])
def test_a_changed_limit_says_which_way_it_goes(edited: Callable[..., Home], limit: float, change: str):
    home = edited(GATE, at_least=limit, lower_bound_at_least=limit)
    found = home.command("policy", "diff", "--json").json
    assert [(each["gate"], each["change"]) for each in found["changes"]] == [(GATE, change)]
    assert found["loosens"] == (change == "loosened")
    assert found["adoptable"]
    text = home.command("policy", "diff").out
    assert f"{GATE}: {change}" in text
    assert f"{limit:g}" in text


def test_a_required_gate_taken_out_is_removed_and_cannot_be_adopted(edited: Callable[..., Home]):
    found = edited(GATE).command("policy", "diff", "--json").json
    assert [(each["gate"], each["change"]) for each in found["changes"]] == [(GATE, "removed")]
    assert not found["adoptable"]
    assert GATE in found["problem"]


def test_a_simulated_policy_names_the_versions_it_would_have_blocked_and_the_gate(edited: Callable[..., Home]):
    home = edited(GATE, at_least=0.99)
    file = Path(home.variables["READMISSION_CONFIGS"]) / "models" / MODEL / "gates.yaml"
    before = home.kinds()
    found = home.command("policy", "simulate", "--gates", str(file), "--json").json
    assert [(each["version"], each["step"], each["recorded"], each["simulated"]) for each in found["versions"]] == [
        ("1", "acceptance", "pass", "fail"), ("1", "production", "pass", "fail")
    ]  # fmt: skip
    assert all(each["blocked_by"] == [GATE] for each in found["versions"])
    assert [each["gate"] for each in found["changes"]] == [GATE]
    assert "2 of 2 verdicts would differ" in home.command("policy", "simulate", "--gates", str(file)).out
    assert home.kinds() == before


def test_the_policy_in_force_simulated_comes_to_the_recorded_verdicts(blocked_home: Home):
    found = blocked_home.command("policy", "simulate", "--gates", str(SHIPPED), "--json")
    assert not any(each["changed"] for each in found.json["versions"])
    assert {each["version"]: each["recorded"] for each in found.json["versions"] if each["step"] == "acceptance"} == {
        "1": "pass", "2": "fail"
    }  # fmt: skip


def test_an_incomplete_or_missing_file_is_bad_input(edited: Callable[..., Home]):
    home = edited(GATE)
    file = Path(home.variables["READMISSION_CONFIGS"]) / "models" / MODEL / "gates.yaml"
    outcome = home.command("policy", "simulate", "--gates", str(file))
    assert outcome.code == 2
    assert GATE in outcome.err
    assert home.command("policy", "simulate", "--gates", str(file.parent / "none.yaml")).code == 2


@pytest.fixture
def replanned(lived_home: Home, tmp_path: Path, changing: Callable[[Home], Home]) -> Home:
    """Return a home whose change plan in configs/ allows a learning rate that the one in force does not."""
    configs = tmp_path / "configs"
    shutil.copytree(PROJECT_ROOT / "configs", configs)
    content = yaml.safe_load((configs / "models" / MODEL / "change_plan.yaml").read_text(encoding="utf-8"))
    content["modifications"]["hyperparameters"]["ranges"]["settings.boosting.learning_rate"]["at_most"] = 0.5
    (configs / "models" / MODEL / "change_plan.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return changing(lived_home).having(READMISSION_CONFIGS=str(configs))


def test_the_change_plan_in_force_is_shown_and_does_not_differ(lived_home: Home):
    found = lived_home.command("policy", "show", "--plan", "--json").json
    assert found["adopted_by"] == "demo-approver"
    assert "hyperparameters" in found["modifications"]
    shown = lived_home.command("policy", "show", "--plan").out
    assert "0.02 to 0.1" in shown
    assert lived_home.command("policy", "diff", "--plan", "--json").json["changes"] == []
    assert "what the change plan in force says" in lived_home.command("policy", "diff", "--plan").out


def test_a_wider_plan_says_so_and_takes_effect_when_it_is_adopted(replanned: Home):
    found = replanned.command("policy", "diff", "--plan", "--json").json
    assert [(each["part"], each["direction"]) for each in found["changes"]] == [
        ("range of settings.boosting.learning_rate", "looser")
    ]
    assert found["loosens"]
    assert found["adoptable"]
    assert "0.02 to 0.1 -> 0.02 to 0.5" in replanned.command("policy", "diff", "--plan").out
    assert replanned.command("status", "--json").json["change_plan"]["differs_from_configs"]
    assert replanned.command("policy", "adopt", "--plan").code == 0
    assert replanned.kinds()[-1] == "change_plan_adopted"
    assert replanned.command("policy", "diff", "--plan", "--json").json["changes"] == []
    assert not replanned.command("status", "--json").json["change_plan"]["differs_from_configs"]


def test_roles_and_plan_are_not_adopted_in_one_go(replanned: Home):
    before = replanned.kinds()
    outcome = replanned.command("policy", "adopt", "--plan", "--roles")
    assert outcome.code == 2
    assert replanned.kinds() == before


def test_where_no_plan_is_in_force_the_command_says_what_to_do(tmp_path: Path):
    outcome = Home.new(tmp_path / "home").command("policy", "show", "--plan")
    assert outcome.code == 2
    assert "readmission policy adopt --plan" in outcome.err


def test_every_promotion_records_the_plan_it_was_decided_under(lived_home: Home):
    plan = lived_home.command("policy", "show", "--plan", "--json").json["digest"]
    with lived_home.ledger() as ledger:
        assert {event.payload["plan_digest"] for event in ledger.events(kind="version_promoted")} == {plan}


def test_the_timeline_tells_who_put_what_where_on_which_evidence(lived_home: Home):
    staging, production = lived_home.command("timeline", "--json").json
    assert (staging["stage"], staging["version"], staging["until"]) == ("staging", "1", production["since"])
    assert (production["stage"], production["version"], production["until"]) == ("production", "1", None)
    assert production["approved_by"] == ["demo-approver"]
    with lived_home.ledger() as ledger:
        evidence = ledger.events(kind="version_trained")[0].payload["evidence"]["digest"]
    assert production["evidence_digest"] == evidence
    assert "approved by" in lived_home.command("timeline").out


def test_a_home_without_a_promotion_has_no_timeline(trained_home: Home):
    assert trained_home.command("timeline", "--json").json == []
    assert "no version" in trained_home.command("timeline").out


def test_monitoring_limits_take_effect_by_adoption_and_never_by_another_file(
    lived_home: Home, changing: Callable[[Home], Home], tmp_path: Path
):
    configs = tmp_path / "other configs"
    shutil.copytree(PROJECT_ROOT / "configs", configs)
    file = configs / "models" / MODEL / "monitoring.yaml"
    file.write_text(re.sub(r"window_rows: \d+", "window_rows: 100000", file.read_text(encoding="utf-8")))
    home = changing(lived_home).having(READMISSION_CONFIGS=str(configs))
    with home.workspace() as workspace:
        watched = workspace.monitoring.drift.window_rows
    assert watched < 100_000
    shown = home.command("policy", "diff", "--monitoring", "--json").json["changes"]
    assert [(each["part"], each["after"]) for each in shown] == [("drift.window_rows", "100000")]
    assert home.command("status", "--json").json["monitoring"]["differs_from_configs"]
    adopted = home.command("policy", "adopt", "--monitoring")
    assert adopted.code == 0, adopted.err
    with home.workspace() as workspace:
        assert workspace.monitoring.drift.window_rows == 100_000
    assert home.command("policy", "show", "--monitoring", "--json").json["drift"]["window_rows"] == 100_000


@pytest.mark.parametrize(
    ("option", "file", "line", "part", "after"),
    [
        ("--evaluation", f"models/{MODEL}/model.yaml", r"^flag_share: .*", "flag_share", "0.15"),
        ("--promotion", "environments/local.yaml", r"shadow_days_required: \d+", "shadow_days_required", "0"),
    ],
)
def test_what_a_decision_reads_takes_effect_by_adoption_and_never_by_another_file(
    lived_home: Home, changing: Callable[[Home], Home], tmp_path: Path,
    option: str, file: str, line: str, part: str, after: str,
):  # fmt: skip
    configs = tmp_path / "other configs"
    shutil.copytree(PROJECT_ROOT / "configs", configs)
    path = configs / file
    edited, count = re.subn(line, f"{part}: {after}", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert count == 1
    path.write_text(edited)
    home = changing(lived_home).having(READMISSION_CONFIGS=str(configs))

    def acted_on() -> float:
        with home.workspace() as workspace:
            return float(getattr(workspace.config if option == "--evaluation" else workspace.promotion_rules, part))

    assert acted_on() != float(after)
    shown = home.command("policy", "diff", option, "--json").json["changes"]
    assert [(each["part"], each["after"]) for each in shown] == [(part, after)]
    adopted = home.command("policy", "adopt", option)
    assert adopted.code == 0, adopted.err
    assert acted_on() == float(after)
    assert home.command("policy", "show", option, "--json").json[part] == float(after)
    assert "says what the" in home.command("policy", "diff", option).out
    assert home.command("verify", "1").code == 0, "it was judged by what was in force then"


def test_the_roles_in_force_are_shown(lived_home: Home):
    assert lived_home.command("policy", "show", "--roles", "--json").json["people"] == {}
    assert "roles.clinical_approver" in lived_home.command("policy", "show", "--roles").out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--reason", " "), 2, "needs a reason"),
        (("--reason", "r", "--role", "janitor"), 2, "there is no role 'janitor'; known are"),
        (("--reason", "r", "--role", "ml_engineer"), 3, "the demo approver holds the role clinical_approver"),
        (("--reason", "r"), 3, "version 1 is production: only an accepted candidate"),
    ],
)
def test_an_approval_has_a_reason_a_role_of_its_signer_and_something_to_approve(
    lived_home: Home, options: tuple[str, ...], code: int, said: str
):
    before = lived_home.kinds()
    refused = lived_home.command("approve", "--version", "1", *options)
    assert (refused.code, len(refused.err.strip().splitlines())) == (code, 1)
    assert said in refused.err
    assert lived_home.kinds() == before
