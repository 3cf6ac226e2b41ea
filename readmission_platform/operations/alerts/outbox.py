"""The outbox: notifications that wait for their channel. Each is delivered at least once, or given up after a day.

What belongs here: enqueueing, taking what waits, and recording how the delivery went. What does not: how a channel is
reached (``channels``), and what a notification says (``states``).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from readmission_platform.governance.ledger.chain import utc_text
from readmission_platform.operations.alerts.channels import Attempt, Sender
from readmission_platform.operations.database import Operations
from readmission_platform.operations.schema import deliveries, notifications

# While one process sends a notification, no other process does for this long.
IN_HAND = timedelta(minutes=2)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
GIVEN_UP_AFTER = timedelta(hours=24)
AT_ONCE = 100


@dataclass(frozen=True)
class Delivered:
    """How the delivery to one channel went: notifications, and the class of the error if it failed."""

    channel: str
    notifications: int
    error: str | None


def enqueue(
    connection: sa.Connection,
    alert_id: int | None,
    channels: Iterable[str],
    content: Mapping[str, Any],
    *,
    now: datetime,
) -> None:
    """Store a notification for each channel, in the transaction of the alert that it is about."""
    rows = [
        {
            "alert_id": alert_id,
            "channel": channel,
            "content": json.dumps(content),
            "created_at": utc_text(now),
            "attempts": 0,
            "next_at": utc_text(now),
        }
        for channel in channels
    ]
    if rows:
        connection.execute(sa.insert(notifications), rows)


def waiting(connection: sa.Connection) -> dict[str, int]:
    """Count by channel the notifications that are neither delivered nor given up."""
    count = sa.select(notifications.c.channel, sa.func.count()).where(_waits()).group_by(notifications.c.channel)
    return {channel: int(number) for channel, number in connection.execute(count)}


def deliver(operations: Operations, senders: Mapping[str, Sender], *, now: datetime) -> list[Delivered]:
    """Deliver waiting notifications, one message a channel; a channel that fails is recorded and tried again later.

    Notifications for channels that are not among the senders wait for a process that can reach them.
    """
    _give_up(operations, now=now)
    with operations.reading() as connection:
        if not set(waiting(connection)) & set(senders):
            return []
    done = []
    for channel, sender in senders.items():
        taken = _take(operations, channel, now=now)
        if not taken:
            continue
        attempts = sender.send([json.loads(row.content) for row in taken])
        _record(operations, channel, taken, attempts, now=now)
        done.append(Delivered(channel, len(taken), attempts[-1].error))
    return done


def _waits() -> sa.ColumnElement[bool]:
    return sa.and_(notifications.c.delivered_at.is_(None), notifications.c.given_up_at.is_(None))


def _take(operations: Operations, channel: str, *, now: datetime) -> list[sa.Row[Any]]:
    table = notifications.c
    due = sa.and_(_waits(), table.channel == channel, table.next_at <= utc_text(now))
    with operations.writing() as connection:
        rows = list(connection.execute(sa.select(notifications).where(due).order_by(table.id).limit(AT_ONCE)))
        those = table.id.in_([row.id for row in rows])
        connection.execute(sa.update(notifications).where(those).values(next_at=utc_text(now + IN_HAND)))
    return rows


def _record(
    operations: Operations, channel: str, taken: list[sa.Row[Any]], attempts: list[Attempt], *, now: datetime
) -> None:
    with operations.writing() as connection:
        connection.execute(
            sa.insert(deliveries),
            [
                {
                    "at": utc_text(now),
                    "channel": channel,
                    "notifications": len(taken),
                    "ok": attempt.error is None,
                    "error": attempt.error,
                }
                for attempt in attempts
            ],
        )
        for row in taken:
            tried = row.attempts + len(attempts)
            pause = min(FIRST_PAUSE * 2 ** min(tried, 12), LONGEST_PAUSE)
            outcome = (
                {"delivered_at": utc_text(now)} if attempts[-1].error is None else {"next_at": utc_text(now + pause)}
            )
            connection.execute(
                sa.update(notifications).where(notifications.c.id == row.id).values(attempts=tried, **outcome)
            )


def _give_up(operations: Operations, *, now: datetime) -> None:
    old = sa.and_(_waits(), notifications.c.created_at < utc_text(now - GIVEN_UP_AFTER))
    with operations.reading() as connection:
        if connection.execute(sa.select(notifications.c.id).where(old).limit(1)).first() is None:
            return
    with operations.writing() as connection:
        connection.execute(sa.update(notifications).where(old).values(given_up_at=utc_text(now)))
