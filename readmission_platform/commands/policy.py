"""Commands about the gate policy: ``policy show``, ``adopt``, ``diff`` and ``simulate``."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from readmission_platform import summary
from readmission_platform.commands.terminal import Json, home, out, print_json
from readmission_platform.config import GatePolicy, gate_policy, read_yaml
from readmission_platform.governance.errors import BadInput, PolicyError

if TYPE_CHECKING:
    from readmission_platform.governance.adoption import PolicyInForce
    from readmission_platform.governance.policy_diff import GateChange
    from readmission_platform.governance.policy_simulation import SimulatedVersion

NOTHING_IN_FORCE = "no gate policy is in force yet; in local the first validation adopts configs/gates.yaml"
_COLOURS = {"tighter": "green", "looser": "red", "not comparable": "yellow", "neutral": "dim"}


def policy_show(as_json: Json = False) -> None:
    """Show the gate policy in force (the adopted one, which need not be configs/gates.yaml)."""
    adopted = _in_force()
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
        bool, typer.Option("--roles", help="Adopt configs/roles.yaml instead of configs/gates.yaml.")
    ] = False,
) -> None:
    """Put configs/gates.yaml (or roles.yaml) into force with a signature; the reason is in its commit."""
    from readmission_platform.assets.approval import adopt_configuration

    event = adopt_configuration(home(), key=key, signer=signer, roles=roles)
    out.print(f"{'roles' if roles else 'policy'} {event.payload['digest'][:19]} in force (event {event.seq})")


def policy_diff(as_json: Json = False) -> None:
    """Compare the policy in force with configs/gates.yaml, gate by gate: what it would tighten, what loosen."""
    from readmission_platform.governance.policy_diff import diff_policies

    adopted, proposed = _in_force(), gate_policy(home())
    changes = diff_policies(adopted.policy, proposed)
    problem = _unusable(proposed)
    if as_json:
        print_json({"in_force": adopted.digest, "changes": [each.to_json() for each in changes],
                     "loosens": any(each.direction in ("looser", "not comparable") for each in changes),
                     "adoptable": problem is None, "problem": problem})  # fmt: skip
        return
    if not changes:
        out.print("configs/gates.yaml says what the policy in force says")
        return
    _show_changes(changes)
    if problem:
        out.print(f"it cannot be adopted: {problem}", markup=False)


def policy_simulate(
    gates: Annotated[Path, typer.Option(help="A complete policy, of the shape of configs/gates.yaml.")],
    as_json: Json = False,
) -> None:
    """Say which past versions another policy would have blocked or accepted, on the estimates recorded then."""
    from readmission_platform.governance.policy_diff import diff_policies
    from readmission_platform.governance.policy_simulation import simulate_policy

    proposed = read_yaml(gates, GatePolicy)
    problem = _unusable(proposed)
    if problem:
        raise BadInput(f"{gates}: {problem}")
    adopted = _in_force()
    with summary.open_ledger(home()) as ledger:
        events, pointers = ledger.snapshot()
    found = simulate_policy(proposed, events=events, pointers=pointers)
    changes = diff_policies(adopted.policy, proposed)
    if as_json:
        print_json({"versions": [each.to_json() for each in found], "changes": [each.to_json() for each in changes]})
        return
    _show_simulation(found)
    others = sum(each.changed for each in found)
    out.print(
        f"{len(changes)} gates differ from the policy in force; {others} of {len(found)} verdicts would be others"
    )


def _in_force() -> "PolicyInForce":
    from readmission_platform.governance.adoption import in_force

    with summary.open_ledger(home()) as ledger:
        adopted = in_force(ledger.events())
    if adopted is None:
        raise BadInput(NOTHING_IN_FORCE)
    return adopted


def _unusable(policy: GatePolicy) -> str | None:
    """Say why a policy cannot be adopted, or return None."""
    from readmission_platform.governance.policy import check_policy

    try:
        check_policy(policy, "real")
        check_policy(policy, "synthetic")
    except PolicyError as error:
        return str(error)
    return None


def _show_changes(changes: Iterable["GateChange"]) -> None:
    out.print("from the policy in force to configs/gates.yaml:")
    for change in changes:
        out.print(f"[bold]{escape(change.gate)}[/]: [{_COLOURS[change.direction]}]{change.change}[/]")
        for part in change.differences:
            said = escape(f"{part.part}: {part.before or 'nothing'} -> {part.after or 'nothing'}")
            out.print(f"  {said} [{_COLOURS[part.direction]}]({part.direction})[/]", soft_wrap=True)


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
