"""Commands about roll-outs: ``rollout start``, ``status``, ``pause``, ``resume``, ``abort`` and ``promote``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from readmission_platform import summary, tables
from readmission_platform.commands.decided import check_reason, show_decision
from readmission_platform.commands.terminal import ActingKey, Json, advice, launching, out, print_json, workspace
from readmission_platform.foundation.errors import BadInput

if TYPE_CHECKING:
    from readmission_platform.governance.rollouts.steps import StepKind
    from readmission_platform.lifecycle.workspace import Workspace

Reason = Annotated[str, typer.Option(help="Why; recorded.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show every condition; change nothing.")]


def start(
    kind: Annotated[str, typer.Option(help="shadow, canary, blue_green or ab.")] = "canary",
    version: Annotated[str | None, typer.Option(help="The candidate; default: the version in staging.")] = None,
    steps: Annotated[str | None, typer.Option(help="Per cent of the patients, step by step: 10,50,100.")] = None,
    min_samples: Annotated[int | None, typer.Option(help="Answers that each arm needs in a step; at least 50.")] = None,
    bake_minutes: Annotated[float | None, typer.Option(help="A step lasts at least so long.")] = None,
    alpha: Annotated[float | None, typer.Option(help="Probability to take back a candidate that is no worse.")] = None,
    split: Annotated[float | None, typer.Option(help="A/B: the candidate's share of the patients, 0 to 1.")] = None,
    metric: Annotated[
        str | None, typer.Option(help="A/B: what decides: brier, log_loss, calibration or event_rate.")
    ] = None,
    sample_size: Annotated[int | None, typer.Option(help="A/B: outcomes that each arm needs.")] = None,
    reason: Reason = "",
    key: ActingKey = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Roll a version out beside the one in production; other limits than these are the environment's."""
    from readmission_platform.governance.rollouts.start import record_start
    from readmission_platform.lifecycle.rollouts.starting import consider_start, plan_for

    check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    asked = {"steps": _steps(steps), "min_samples": min_samples, "bake_minutes": bake_minutes, "alpha": alpha,
             "split": split, "metric": metric, "sample_size": sample_size}  # fmt: skip
    with current.ledger() as ledger:
        plan = plan_for(kind, version, asked, ledger=ledger, workspace=current)
        decision = consider_start(plan, reason, ledger=ledger, workspace=current)
        if not dry_run and decision.allowed:
            current.registry.check_holds(plan.candidate_version)
        event = None if dry_run else record_start(ledger, decision)
    done = ""
    if event is not None:
        done = (f"{kind} of version {plan.candidate_version} beside version {plan.control_version} started by "
                f"{event.actor} (event {event.seq}); {_exposed(plan.shares[0])}")  # fmt: skip
    show_decision(decision, event, possible=("this roll-out", "start"), done=done, as_json=as_json,
                  plan=plan.model_dump(mode="json"), digest=plan.digest)  # fmt: skip


def power(
    metric: Annotated[str, typer.Option(help="What is to decide: brier, log_loss, calibration or event_rate.")],
    effect: Annotated[float, typer.Option(help="Smallest difference worth finding, in units of the metric.")],
    power: Annotated[float, typer.Option(help="Probability that such a difference is found.")] = 0.8,
    split: Annotated[float, typer.Option(help="The candidate's share of the patients, 0 to 1.")] = 0.5,
    as_json: Json = False,
) -> None:
    """Work out how many outcomes an A/B roll-out needs, and how many days that takes; changes nothing."""
    from readmission_platform.lifecycle.rollouts.planning import planned_sample

    current = workspace()
    with current.ledger() as ledger:
        found = planned_sample(metric, effect, power=power, split=split, ledger=ledger, workspace=current)
    if as_json:
        print_json(found.to_json())
        return
    words = current.contract.words
    days = (
        f"about {found.days:,.0f} days at {found.rows_per_day:,.0f} {words.rows} a day" if found.days else "no days yet"
    )
    out.print(f"each arm needs {found.sample_size:,} {words.rows} whose outcome is known, to find a difference of "
              f"{effect:g} in {metric} with a probability of {power:g} ({days}, until the last outcome is known)",
              markup=False, soft_wrap=True)  # fmt: skip


def status(as_json: Json = False) -> None:
    """Show the roll-out that is open: its step, what its arms answered, what comes next and why."""
    from readmission_platform.lifecycle.rollouts.driving import look
    from readmission_platform.lifecycle.rollouts.history import history

    current = workspace()
    with current.ledger() as ledger, current.platform.operations() as operations:
        outlook = look(ledger, current, operations)
        before = history(ledger.events())
    if as_json:
        print_json({"open": outlook.to_json() if outlook else None, "rollouts": before})
        return
    if outlook is None:
        out.print(advice("no roll-out is open: `readmission rollout start` begins one"), soft_wrap=True)
    else:
        tables.show_rollout(out, outlook.to_json())
    if before:
        tables.show_rollouts(out, before)


def pause(reason: Reason = "", key: ActingKey = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Stay at the current share until somebody resumes or aborts."""
    _step("rollout_paused", reason, key, dry_run=dry_run, as_json=as_json)


def resume(reason: Reason = "", key: ActingKey = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Go on after a pause; the current step begins anew."""
    _step("rollout_resumed", reason, key, dry_run=dry_run, as_json=as_json)


def abort(reason: Reason = "", key: ActingKey = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Take the candidate back: from now on the version in production answers for everybody."""
    _step("rollout_aborted", reason, key, dry_run=dry_run, as_json=as_json)


def promote(reason: Reason = "", key: ActingKey = None, dry_run: DryRun = False, as_json: Json = False) -> None:
    """Go to the next step without waiting for its time; after the last one, put the candidate into production."""
    from readmission_platform.governance.rollouts.state import rollout_of

    check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    with current.ledger() as ledger:
        state = rollout_of(ledger.events())
    if state is not None and state.status == "completed":
        _put_into_production(current, state.candidate_version, reason, dry_run=dry_run, as_json=as_json)
        return
    kind: StepKind = "rollout_completed" if state is not None and state.at_last_step else "rollout_advanced"
    _step(kind, reason, key, dry_run=dry_run, as_json=as_json)


def _put_into_production(current: "Workspace", version: str, reason: str, *, dry_run: bool, as_json: bool) -> None:
    from readmission_platform import launcher as lifecycle
    from readmission_platform.assets.model.promotion import PromotionConfig
    from readmission_platform.commands.versions.promotion import show_promotion
    from readmission_platform.lifecycle.versions.stages import Stage

    if dry_run:
        show_promotion(current, version, Stage.production.value, replace=True, reason=reason, as_json=as_json)
        return
    asked = PromotionConfig(version=version, to_stage=Stage.production, replace=True, reason=reason)
    with launching(current, quiet=as_json) as launcher:
        lifecycle.promote(launcher, asked)
    if as_json:
        print_json(summary.status(current)["stages"])
    else:
        out.print(f"version {version} is in production")


def _step(kind: "StepKind", reason: str, key: Any, *, dry_run: bool, as_json: bool) -> None:
    from readmission_platform.governance.rollouts.state import rollout_of
    from readmission_platform.governance.rollouts.steps import record_step
    from readmission_platform.lifecycle.rollouts.driving import consider_step, look

    check_reason(reason, dry_run=dry_run)
    current = workspace(key=key)
    with current.ledger() as ledger, current.platform.operations() as operations:
        outlook = look(ledger, current, operations)
        decision = consider_step(kind, reason or "dry run", outlook, ledger=ledger, workspace=current)
        event = None if dry_run else record_step(ledger, decision)
        after = rollout_of(ledger.events())
    done = ""
    if event is not None and decision.state is not None:
        share = after.share if after else 0.0
        done = (f"{_DONE[kind]} by {event.actor} (event {event.seq}): version {decision.state.candidate_version}; "
                f"{_exposed(share)}")  # fmt: skip
        if kind == "rollout_completed" and after is not None:
            done += "; `readmission rollout promote` puts it into production"
    show_decision(decision, event, possible=("this", _POSSIBLE[kind]), done=advice(done), as_json=as_json)


_DONE: Mapping[str, str] = {
    "rollout_paused": "paused",
    "rollout_resumed": "resumed",
    "rollout_aborted": "aborted",
    "rollout_advanced": "taken to the next step",
    "rollout_completed": "completed",
}
_POSSIBLE: Mapping[str, str] = {
    "rollout_paused": "be paused",
    "rollout_resumed": "be resumed",
    "rollout_aborted": "be aborted",
    "rollout_advanced": "go to the next step",
    "rollout_completed": "be completed",
}


def _exposed(share: float) -> str:
    if not share:
        return "the version in production answers for everybody"
    return f"the candidate answers for {100 * share:g} % of the patients"


def _steps(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(each) for each in text.split(",")]
    except ValueError as error:
        raise BadInput(f"--steps: {text} is no list of percentages such as 10,50,100") from error
