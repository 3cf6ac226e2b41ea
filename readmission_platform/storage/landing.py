"""The landing zone: files of rows and of their outcomes as they are delivered, by day.

What belongs here: finding these files, telling whether they changed, and (for the replay) writing them. What does not:
reading their bytes (``landed_file``) and judging their rows (``intake``).
"""

import hashlib
import os
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd

from readmission_platform.intake.contract import MISSING_MARK
from readmission_platform.intake.files import LandedFile
from readmission_platform.intake.sources import LandingFolders
from readmission_platform.storage.landed_file import SUFFIXES, UNREADABLE, file_digest, read_file, shown_name

__all__ = ["Kind", "LandedFile", "Landing", "fingerprint_of"]

# Rows to score, or the outcomes of rows: what a model's two folders hold.
Kind = Literal["rows", "outcomes"]

UNFINISHED = (".part", ".tmp")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Landing:
    """Files of one model below ``<root>/<folder of the kind>/<YYYY-MM-DD>/``.

    A day may have several files: CSV, gzip CSV (``.csv.gz``) and Parquet. Hidden and unfinished ones (``.part``,
    ``.tmp``) do not exist for it. What has the name of a file and is none (a folder, a socket, a link in a circle or
    out of the landing zone) counts as a file that cannot be read, and what has the name of a day and is no folder as a
    day with such a file. Neither keeps anything else from being read.
    """

    def __init__(self, root: Path, folders: LandingFolders) -> None:
        self.root = root
        self.folders = folders

    def folder(self, kind: Kind = "rows") -> Path:
        """Return the folder that has a folder for each day."""
        return self.root / (self.folders.rows if kind == "rows" else self.folders.outcomes)

    def day_folders(self, kind: Kind = "rows") -> list[str]:
        """Return the names of all folders that lie where those of days belong."""
        folder = self.folder(kind)
        return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []

    def days(self, kind: Kind = "rows") -> list[str]:
        """Return the days that have at least one file, ascending."""
        folder = self.folder(kind)
        if not folder.is_dir():
            return []
        return sorted(day.name for day in folder.iterdir() if self._files(day.name, kind))

    def read_day(self, day: str, kind: Kind = "rows") -> list[LandedFile]:
        """Read every file of a day, in order of name."""
        # Outcomes are often named by the day they are sent on; which rows they belong to, their content tells.
        named = day if kind == "rows" else None
        return [self._read(path, day, named) for path in self._files(day, kind)]

    def fingerprint(self, day: str, kind: Kind = "rows") -> str:
        """Return a digest over names and contents of a day's files; empty when there are none."""
        return fingerprint_of((shown_name(path), self._digest(path)) for path in self._files(day, kind))

    def changed_at(self, day: str, kind: Kind = "rows") -> float:
        """Return when a day's files changed last, in seconds since 1970; 0 when there are none.

        The folder counts as well: a file that was moved in keeps its own time, and one taken out has none.
        """
        files = self._files(day, kind)
        return max((_changed(path) for path in [self.folder(kind) / day, *files]), default=0.0) if files else 0.0

    def ignored(self, day: str, kind: Kind = "rows") -> int:
        """Count the finished files of a day that are in none of the formats and therefore not read."""
        found = [path for path in self._found(day, kind) if not self._is_read(path, kind)]
        return sum(_is_finished(path) and path.is_file() for path in found)

    def write_rows(self, day: str, frame: pd.DataFrame) -> Path:
        """Write a day of rows as a CSV in the source's format; a reader sees all of it or nothing."""
        return self._write("rows", day, frame.where(frame.notna(), MISSING_MARK))

    def write_outcomes(self, day: str, frame: pd.DataFrame) -> Path:
        """Write the matured outcomes of a day's rows: the contract's row and outcome."""
        return self._write("outcomes", day, frame)

    def _write(self, kind: Kind, day: str, frame: pd.DataFrame) -> Path:
        of_kind = self.folder(kind)
        folder = of_kind / day
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{of_kind.name}.csv"
        staged = path.with_suffix(".part")
        frame.to_csv(staged, index=False)
        staged.replace(path)
        return path

    def _files(self, day: str, kind: Kind) -> list[Path]:
        """Return the files of a day that are read, in order of name."""
        return [path for path in self._found(day, kind) if self._is_read(path, kind) and _is_finished(path)]

    def _is_read(self, path: Path, kind: Kind) -> bool:
        """Tell whether something is read, or set aside: by its name, or because it stands for a whole day."""
        return path.name.lower().endswith(SUFFIXES) or path.parent == self.folder(kind)

    def _read(self, path: Path, day: str, named: str | None) -> LandedFile:
        if path.name == day:
            return LandedFile(day, "", None, "folder_unreadable")
        return read_file(path, named) if self._is_inside(path) else LandedFile(shown_name(path), "", None, UNREADABLE)

    def _digest(self, path: Path) -> str:
        # As when it is read: a file that cannot be opened has no digest.
        return file_digest(path) if self._is_inside(path) else ""

    def _is_inside(self, path: Path) -> bool:
        # Not Path.resolve(), which raises where links lead in a circle.
        return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(self.root))

    def _found(self, day: str, kind: Kind) -> list[Path]:
        """Return whatever lies in the folder of a day, in order of name; where that cannot be read, the folder."""
        folder = self.folder(kind) / day
        if not _is_day(day) or not os.path.lexists(folder):
            return []
        if not self._is_inside(folder):
            return [folder]
        try:
            return sorted(folder.iterdir())
        except OSError:
            return [folder] if os.path.lexists(folder) else []  # which was taken away in this moment


def fingerprint_of(files: Iterable[tuple[str, str]]) -> str:
    """Return a digest over the names and content digests of files, in whatever order; empty when there are none."""
    listed = sorted(files)
    content = "".join(f"{digest} {name}\n" for name, digest in listed)
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest() if listed else ""


def _is_finished(path: Path) -> bool:
    return not path.name.startswith(".") and not path.name.lower().endswith(UNFINISHED)


def _is_day(name: str) -> bool:
    try:
        return _DAY.fullmatch(name) is not None and bool(date.fromisoformat(name))
    except ValueError:
        return False


def _changed(path: Path) -> float:
    times = []
    for follow in (True, False):
        try:
            times.append(path.stat(follow_symlinks=follow).st_mtime)
        except OSError:  # taken away in this moment, which the folder's time shows; or a link that leads nowhere
            continue
    return max(times, default=0.0)
