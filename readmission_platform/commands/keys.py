"""Commands about signing keys: ``keys create``, ``list``, ``rotate`` and ``revoke``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from readmission_platform import summary, tables
from readmission_platform.commands.terminal import Json, home, out, print_json

if TYPE_CHECKING:
    from readmission_platform.governance.ledger.chain import Event
    from readmission_platform.lifecycle.workspace import Platform

Signer = Annotated[str, typer.Option(help="Who you are in the roles in force.")]
Key = Annotated[Path, typer.Option(help="Your private key, as it is registered now.")]
Reason = Annotated[str, typer.Option(help="Why; part of the signed statement.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check everything; change nothing.")]


def create(
    path: Annotated[Path, typer.Argument(help="File for the private key; must not exist yet.")],
) -> None:
    """Create a signing key; the public half goes into configs/roles.yaml."""
    from readmission_platform.governance.signatures import create_key

    out.print(f"public_key: {create_key(path)}", markup=False)


def list_keys(
    everything: Annotated[bool, typer.Option("--all", help="Include keys that no longer count.")] = False,
    as_json: Json = False,
) -> None:
    """List the valid keys: whose they are, since when, and how much each has signed."""
    found = [each for each in summary.keys(_platform()) if everything or each["state"] == "in use"]
    if as_json:
        print_json(found)
    elif not found:
        out.print(
            "nobody has a key here: `readmission keys create`, then configs/roles.yaml and `policy adopt --roles`"
        )
    else:
        rows = ((escape(each["identity"]), each["state"], each["since"][:10], (each["until"] or "")[:10],
                 f"{each['age_days']}", f"{each['signed']}", each["public_key"]) for each in found)  # fmt: skip
        out.print(tables.make_table(("who", "state", "since", "until", "days old", "signed", "public key"), rows))


def rotate(
    new_key: Annotated[Path, typer.Option("--new-key", help="The new private key (`readmission keys create`).")],
    signer: Signer,
    key: Key,
    reason: Reason = "regular rotation",
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Replace your key with a new one; what the old key signed stays verifiable, but it decides nothing new."""
    from readmission_platform.governance import demo_approver
    from readmission_platform.governance.policy.key_changes import rotate_key
    from readmission_platform.governance.signatures import load_key

    who = demo_approver.Signer(signer, load_key(key))
    with _platform().ledger() as ledger:
        event = rotate_key(ledger, who, load_key(new_key), reason=reason, dry_run=dry_run)
    _tell(event, signer, "rotated", as_json=as_json)


def revoke(
    identity: Annotated[str, typer.Argument(help="Whose key.")],
    reason: Reason,
    signer: Signer,
    key: Key,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Revoke a key: your own or, with the permission administer, anybody's. From now on it decides nothing new."""
    from readmission_platform.governance import demo_approver
    from readmission_platform.governance.policy.key_changes import revoke_key
    from readmission_platform.governance.signatures import load_key

    with _platform().ledger() as ledger:
        event = revoke_key(ledger, identity, demo_approver.Signer(signer, load_key(key)), reason=reason,
                           dry_run=dry_run)  # fmt: skip
    _tell(event, identity, "revoked", as_json=as_json)


def _platform() -> "Platform":
    from readmission_platform.lifecycle.workspace import Platform

    return Platform(home())


def _tell(event: "Event | None", identity: str, done: str, *, as_json: bool) -> None:
    """Say what was done, or would be, and what follows."""
    if as_json:
        print_json({"identity": identity, "event": event.seq if event else None, "dry_run": event is None})
    elif event is None:
        out.print(f"the key of {identity} can be {done}; nothing changed", markup=False)
    else:
        out.print(
            f"the key of {identity} is {done} (event {event.seq}). Approvals of theirs that no promotion has counted "
            "yet no longer count. Change configs/roles.yaml to match: roles that name the old key cannot be adopted.",
            markup=False, soft_wrap=True,
        )  # fmt: skip
