"""What an observation means by the rules of ``configs/alerts.yaml``: signals that something is wrong, or sound again.

What belongs here: pure functions from observations and rules to signals. What does not: what a signal does to an alert
that is open already (``states``), and sending notifications (``channels``).

If several rules fit, the first one in the file applies: particular rules stand before general ones.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase

from readmission_platform.config.alerts import AlertRule, AlertsConfig, RuleKind
from readmission_platform.governance.ledger.chain import ENVIRONMENT, Event
from readmission_platform.operations.names import ModelNames
from readmission_platform.operations.observed_runs import CheckSeen, RunSeen, TickSeen

LONGEST_TEXT = 400
CONFIGURATION = "configuration"


@dataclass(frozen=True)
class Signal:
    """Something is wrong, or is sound again.

    Attributes
    ----------
    about, model, subject
        What the signal is about: a kind of observation, a model (None: it belongs to none), and a text such as
        "scoring_job". A subject of None ends every alert of a rule about the model.
    at
        When that was so; an older signal does not overrule a newer one.
    rule
        The rule that applies. Something sound again may leave it out: then it ends the alerts of all rules about it.
    """

    about: RuleKind
    model: str | None
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
        any(fnmatchcase(facts.get(name) or "", each) for each in _patterns(patterns))
        for name, patterns in match.items()
    )


def _patterns(patterns: str | Sequence[str]) -> Sequence[str]:
    return [patterns] if isinstance(patterns, str) else patterns


def signals_of_run(config: AlertsConfig, run: RunSeen) -> list[Signal]:
    """Return the signals of a finished run: its checks, its failure, and the alerts that its success ends.

    Assets and checks belong to their own model. The job belongs to the run's, and ends alerts of that one only.
    """
    ended = [
        Signal(rule.about, run.model, None, run.ended_at, active=False, rule=name)
        for name, rule in config.rules.items()
        if run.status == "success" and rule.recovers is not None and rule.recovers.job == run.job.name
    ]
    return [*_of_checks(config, run), *_of_outcome(config, run), *ended]


def _of_checks(config: AlertsConfig, run: RunSeen) -> Iterator[Signal]:
    by_subject: dict[tuple[str | None, str], list[CheckSeen]] = {}
    for check in run.checks:
        if check.judged:
            by_subject.setdefault((check.asset.model, f"{check.asset.name}/{check.check}"), []).append(check)
    for (model, subject), evaluated in by_subject.items():
        failed = [check for check in evaluated if not check.passed]
        if not failed:
            yield Signal("check", model, subject, run.ended_at, active=False)
            continue
        check = next((each for each in failed if each.severity == "ERROR"), failed[0])
        days = sorted(each.partition for each in failed if each.partition is not None)
        yield from _raised(
            config,
            Signal(
                "check",
                model,
                subject,
                run.ended_at,
                active=True,
                what=check.description,
                where=f"asset {check.asset.key}{_span(days) or _days(run)}, {_run(run)}",
                run_id=run.run_id,
            ),
            {"asset": check.asset.name, "check": check.check, "severity": check.severity, "job": run.job.name},
        )


def _of_outcome(config: AlertsConfig, run: RunSeen) -> Iterator[Signal]:
    for subject in run.sound_subjects:
        yield Signal("run", subject.model, subject.text, run.ended_at, active=False)
    if run.cause is None or run.retried:
        return
    facts = {"job": run.job.name, "cause": run.cause, "trigger": run.trigger}
    if run.cause == "killed":
        what = "The run ended without an error of its own: its process was killed or lost."
    else:
        steps = ", ".join(sorted({failure.step for failure in run.failures})) or "before its first step"
        what = f"The run failed ({', '.join(run.errors)}) in: {steps}."
    for subject in run.failed_subjects:
        signal = Signal("run", subject.model, subject.text, run.ended_at, active=True, what=what,
                        where=f"{_run(run)}{_days(run)}", run_id=run.run_id)  # fmt: skip
        yield from _raised(config, signal, facts)


def signals_of_ticks(config: AlertsConfig, ticks: Iterable[TickSeen]) -> list[Signal]:
    """Return the signals of the last tick of each sensor and schedule."""
    found: list[Signal] = []
    for tick in ticks:
        source = tick.instigator
        signal = Signal("tick", source.model, source.name, tick.at, active=False)
        if not tick.failed:
            found.append(signal)
            continue
        where = f"{tick.type} {source.key}"
        what = f"The {where} failed ({tick.error or 'no error class'}): what it would have started was not started."
        failed = replace(signal, active=True, what=what, where=where)
        found += _raised(config, failed, {"name": source.name, "type": tick.type})
    return found


def signals_of_event(config: AlertsConfig, event: Event, at: datetime) -> list[Signal]:
    """Return the signals of an event of the ledger; those of the environment's own stream belong to no model."""
    model = None if event.model == ENVIRONMENT else event.model
    ended = [
        Signal("ledger", model, None, at, active=False, rule=name)
        for name, rule in config.rules.items()
        if rule.recovers is not None and event.kind in _patterns(rule.recovers.ledger)
    ]
    facts = {name: str(value) for name, value in event.payload.items() if isinstance(value, str | int | float | bool)}
    facts |= {"kind": event.kind, "version": event.version or ""}
    about = f" of version {event.version}" if event.version else ""
    run_id = event.payload.get("run_id")
    signal = Signal(
        "ledger",
        model,
        f"{event.kind}{about}",
        at,
        active=True,
        what=f"The ledger records {event.kind.replace('_', ' ')}{about}, by {event.actor}.",
        where=f"ledger event {event.seq}",
        run_id=run_id if isinstance(run_id, str) else None,
    )
    return [*ended, *_raised(config, signal, facts)]


def signal_of_service(config: AlertsConfig, service: str, problem: str | None, at: datetime) -> list[Signal]:
    """Return whether a service that all models need can be used; ``problem`` must not contain its address."""
    signal = Signal("service", None, service, at, active=False)
    if problem is None:
        return [signal]
    failed = replace(signal, active=True, what=problem, where=f"service {service}")
    return list(_raised(config, failed, {"service": service}))


def signals_of_models(config: AlertsConfig, models: Mapping[str, str | None], at: datetime) -> list[Signal]:
    """Return whether each model could be loaded; the text says what is wrong with one that could not."""
    found: list[Signal] = []
    for model, problem in models.items():
        signal = Signal("service", model, CONFIGURATION, at, active=False)
        if problem is None:
            found.append(signal)
            continue
        failed = replace(signal, active=True, what=f"The model is not loaded: {problem}", where="configuration")
        found += _raised(config, failed, {"service": CONFIGURATION})
    return found


def signals_of_figures(
    config: AlertsConfig, figures: Mapping[str | None, Mapping[str, float]], at: datetime
) -> list[Signal]:
    """Compare figures with their limits; one that is missing or not a number gives no signal.

    Every rule that fits applies here, so that a figure can have one limit to warn at and another to wake somebody.

    Parameters
    ----------
    figures
        By model and name; those of the platform itself under None.
    """
    return [
        signal
        for model, known in figures.items()
        for name, rule in config.rules.items()
        if rule.about == "figure" and rule.enabled and _fits(rule.match, {"model": model})
        for signal in _of_figure(name, rule, model, known.get(rule.figure or ""), at)
    ]


def _of_figure(name: str, rule: AlertRule, model: str | None, value: float | None, at: datetime) -> Iterator[Signal]:
    if value is None or not math.isfinite(value):
        return
    limit = _limit_broken(rule, value)
    shown = f"{value:.4g}" if rule.show_value else "beyond its limit"
    what = f"{rule.figure} is {shown}; the limit is {limit}." if limit else ""
    active = limit is not None
    yield Signal("figure", model, str(rule.figure), at, active=active, rule=name, what=what, where="figures")


def _limit_broken(rule: AlertRule, value: float) -> str | None:
    if rule.at_most is not None and value > rule.at_most:
        return f"at most {rule.at_most:g}"
    if rule.at_least is not None and value < rule.at_least:
        return f"at least {rule.at_least:g}"
    return None


def _raised(config: AlertsConfig, signal: Signal, facts: Mapping[str, str | None]) -> Iterator[Signal]:
    """Yield the signal with the rule that applies, if there is one and it has channels."""
    name = first_rule(config, signal.about, {**facts, "model": signal.model})
    if name is not None and config.rules[name].channels:
        what = signal.what
        short = what if len(what) <= LONGEST_TEXT else what[: LONGEST_TEXT - 3] + "..."
        yield replace(signal, rule=name, what=short)


def never_fitting(config: AlertsConfig, names: ModelNames) -> list[str]:
    """Say which patterns can fit nothing: those that name no model there is, and names written with a prefix."""
    found = []
    for name, rule in config.rules.items():
        asked = [(fact, each) for fact, patterns in rule.match.items() for each in _patterns(patterns)]
        if rule.recovers is not None and rule.recovers.job is not None:
            asked.append(("job", rule.recovers.job))
        for fact, pattern in asked:
            if fact == "model" and not _any_fits(pattern, ["", *names.prefixes]):
                found.append(f"rule {name} is about model {pattern}, and there is none of that name")
            plain = pattern if rule.about == "ledger" and fact in rule.match else _without_prefix(fact, pattern, names)
            if plain != pattern:
                found.append(f"rule {name}: write {fact}: {plain} for {pattern}; names stand without a model's prefix")
    return found


def _any_fits(pattern: str, texts: Collection[str]) -> bool:
    return any(fnmatchcase(text, pattern) for text in texts)


def _without_prefix(fact: str, pattern: str, names: ModelNames) -> str:
    if fact == "asset":
        return names.of_asset(pattern).name
    return names.of_instigator(pattern).name if fact in {"job", "name"} else pattern


def _run(run: RunSeen) -> str:
    return f"run {run.run_id[:8]} of {run.job.key}"


def _days(run: RunSeen) -> str:
    return _span([day for day in (run.first_partition, run.last_partition) if day is not None])


def _span(days: Sequence[str]) -> str:
    if not days:
        return ""
    return f", {days[0]}" if days[0] == days[-1] else f", {days[0]} to {days[-1]}"
