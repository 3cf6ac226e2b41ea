"""Delivery to real receivers: what arrives, and that one that misbehaves harms nothing and no address is betrayed."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apprise
import pytest
import sqlalchemy as sa

from readmission_platform.config.alerts import AlertsConfig
from readmission_platform.config.environment import Settings
from readmission_platform.operations.alerts.channels import AppriseSender, FileSender, Sender, senders
from readmission_platform.operations.alerts.outbox import GIVEN_UP_AFTER, deliver, enqueue, waiting
from readmission_platform.operations.alerts.states import Alert, content
from readmission_platform.operations.database import Operations
from readmission_platform.operations.schema import deliveries, notifications
from readmission_platform_tests.support.receivers import Behaviour, free_port, mail_receiver, web_receiver

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
TOKEN = "5ecretT0ken"


def notice(subject: str = "daily_discharges/every_row_accounted_for") -> dict[str, object]:
    alert = Alert("blocking_check_failed", "check", subject, "critical", "Rows were lost.", "asset daily_discharges",
                  "Stop.", "0a1b2c3d", NOON, NOON, model="visits", id=3)  # fmt: skip
    return content(alert, "raised", environment="production", ui_url=None, now=NOON)


@pytest.fixture
def operations(tmp_path: Path) -> Iterator[Operations]:
    with Operations(f"sqlite:///{tmp_path / 'operations.db'}", now=NOON) as opened:
        yield opened


def put(operations: Operations, *channels: str, subject: str = "a/b") -> None:
    with operations.writing() as connection:
        enqueue(connection, 3, channels, notice(subject), now=NOON)


def left(operations: Operations) -> int:
    with operations.reading() as connection:
        return sum(waiting(connection).values())


def log_of(operations: Operations) -> list[tuple[str, int, str | None]]:
    with operations.reading() as connection:
        rows = connection.execute(sa.select(deliveries).order_by(deliveries.c.id))
        return [(row.channel, row.notifications, row.error) for row in rows]


# --------------------------------------------------------------------------------------------------------- it arrives


def test_a_webhook_gets_the_alert():
    with web_receiver() as receiver:
        (attempt,) = AppriseSender(f"json://127.0.0.1:{receiver.port}/{TOKEN}").send([notice()])
    assert attempt.error is None
    ((path, body),) = receiver.posted
    assert path == f"/{TOKEN}"
    got = json.loads(body)
    assert got["title"].startswith("[critical] production: visits: blocking_check_failed")
    assert "Rows were lost." in got["message"]
    assert "Do: Stop." in got["message"]
    assert got["type"] == "failure"


def test_slack_gets_the_alert(monkeypatch: pytest.MonkeyPatch):
    slack = apprise.Apprise.instantiate("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ")
    with web_receiver() as receiver:
        # Where Apprise looks for Slack; only that is turned to this machine.
        monkeypatch.setattr(type(slack), "webhook_url", f"http://127.0.0.1:{receiver.port}/services")
        (attempt,) = AppriseSender("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ").send([notice()])
    assert attempt.error is None
    ((path, body),) = receiver.posted
    assert path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    assert "Rows were lost." in body


def test_a_mailbox_gets_the_alert():
    with mail_receiver() as (port, received):
        url = f"mailto://127.0.0.1:{port}/?from=platform@hospital.example&to=night@hospital.example"
        (attempt,) = AppriseSender(url).send([notice()])
    assert attempt.error is None
    (mail,) = received
    assert mail["To"] == "night@hospital.example"
    assert "blocking_check_failed" in mail["Subject"]
    text = mail.get_body(("plain", "html"))
    assert text is not None
    assert "Rows were lost." in text.get_content()


@pytest.mark.parametrize(
    "url",
    [
        "pagerduty://A1BRTD4JDTIiajkdnlazkcOXrIdevi7F@T1JJ3T3L2A1BRTD4JDTIiajkdnlazkcO/",
        "workflow://prod-01.westus.logic.azure.com:443/643e69f8e21f4f5f9bca4a0b9a3aabcd/signature12345/",
        "mailtos://user:password@mail.hospital.example?from=platform@hospital.example&to=night@hospital.example",
    ],
    ids=["pagerduty", "teams", "mail with encryption"],
)
def test_the_addresses_of_the_examples_are_understood(url: str):
    assert apprise.Apprise().add(url)


def test_a_file_of_the_home_gets_one_line_for_each_notice(tmp_path: Path):
    sender = FileSender(tmp_path / "alerts" / "alerts.jsonl")
    assert sender.send([notice("a/b"), notice("a/c")])[-1].error is None
    assert sender.send([notice("a/d")])[-1].error is None
    lines = (tmp_path / "alerts" / "alerts.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["subject"] for line in lines] == ["a/b", "a/c", "a/d"]
    assert {json.loads(line)["model"] for line in lines} == {"visits"}


def test_channels_whose_variable_is_not_set_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    channels = {
        "log": {"kind": "file", "path": "alerts/alerts.jsonl"},
        "team": {"kind": "apprise", "url_variable": "ALERTS_OF_THIS_TEST"},
    }
    config = AlertsConfig.model_validate({"old_hours": 1, "limits_minutes": 1, "channels": channels, "rules": {}})
    assert set(senders(config, Settings(home=tmp_path))) == {"log"}
    monkeypatch.setenv("ALERTS_OF_THIS_TEST", "json://localhost")
    assert set(senders(config, Settings(home=tmp_path))) == {"log", "team"}


# ------------------------------------------------------------------------------------------------- it does not arrive


@pytest.mark.parametrize(
    ("behaviour", "error", "received"),
    [("fails", "HTTP 500", 2), ("hangs", "NotDelivered", 2), (None, "NotDelivered", 0)],
)
def test_a_receiver_that_misbehaves_gets_two_attempts_and_is_recorded(
    operations: Operations,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    behaviour: Behaviour | None,
    error: str,
    received: int,
):
    caplog.set_level(logging.DEBUG)
    put(operations, "team")
    with web_receiver(behaviour or "well") as receiver:
        port = receiver.port if behaviour else free_port()
        sender = AppriseSender(f"json://user:{TOKEN}@127.0.0.1:{port}/{TOKEN}", seconds=0.2)
        (done,) = deliver(operations, {"team": sender}, now=NOON)
    assert (done.channel, done.error) == ("team", error)
    assert len(receiver.posted) == received
    assert log_of(operations) == [("team", 1, error), ("team", 1, error)]
    assert left(operations) == 1
    # The address is nowhere: not in a log, not on the terminal, not in the database.
    assert TOKEN not in caplog.text
    assert TOKEN not in "".join(capfd.readouterr())
    for file in tmp_path.rglob("*"):
        assert TOKEN.encode() not in file.read_bytes(), file.name


def test_what_could_not_be_delivered_is_tried_again_later_and_then_arrives_once(operations: Operations):
    put(operations, "team", subject="a/b")
    with web_receiver("fails") as receiver:
        sender = AppriseSender(f"json://127.0.0.1:{receiver.port}")
        assert deliver(operations, {"team": sender}, now=NOON)[0].error
        assert deliver(operations, {"team": sender}, now=NOON + timedelta(seconds=30)) == []  # not at every tick
        receiver.behaviour = "well"
        put(operations, "team", subject="a/c")
        assert deliver(operations, {"team": sender}, now=NOON + timedelta(minutes=5))[0].error is None
        assert deliver(operations, {"team": sender}, now=NOON + timedelta(minutes=9)) == []
    assert left(operations) == 0
    last = json.loads(receiver.posted[-1][1])
    assert last["title"] == "production: 2 notices (2 critical)"
    assert "a/b" in last["message"]
    assert "a/c" in last["message"]


def test_trying_has_an_end(operations: Operations):
    put(operations, "team")
    gone = AppriseSender(f"json://127.0.0.1:{free_port()}")
    tries = 0
    moment = NOON
    while moment < NOON + GIVEN_UP_AFTER + timedelta(hours=2):
        tries += len(deliver(operations, {"team": gone}, now=moment))
        moment += timedelta(minutes=10)
    assert left(operations) == 0
    assert 20 < tries < 40
    with operations.reading() as connection:
        assert connection.execute(sa.select(notifications.c.given_up_at)).scalar_one()


def test_what_waits_for_a_channel_nobody_set_up_is_given_up_too(operations: Operations):
    put(operations, "team")
    assert deliver(operations, {}, now=NOON + timedelta(hours=23)) == []
    assert left(operations) == 1
    deliver(operations, {}, now=NOON + GIVEN_UP_AFTER + timedelta(minutes=1))
    assert left(operations) == 0


def test_a_file_that_cannot_be_written_is_recorded_and_tried_again(operations: Operations, tmp_path: Path):
    (tmp_path / "alerts").write_text("a file in the way", encoding="utf-8")
    sender = FileSender(tmp_path / "alerts" / "alerts.jsonl")
    put(operations, "log")
    (done,) = deliver(operations, {"log": sender}, now=NOON)
    assert done.error in {"FileExistsError", "NotADirectoryError"}
    (tmp_path / "alerts").unlink()
    (done,) = deliver(operations, {"log": sender}, now=NOON + timedelta(minutes=5))
    assert done.error is None
    assert (tmp_path / "alerts" / "alerts.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_one_broken_channel_keeps_nothing_from_the_others(operations: Operations, tmp_path: Path):
    put(operations, "team", "log")
    both: dict[str, Sender] = {
        "team": AppriseSender(f"json://127.0.0.1:{free_port()}"),
        "log": FileSender(tmp_path / "alerts.jsonl"),
    }
    assert [each.error for each in deliver(operations, both, now=NOON)] == ["NotDelivered", None]
    assert (tmp_path / "alerts.jsonl").exists()


def test_what_somebody_is_sending_nobody_else_sends(operations: Operations, tmp_path: Path):
    put(operations, "log")
    inner = FileSender(tmp_path / "inner.jsonl")

    class Slow:
        def send(self, contents):  # type: ignore[no-untyped-def]
            assert deliver(operations, {"log": inner}, now=NOON) == []
            return FileSender(tmp_path / "outer.jsonl").send(contents)

    deliver(operations, {"log": Slow()}, now=NOON)
    assert not (tmp_path / "inner.jsonl").exists()
    assert left(operations) == 0


def test_an_address_that_is_none_is_recorded_as_such(operations: Operations):
    put(operations, "team")
    (done,) = deliver(operations, {"team": AppriseSender(f"https:/{TOKEN}")}, now=NOON)
    assert done.error == "AddressNotUnderstood"
