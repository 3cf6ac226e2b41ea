"""The home: one folder with all state. Moving or copying it as a whole keeps it working.

What belongs here: creating the home and the secret that pseudonyms are keyed with.
What does not: what is stored inside (``lake``, ``tracking``, the ledger).
"""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from readmission_platform.config.environment import PROJECT_ROOT, Settings


def prepare_home(settings: Settings) -> Path:
    """Create what is missing in the home and put ``dagster.yaml`` into force; safe to repeat.

    Raises
    ------
    OSError
        When the home cannot be written.
    """
    for folder in (
        settings.lake,
        settings.mlflow_artifacts,
        settings.dagster_home,
        settings.landing,
        settings.reports,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    settings.keys.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = PROJECT_ROOT / "dagster.yaml"
    target = settings.dagster_home / "dagster.yaml"
    if not target.exists() or target.read_bytes() != source.read_bytes():
        replace_file(target, source.read_bytes())
    # Dagster reads its home from the environment only; its child processes inherit it from here.
    os.environ.setdefault("DAGSTER_HOME", str(settings.dagster_home))
    return settings.home


def write_dagster_environment(settings: Settings) -> None:
    """Write the ``.env`` by which ``dagster`` commands, started in the checkout, find the home.

    A ``DAGSTER_HOME`` that is already set wins: Dagster would let the file override it.
    """
    line = f"DAGSTER_HOME=${{DAGSTER_HOME:-{settings.dagster_home}}}\n"
    replace_file(PROJECT_ROOT / ".env", line.encode())


def pseudonym_key(settings: Settings) -> bytes:
    """Return the secret that pseudonyms are keyed with, creating it on first use.

    Losing it makes new pseudonyms differ from all recorded ones, so it belongs in every backup of the home.
    """
    path = settings.keys / "pseudonyms.key"
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
