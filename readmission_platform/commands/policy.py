"""Commands about the gate policy and the change plan: ``policy show``, ``adopt``, ``diff`` and ``simulate``."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from rich.markup import escape

from readmission_platform import summary
from readmission_platform.commands.terminal import Json, home, out, print_json, workspace
from readmission_platform.config.change_plan import ChangePlan, PlanLimit
from readmission_platform.config.files import change_plan_config, gate_policy, read_yaml
from readmission_platform.config.governance import GatePolicy, LimitSet
from readmission_platform.foundation.errors import BadInput

if TYPE_CHECKING:
    from readmission_platform.governance.policy.adoption import AdoptionKind, PlanInForce, PolicyInForce
    from readmission_platform.governance.policy.gates_diff import Difference, GateChange
    from readmission_platform.governance.policy.simulation import SimulatedVersion
    from readmission_platform.lifecycle.workspace import Workspace

NOTHING_IN_FORCE = "no gate policy is in force yet; in local the first validation adopts gates.yaml of the model"
NO_PLAN_IN_FORCE = (
    "no change plan is in force yet: have change_plan.yaml of the model reviewed and adopt it with "
    "`readmission policy adopt --plan` (in local the next decision about a version adopts it)"
)
_COLOURS = {"tighter": "green", "looser": "red", "not comparable": "yellow", "neutral": "dim"}
Plan = Annotated[bool, typer.Option("--plan", help="The change plan instead of the gate policy.")]


def policy_show(plan: Plan = False, as_json: Json = False) -> None:
    """Show the gate policy or the change plan in force (the adopted one, which need not be that of configs/)."""
    if plan:
        _show_plan(_plan_in_force(workspace()), as_json=as_json)
        return
    adopted = _in_force(workspace())
    if as_json:
        print_json(
            {
                "digest": adopted.digest,
                "adopted_by": adopted.adopted_by,
                **adopted.policy.model_dump(mode="json"),
            }
        )
    else:
        summary.show_policy(out, adopted)


def policy_adopt(
    key: Annotated[
        Path | None, typer.Option(help="Your private key; without it the demo approver signs (local).")
    ] = None,
    signer: Annotated[str | None, typer.Option(help="Who you are in the roles in force; needed with --key.")] = None,
    roles: Annotated[
        bool, typer.Option("--roles", help="Adopt configs/roles.yaml instead, which holds for every model.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Adopt change_plan.yaml of the model instead of gates.yaml.")
    ] = False,
) -> None:
    """Put gates.yaml of a model (or change_plan.yaml, or roles.yaml) into force with a signature."""
    from readmission_platform.lifecycle.versions.approval import adopt_configuration, adopt_roles
    from readmission_platform.lifecycle.workspace import Platform

    if roles and plan:
        raise BadInput("--roles and --plan are adopted one after the other: give one of them")
    words = "roles" if roles else "change plan" if plan else "policy"
    if roles:
        event = adopt_roles(Platform(home()), key=key, signer=signer)
    else:
        kind: AdoptionKind = "change_plan_adopted" if plan else "policy_adopted"
        event = adopt_configuration(workspace(), kind, key=key, signer=signer)
    out.print(f"{words} {event.payload['digest'][:19]} in force (event {event.seq})")


def policy_diff(plan: Plan = False, as_json: Json = False) -> None:
    """Compare what is in force with gates.yaml or change_plan.yaml of the model: what it would tighten, what loosen."""
    if plan:
        _diff_plan(as_json=as_json)
        return
    from readmission_platform.governance.policy.gates_diff import diff_policies

    current = workspace()
    adopted, proposed = _in_force(current), gate_policy(current.settings, current.name)
    changes = diff_policies(adopted.policy, proposed)
    problem = _unusable(proposed, current)
    if as_json:
        print_json({"in_force": adopted.digest, "changes": [each.to_json() for each in changes],
                     "loosens": any(each.direction in ("looser", "not comparable") for each in changes),
                     "adoptable": problem is None, "problem": problem})  # fmt: skip
        return
    if not changes:
        out.print("gates.yaml says what the policy in force says")
        return
    _show_changes(changes)
    if problem:
        out.print(f"it cannot be adopted: {problem}", markup=False)


def policy_simulate(
    gates: Annotated[Path, typer.Option(help="A complete policy, of the shape of gates.yaml of the model.")],
    as_json: Json = False,
) -> None:
    """Say which past versions another policy would have blocked or accepted, on the estimates recorded then."""
    from readmission_platform.governance.policy.gates_diff import diff_policies
    from readmission_platform.governance.policy.simulation import simulate_policy

    proposed = read_yaml(gates, GatePolicy)
    current = workspace()
    problem = _unusable(proposed, current)
    if problem:
        raise BadInput(f"{gates}: {problem}")
    adopted = _in_force(current)
    with current.ledger() as ledger:
        events, pointers = ledger.snapshot()
    found = simulate_policy(proposed, required=current.required, events=events, pointers=pointers)
    changes = diff_policies(adopted.policy, proposed)
    if as_json:
        print_json({"versions": [each.to_json() for each in found], "changes": [each.to_json() for each in changes]})
        return
    _show_simulation(found)
    others = sum(each.changed for each in found)
    out.print(f"{len(changes)} gates differ from the policy in force; {others} of {len(found)} verdicts would differ")


def _in_force(current: "Workspace") -> "PolicyInForce":
    from readmission_platform.governance.policy.adoption import in_force

    with current.ledger() as ledger:
        adopted = in_force(ledger.events(), demo_allowed=current.demo_allowed)
    if adopted is None:
        raise BadInput(NOTHING_IN_FORCE)
    return adopted


def _plan_in_force(current: "Workspace") -> "PlanInForce":
    from readmission_platform.governance.policy.adoption import plan_in_force

    with current.ledger() as ledger:
        adopted = plan_in_force(ledger.events(), demo_allowed=current.demo_allowed)
    if adopted is None:
        raise BadInput(NO_PLAN_IN_FORCE)
    return adopted


def _unusable(content: GatePolicy | ChangePlan, current: "Workspace") -> str | None:
    """Say why a policy or a change plan cannot be adopted, or return None."""
    from readmission_platform.governance.policy.adoptable import check_content

    try:
        kind: AdoptionKind = "policy_adopted" if isinstance(content, GatePolicy) else "change_plan_adopted"
        check_content(kind, content, required=current.required)
    except BadInput as error:
        return str(error)
    return None


def _diff_plan(*, as_json: bool) -> None:
    from readmission_platform.governance.policy.plan_diff import diff_plans

    current = workspace()
    adopted, proposed = _plan_in_force(current), change_plan_config(current.settings, current.name)
    differences = diff_plans(adopted.plan, proposed)
    problem = _unusable(proposed, current)
    if as_json:
        print_json({"in_force": adopted.digest, "changes": [vars(each) for each in differences],
                     "loosens": any(each.direction in ("looser", "not comparable") for each in differences),
                     "adoptable": problem is None, "problem": problem})  # fmt: skip
        return
    if not differences:
        out.print("change_plan.yaml says what the plan in force says")
        return
    out.print("from the change plan in force to change_plan.yaml:")
    _show_differences(differences)
    if problem:
        out.print(f"it cannot be adopted: {problem}", markup=False)


def _show_plan(adopted: "PlanInForce", *, as_json: bool) -> None:
    plan = adopted.plan
    if as_json:
        print_json({"digest": adopted.digest, "adopted_by": adopted.adopted_by, **plan.model_dump(mode="json")})
        return
    out.print(f"change plan {adopted.digest}, adopted by {adopted.adopted_by} at {adopted.adopted_at}")
    out.print("[bold]may change without a new review[/]")
    rows = (
        (topic, name, f"{span.at_least:,.12g} to {span.at_most:,.12g}")
        for topic, each in plan.modifications.items()
        for name, span in each.ranges.items()
    )
    out.print(summary.make_table(("modification", "recorded value", "range"), rows))
    for topic, each in plan.modifications.items():
        out.print(f"{topic} is verified by {', '.join(each.verified_by)}", soft_wrap=True)
    kept = plan.unchanged
    out.print("[bold]stays as it is[/]")
    facts = {
        "algorithm": kept.algorithm,
        "folds": f"{kept.folds}",
        "sources": ", ".join(kept.sources),
        "cohort rule": "; ".join(kept.cohort_rule),
        "outcome": f"{kept.outcome} Share {kept.outcome_share.at_least:g} to {kept.outcome_share.at_most:g}",
        "inputs": f"{len(kept.inputs)}, listed with --json",
        "features": f"{len(kept.features)}, listed with --json",
    }
    out.print(summary.make_table(("what", "kept at"), ((name, escape(said)) for name, said in facts.items())))
    out.print("[bold]and has to be at least as good as[/]")
    limits = ((name, each.metric, *_limits(each)) for name, each in plan.limits.items())
    out.print(summary.make_table(("limit", "estimate", "real data", "synthetic data"), limits))


def _limits(limit: PlanLimit) -> list[str]:
    from readmission_platform.governance.policy.limits import describe

    return [describe(limit.limits[kind]) if kind in limit.limits else "-" for kind in get_args(LimitSet)]


def _show_changes(changes: Iterable["GateChange"]) -> None:
    out.print("from the policy in force to gates.yaml:")
    for change in changes:
        out.print(f"[bold]{escape(change.gate)}[/]: [{_COLOURS[change.direction]}]{change.change}[/]")
        _show_differences(change.differences)


def _show_differences(differences: Iterable["Difference"]) -> None:
    for part in differences:
        words = f": {part.before or 'nothing'} -> {part.after or 'nothing'}" if part.before or part.after else ""
        out.print(f"  {escape(part.part + words)} [{_COLOURS[part.direction]}]({part.direction})[/]", soft_wrap=True)


def _show_simulation(found: Iterable["SimulatedVersion"]) -> None:
    words = {"pass": "[green]pass[/]", "fail": "[red]fail[/]"}
    rows = (
        (
            each.version,
            each.step,
            words[each.recorded],
            words[each.simulated] + (" [bold]changed[/]" if each.changed else ""),
            "; ".join(f"{gate.gate}: {gate.recorded} -> {gate.simulated}"
                      + (f" ({gate.observed:.4g}, {gate.limit})" if gate.observed is not None else "")
                      for gate in each.differing) or ", ".join(each.blocked_by),
        )
        for each in found
    )  # fmt: skip
    out.print(summary.make_table(("version", "step", "recorded", "under this policy", "gates"), rows))
