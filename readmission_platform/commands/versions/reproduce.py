"""The command ``reproduce``: fit a recorded version once more and compare its predictions."""

from pathlib import Path
from typing import Annotated

import typer

from readmission_platform.commands.terminal import Json, launching, out, print_json, workspace
from readmission_platform.foundation.errors import BadInput, GovernanceError


class Differs(GovernanceError):
    """The rebuilt model predicts something else than was recorded."""

    exit_code = 3


def reproduce(
    version: Annotated[str, typer.Argument(help="Version number.")],
    tolerance: Annotated[
        float | None, typer.Option(min=0, help="Largest accepted difference in a risk; default 0.0005.")
    ] = None,
    keep: Annotated[Path | None, typer.Option(help="New folder for the rebuilt model and both sets of scores.")] = None,
    with_this_code: Annotated[
        bool, typer.Option("--with-this-code", help="Use the running code if it differs from the recorded one.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Rebuild a version from recorded data, code and seed; ends with 3 if its predictions differ."""
    from readmission_platform.assets.model.reproduction import REPRODUCTION, ReproductionConfig
    from readmission_platform.lifecycle.training.reproduction import (
        REPRODUCED,
        TOLERANCE,
        check_keepable,
        in_words,
        record_of,
    )

    if tolerance is not None and tolerance >= 1:
        raise BadInput("--tolerance: two risks are never further apart than 1; give less")
    if keep is not None:
        check_keepable(keep)
    current = workspace()
    with current.ledger() as ledger:
        record_of(ledger, version)
    asked = ReproductionConfig(
        version=version,
        tolerance=TOLERANCE if tolerance is None else tolerance,
        with_this_code=with_this_code,
        keep=str(keep.absolute()) if keep else None,
    )
    with launching(current, quiet=as_json) as launcher:
        found = launcher.recorded("reproduction_job", REPRODUCED, assets={REPRODUCTION: asked})
    if as_json:
        print_json({"version": version, "event": found.seq, **found.payload})
    else:
        code = found.payload["code"]
        out.print(f"version {version}: {in_words(found.payload)}", markup=False, soft_wrap=True)
        out.print(f"  code      {code['which']} ({code['used']})", markup=False, soft_wrap=True)
        content = "the same content" if found.payload["artifact"]["same_content"] else "other content"
        out.print(
            f"  model     {content} as {found.payload['artifact']['recorded_digest']}", markup=False, soft_wrap=True
        )
        out.print(f"  recorded  event {found.seq}", markup=False)
    if found.payload["result"] == "differs":
        raise Differs(f"version {version} does not reproduce: {in_words(found.payload)}")
