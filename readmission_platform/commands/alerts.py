"""Commands about alerts: ``alerts list``, ``ack``, ``test`` and ``check``."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from readmission_platform.commands.terminal import Json, err, home, model_asked_for, out, print_json
from readmission_platform.config.alerts import AppriseChannel
from readmission_platform.config.environment import settings
from readmission_platform.config.files import alerts_config, channel_url
from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.errors import BadInput, Unavailable
from readmission_platform.tables import make_table

if TYPE_CHECKING:
    from readmission_platform.config.alerts import AlertsConfig
    from readmission_platform.config.environment import Settings
    from readmission_platform.operations.database import Operations

SEVERITIES = ("critical", "warning", "info")
PLATFORM = "platform"  # stands for the model of an alert that belongs to none


def alerts_list(
    everything: Annotated[bool, typer.Option("--all", help="Include alerts that are over.")] = False,
    as_json: Json = False,
) -> None:
    """Show what is wrong now: every open alert, its model, since when, how often it was seen, and what to do."""
    from readmission_platform.operations.alerts.outbox import waiting
    from readmission_platform.operations.alerts.records import find_alerts

    current = home()
    with _operations(current) as operations:
        found = find_alerts(operations, everything=everything, model=model_asked_for())
        with operations.reading() as connection:
            undelivered = waiting(connection)
    found.sort(key=lambda alert: (alert.resolved_at is not None, SEVERITIES.index(alert.severity)))
    if as_json:
        print_json([alert.to_json() for alert in found])
        return
    for alert in found:
        state = alert.resolved_how or (f"with {alert.acknowledged_by}" if alert.acknowledged_by else "open")
        whose = alert.model or PLATFORM
        out.print(f"{alert.id}  {alert.severity}  {whose}  {alert.rule}: {alert.subject}", style="bold", markup=False)
        out.print(
            f"   {state}, since {alert.opened_at:%Y-%m-%d %H:%M} UTC, seen {alert.times_seen} times", markup=False
        )
        out.print(f"   {alert.what} ({alert.place})", markup=False, soft_wrap=True)
        if alert.resolved_at is None:
            out.print(f"   do: {alert.action}", markup=False, soft_wrap=True)
    if not found:
        out.print("no alerts" if everything else "no open alerts")
    if undelivered:
        _show_undelivered(undelivered, alerts_config(current))


def _show_undelivered(undelivered: Mapping[str, int], config: "AlertsConfig") -> None:
    """Say what waits for a channel, and why: it cannot be reached, or has no address where this command runs."""
    for name, number in undelivered.items():
        channel, notices = config.channels.get(name), counted(number, "notification")
        if isinstance(channel, AppriseChannel) and channel_url(channel) is None:
            said = f"the channel {name} has no address here ({channel.url_variable}): {notices} held for it for a day"
            out.print(f"{said}; file channels still get theirs", markup=False, soft_wrap=True)
        else:
            out.print(f"not delivered yet to {name}: {notices}; it is tried again", markup=False, soft_wrap=True)


def alerts_ack(
    number: Annotated[int, typer.Argument(help="The alert, by its number.")],
    reason: Annotated[str, typer.Option(help="Why no more reminders are needed: what you are doing about it.")],
    as_json: Json = False,
) -> None:
    """Acknowledge an alert: reminders stop, and you are still notified when it is over."""
    from readmission_platform.operations.alerts.records import acknowledge

    current = home()
    with _operations(current) as operations:
        taken = acknowledge(operations, number, by=current.actor, reason=reason, now=datetime.now(UTC))
    if as_json:
        print_json(taken.to_json())
    else:
        about = f"{taken.model or PLATFORM}  {taken.rule}: {taken.subject}"
        out.print(f"alert {number} is with {taken.acknowledged_by}: {about}", markup=False)


def alerts_test(
    channel: Annotated[str | None, typer.Option(help="Only this channel.")] = None,
    as_json: Json = False,
) -> None:
    """Send a test message through every channel that is set up; ends with 5 when one cannot be reached."""
    from readmission_platform.operations.alerts.channels import senders
    from readmission_platform.operations.alerts.states import Alert, content

    current = home()
    config, now = alerts_config(current), datetime.now(UTC)
    if channel is not None and channel not in config.channels:
        raise BadInput(f"there is no channel {channel}; configs/alerts.yaml has {', '.join(config.channels)}")
    what = f"{current.actor} tests this channel. Alerts of this platform arrive here."
    sample = Alert("test", "test", "test message", "info", what, "", "Nothing.", None, now, now)
    test = content(sample, "test", environment=current.environment, ui_url=current.ui_url, now=now)
    ready = senders(config, current)
    results = {
        name: ready[name].send([test])[-1].error or "delivered" if name in ready else "not set up"
        for name in ([channel] if channel else config.channels)
    }
    if as_json:
        print_json(results)
    else:
        out.print(make_table(("channel", "result"), list(results.items())))
    failed = [name for name, result in results.items() if result != "delivered" and (name in ready or channel)]
    if failed:
        raise Unavailable(f"not delivered: {', '.join(failed)}; see docs/alerts.md for what each result means")


def alerts_check(as_json: Json = False) -> None:
    """Verify configs/alerts.yaml: ends with 2 when it is wrong; warns of silent channels and rules that never apply."""
    from readmission_platform.lifecycle.workspace import Platform
    from readmission_platform.operations.alerts.rules import never_fitting

    platform = Platform(settings())  # configuration alone: there need not be a home
    config = platform.alerts
    warnings = [*_warnings(config), *never_fitting(config, platform.names)]
    enabled = sum(rule.enabled for rule in config.rules.values())
    if as_json:
        print_json({"rules": len(config.rules), "enabled": enabled, "warnings": warnings})
        return
    for warning in warnings:
        err.print(f"warning: {warning}", markup=False, soft_wrap=True)
    out.print(f"{len(config.rules)} rules, {enabled} switched on, {len(config.channels)} channels")


def _warnings(config: "AlertsConfig") -> list[str]:
    found = []
    for name, channel in config.channels.items():
        if isinstance(channel, AppriseChannel) and channel_url(channel) is None:
            found.append(f"channel {name} is silent: the variable {channel.url_variable} is not set")
    used = {channel for rule in config.rules.values() if rule.enabled for channel in rule.channels}
    found += [f"no rule uses channel {name}" for name in config.channels if name not in used]
    if not any(rule.about == "heartbeat" and rule.enabled for rule in config.rules.values()):
        found.append("there is no heartbeat: nobody will notice if alerts stop coming")
    return found


def _operations(current: "Settings") -> "Operations":
    from readmission_platform.operations.database import Operations

    return Operations(current.operations_database)
