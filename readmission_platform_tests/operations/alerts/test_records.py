"""Alerts as they are kept: one while it lasts, reminders, acknowledgement, recovery, heartbeat; on both databases."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from readmission_platform.config.alerts import AlertsConfig, RuleKind
from readmission_platform.foundation.errors import BadInput
from readmission_platform.operations.alerts.records import Circumstances, acknowledge, find_alerts, settle
from readmission_platform.operations.alerts.rules import Signal
from readmission_platform.operations.database import Operations
from readmission_platform.operations.schema import notifications

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONFIG = AlertsConfig.model_validate(
    {
        "old_hours": 6,
        "limits_minutes": 5,
        "channels": {
            "log": {"kind": "file", "path": "alerts.jsonl"},
            "web": {"kind": "apprise", "url_variable": "URL"},
        },
        "rules": {
            "failed": {"about": "check", "severity": "critical", "channels": ["log", "web"], "action": "Look.",
                       "repeat_after_hours": 4},
            "once": {"about": "ledger", "severity": "warning", "channels": ["log"], "action": "Know.",
                     "over_after_hours": 24},
            "until": {"about": "ledger", "severity": "critical", "channels": ["log"], "action": "Repair.",
                      "recovers": {"ledger": "repaired"}, "repeat_after_hours": 4},
        },
    }
)  # fmt: skip


@pytest.fixture
def operations(ledger_url: str) -> Iterator[Operations]:
    with Operations(ledger_url, now=NOON) as opened:
        yield opened


@pytest.fixture
def at(operations: Operations) -> Callable[..., list[str]]:
    """Carry signals over at a moment; returns the notices."""

    def settled(hours: float, *signals: Signal, config: AlertsConfig = CONFIG) -> list[str]:
        given = Circumstances(config, "local", None, NOON + hours * HOUR, old_before=NOON - 6 * HOUR)
        return [change.notice for change in settle(operations, signals, given) if change.notice]

    return settled


def bad(
    hours: float,
    *,
    rule: str = "failed",
    about: RuleKind = "check",
    subject: str = "asset/check",
    model: str | None = "m",
) -> Signal:
    return Signal(about, model, subject, NOON + hours * HOUR, active=True, rule=rule, what="It broke.", where="here")


def good(hours: float, *, model: str | None = "m") -> Signal:
    return Signal("check", model, "asset/check", NOON + hours * HOUR, active=False)


def queued(operations: Operations) -> list[tuple[str, str, Any]]:
    with operations.reading() as connection:
        rows = connection.execute(sa.select(notifications).order_by(notifications.c.id))
        return [(row.channel, json.loads(row.content)["notice"], row.alert_id) for row in rows]


def test_an_alert_is_one_while_it_lasts_however_often_it_is_seen(operations: Operations, at: Callable[..., list[str]]):
    assert at(0, bad(0)) == ["raised"]
    for hours in (0.1, 1, 2, 3):
        assert at(hours, bad(hours)) == []
    (alert,) = find_alerts(operations)
    assert (alert.times_seen, alert.opened_at, alert.last_at) == (5, NOON, NOON + 3 * HOUR)
    assert queued(operations) == [("log", "raised", alert.id), ("web", "raised", alert.id)]


def test_two_subjects_are_two_alerts(operations: Operations, at: Callable[..., list[str]]):
    assert at(0, bad(0), bad(0, subject="asset/another")) == ["raised", "raised"]
    assert at(1, good(1)) == ["recovered"]
    assert [alert.subject for alert in find_alerts(operations)] == ["asset/another"]


@pytest.mark.parametrize("other", ["another", None])
def test_the_same_of_two_models_is_two_alerts_with_lives_of_their_own(
    operations: Operations, at: Callable[..., list[str]], other: str | None
):
    assert at(0, bad(0), bad(0, model=other)) == ["raised", "raised"]
    assert at(1, bad(1), bad(1, model=other)) == []
    assert [(alert.model, alert.times_seen) for alert in reversed(find_alerts(operations))] == [("m", 2), (other, 2)]
    assert at(2, good(2, model=other)) == ["recovered"]
    assert [alert.model for alert in find_alerts(operations)] == ["m"]
    assert at(3, bad(3, model=other)) == ["raised"]
    assert at(4, good(4)) == ["recovered"]
    assert [alert.model for alert in find_alerts(operations)] == [other]


def test_what_ends_every_alert_of_a_rule_ends_those_of_one_model(operations: Operations, at: Callable[..., list[str]]):
    for model in ("m", "another", None):
        at(0, bad(0, rule="until", about="ledger", model=model))
    assert at(1, Signal("ledger", "another", None, NOON + HOUR, active=False, rule="until")) == ["recovered"]
    assert {alert.model for alert in find_alerts(operations)} == {"m", None}
    assert at(2, Signal("ledger", None, None, NOON + 2 * HOUR, active=False, rule="until")) == ["recovered"]
    assert {alert.model for alert in find_alerts(operations)} == {"m"}


def test_a_model_is_concerned_by_its_own_alerts_and_by_those_of_the_platform(
    operations: Operations, at: Callable[..., list[str]]
):
    at(0, *(bad(0, model=model) for model in ("m", "another", None)))
    assert {alert.model for alert in find_alerts(operations, model="m")} == {"m", None}
    at(1, good(1))
    assert {alert.model for alert in find_alerts(operations, model="m")} == {None}
    assert {alert.model for alert in find_alerts(operations, everything=True, model="m")} == {"m", None}


def test_a_notification_names_the_model_of_its_alert(operations: Operations, at: Callable[..., list[str]]):
    at(0, bad(0, model="another", rule="once", about="ledger"), bad(0, model=None, rule="once", about="ledger"))
    with operations.reading() as connection:
        texts = connection.execute(sa.select(notifications.c.content).order_by(notifications.c.id)).scalars()
        assert [json.loads(text)["model"] for text in texts] == ["another", None]


def test_it_is_reminded_of_every_so_often_until_it_is_over(operations: Operations, at: Callable[..., list[str]]):
    at(0, bad(0))
    assert [at(hours) for hours in (3.9, 4, 4.1, 7.9, 8)] == [[], ["reminder"], [], [], ["reminder"]]
    assert at(9, good(9)) == ["recovered"]
    assert at(20) == []
    assert find_alerts(operations) == []
    assert [alert.resolved_how for alert in find_alerts(operations, everything=True)] == ["recovered"]


def test_an_acknowledged_alert_has_no_reminders_and_its_end_is_notified(
    operations: Operations, at: Callable[..., list[str]]
):
    at(0, bad(0))
    (alert,) = find_alerts(operations)
    taken = acknowledge(operations, alert.id or 0, by="night nurse", reason="called the vendor", now=NOON + HOUR)
    assert (taken.acknowledged_by, taken.acknowledged_reason) == ("night nurse", "called the vendor")
    assert at(50, bad(50)) == []
    assert find_alerts(operations)[0].acknowledged_at == NOON + HOUR
    assert at(51, good(51)) == ["recovered"]
    # The next time it is a new alert, which nobody has taken on.
    assert at(52, bad(52)) == ["raised"]
    assert find_alerts(operations)[0].acknowledged_at is None


@pytest.mark.parametrize(
    ("number", "reason", "words"), [(1, " ", "needs a reason"), (99, "x", "no alert 99"), (1, "x", "over already")]
)
def test_an_acknowledgement_of_nothing_is_refused(
    operations: Operations, at: Callable[..., list[str]], number: int, reason: str, words: str
):
    at(0, bad(0))
    at(1, good(1))
    with pytest.raises(BadInput, match=words):
        acknowledge(operations, number, by="me", reason=reason, now=NOON)


def test_an_event_is_notified_once_and_is_over_by_its_age(operations: Operations, at: Callable[..., list[str]]):
    assert at(0, bad(0, rule="once", about="ledger")) == ["raised"]
    assert at(1, bad(1, rule="once", about="ledger")) == []
    assert at(24) == []
    assert len(find_alerts(operations)) == 1
    assert at(25) == []
    assert find_alerts(operations) == []


def test_an_event_that_can_be_repaired_stays_until_it_is(operations: Operations, at: Callable[..., list[str]]):
    at(0, bad(0, rule="until", about="ledger"))
    assert at(100) == ["reminder"]
    repaired = Signal("ledger", "m", None, NOON + 101 * HOUR, active=False, rule="until")
    assert at(101, repaired) == ["recovered"]


def test_what_is_older_than_the_first_start_is_kept_and_never_notified(
    operations: Operations, at: Callable[..., list[str]]
):
    assert at(0, bad(-7)) == []
    assert at(100) == []
    assert [alert.quiet for alert in find_alerts(operations)] == [True]
    assert at(101, good(-6.5)) == []
    assert find_alerts(operations) == []
    assert at(102, bad(-6.4)) == []
    assert at(103, bad(103)) == ["raised"]  # it happened again
    assert len(queued(operations)) == 2


def test_a_rule_that_is_gone_takes_its_alerts_along_without_a_word(
    operations: Operations, at: Callable[..., list[str]]
):
    at(0, bad(0))
    others = {name: rule for name, rule in CONFIG.rules.items() if name != "failed"}
    assert at(9, config=CONFIG.model_copy(update={"rules": others})) == []
    assert [alert.resolved_how for alert in find_alerts(operations, everything=True)] == ["rule switched off"]


def test_a_heartbeat_comes_at_the_first_look_and_then_by_the_clock(
    operations: Operations, at: Callable[..., list[str]]
):
    beat = {"about": "heartbeat", "every_minutes": 60, "severity": "info", "channels": ["log"], "action": "Nothing."}
    config = AlertsConfig.model_validate(CONFIG.model_dump(mode="json") | {"rules": {"beat": beat}})
    counts = []
    for minutes in (0, 1, 59, 60, 61, 119, 120, 600, 601):
        at(minutes / 60, config=config)
        counts.append(sum(notice == "heartbeat" for _, notice, _ in queued(operations)))
    assert counts == [1, 1, 1, 2, 2, 2, 3, 4, 4]
    with operations.reading() as connection:
        last = json.loads(connection.execute(sa.select(notifications.c.content)).scalars().all()[-1])
    assert "0 runs" in last["what"]
    assert "0 alerts open" in last["what"]


def test_what_changes_nothing_writes_nothing(operations: Operations, at: Callable[..., list[str]]):
    statements: list[str] = []
    engine = operations._engine
    sa.event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2].split()[0].upper()))
    at(0, good(0))
    assert not {"INSERT", "UPDATE", "DELETE"} & set(statements)
    at(0, bad(0))
    assert {"INSERT"} <= set(statements)


def test_news_of_the_same_moment_counts_once(operations: Operations, at: Callable[..., list[str]]):
    for hours in range(3):
        at(hours, bad(0))
    assert find_alerts(operations)[0].times_seen == 1
