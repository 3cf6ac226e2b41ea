"""What the commands share: consoles, common options, the home, and a launcher that shows progress."""

import inspect
import json
import os
import re
import sys
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from readmission_platform.config.environment import Settings, settings
from readmission_platform.foundation.errors import BadInput, Unavailable
from readmission_platform.foundation.values import ConfigurationError

if TYPE_CHECKING:
    from readmission_platform.assets.feed.ingestion import SourceConfig
    from readmission_platform.launcher import Launcher
    from readmission_platform.lifecycle.records import ModelRecords
    from readmission_platform.lifecycle.workspace import Platform, Workspace

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
Source = Annotated[str | None, typer.Option(help="Name of one of the model's sources; default: the first.")]
Archive = Annotated[Path | None, typer.Option(help="Local copy of a published source; default: downloaded once.")]
Rows = Annotated[int, typer.Option("--encounters", "--rows", help="Rows of a generated source.")]
Seed = Annotated[int, typer.Option(help="Seed of a generated source.")]
ActingKey = Annotated[
    Path | None,
    typer.Option("--key", help="Private key of whoever acts (READMISSION_ACTOR); default: READMISSION_KEY."),
]

_Model = Annotated[str | None, typer.Option("--model", help="Which model; needed if several are in use.")]
# A command about a model, as messages quote it.
_COMMAND = re.compile(r"`readmission (?!(?:audit|alerts|setup|models|dev|mlflow-ui|keys)\b)([^`]+)`")
_given_at: ContextVar[datetime] = ContextVar("given_at")
_chosen: ContextVar[str | None] = ContextVar("model", default=None)
_printed: ContextVar[bool] = ContextVar("printed", default=False)


def with_model(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the option ``--model``, which :func:`workspace` goes by."""
    signature = inspect.signature(command)
    option = inspect.Parameter("model", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_Model)

    @wraps(command)
    def wrapped(*args: Any, model: str | None = None, **options: Any) -> None:
        _chosen.set(model)
        command(*args, **options)

    wrapped.__signature__ = signature.replace(parameters=[*signature.parameters.values(), option])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {**command.__annotations__, "model": _Model}
    return wrapped


def home(*, make: bool = False) -> Settings:
    """Return the settings of the home.

    Parameters
    ----------
    make
        Make what is missing of it. Otherwise it has to be there, and nothing is written.

    Raises
    ------
    BadInput
        When there is no home.
    """
    from readmission_platform.lifecycle.installation import installation_here
    from readmission_platform.storage.home import prepare_process, use_dagster_of

    current = settings()
    if make:
        _make(current)
    installation_here(current)
    prepare_process(current)
    use_dagster_of(current)
    return current


def _make(current: Settings) -> None:
    from readmission_platform.lifecycle.installation import make_installation

    try:
        make_installation(current)
    except OSError as error:
        raise Unavailable(f"the home {current.home} cannot be written ({error.strerror})") from error


def workspace(*, make: bool = False, key: Path | None = None) -> "Workspace":
    """Return the workspace of the model that was asked for, or of the only one there is; ``make`` as for the home.

    Parameters
    ----------
    key
        Private key to sign requests with, instead of that of the settings.

    Raises
    ------
    BadInput
        When there is no such model, or several are in use and none was named.
    """
    platform = platform_here(make=make, key=key)
    return platform.model(_model_among(platform.models, [each.name for each in platform.workspaces]))


def records() -> "ModelRecords":
    """Return what is recorded of the model that was asked for, chosen as for :func:`workspace`; at a tenth of the cost.

    Raises
    ------
    BadInput
        When there is no such model, or several are in use and none was named.
    """
    from readmission_platform.config.models import models_in_use
    from readmission_platform.lifecycle.records import records_of

    current = home()
    in_use = models_in_use(current)
    name = _model_among(in_use.names, tuple(in_use.entries) or in_use.names)
    if name in in_use.broken:
        raise ConfigurationError(in_use.broken[name])
    return records_of(current, in_use.entries[name])


def check_reader(current: "Workspace") -> None:
    """Make sure that whoever acts may see the rows of people (permission ``read_production``); in local anybody may.

    Raises
    ------
    Refused
        When they may not.
    """
    from readmission_platform.lifecycle.asking import check_may

    with current.ledger() as ledger:
        check_may("read_production", ledger=ledger, workspace=current)


def model_asked_for() -> str | None:
    """Return the model that was asked for; None when none was, which then means all of them.

    Raises
    ------
    BadInput
        When there is no such model.
    """
    return None if _chosen.get() is None else workspace().name


def platform_here(*, make: bool = False, key: Path | None = None) -> "Platform":
    """Return the platform of this environment; the parameters are those of :func:`workspace`."""
    from readmission_platform.lifecycle.workspace import Platform

    current = home(make=make)
    return Platform(current if key is None else current.model_copy(update={"key": key.absolute()}))


def _model_among(names: Sequence[str], usable: Sequence[str]) -> str:
    """Return the model that was asked for, of the names in use, or else the only one of those that are usable."""
    from readmission_platform.config.models import all_models

    chosen = _chosen.get()
    if chosen is None:
        if len(usable) > 1:
            raise BadInput(f"several models are in use here: choose one with --model ({', '.join(usable)})")
        return usable[0]
    if chosen not in names:
        if chosen in all_models(settings()).names:
            also = ",".join([*names, chosen])
            raise BadInput(f"--model: {chosen} is not in use here; READMISSION_MODELS={also} brings it in")
        raise BadInput(f"--model: there is no model {chosen!r}; in use here: {', '.join(names)}")
    return chosen


def command_begins() -> None:
    """Note when the command was given: what others did since then, whoever gave it cannot have seen."""
    _given_at.set(datetime.now(UTC))
    _chosen.set(None)
    _printed.set(False)


def given_at() -> datetime:
    """Return when the command was given."""
    return _given_at.get()


def advice(text: str) -> str:
    """Return a text with the chosen model named in each command about a model that it advises to use."""
    chosen = _chosen.get()
    return text if chosen is None else _COMMAND.sub(rf"`readmission \1 --model {chosen}`", text)


def checked_day(text: str) -> str:
    """Return a day as it was given.

    Raises
    ------
    BadInput
        When it is not written YYYY-MM-DD: Python also reads 20260105, which no folder and no partition is called.
    """
    try:
        known = date.fromisoformat(text).isoformat() == text
    except ValueError:
        known = False
    if not known:
        raise BadInput(f"{text} is not a date of the form YYYY-MM-DD")
    return text


def open_page(page: Path) -> None:
    """Open a page in the browser; without one, say in one line where the page is: it was written all the same."""
    if not webbrowser.open(page.absolute().as_uri()):
        err.print(f"there is no browser here; the page is {page}", markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON for scripts on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
    _printed.set(True)


def print_refusal(reasons: Sequence[str]) -> None:
    """Print a refusal as JSON where that was asked for, unless the command printed what it knows already."""
    if "--json" in sys.argv and not _printed.get():
        print_json({"allowed": False, "reasons": list(reasons)})


@contextmanager
def launching(current: "Workspace", *, quiet: bool) -> Iterator["Launcher"]:
    """Yield a launcher of a model's jobs that shows progress on standard error."""
    # skops asks for each of SciPy's functions which of the loaded modules has it, in the order of their loading: where
    # Dagster's two thousand come first, that takes a second.
    import scipy.special  # noqa: F401

    _make(current.settings)
    with err.status("starting", spinner="dots") if err.is_terminal and not quiet else _silence() as spinner:
        from readmission_platform.foundation.memory import share_heaps
        from readmission_platform.launcher import Launcher
        from readmission_platform.resources.run_record import kept_open

        def progress(step: str, seconds: float) -> None:
            shown = step.removeprefix(f"{current.entry.prefix}__").replace("_", " ")
            if not quiet:
                err.print(f"  {shown:<37} {seconds:6.1f} s")
            if spinner is not None:
                spinner.update(f"after {shown}")

        share_heaps()
        with kept_open(current.settings.dagster_home):
            yield Launcher(current, progress=progress)


@contextmanager
def _silence() -> Iterator[None]:
    yield None


def source_config(
    current: "Workspace", source: str | None, archive: Path | None, rows: int, seed: int
) -> "SourceConfig":
    """Return what to load from the options, or refuse them in one line."""
    from readmission_platform.assets.feed.ingestion import SourceConfig

    check_source(current, source, archive, rows)
    name = source or next(iter(current.contract.sources))
    return SourceConfig(source=name, archive=str(archive.absolute()) if archive else None, rows=rows, seed=seed)


def check_source(current: "Workspace", source: str | None, archive: Path | None, rows: int) -> None:
    """Refuse a source that the model does not have, an archive for one that takes none, and too few rows of one."""
    sources = current.contract.sources
    if source is not None and source not in sources:
        raise BadInput(f"--source: {source} is unknown; choose {' or '.join(sources)}")
    chosen = sources[source] if source else next(iter(sources.values()))
    if "rows" in chosen.options and rows < chosen.least_rows:
        raise BadInput(f"--encounters: {rows}; source {chosen.name} needs at least {chosen.least_rows} rows")
    if archive is not None and "archive" not in chosen.options:
        takers = [name for name, each in sources.items() if "archive" in each.options]
        raise BadInput(f"--archive belongs to --source {' or '.join(takers)}" if takers else
                       f"--archive: no source of {current.name} takes one")  # fmt: skip
