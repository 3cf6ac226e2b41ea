"""Commands about what is signed before it counts: ``policy show``, ``adopt``, ``diff`` and ``simulate``."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.markup import escape

from readmission_platform import tables
from readmission_platform.commands.terminal import Json, given_at, home, out, print_json, workspace
from readmission_platform.config.change_plan import PlanLimit
from readmission_platform.config.files import read_yaml
from readmission_platform.config.governance import GatePolicy, LimitSet
from readmission_platform.foundation.errors import BadInput

if TYPE_CHECKING:
    from readmission_platform.governance.policy.adoptable import Adopted, AdoptionKind, Content, PlanInForce
    from readmission_platform.governance.policy.gates_diff import Difference, GateChange
    from readmission_platform.governance.policy.required import RequiredGates
    from readmission_platform.governance.policy.simulation import SimulatedVersion
    from readmission_platform.lifecycle.workspace import Platform, Workspace

_COLOURS = {"tighter": "green", "looser": "red", "not comparable": "yellow", "neutral": "dim"}
Roles = Annotated[bool, typer.Option("--roles", help="The roles, which hold for every model.")]
Promotion = Annotated[
    bool, typer.Option("--promotion", help="The environment's promotion rules, which hold for every model.")
]
Plan = Annotated[bool, typer.Option("--plan", help="The change plan of the model.")]
Monitoring = Annotated[bool, typer.Option("--monitoring", help="The monitoring limits of the model.")]
Evaluation = Annotated[
    bool,
    typer.Option(
        "--evaluation", help="The evaluation settings of the model: model.yaml without the estimator's own settings."
    ),
]


def policy_show(
    roles: Roles = False,
    promotion: Promotion = False,
    plan: Plan = False,
    monitoring: Monitoring = False,
    evaluation: Evaluation = False,
    as_json: Json = False,
) -> None:
    """Show what is in force, which may differ from configs/: the gate policy, or what an option names."""
    kind = _one_of(roles=roles, promotion=promotion, plan=plan, monitoring=monitoring, evaluation=evaluation)
    adopted = _in_force(kind, *_where(kind))
    if as_json:
        content = adopted.content.model_dump(mode="json")
        print_json({"digest": adopted.digest, "adopted_by": adopted.adopted_by, **content})
    elif kind == "policy_adopted":
        tables.show_policy(out, adopted)
    elif kind == "change_plan_adopted":
        _show_plan(adopted)
    else:
        from readmission_platform.governance.policy.settings_diff import flattened

        out.print(f"{_words(kind)} {adopted.digest}, adopted by {adopted.adopted_by} at {adopted.adopted_at}")
        rows = ((escape(path), escape(value)) for path, value in flattened(adopted.content))
        out.print(tables.make_table(("setting", "value"), rows))


def policy_adopt(
    key: Annotated[
        Path | None, typer.Option(help="Your private key; without it the demo approver signs (local).")
    ] = None,
    signer: Annotated[str | None, typer.Option(help="Who you are in the roles in force; needed with --key.")] = None,
    roles: Roles = False,
    promotion: Promotion = False,
    plan: Plan = False,
    monitoring: Monitoring = False,
    evaluation: Evaluation = False,
) -> None:
    """Put what configs/ says into force, with a signature: the gate policy (gates.yaml), or what an option names."""
    from readmission_platform.lifecycle.versions.approval import adopt_proposal

    kind = _one_of(roles=roles, promotion=promotion, plan=plan, monitoring=monitoring, evaluation=evaluation)
    platform, current = _where(kind)
    event = adopt_proposal(platform, kind, current, key=key, signer=signer, asked_at=given_at())
    out.print(f"{_words(kind)} {event.payload['digest'][:19]} in force (event {event.seq})")


def policy_diff(
    roles: Roles = False,
    promotion: Promotion = False,
    plan: Plan = False,
    monitoring: Monitoring = False,
    evaluation: Evaluation = False,
    as_json: Json = False,
) -> None:
    """Compare what is in force with configs/: what the file would tighten, loosen or change."""
    from readmission_platform.governance.policy.gates_diff import GateChange, diff_policies
    from readmission_platform.governance.policy.plan_diff import diff_plans
    from readmission_platform.governance.policy.settings_diff import diff_settings
    from readmission_platform.lifecycle.proposals import PROPOSALS

    kind = _one_of(roles=roles, promotion=promotion, plan=plan, monitoring=monitoring, evaluation=evaluation)
    platform, current = _where(kind)
    adopted, proposal = _in_force(kind, platform, current), PROPOSALS[kind]
    proposed: Any = proposal.read(platform.settings, current.name if current else "")
    problem = _unusable(kind, proposed, current.required if current else None)
    compare: dict[str, Any] = {"policy_adopted": diff_policies, "change_plan_adopted": diff_plans}
    changes = compare.get(kind, diff_settings)(adopted.content, proposed)
    if as_json:
        print_json({"in_force": adopted.digest,
                     "changes": [each.to_json() if isinstance(each, GateChange) else vars(each) for each in changes],
                     "loosens": any(each.direction in ("looser", "not comparable") for each in changes),
                     "adoptable": problem is None, "problem": problem})  # fmt: skip
        return
    if not changes:
        out.print(f"{proposal.file} says what the {_words(kind)} in force says")
        return
    out.print(f"from the {_words(kind)} in force to {proposal.file}:")
    if kind == "policy_adopted":
        _show_changes(changes)
    else:
        _show_differences(changes)
    if problem:
        out.print(f"it cannot be adopted: {problem}", markup=False)


def policy_simulate(
    gates: Annotated[Path, typer.Option(help="A complete policy, in the form of the model's gates.yaml.")],
    as_json: Json = False,
) -> None:
    """Say which past versions another policy would have blocked or accepted, on the estimates recorded then."""
    from readmission_platform.governance.policy.gates_diff import diff_policies
    from readmission_platform.governance.policy.simulation import simulate_policy

    proposed = read_yaml(gates, GatePolicy)
    current = workspace()
    problem = _unusable("policy_adopted", proposed, current.required)
    if problem:
        raise BadInput(f"{gates}: {problem}")
    adopted = _in_force("policy_adopted", current.platform, current)
    with current.ledger() as ledger:
        events, pointers = ledger.snapshot()
    found = simulate_policy(proposed, required=current.required, events=events, pointers=pointers)
    changes = diff_policies(adopted.content, proposed)
    if as_json:
        print_json({"versions": [each.to_json() for each in found], "changes": [each.to_json() for each in changes]})
        return
    _show_simulation(found)
    others = sum(each.changed for each in found)
    out.print(f"{len(changes)} gates differ from the policy in force; {others} of {len(found)} verdicts would differ")


def _one_of(**chosen: bool) -> "AdoptionKind":
    """Return which content is meant: the gate policy without an option.

    Raises
    ------
    BadInput
        When more than one option is given.
    """
    from readmission_platform.lifecycle.proposals import PROPOSALS

    given = [name for name, is_chosen in chosen.items() if is_chosen]
    if len(given) > 1:
        options = " and ".join(f"--{name}" for name in given)
        raise BadInput(f"{options} are adopted, shown and compared one at a time: give one of them")
    option = f"--{given[0]}" if given else ""
    return next(kind for kind, proposal in PROPOSALS.items() if proposal.option == option)


def _where(kind: "AdoptionKind") -> tuple["Platform", "Workspace | None"]:
    """Return the platform, and the workspace of the model for what belongs to one."""
    from readmission_platform.governance.policy.adoptable import ADOPTABLE
    from readmission_platform.lifecycle.workspace import Platform

    if ADOPTABLE[kind].of_environment:
        return Platform(home()), None
    current = workspace()
    return current.platform, current


def _words(kind: "AdoptionKind") -> str:
    from readmission_platform.governance.policy.adoptable import ADOPTABLE

    return ADOPTABLE[kind].words


def _in_force(kind: "AdoptionKind", platform: "Platform", current: "Workspace | None") -> "Adopted[Any]":
    from readmission_platform.governance.policy.adoption import in_force_by
    from readmission_platform.lifecycle.proposals import PROPOSALS

    with platform.ledger(current.name if current else None) as ledger:
        adopted = in_force_by(ledger, kind).adoptions[kind]
    if adopted is None:
        command = " ".join(filter(None, ("readmission policy adopt", PROPOSALS[kind].option)))
        raise BadInput(
            f"no {_words(kind)} in force yet: have it reviewed and adopt it with `{command}` "
            "(in local the next decision about a version does)"
        )
    return adopted


def _unusable(kind: "AdoptionKind", content: "Content", required: "RequiredGates | None") -> str | None:
    """Say why something cannot be adopted, or return None."""
    from readmission_platform.governance.policy.adoptable import check_content

    try:
        check_content(kind, content, required=required)
    except BadInput as error:
        return str(error)
    return None


def _show_plan(adopted: "PlanInForce") -> None:
    plan = adopted.content
    out.print(f"change plan {adopted.digest}, adopted by {adopted.adopted_by} at {adopted.adopted_at}")
    out.print("[bold]may change without a new review[/]")
    rows = (
        (topic, name, f"{span.at_least:,.12g} to {span.at_most:,.12g}")
        for topic, each in plan.modifications.items()
        for name, span in each.ranges.items()
    )
    out.print(tables.make_table(("modification", "recorded value", "range"), rows))
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
    out.print(tables.make_table(("what", "kept at"), ((name, escape(said)) for name, said in facts.items())))
    out.print("[bold]and has to be at least as good as[/]")
    limits = ((name, each.metric, *_limits(each)) for name, each in plan.limits.items())
    out.print(tables.make_table(("limit", "estimate", "real data", "synthetic data"), limits))


def _limits(limit: PlanLimit) -> list[str]:
    from readmission_platform.governance.policy.limits import describe

    return [describe(limit.limits[kind]) if kind in limit.limits else "-" for kind in get_args(LimitSet)]


def _show_changes(changes: Iterable["GateChange"]) -> None:
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
    out.print(tables.make_table(("version", "step", "recorded", "under this policy", "gates"), rows))
