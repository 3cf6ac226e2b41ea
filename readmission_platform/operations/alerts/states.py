"""The life of an alert (raised, reminded of, acknowledged, resolved) and the wording of notifications.

What belongs here: pure functions over one alert, a signal and the time. What does not: storing alerts (``records``) and
sending notifications (``channels``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from readmission_platform.config.alerts import AlertRule, AlertSeverity
from readmission_platform.operations.alerts.rules import Signal

Notice = Literal["raised", "reminder", "recovered", "heartbeat", "test"]
MOST_SHOWN = 10


@dataclass(frozen=True)
class Alert:
    """One alert, open until ``resolved_at``; ``model`` is None where it is about none.

    ``quiet`` alerts are about what happened before the first start; they are never sent.
    """

    rule: str
    kind: str
    subject: str
    severity: AlertSeverity
    what: str
    place: str
    action: str
    run_id: str | None
    opened_at: datetime
    last_at: datetime
    model: str | None = None
    times_seen: int = 1
    quiet: bool = False
    notified_at: datetime | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_reason: str | None = None
    resolved_at: datetime | None = None
    resolved_how: str | None = None
    id: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the alert as plain JSON values."""
        return {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(self).items()
        }


class Change(NamedTuple):
    """An alert as it is now, and the kind of notification to send about it (None: none)."""

    alert: Alert
    notice: Notice | None


def raised(alert: Alert | None, signal: Signal, rule: AlertRule, *, now: datetime, quiet: bool) -> Change | None:
    """Return what an active signal makes of the last alert about the same; None for a signal that is no newer."""
    if alert is not None and signal.at <= alert.last_at:
        return None
    if alert is None or alert.resolved_at is not None:
        fresh = Alert(
            rule=str(signal.rule),
            kind=signal.about,
            model=signal.model,
            subject=str(signal.subject),
            severity=rule.severity,
            what=signal.what,
            place=signal.where,
            action=rule.action,
            run_id=signal.run_id,
            opened_at=signal.at,
            last_at=signal.at,
            quiet=quiet,
            notified_at=None if quiet else now,
        )
        return Change(fresh, None if quiet else "raised")
    again = replace(
        alert,
        what=signal.what,
        place=signal.where,
        run_id=signal.run_id,
        last_at=signal.at,
        times_seen=alert.times_seen + 1,
    )
    if alert.quiet and not quiet:  # it happened again since the first start
        return Change(replace(again, quiet=False, notified_at=now), "raised")
    return Change(again, None)


def sound_again(alert: Alert, signal: Signal, *, now: datetime) -> Change | None:
    """Return the alert as resolved; None when it was seen after the signal."""
    if signal.at < alert.last_at:
        return None
    # last_at becomes the moment of recovery, so that a failure from before it, read later, opens no new alert.
    over = replace(alert, last_at=signal.at, resolved_at=now, resolved_how="recovered")
    return Change(over, None if alert.quiet else "recovered")


def due(alert: Alert, rule: AlertRule, *, now: datetime) -> Change | None:
    """Return what an open alert becomes as time passes: a reminder is due, or an event without recovery is over."""
    if alert.kind == "ledger" and rule.recovers is None:
        if alert.last_at + timedelta(hours=rule.over_after_hours) <= now:
            return Change(replace(alert, resolved_at=now, resolved_how="over"), None)
        return None
    silent = alert.quiet or alert.acknowledged_at is not None
    if silent or rule.repeat_after_hours is None or alert.notified_at is None:
        return None
    if alert.notified_at + timedelta(hours=rule.repeat_after_hours) > now:
        return None
    return Change(replace(alert, notified_at=now), "reminder")


def acknowledged(alert: Alert, *, by: str, reason: str, now: datetime) -> Alert:
    """Return the alert as acknowledged: no more reminders, and a notification when it is resolved."""
    return replace(alert, acknowledged_at=now, acknowledged_by=by, acknowledged_reason=reason)


def content(alert: Alert, notice: Notice, *, environment: str, ui_url: str | None, now: datetime) -> dict[str, Any]:
    """Return one notification as plain values: scripts read them from the file, and messages are made from them."""
    return {
        "at": now.isoformat(timespec="seconds"),
        "notice": notice,
        "alert": alert.id,
        "severity": alert.severity,
        "environment": environment,
        "model": alert.model,
        "rule": alert.rule,
        "subject": alert.subject,
        "what": alert.what,
        "where": alert.place,
        "since": alert.opened_at.isoformat(timespec="seconds"),
        "times_seen": alert.times_seen,
        "what_to_do": alert.action,
        "run_id": alert.run_id,
        "link": f"{ui_url.rstrip('/')}/runs/{alert.run_id}" if ui_url and alert.run_id else None,
    }


def message(contents: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Combine the notifications that wait for one channel into one message: title and text."""
    first = contents[0]
    if len(contents) == 1:
        return _title(first), _body(first)
    parts = [f"{_title(each)}\n{_body(each)}" for each in contents[:MOST_SHOWN]]
    if len(contents) > MOST_SHOWN:
        parts.append(f"and {len(contents) - MOST_SHOWN} more: readmission alerts list")
    counts = {severity: sum(each["severity"] == severity and each["notice"] in {"raised", "reminder"}
                            for each in contents) for severity in ("critical", "warning", "info")}  # fmt: skip
    summary = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "recovered"
    return f"{first['environment']}: {len(contents)} notices ({summary})", "\n\n".join(parts)


def _title(each: Mapping[str, Any]) -> str:
    words = {"raised": each["severity"], "reminder": f"still {each['severity']}"}
    where = f"{each['environment']}: {each['model']}" if each["model"] else each["environment"]
    return f"[{words.get(each['notice'], each['notice'])}] {where}: {each['rule']}: {each['subject']}"


def _body(each: Mapping[str, Any]) -> str:
    lines = [
        ("What", each["what"]),
        ("Where", each["where"]),
        ("Since", f"{each['since']}, seen {_times(each['times_seen'])}" if each["times_seen"] else ""),
        ("Do", each["what_to_do"] if each["notice"] != "recovered" else "Nothing more: the problem is over."),
        ("Run", each["link"] or each["run_id"]),
        ("Quiet it", f"readmission alerts ack {each['alert']} --reason TEXT" if _can_be_quieted(each) else ""),
    ]
    return "\n".join(f"{name}: {text}" for name, text in lines if text)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _can_be_quieted(each: Mapping[str, Any]) -> bool:
    return each["alert"] is not None and each["notice"] in {"raised", "reminder"}
