"""What the commands share: consoles, common options, the home, and a launcher that tells its progress."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from readmission_platform.config.environment import Settings, settings
from readmission_platform.foundation.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from readmission_platform.assets.encounters.ingestion import SourceConfig
    from readmission_platform.launcher import Launcher

# Into a file or a pipe tables are written wide: rich would take 80 columns, which tears most of them.
_WIDE = 140


def console(*, stderr: bool = False, wide: int = _WIDE) -> Console:
    """Return a console as wide as the terminal, or as COLUMNS says, or else wide enough for every table."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else wide
    return Console(stderr=stderr, highlight=False, width=width)


out = console()
err = console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Source = Annotated[str, typer.Option(help="synthetic (embedded cohort) or uci (Diabetes 130-US Hospitals).")]
Archive = Annotated[Path | None, typer.Option(help="Local copy of the UCI archive; else it is downloaded once.")]
Encounters = Annotated[int, typer.Option(help="Size of the synthetic cohort.")]
Seed = Annotated[int, typer.Option(help="Seed of the synthetic cohort.")]


def home() -> Settings:
    """Return the settings, with the home ready to be used."""
    from readmission_platform.storage.home import prepare_home

    current = settings()
    try:
        prepare_home(current)
    except OSError as error:
        raise Unavailable(f"the home {current.home} cannot be written ({error.strerror})") from error
    return current


def print_json(value: Any) -> None:
    """Print JSON for scripts on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


@contextmanager
def launching(*, quiet: bool) -> Iterator["Launcher"]:
    """Yield a launcher that tells its progress on standard error."""
    current = home()
    with err.status("starting", spinner="dots") if err.is_terminal and not quiet else _silence() as spinner:
        from readmission_platform.launcher import Launcher

        def progress(step: str, seconds: float) -> None:
            if not quiet:
                err.print(f"  {step.replace('_', ' '):<24} {seconds:6.1f} s")
            if spinner is not None:
                spinner.update(f"after {step.replace('_', ' ')}")

        yield Launcher(current, progress=progress)


@contextmanager
def _silence() -> Iterator[None]:
    yield None


def source_config(source: str, archive: Path | None, encounters: int, seed: int) -> "SourceConfig":
    """Return what to load from the options, or refuse them in one line."""
    from readmission_platform.assets.encounters.ingestion import Source as SourceName
    from readmission_platform.assets.encounters.ingestion import SourceConfig

    if source not in SourceName.__members__:
        raise BadInput(f"--source: {source} is unknown; choose {' or '.join(SourceName.__members__)}")
    if archive is not None and source != SourceName.uci.value:
        raise BadInput("--archive belongs to --source uci")
    path = str(archive.absolute()) if archive else None
    return SourceConfig(source=SourceName(source), archive=path, encounters=encounters, seed=seed)
