"""Commands for whoever has to answer for a version: ``verify`` and ``review``."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from readmission_platform import tables
from readmission_platform.commands.terminal import Json, open_page, out, print_json, workspace
from readmission_platform.foundation.errors import BadInput, Unavailable

_COLOURS = {"pass": "green", "fail": "red", "not applicable": "dim"}
Version = Annotated[str, typer.Argument(help="Version number.")]


def verify(version: Version, as_json: Json = False) -> None:
    """Verify a version from stored bytes and rows: digests, figures, policy, signatures, ledger."""
    from readmission_platform.lifecycle.versions.verification import raise_unless_verified
    from readmission_platform.lifecycle.versions.verification import verify as verified

    current = workspace()
    with current.ledger() as ledger:
        checks = verified(version, ledger=ledger, workspace=current)
    if as_json:
        holds = all(check.result != "fail" for check in checks)
        print_json({"version": version, "verified": holds, "checks": [check.to_json() for check in checks]})
    else:
        rows = (
            (check.name.replace("_", " "), f"[{_COLOURS[check.result]}]{check.result}[/]", escape(check.detail))
            for check in checks
        )
        out.print(tables.make_table(("checked", "result", "found"), rows))
    raise_unless_verified(version, checks)


def review(
    version: Version,
    target: Annotated[Path | None, typer.Option("--out", help="File to write; default: in the home's reports.")] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Write the approver's page: one self-contained HTML file, also for printing."""
    from readmission_platform.lifecycle.versions.review import write_review

    current = workspace()
    with current.ledger() as ledger:
        try:
            page = write_review(version, ledger=ledger, workspace=current, out=target)
        except OSError as error:
            why = f"the page cannot be written ({error.strerror})"
            raise (BadInput(f"--out: {why}") if target else Unavailable(why)) from error
    if as_json:
        print_json({"version": version, "page": str(page)})
    else:
        out.print(str(page), markup=False, soft_wrap=True)
    if show:
        open_page(page)
