"""The home: one folder with all state. Moving or copying it as a whole keeps it working.

What belongs here: creating the home, which installation it is of, and the secret that pseudonyms are keyed with.
What does not: what is stored inside (``lake``, ``tracking``, the ledger).
"""

import errno
import json
import os
import re
import secrets
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from readmission_platform.config.environment import PROJECT_ROOT, Settings
from readmission_platform.foundation.errors import Refused, Unavailable
from readmission_platform.foundation.values import ConfigurationError

INSTALLATION = "installation.json"
PSEUDONYM_KEY = "pseudonyms.key"
# Dagster makes the address of a database, and Delta that of a table, from the path as it is. Either decodes or cuts off
# what means something in an address, and is then elsewhere, or nowhere.
_UNADDRESSABLE = re.compile(r"%[0-9A-Fa-f]{2}|[?\[\]\\^|\x00-\x1f\x7f]")
_HOME_LINE = re.compile(r'^READMISSION_HOME="\$\{READMISSION_HOME:-(?P<home>.*)\}"$', re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Installation:
    """The environment that a home is of, and the number of the installation that its ledger begins with."""

    environment: str
    number: str


def prepare_home(settings: Settings) -> Path:
    """Create what is missing in the home and put ``dagster.yaml`` into force; safe to repeat.

    A new home is its owner's alone. What a group may do later in one that is there is the operator's decision, such as
    landing files; nobody else gets in.

    Raises
    ------
    ConfigurationError
        When no home can be at that path.
    OSError
        When the home cannot be written.
    """
    _check_path(settings.home)
    prepare_process(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    _keep_others_out(settings.home)
    settings.landing.mkdir(exist_ok=True)
    for folder in (settings.lake, settings.mlflow_artifacts, settings.dagster_home, settings.reports):
        folder.mkdir(exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
    settings.keys.mkdir(mode=0o700, exist_ok=True)
    source = PROJECT_ROOT / "dagster.yaml"
    target = settings.dagster_home / "dagster.yaml"
    if not target.exists() or target.read_bytes() != source.read_bytes():
        replace_file(target, source.read_bytes())
    use_dagster_of(settings)
    return settings.home


def prepare_process(settings: Settings) -> None:
    """Have this process and its children write files that only their owner can read: they are about patients."""
    os.umask(0o077)
    if os.path.expanduser("~") == "~":  # noqa: PTH111 - Path raises here, and so do libraries at their import
        os.environ["HOME"] = str(settings.home)  # a user without a name, as containers have them


def _keep_others_out(home: Path) -> None:
    now = stat.S_IMODE(home.stat().st_mode)
    allowed = now & (0o700 if not (home / INSTALLATION).exists() else ~0o007)
    if allowed != now:
        home.chmod(allowed)


def use_dagster_of(settings: Settings) -> None:
    """Have Dagster, in this process and its children, use the storage of this home.

    Dagster reads its home from the environment only, where there may be that of another project.
    """
    os.environ["DAGSTER_HOME"] = str(settings.dagster_home)


def _check_path(home: Path) -> None:
    found = _UNADDRESSABLE.search(str(home))
    if found is not None:
        raise ConfigurationError(
            f"READMISSION_HOME: no home can be in {str(home)!r}, because databases and tables cannot be "
            f"addressed with {found[0]!r} in their path: give another folder"
        )


def installation_of(settings: Settings) -> Installation | None:
    """Return which installation the home is of, None for what is no home.

    Raises
    ------
    Refused
        When the home is of another environment.
    Unavailable
        When the file that says so cannot be read.
    """
    path = settings.home / INSTALLATION
    try:
        found = Installation(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unavailable(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise Unavailable(f"{path} was damaged: restore it from a backup") from error
    if found.environment != settings.environment:
        raise Refused([
            f"the home {settings.home} belongs to the environment {found.environment}, and this is "
            f"{settings.environment}: set READMISSION_ENVIRONMENT={found.environment}, or name a home of "
            f"{settings.environment} (READMISSION_HOME)"
        ])  # fmt: skip
    return found


def record_installation(settings: Settings, installation: Installation) -> None:
    """Record which installation the home is of, once; whoever comes second changes nothing."""
    with suppress(FileExistsError):
        write_secret(settings.home / INSTALLATION, (json.dumps(asdict(installation)) + "\n").encode())


def write_dagster_environment(settings: Settings, checkout: Path = PROJECT_ROOT) -> str | None:
    """Write the ``.env`` by which ``dagster`` commands, started in the checkout, find the home.

    A ``READMISSION_HOME`` that is set wins, and Dagster's storage is always in the home. A file that is not ours, or
    that names another home that is there, is kept.

    Returns
    -------
    Why these commands do not find this home; None when they do.
    """
    file, home = checkout / ".env", str(settings.home)
    there = file.read_text(encoding="utf-8") if file.exists() else ""
    named = _HOME_LINE.search(there)
    other = re.sub(r"\\(.)", r"\1", named["home"]) if named else None
    if other == home:
        return None
    if other is not None and (Path(other) / INSTALLATION).exists():
        return f"plain dagster commands in this checkout keep using the home {other} ({file})"
    if there and other is None:
        return f"plain dagster commands do not find this home: {file} is not ours and is kept"
    if "}" in home:
        return f'plain dagster commands do not find this home: {file} cannot hold a path with a "}}"'
    escaped = re.sub(r'(["\\])', r"\\\1", home)
    lines = f'READMISSION_HOME="${{READMISSION_HOME:-{escaped}}}"\nDAGSTER_HOME="${{READMISSION_HOME}}/dagster"\n'
    replace_file(file, lines.encode())
    return None


def has_pseudonym_key(settings: Settings) -> bool:
    """Tell whether there is a secret that pseudonyms are keyed with."""
    return (settings.keys / PSEUDONYM_KEY).exists()


def pseudonym_key(settings: Settings) -> bytes:
    """Return the secret that pseudonyms are keyed with, creating it on first use.

    Losing it makes new pseudonyms differ from all recorded ones, so it belongs in every backup of the home.
    """
    path = settings.keys / PSEUDONYM_KEY
    if not path.exists():
        with suppress(FileExistsError):
            settings.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_secret(path, secrets.token_hex(32).encode())
    return bytes.fromhex(path.read_text(encoding="ascii"))


def write_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all.

    Raises
    ------
    FileExistsError
        When there is one already: a secret is never overwritten.
    """
    staged = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.link(staged, path)
    finally:
        staged.unlink()


def replace_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Replace a file so that a reader sees the old content or the new, never a part.

    ``mode`` are its permissions; without them, those that the process gives to new files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    if mode is not None:
        # Before there is anything to read.
        staged.touch()
        staged.chmod(mode)
    staged.write_bytes(content)
    staged.replace(path)
