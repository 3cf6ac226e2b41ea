"""The command ``dossier``: make the sealed folder of a version, or verify one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from readmission_platform import tables
from readmission_platform.commands.audit import signer_of
from readmission_platform.commands.terminal import Json, out, print_json, workspace
from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from readmission_platform.governance.promotion.check import Check

VERIFY = "verify"
_COLOURS = {"pass": "green", "fail": "red", "not applicable": "dim"}


def dossier(
    what: Annotated[str, typer.Argument(metavar="VERSION|verify", help="Version to hand over, or `verify`.")],
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", help="With `verify`: the dossier.")] = None,
    target: Annotated[Path | None, typer.Option("--out", help="New folder for the dossier.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Your private key; without it the demo approver signs (local).")
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(help="With `verify`: the key that must have signed it, hex or base64.")
    ] = None,
    head: Annotated[
        Path | None, typer.Option(help="With `verify`: a head of the ledger that was exported earlier.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Hand over a version: card, report, gates, approvals, ledger extract and rows in one sealed folder.

    `readmission dossier verify DIR` checks one offline and recomputes every figure. It ends with 3 if anything was
    changed, does not agree, or was sealed with a key that is not the signer's, and with 2 if there is no such folder.
    """
    if what == VERIFY:
        if folder is None or target is not None or key is not None:
            raise BadInput("give `readmission dossier verify DIR [--public-key KEY] [--head FILE]`")
        _verify(folder, public_key, head, as_json=as_json)
    else:
        if target is None or any(given is not None for given in (folder, public_key, head)):
            raise BadInput("give `readmission dossier VERSION --out DIR [--key FILE]`")
        _make(what, target, key, as_json=as_json)


def _make(version: str, target: Path, key: Path | None, *, as_json: bool) -> None:
    from readmission_platform.lifecycle.versions.dossier import check_free, make_dossier

    check_free(target)
    current = workspace()
    with current.ledger() as ledger:
        made = make_dossier(
            version,
            out=target,
            ledger=ledger,
            workspace=current,
            signer=signer_of(current.platform, key, ledger),
        )
    if as_json:
        print_json({"folder": str(made.folder), "public_key": made.public_key, **made.statement.model_dump()})
        return
    note = " (demonstration)" if made.statement.demo else ""
    out.print(f"dossier of version {version}: {made.folder}", markup=False, soft_wrap=True)
    out.print(f"{counted(len(made.statement.files), 'file')} sealed by {made.statement.signer}{note}", markup=False)
    out.print(f"public_key: {made.public_key}", markup=False, soft_wrap=True)


def _verify(folder: Path, public_key: str | None, head: Path | None, *, as_json: bool) -> None:
    from readmission_platform.governance.ledger.audit import opened_head, read_head
    from readmission_platform.lifecycle.versions.dossier_verification import (
        NOT_PROVEN,
        raise_unless_whole,
        verify_dossier,
    )

    exported = opened_head(read_head(head)) if head else None
    checks = verify_dossier(folder, public_key=public_key, head=exported)
    if as_json:
        whole = all(check.result != "fail" for check in checks)
        print_json({"dossier": str(folder), "verified": whole, "checks": [check.to_json() for check in checks],
                    "not_proven": list(NOT_PROVEN)})  # fmt: skip
    else:
        out.print(_verdict(checks), markup=False, soft_wrap=True)
        _show(checks)
        out.print("What the folder alone cannot show:")
        for clause in NOT_PROVEN:
            out.print(f"  {clause}", markup=False, soft_wrap=True)
    raise_unless_whole(checks)


def _verdict(checks: "Sequence[Check]") -> str:
    """Say in one line whether the dossier verifies, and whose seal it bears, which the first check is of."""
    seal = checks[0]
    if seal.result == "fail":
        return f"NOT TO BE TRUSTED: {seal.detail}"
    failed = sum(check.result == "fail" for check in checks)
    return f"{'Verified' if not failed else f'NOT VERIFIED, {failed} checks failed'}: {seal.detail}"


def _show(checks: "Sequence[Check]") -> None:
    rows = (
        (check.name.replace("_", " "), f"[{_COLOURS[check.result]}]{check.result}[/]", escape(check.detail))
        for check in checks
    )
    out.print(tables.make_table(("checked", "result", "found"), rows))
