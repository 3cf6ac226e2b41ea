"""The command ``recalibrate``: the model of a version kept, its risks corrected by outcomes that have matured."""

from typing import Annotated, Any

import typer

from readmission_platform import tables
from readmission_platform.commands.terminal import Json, advice, launching, out, print_json, workspace
from readmission_platform.commands.versions.training import failed_gates
from readmission_platform.foundation.errors import Refused


def recalibrate(
    version: Annotated[
        str | None, typer.Option(help="Version whose model is kept; default: the one in production.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the correction and what it changes; register nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Keep a version's model, correct its risks by the latest outcomes, and judge the result.

    The result is a candidate like any other. Exit code 3 when too few outcomes have matured or a gate fails.
    """
    current = workspace()
    if dry_run:
        from readmission_platform.lifecycle.training.recalibration import before_and_after, fitted_version
        from readmission_platform.lifecycle.training.recalibration import recalibrate as correct

        with current.ledger() as ledger:
            record = fitted_version(version, ledger)
        found = correct(record, current)
        shown = {**found.to_json(), "figures": before_and_after(found, current)}
        if as_json:
            print_json(shown)
        else:
            _show(shown)
        return
    from readmission_platform.launcher import GateFailed
    from readmission_platform.launcher import recalibrate as recalibrate_version

    with launching(current, quiet=as_json) as launcher:
        try:
            record = recalibrate_version(launcher, version)
        except GateFailed as error:
            raise Refused([str(error).replace("\n", " ")]) from error
    failed = failed_gates(record)
    made = record.trained["recalibrated"]
    if as_json:
        print_json({"version": record.version, "state": record.state, "recalibrated": made, "failed_gates": failed})
    else:
        tables.show_gates(out, record.gates)
        _say(made)
        out.print(f"version {record.version}: {'rejected' if failed else 'accepted'}")
    if failed:
        raise Refused([f"version {record.version} failed {', '.join(failed)}; nothing was promoted"])
    if not as_json:
        out.print(advice(f"version {record.version} is a candidate; `readmission promote --version {record.version} "
                         "--to-stage staging`, or the sensor of `make dev`, takes it further"))  # fmt: skip


def _show(shown: dict[str, Any]) -> None:
    _say(shown)
    figures = shown["figures"]
    for name, of_rows in figures.items():
        out.print(f"{name}:")
        for measure, (before, after) in of_rows.items():
            out.print(f"  {measure}: {_interval(before)} before, {_interval(after)} after")
    out.print("Nothing was registered.")


def _interval(figure: dict[str, float]) -> str:
    return f"{figure['value']:z.3f} ({figure['low']:z.3f} to {figure['high']:z.3f})"


def _say(made: dict[str, Any]) -> None:
    out.print(f"Keeps the model of version {made['of_version']}; slope {made['slope']:.3f}, intercept "
              f"{made['intercept']:+z.3f}, from the latest {made['rows']:,} rows whose outcome is known; "
              f"{made['matured']:,} have matured since the training (until {made['until']})")  # fmt: skip
