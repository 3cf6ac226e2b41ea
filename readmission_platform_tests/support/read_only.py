"""A folder that cannot be written, as an auditor gets a snapshot: by a read-only mount, or by its permissions."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write into a folder for a while."""
    if os.geteuid() != 0:
        paths = [folder, *folder.rglob("*")]
        for path in paths:
            path.chmod(path.stat().st_mode & ~0o222)
        try:
            yield
        finally:
            for path in paths:
                path.chmod(path.stat().st_mode | 0o200)
        return
    # To root, permissions mean nothing.
    if _mount("--bind", str(folder), str(folder)) != 0:
        pytest.skip("nothing can be mounted here, and permissions do not bind root")
    try:
        assert _mount("--options", "remount,ro,bind", str(folder)) == 0
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a library may still have a file open


def _mount(*arguments: str) -> int:
    return subprocess.run(["mount", *arguments], capture_output=True, check=False).returncode
