"""The command ``card``: the model card of a version."""

from pathlib import Path
from typing import Annotated

import typer

from readmission_platform.commands.terminal import Json, err, out, print_json, workspace
from readmission_platform.foundation.errors import BadInput, Unavailable

FORMS = ("html", "md")


def card(
    version: Annotated[str, typer.Argument(help="Version number.")],
    form: Annotated[
        str | None, typer.Option("--format", help="html or md; default: according to the file's name.")
    ] = None,
    target: Annotated[Path | None, typer.Option("--out", help="File to write; default: in the home's reports.")] = None,
    as_json: Json = False,
) -> None:
    """Write the model card of any version, even a rejected one, and say where it is; --json prints its contents."""
    from readmission_platform.lifecycle.versions.model_card import card_for, write_card

    named = target.suffix.removeprefix(".") if target else ""
    form = form or named or FORMS[0]
    if form not in FORMS:
        where = f"--format: {form}" if form != named else f"--out: .{named}"
        raise BadInput(f"{where} is not a card format; choose {' or '.join(FORMS)}")
    current = workspace()
    with current.ledger() as ledger:
        found = card_for(version, ledger=ledger, workspace=current)
    if as_json and target is None:
        print_json(found)
        return
    try:
        page = write_card(found, form, current, target)
    except OSError as error:
        why = f"the card cannot be written ({error.strerror})"
        raise (BadInput(f"--out: {why}") if target else Unavailable(why)) from error
    if as_json:
        print_json(found | {"page": str(page)})
        return
    out.print(str(page), markup=False, soft_wrap=True)
    for gap in found["gaps"]:
        err.print(f"missing from the card: {gap}", markup=False, soft_wrap=True)
