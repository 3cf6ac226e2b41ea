"""``readmission rollout``: a refusal is one line, a change is on the record, and production stays until the end.

The home has version 1 in production and version 2, approved, in staging.
"""

from collections.abc import Callable

import pytest

from readmission_platform.governance.ledger.shapes import check_payloads
from readmission_platform.governance.rollouts.state import rollout_of
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.served import answered

QUICK = ("--min-samples", "100", "--bake-minutes", "0.0001")
WHY = ("--reason", "as agreed")


@pytest.fixture
def home(approved_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(approved_home)


@pytest.fixture
def rolling(home: Home) -> Home:
    assert home.command("rollout", "start", *QUICK, *WHY).code == 0
    return home


def _answer(home: Home, **figures: float) -> None:
    with home.ledger() as ledger:
        state = rollout_of(ledger.events())
    assert state is not None
    answered(home.lake, state, seed=100 + state.step, **figures)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--kind", "purple"), "--kind: purple is unknown"),
        (("--steps", "10,x"), "--steps: 10,x is no list of percentages"),
        (("--steps", "50,10,100"), "steps: steps are shares in per cent that grow"),
        (("--kind", "ab"), "an A/B roll-out needs its split, metric and sample size beforehand"),
        (("--split", "0.5"), "split, metric and sample size belong to A/B roll-outs"),
        (("--version", "1"), "a version cannot be rolled out beside itself"),
        (("--version", "77"), "there is no version 77"),
        (("--alpha", "0.9"), "alpha: "),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_in_one_line(approved_home: Home, options: tuple[str, ...], said: str):
    outcome = approved_home.command("rollout", "start", *options, *WHY)
    assert outcome.code == 2
    assert outcome.out == ""
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_without_an_approval_no_patient_gets_its_answers(shadowed_home: Home, changing: Callable[[Home], Home]):
    home = changing(shadowed_home)
    outcome = home.command("rollout", "start", *WHY, "--json")
    assert outcome.code == 3
    assert outcome.json["allowed"] is False
    assert outcome.err.startswith("refused: approvals: 0 of 1 approvals.")
    assert home.kinds()[-1] == "rollout_refused"
    assert home.command("rollout", "start", "--kind", "shadow", *WHY).code == 0


def test_without_a_roll_out_status_mentions_none(approved_home: Home):
    assert approved_home.command("status", "--json").json["rollout"] is None
    assert "roll-out" not in approved_home.command("status").out


def test_a_dry_run_shows_every_condition_and_changes_nothing(approved_home: Home):
    before = approved_home.kinds()
    outcome = approved_home.command("rollout", "start", "--dry-run", "--json")
    assert outcome.code == 0
    assert outcome.json["allowed"] is True
    assert {"approvals", "shadow_days", "no_other_rollout", "control_in_production"} <= {
        each["name"] for each in outcome.json["conditions"]
    }
    assert outcome.json["plan"]["candidate_version"] == "2"
    assert approved_home.kinds() == before


@pytest.mark.parametrize("command", ["pause", "resume", "abort", "promote"])
def test_each_step_wants_a_reason_and_a_roll_out(approved_home: Home, command: str):
    nameless = approved_home.command("rollout", command)
    assert (nameless.code, nameless.err) == (2, "error: --reason is required: it is recorded\n")
    outcome = approved_home.command("rollout", command, *WHY, "--json")
    assert outcome.code == 3
    assert outcome.json["allowed"] is False
    assert "no roll-out is open" in outcome.err
    assert outcome.err.count("\n") == 1


def test_no_roll_out_begins_without_a_reason(approved_home: Home):
    before = approved_home.kinds()
    outcome = approved_home.command("rollout", "start", *QUICK)
    assert (outcome.code, outcome.err) == (2, "error: --reason is required: it is recorded\n")
    assert approved_home.kinds() == before


def test_it_is_paused_resumed_and_aborted_and_production_never_moved(rolling: Home):
    assert rolling.command("rollout", "start", *WHY).code == 3
    dry = rolling.command("rollout", "pause", "--dry-run", "--json")
    assert (dry.code, dry.json["allowed"], dry.json["event"]) == (0, True, None)
    for command in ("pause", "resume", "abort"):
        done = rolling.command("rollout", command, *WHY, "--json")
        assert done.code == 0, done.err
        assert rolling.command("rollout", command, *WHY).code == 3
    kinds = [kind for kind in rolling.kinds() if kind.startswith("rollout_") and kind != "rollout_refused"]
    assert kinds == ["rollout_started", "rollout_paused", "rollout_resumed", "rollout_aborted"]
    assert rolling.stages == {"staging": "2", "production": "1"}


def test_status_says_where_it_is_and_what_comes_next(rolling: Home):
    _answer(rolling)
    found = rolling.command("rollout", "status", "--json").json
    assert (found["open"]["kind"], found["open"]["share"], found["open"]["status"]) == ("canary", 0.1, "running")
    assert found["open"]["enough_samples"] is True
    assert found["open"]["figures"]["arms"]["candidate"]["answers"] % 25 == 0
    assert [each["status"] for each in found["rollouts"]] == ["running"]
    brief = rolling.command("status", "--json").json["rollout"]
    assert brief == {name: found["open"][name] for name in brief}
    assert "canary of version 2 beside version 1: running, step 1 of 3, 10 % of the patients" in (
        " ".join(rolling.command("status").out.split())
    )
    text = rolling.command("rollout", "status").out
    assert "canary of version 2 beside version 1" in text
    assert "next: " in text


def test_by_hand_it_goes_on_only_with_answers_that_are_not_worse(rolling: Home):
    refused = rolling.command("rollout", "promote", *WHY)
    assert refused.code == 3
    assert "each arm needs 100 answers in this step" in refused.err
    _answer(rolling, failed=0.2)
    assert "the verdict is worse" in rolling.command("rollout", "promote", *WHY).err
    assert rolling.stages["production"] == "1"


def test_a_candidate_reaches_production_step_by_step_and_by_no_other_way(rolling: Home):
    for _ in range(3):
        short_cut = rolling.command("promote", "--version", "2", "--replace", *WHY)
        assert short_cut.code == 3
        assert "rollout_finished" in short_cut.err
        _answer(rolling)
        assert (done := rolling.command("rollout", "promote", *WHY)).code == 0, done.err
        assert rolling.stages["production"] == "1"
    assert rolling.command("rollout", "promote", "--dry-run").code == 0
    assert (done := rolling.command("rollout", "promote", *WHY)).code == 0, done.err
    assert rolling.stages == {"staging": None, "production": "2"}
    assert rolling.command("rollout", "status", "--json").json["open"] is None
    assert rolling.command("audit", "verify").code == 0
    with rolling.ledger() as ledger:
        check_payloads([event for event in ledger.events() if event.kind.startswith("rollout_")])


def test_how_long_an_ab_roll_out_takes_is_known_beforehand(approved_home: Home):
    small = approved_home.command("rollout", "power", "--metric", "brier", "--effect", "0.01", "--json").json
    half = approved_home.command("rollout", "power", "--metric", "brier", "--effect", "0.005", "--json").json
    assert half["sample_size"] == pytest.approx(4 * small["sample_size"], rel=0.001)
    assert half["days"] > small["days"] > 30
    uneven = approved_home.command(
        "rollout", "power", "--metric", "brier", "--effect", "0.01", "--split", "0.1", "--json"
    ).json
    assert uneven["days"] > small["days"]
    assert "each arm needs" in approved_home.command("rollout", "power", "--metric", "brier", "--effect", "0.01").out


@pytest.mark.parametrize(
    "options",
    [
        ("--metric", "auroc", "--effect", "0.01"),
        ("--metric", "brier", "--effect", "0"),
        ("--metric", "brier", "--effect", "0.01", "--power", "1"),
        ("--metric", "brier", "--effect", "0.01", "--split", "1"),
    ],
)
def test_a_power_that_makes_no_sense_is_refused_in_one_line(approved_home: Home, options: tuple[str, ...]):
    outcome = approved_home.command("rollout", "power", *options)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
