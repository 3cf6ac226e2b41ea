"""What an observation says to the rules of ``configs/alerts.yaml``: signals that something is wrong, or sound again.

What belongs here: pure functions from observations and rules to signals. What does not: what becomes of a signal when
an alert is open already (``alert_states``), and who is told (``operations.alerts.channels``).

Of several rules that fit, the first one of the file speaks: the particular stands before the general.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase

from readmission_platform.config.alerts import AlertRule, AlertsConfig, RuleKind
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.operations.observed_runs import CheckSeen, RunSeen, TickSeen

LONGEST_TEXT = 400


@dataclass(frozen=True)
class Signal:
    """Something is wrong (``rule`` says whose it is), or is sound again.

    Parameters
    ----------
    about, subject
        What it is about; an alert is one per rule and subject, however often and on whichever days it is seen.
    at
        When that was so; an older signal does not overrule a newer one.
    rule
        None for what is sound again: it ends the alerts of any rule about the subject.
    subject
        None for what ends every alert of a rule.
    """

    about: RuleKind
    subject: str | None
    at: datetime
    active: bool
    rule: str | None = None
    what: str = ""
    where: str = ""
    run_id: str | None = None


def first_rule(config: AlertsConfig, about: RuleKind, facts: Mapping[str, str | None]) -> str | None:
    """Return the first enabled rule whose patterns all fit, or None."""
    for name, rule in config.rules.items():
        if rule.enabled and rule.about == about and _fits(rule.match, facts):
            return name
    return None


def _fits(match: Mapping[str, str | Sequence[str]], facts: Mapping[str, str | None]) -> bool:
    return all(
        any(
            fnmatchcase(facts.get(name) or "", each) for each in ([patterns] if isinstance(patterns, str) else patterns)
        )
        for name, patterns in match.items()
    )


def signals_of_run(config: AlertsConfig, run: RunSeen) -> list[Signal]:
    """Return what a finished run says: its checks, whether it failed, and what its success brings to an end."""
    ended = [
        Signal(rule.about, None, run.ended_at, active=False, rule=name)
        for name, rule in config.rules.items()
        if run.status == "success" and rule.recovers is not None and rule.recovers.job == run.job
    ]
    return [*_of_checks(config, run), *_of_outcome(config, run), *ended]


def _of_checks(config: AlertsConfig, run: RunSeen) -> Iterator[Signal]:
    by_subject: dict[str, list[CheckSeen]] = {}
    for check in run.checks:
        if check.judged:
            by_subject.setdefault(f"{check.asset}/{check.check}", []).append(check)
    for subject, evaluated in by_subject.items():
        failed = [check for check in evaluated if not check.passed]
        if not failed:
            yield Signal("check", subject, run.ended_at, active=False)
            continue
        check = next((each for each in failed if each.severity == "ERROR"), failed[0])
        facts = {"asset": check.asset, "check": check.check, "severity": check.severity, "job": run.job}
        days = sorted(each.partition for each in failed if each.partition is not None)
        place = f"asset {check.asset}{_span(days) or _days(run)}, {_run(run)}"
        yield from _raised(config, "check", facts, subject, run.ended_at, check.description, place, run.run_id)


def _of_outcome(config: AlertsConfig, run: RunSeen) -> Iterator[Signal]:
    for subject in run.sound_subjects:
        yield Signal("run", subject, run.ended_at, active=False)
    if run.cause is None or run.retried:
        return
    facts = {"job": run.job, "cause": run.cause, "trigger": run.trigger}
    if run.cause == "killed":
        what = "The run ended without an error of its own: its process was killed or lost."
    else:
        steps = ", ".join(sorted({failure.step for failure in run.failures})) or "before its first step"
        what = f"The run failed ({', '.join(run.errors)}) in: {steps}."
    for subject in run.failed_subjects:
        yield from _raised(config, "run", facts, subject, run.ended_at, what, f"{_run(run)}{_days(run)}", run.run_id)


def signals_of_ticks(config: AlertsConfig, ticks: Iterable[TickSeen]) -> list[Signal]:
    """Return what the last tick of each sensor and schedule says."""
    found: list[Signal] = []
    for tick in ticks:
        if not tick.failed:
            found.append(Signal("tick", tick.name, tick.at, active=False))
            continue
        what = f"The {tick.type} {tick.name} failed ({tick.error or 'no error class'}): what it starts does not happen."
        facts = {"name": tick.name, "type": tick.type}
        found += _raised(config, "tick", facts, tick.name, tick.at, what, f"{tick.type} {tick.name}", None)
    return found


def signals_of_event(config: AlertsConfig, event: Event, at: datetime) -> list[Signal]:
    """Return what an event of the ledger says."""
    ended = [
        Signal("ledger", None, at, active=False, rule=name)
        for name, rule in config.rules.items()
        if rule.recovers is not None and rule.recovers.ledger == event.kind
    ]
    facts = {name: str(value) for name, value in event.payload.items() if isinstance(value, str | int | float | bool)}
    facts |= {"kind": event.kind, "version": event.version or ""}
    about = f" of version {event.version}" if event.version else ""
    subject = f"{event.kind}{about}"
    what = f"The ledger records {event.kind.replace('_', ' ')}{about}, by {event.actor}."
    run_id = event.payload.get("run_id")
    place = f"ledger event {event.seq}"
    return [
        *ended,
        *_raised(config, "ledger", facts, subject, at, what, place, run_id if isinstance(run_id, str) else None),
    ]


def signal_of_service(config: AlertsConfig, service: str, problem: str | None, at: datetime) -> list[Signal]:
    """Return whether a service that is needed can be used; ``problem`` is a text of ours without any address."""
    if problem is None:
        return [Signal("service", service, at, active=False)]
    return list(_raised(config, "service", {"service": service}, service, at, problem, f"service {service}", None))


def signals_of_figures(config: AlertsConfig, figures: Mapping[str, float], at: datetime) -> list[Signal]:
    """Compare figures with their limits; a figure that is missing or not a number says nothing."""
    found: list[Signal] = []
    for name, rule in config.rules.items():
        value = figures.get(rule.figure or "")
        if rule.about != "figure" or not rule.enabled or value is None or not math.isfinite(value):
            continue
        limit = _limit_broken(rule, value)
        shown = f"{value:.4g}" if rule.show_value else "beyond its limit"
        what = f"{rule.figure} is {shown}; the limit is {limit}." if limit else ""
        found.append(
            Signal("figure", str(rule.figure), at, active=limit is not None, rule=name, what=what, where="figures")
        )
    return found


def _limit_broken(rule: AlertRule, value: float) -> str | None:
    if rule.at_most is not None and value > rule.at_most:
        return f"at most {rule.at_most:g}"
    if rule.at_least is not None and value < rule.at_least:
        return f"at least {rule.at_least:g}"
    return None


def _raised(
    config: AlertsConfig,
    about: RuleKind,
    facts: Mapping[str, str | None],
    subject: str,
    at: datetime,
    what: str,
    where: str,
    run_id: str | None,
) -> Iterator[Signal]:
    name = first_rule(config, about, facts)
    if name is not None and config.rules[name].channels:
        short = what if len(what) <= LONGEST_TEXT else what[: LONGEST_TEXT - 3] + "..."
        yield Signal(about, subject, at, active=True, rule=name, what=short, where=where, run_id=run_id)


def _run(run: RunSeen) -> str:
    return f"run {run.run_id[:8]} of {run.job}"


def _days(run: RunSeen) -> str:
    return _span([day for day in (run.first_partition, run.last_partition) if day is not None])


def _span(days: Sequence[str]) -> str:
    if not days:
        return ""
    return f", {days[0]}" if days[0] == days[-1] else f", {days[0]} to {days[-1]}"
