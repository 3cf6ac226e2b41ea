"""Reading the folder of a dossier, whoever made it: ordinary files only, few enough and small enough.

What belongs here: bytes by file name. What does not: what they have to be (``manifest``).
"""

import os
import stat
from pathlib import Path

from readmission_platform.foundation.errors import BadInput, GovernanceError
from readmission_platform.foundation.untrusted import printable
from readmission_platform.governance.dossier.manifest import LEDGER, MANIFEST, OPTIONAL, REQUIRED, ROW_FILES

MEGABYTE = 2**20
# A dossier of 100,000 rows and three years of daily events has 8 MB of rows and 20 MB of ledger.
_LARGEST = {MANIFEST: MEGABYTE // 4, LEDGER: 256 * MEGABYTE, **dict.fromkeys(ROW_FILES, 256 * MEGABYTE)}
_LARGEST_OTHER = 32 * MEGABYTE
# More entries than a dossier can have, and few enough to be named.
_MOST_ENTRIES = 64


class DossierRefused(GovernanceError):
    """Something in the dossier is not as it was sealed, or does not agree with the rest; the message names what."""

    exit_code = 3


def read_folder(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder by name. What is no file of a dossier is there by a name that no file has.

    Links are not followed, and nothing is opened but ordinary files.

    Raises
    ------
    BadInput
        When there is no such folder, it cannot be read, or nothing of a dossier is in it.
    DossierRefused
        When it lacks its manifest, or holds too much.
    """
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry for entry, _ in zip(entries, range(_MOST_ENTRIES + 1), strict=False)),
                           key=lambda entry: entry.name)  # fmt: skip
        if len(found) > _MOST_ENTRIES:
            raise DossierRefused(f"{folder} holds more than {_MOST_ENTRIES} files: it is not a dossier")
        files = dict(_read(entry) for entry in found)
    except OSError as error:
        raise BadInput(f"{folder} cannot be read ({error.strerror})") from error
    if MANIFEST not in files:
        if not {*REQUIRED, *OPTIONAL} & set(files):
            raise BadInput(f"{folder} holds no {MANIFEST}: it is not a dossier")
        raise DossierRefused(f"{folder} holds no {MANIFEST}: it is not a whole dossier")
    return files


def _read(entry: os.DirEntry[str]) -> tuple[str, bytes]:
    """Return the name of an entry and its bytes; what is not read has an addition to its name, and no bytes."""
    name = printable(entry.name)
    if entry.is_dir(follow_symlinks=False):
        return f"{name}/", b""
    if not entry.is_file(follow_symlinks=False):
        return f"{name} (a link or device)", b""
    most = _LARGEST.get(name, _LARGEST_OTHER)
    # Between the look and the opening it may have become something else.
    handle = os.open(entry.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:  # noqa: PTH123 - a path cannot say that links are not followed
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return f"{name} (a link or device)", b""
        content = file.read(most + 1)
    return (name, content) if len(content) <= most else (f"{name} (more than {most // MEGABYTE or 1} MB)", b"")
