"""``readmission alerts``: what is wrong, taking it on, and whether the channels work."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.operations.alerts.records import Circumstances, settle
from readmission_platform.operations.alerts.rules import Signal
from readmission_platform.operations.database import Operations
from readmission_platform_tests.support.homes import ACTOR, Home
from readmission_platform_tests.support.receivers import free_port, web_receiver

NOW = datetime.now(UTC)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with an alert about a check of a model, and one about the disk."""
    home = Home.new(tmp_path / "home")
    with home.lived_in() as current, Operations(current.operations_database) as operations:
        from readmission_platform.config.files import alerts_config

        given = Circumstances(alerts_config(current), "local", None, NOW, old_before=NOW)
        broken = Signal("check", "visits", "a/b", NOW, active=True, rule="blocking_check_failed", what="It broke.",
                        where="here")  # fmt: skip
        full = Signal("figure", None, "disk_used_share", NOW, active=True, rule="disk_full", what="Full.", where="here")
        settle(operations, [broken, full], given)
    return home


@pytest.fixture
def rules(tmp_path: Path) -> Callable[[Callable[[dict], None]], str]:  # type: ignore[type-arg]
    """Write an ``alerts.yaml`` that differs from the shipped one; returns the folder of its configuration."""

    def write(change: Callable[[dict], None]) -> str:  # type: ignore[type-arg]
        import shutil

        folder = tmp_path / "configs"
        shutil.copytree(PROJECT_ROOT / "configs", folder)
        content = yaml.safe_load((folder / "alerts.yaml").read_text(encoding="utf-8"))
        change(content)
        (folder / "alerts.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return str(folder)

    return write


def test_the_open_alerts_are_listed_with_what_to_do(home: Home):
    outcome = home.command("alerts", "list")
    assert outcome.code == 0
    assert "1  critical  visits  blocking_check_failed: a/b" in outcome.out
    assert "2  critical  platform  disk_full: disk_used_share" in outcome.out
    alert, of_platform = sorted(home.command("alerts", "list", "--json").json, key=lambda each: each["id"])
    assert (alert["id"], alert["severity"], alert["model"], alert["subject"]) == (1, "critical", "visits", "a/b")
    assert of_platform["model"] is None
    assert alert["resolved_at"] is None


def test_what_waits_for_a_channel_without_an_address_is_said_to_be_held_for_it(home: Home):
    out = home.command("alerts", "list").out
    assert (
        "the channel team has no address here (READMISSION_ALERTS_TEAM): 3 notifications held for it for a day" in out
    )
    assert "file" in out


def test_an_alert_is_taken_on_with_a_reason(home: Home):
    assert home.command("alerts", "ack", "1").code == 2
    taken = home.command("alerts", "ack", "1", "--reason", "called the vendor", "--json").json
    assert (taken["acknowledged_by"], taken["acknowledged_reason"]) == (ACTOR, "called the vendor")
    assert taken["model"] == "visits"
    assert {alert["id"]: alert["acknowledged_by"] for alert in home.command("alerts", "list", "--json").json} == {
        1: ACTOR,
        2: None,
    }
    assert "platform  disk_full" in home.command("alerts", "ack", "2", "--reason", "disk ordered").out
    unknown = home.command("alerts", "ack", "7", "--reason", "x")
    assert unknown.code == 2
    assert "no alert 7" in unknown.err


def test_nothing_is_wrong_in_a_new_home(tmp_path: Path):
    home = Home.new(tmp_path / "new")
    assert home.command("alerts", "list").out.strip() == "no open alerts"
    assert home.command("alerts", "list", "--all", "--json").json == []


def test_a_test_goes_through_every_channel_that_is_set_up(home: Home):
    with web_receiver() as receiver:
        ready = home.having(READMISSION_ALERTS_TEAM=f"json://127.0.0.1:{receiver.port}")
        outcome = ready.command("alerts", "test", "--json")
    assert outcome.code == 0
    assert outcome.json == {"log": "delivered", "on_call": "not set up", "team": "delivered"}
    assert "tests this channel" in json.loads(receiver.posted[0][1])["message"]
    assert '"notice": "test"' in (home.path / "alerts" / "alerts.jsonl").read_text(encoding="utf-8")


def test_a_channel_that_does_not_deliver_ends_with_5_and_without_its_address(home: Home):
    secret = "5ecretT0ken"
    broken = home.having(READMISSION_ALERTS_TEAM=f"json://127.0.0.1:{free_port()}/{secret}")
    outcome = broken.command("alerts", "test", "--channel", "team")
    assert outcome.code == 5
    assert "team" in outcome.err
    assert secret not in outcome.out + outcome.err
    assert home.command("alerts", "test", "--channel", "on_call").code == 5
    unknown = home.command("alerts", "test", "--channel", "pigeon")
    assert unknown.code == 2
    assert "log, on_call, team" in unknown.err


def test_the_shipped_rules_are_right_and_silent_channels_are_named(home: Home):
    outcome = home.command("alerts", "check")
    assert outcome.code == 0
    assert "READMISSION_ALERTS_ON_CALL is not set" in outcome.err
    found = home.having(READMISSION_ALERTS_ON_CALL="json://x", READMISSION_ALERTS_TEAM="json://y")
    assert found.command("alerts", "check", "--json").json["warnings"] == []


def test_the_page_for_the_night_names_every_alert(home: Home):
    page = (PROJECT_ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
    with home.lived_in() as current:
        from readmission_platform.config.files import alerts_config

        config = alerts_config(current)
    named = {name for name, rule in config.rules.items() if rule.enabled and rule.about != "heartbeat"}
    assert not [name for name in named if f"`{name}`" not in page]
    for channel in config.channels.values():
        assert getattr(channel, "url_variable", channel.kind) in page


def unknown_channel(content: dict) -> None:  # type: ignore[type-arg]
    content["rules"]["disk_full"]["channels"] = ["pigeon"]


def an_address(content: dict) -> None:  # type: ignore[type-arg]
    content["channels"]["team"]["url_variable"] = "slack://5ecretT0ken"


def outside_the_home(content: dict) -> None:  # type: ignore[type-arg]
    content["channels"]["log"]["path"] = "../alerts.jsonl"


def no_limit(content: dict) -> None:  # type: ignore[type-arg]
    del content["rules"]["disk_full"]["at_most"]


def misspelt_match(content: dict) -> None:  # type: ignore[type-arg]
    content["rules"]["run_failed"]["match"] = {"jobs": "scoring_job"}


def no_interval(content: dict) -> None:  # type: ignore[type-arg]
    del content["rules"]["heartbeat"]["every_minutes"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (unknown_channel, "disk_full names unknown channel(s) pigeon"),
        (an_address, "url_variable"),
        (outside_the_home, "path"),
        (no_limit, "at_least or at_most"),
        (misspelt_match, "cannot match jobs"),
        (no_interval, "every_minutes"),
    ],
)
def test_a_rule_that_makes_no_sense_is_one_line_and_ends_with_2(
    home: Home,
    rules: Callable[[Callable[[dict], None]], str],  # type: ignore[type-arg]
    change: Callable[[dict], None],  # type: ignore[type-arg]
    words: str,
):
    outcome = home.having(READMISSION_CONFIGS=rules(change)).command("alerts", "check")
    assert outcome.code == 2
    assert words in outcome.err
    assert outcome.err.strip().count("\n") == 0
    assert "5ecretT0ken" not in outcome.err


def test_a_channel_nobody_uses_a_missing_heartbeat_and_an_unknown_model_are_named(
    home: Home,
    rules: Callable[[Callable[[dict], None]], str],  # type: ignore[type-arg]
):
    def change(content: dict) -> None:  # type: ignore[type-arg]
        content["channels"]["spare"] = {"kind": "file", "path": "spare.jsonl"}
        content["rules"]["heartbeat"]["enabled"] = False
        content["rules"]["run_failed"]["match"]["model"] = "readmision_30d"

    outcome = home.having(READMISSION_CONFIGS=rules(change)).command("alerts", "check")
    assert outcome.code == 0
    assert "no rule uses channel spare" in outcome.err
    assert "no heartbeat" in outcome.err
    assert "rule run_failed is about model readmision_30d" in outcome.err
