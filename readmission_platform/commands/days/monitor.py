"""``readmission monitor``: the page of the last days, and the same figures for scripts and for Prometheus."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from readmission_platform.commands.terminal import (
    Json,
    model_asked_for,
    open_page,
    out,
    platform_here,
    print_json,
    workspace,
)
from readmission_platform.foundation.errors import BadInput, Unavailable

if TYPE_CHECKING:
    import pandas as pd

STANDARD_OUTPUT = "-"


def monitor(
    days: Annotated[int, typer.Option(help="Days to look back, counted from yesterday.")] = 90,
    target: Annotated[Path | None, typer.Option("--out", help="File to write; default: in the home's reports.")] = None,
    prometheus: Annotated[
        str | None,
        typer.Option(metavar="FILE|-", help="Write the latest figures in Prometheus' text format instead of the page."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """Show the last days: volume, drift, risks, performance beside validation, alerts, versions in production."""
    from readmission_platform.evaluation.operation.shown import shown
    from readmission_platform.lifecycle.monitoring.page import monitor_of, write_monitor

    if not 1 <= days <= 3660:  # ten years
        raise BadInput("--days: a number from 1 to 3660 is needed")
    for option, file in (("--out", target), ("--prometheus", prometheus)):
        if file is not None and Path(file).is_dir():
            raise BadInput(f"{option}: {file} is a folder; name a file")
    if prometheus is not None:
        if target is not None or show or as_json:
            raise BadInput("--prometheus writes no page; leave out --out, --open and --json")
        _write_prometheus(prometheus, days)
        return
    current = workspace()
    page = monitor_of(current, days=days)
    try:
        written = write_monitor(current, page, out=target)
    except OSError as error:
        why = f"the page cannot be written ({error.strerror})"
        raise (BadInput(f"--out: {why}") if target else Unavailable(why)) from error
    if as_json:
        standing = {"standing": page["standing"]["text"], "why": page["standing"]["more"]}
        print_json({"page": str(written), **standing, "figures": records(shown(page["figures"]))})
    else:
        out.print(f"{page['standing']['text']}: {page['standing']['more']}", markup=False, soft_wrap=True)
        out.print(str(written), markup=False, soft_wrap=True)
    if show:
        open_page(written)


def _write_prometheus(target: str, days: int) -> None:
    from readmission_platform.lifecycle.monitoring.figures import figures
    from readmission_platform.reports.prometheus import exposition
    from readmission_platform.storage.home import replace_file

    asked = model_asked_for()
    models = [each for each in platform_here().workspaces if asked in {None, each.name}]
    text = exposition({each.name: figures(each, days=days) for each in models})
    if target == STANDARD_OUTPUT:
        sys.stdout.write(text.decode())
        return
    try:
        replace_file(Path(target).absolute(), text)
    except OSError as error:
        raise BadInput(f"--prometheus: {target} cannot be written ({error.strerror})") from error


def records(figures: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the table of figures as JSON values; what is not there is null."""
    return [
        {str(name): None if value is None or (isinstance(value, float) and math.isnan(value)) else value
         for name, value in row.items()}
        for row in figures.to_dict("records")
    ]  # fmt: skip
