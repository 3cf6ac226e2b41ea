"""Alerts in the operations database: each change is stored in one transaction with its notifications.

What belongs here: applying signals and the passing of time to stored alerts. What does not: the rules (``rules``), the
life of one alert (``states``) and sending (``outbox``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from readmission_platform.config.alerts import AlertRule, AlertsConfig
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.chain import utc_text
from readmission_platform.operations.alerts.outbox import enqueue, waiting
from readmission_platform.operations.alerts.rules import Signal
from readmission_platform.operations.alerts.states import (
    Alert,
    Change,
    Notice,
    acknowledged,
    content,
    due,
    raised,
    sound_again,
)
from readmission_platform.operations.database import Operations, moment, write_mark
from readmission_platform.operations.schema import alerts, marks, observed_runs

_FIELDS = [field.name for field in fields(Alert) if field.name != "id"]
_BEAT = "heartbeat {}"
_MOMENTS = {"opened_at", "last_at", "notified_at", "acknowledged_at", "resolved_at"}


@dataclass(frozen=True)
class Circumstances:
    """The rules, what every notification says about its origin, the time, and since when failures are reported."""

    config: AlertsConfig
    environment: str
    ui_url: str | None
    now: datetime
    old_before: datetime


def settle(operations: Operations, signals: Sequence[Signal], given: Circumstances) -> list[Change]:
    """Apply signals and the passing of time to the alerts; writes nothing when nothing changes."""
    with operations.reading() as connection:
        unresolved = _read(connection, alerts.c.resolved_at.is_(None))
        beats = _beats_due(connection, given)
    news = [signal for signal in signals if signal.active or any(_concerns(signal, alert) for alert in unresolved)]
    if not news and not beats and not any(_aged(alert, given) for alert in unresolved):
        return []
    with operations.writing() as connection:
        changes = apply_signals(connection, news, given)
        for alert in _read(connection, alerts.c.resolved_at.is_(None)):
            aged = _aged(alert, given)
            changes += [_keep(connection, aged, given)] if aged else []
        for name, last in _beats_due(connection, given).items():
            rule = given.config.rules[name]
            enqueue(connection, None, rule.channels, _heartbeat(connection, name, rule, last, given), now=given.now)
            write_mark(connection, _BEAT.format(name), utc_text(given.now))
    return changes


def apply_signals(connection: sa.Connection, signals: Iterable[Signal], given: Circumstances) -> list[Change]:
    """Apply signals to the alerts, in order, and enqueue the notifications; returns the changes."""
    changes: list[Change] = []
    for signal in signals:
        if signal.active:
            rule, quiet = given.config.rules[str(signal.rule)], signal.at < given.old_before
            made = raised(_last(connection, signal), signal, rule, now=given.now, quiet=quiet)
            changes += [_keep(connection, made, given)] if made else []
            continue
        for alert in _read(connection, alerts.c.resolved_at.is_(None)):
            if not _concerns(signal, alert):
                continue
            over = sound_again(alert, signal, now=given.now)
            changes += [_keep(connection, over, given)] if over else []
    return changes


def _last(connection: sa.Connection, signal: Signal) -> Alert | None:
    """Return the last alert of a signal's rule about its model and subject, open or resolved."""
    same = sa.and_(
        alerts.c.rule == signal.rule,
        alerts.c.kind == signal.about,
        alerts.c.model.is_not_distinct_from(signal.model),  # NULL is a model like others: that of none
        alerts.c.subject == signal.subject,
    )
    newest = sa.select(sa.func.max(alerts.c.id)).where(same).scalar_subquery()
    return next(iter(_read(connection, alerts.c.id == newest)), None)


def _concerns(signal: Signal, alert: Alert) -> bool:
    """Tell whether a signal is about an alert: of its kind and model, and of its rule and subject if it names them."""
    same_rule = signal.rule in {None, alert.rule}
    same_subject = signal.subject in {None, alert.subject}
    return (signal.about, signal.model) == (alert.kind, alert.model) and same_rule and same_subject


def _aged(alert: Alert, given: Circumstances) -> Change | None:
    """Return what an open alert becomes as time passes; one whose rule is gone or switched off is resolved."""
    rule = given.config.rules.get(alert.rule)
    if rule is not None and rule.enabled:
        return due(alert, rule, now=given.now)
    return Change(replace(alert, resolved_at=given.now, resolved_how="rule switched off"), None)


def _beats_due(connection: sa.Connection, given: Circumstances) -> dict[str, str | None]:
    """Return the heartbeats that are due, each with the moment of its last one."""
    found: dict[str, str | None] = {}
    for name, rule in given.config.rules.items():
        if rule.about != "heartbeat" or not rule.enabled or rule.every_minutes is None:
            continue
        last = connection.execute(sa.select(marks.c.value).where(marks.c.name == _BEAT.format(name))).scalar()
        if last is None or moment(last) + timedelta(minutes=rule.every_minutes) <= given.now:
            found[name] = last
    return found


def _heartbeat(
    connection: sa.Connection, name: str, rule: AlertRule, last: str | None, given: Circumstances
) -> dict[str, Any]:
    seen = sa.select(sa.func.count()).select_from(observed_runs).where(observed_runs.c.observed_at >= (last or ""))
    unresolved = sa.select(sa.func.count()).select_from(alerts).where(alerts.c.resolved_at.is_(None))
    undelivered = sum(waiting(connection).values())
    what = (
        f"The platform is being watched: {connection.execute(seen).scalar_one()} runs since "
        f"{last[:16] if last else 'the beginning'}, {connection.execute(unresolved).scalar_one()} alerts open, "
        f"{undelivered} notices not delivered yet. The next heartbeat comes in {rule.every_minutes} minutes."
    )
    beat = Alert(name, "heartbeat", "the platform", rule.severity, what, "", rule.action, None, given.now, given.now)
    return {**_content(beat, "heartbeat", given), "times_seen": None}


def find_alerts(operations: Operations, *, everything: bool = False, model: str | None = None) -> list[Alert]:
    """Return the open alerts, or also the resolved ones, the newest first.

    Parameters
    ----------
    model
        Only alerts that concern this model: its own, and those that belong to no model.
    """
    unresolved = sa.true() if everything else alerts.c.resolved_at.is_(None)
    concerned = sa.true() if model is None else sa.or_(alerts.c.model == model, alerts.c.model.is_(None))
    with operations.reading() as connection:
        found = _read(connection, sa.and_(unresolved, concerned))
    return sorted(found, key=lambda alert: (alert.opened_at, alert.id), reverse=True)


def acknowledge(operations: Operations, number: int, *, by: str, reason: str, now: datetime) -> Alert:
    """Record that somebody takes care of an open alert.

    Raises
    ------
    BadInput
        When there is no such alert, it is over, or no reason is given.
    """
    if not reason.strip():
        raise BadInput("an acknowledgement needs a reason")
    with operations.writing() as connection:
        found = _read(connection, alerts.c.id == number)
        if not found:
            raise BadInput(f"there is no alert {number}; `readmission alerts list --all` shows them")
        if found[0].resolved_at is not None:
            raise BadInput(f"alert {number} is over already")
        taken = acknowledged(found[0], by=by, reason=reason, now=now)
        _write(connection, taken)
    return taken


def _read(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> list[Alert]:
    rows = connection.execute(sa.select(alerts).where(condition).order_by(alerts.c.id)).mappings()
    return [_alert(dict(row)) for row in rows]


def _alert(row: dict[str, Any]) -> Alert:
    return Alert(**row | {name: moment(row[name]) for name in _MOMENTS if row[name]})


def _keep(connection: sa.Connection, change: Change, given: Circumstances) -> Change:
    """Store an alert and enqueue its notification; returns the change with the alert's number."""
    alert = _write(connection, change.alert)
    rule = given.config.rules.get(alert.rule)
    if change.notice is not None and rule is not None:
        enqueue(connection, alert.id, rule.channels, _content(alert, change.notice, given), now=given.now)
    return Change(alert, change.notice)


def _write(connection: sa.Connection, alert: Alert) -> Alert:
    values = {name: utc_text(value) if isinstance(value, datetime) else value for name, value in _values(alert).items()}
    if alert.id is not None:
        connection.execute(sa.update(alerts).where(alerts.c.id == alert.id).values(**values))
        return alert
    number = connection.execute(sa.insert(alerts).values(**values)).inserted_primary_key
    return Alert(**_values(alert), id=int(number[0]) if number else None)


def _values(alert: Alert) -> dict[str, Any]:
    return {name: getattr(alert, name) for name in _FIELDS}


def _content(alert: Alert, notice: Notice, given: Circumstances) -> Mapping[str, Any]:
    return content(alert, notice, environment=given.environment, ui_url=given.ui_url, now=given.now)
