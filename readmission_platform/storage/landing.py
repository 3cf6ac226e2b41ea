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
from readmission_platform.storage.landed_file import SUFFIXES, content_digest, read_file, shown_name

__all__ = ["Kind", "LandedFile", "Landing", "fingerprint_of"]

# Rows to score, or the outcomes of rows: what a model's two folders hold.
Kind = Literal["rows", "outcomes"]

UNFINISHED = (".part", ".tmp")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Landing:
    """Files of one model below ``<root>/<folder of the kind>/<YYYY-MM-DD>/``.

    A day may have several files: CSV, gzip CSV (``.csv.gz``) and Parquet. Hidden files, unfinished ones (``.part``,
    ``.tmp``) and whatever lies outside the landing zone, behind a link, do not exist for it.
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
        return [read_file(path, named) for path in self._files(day, kind)]

    def fingerprint(self, day: str, kind: Kind = "rows") -> str:
        """Return a digest over names and contents of a day's files; empty when there are none."""
        return fingerprint_of((shown_name(path), _digest(path)) for path in self._files(day, kind))

    def changed_at(self, day: str, kind: Kind = "rows") -> float:
        """Return when a day's files changed last, in seconds since 1970; 0 when there are none.

        The folder counts as well: a file that was moved in keeps its own time, and one taken out has none.
        """
        files = self._files(day, kind)
        return max((_changed(path) for path in [self.folder(kind) / day, *files]), default=0.0) if files else 0.0

    def ignored(self, day: str, kind: Kind = "rows") -> int:
        """Count the finished files of a day that are in none of the formats and therefore not read."""
        return sum(not _is_wanted(path) and _is_finished(path) for path in self._found(day, kind))

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
        return [path for path in self._found(day, kind) if _is_wanted(path) and _is_finished(path)]

    def _found(self, day: str, kind: Kind) -> list[Path]:
        folder = self.folder(kind) / day
        if not _is_day(day) or not folder.is_dir():
            return []
        zone = self.root.resolve()
        if not folder.resolve().is_relative_to(zone):
            return []
        with os.scandir(folder) as entries:
            inside = [each for each in entries if not each.is_symlink() or _leads_into(zone, Path(each.path))]
            return sorted(Path(each.path) for each in inside if each.is_file())


def fingerprint_of(files: Iterable[tuple[str, str]]) -> str:
    """Return a digest over the names and content digests of files, in whatever order; empty when there are none."""
    listed = sorted(files)
    content = "".join(f"{digest} {name}\n" for name, digest in listed)
    return "sha256:" + hashlib.sha256(content.encode()).hexdigest() if listed else ""


def _leads_into(zone: Path, link: Path) -> bool:
    return link.resolve().is_relative_to(zone)


def _is_wanted(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def _is_finished(path: Path) -> bool:
    return not path.name.startswith(".") and not path.name.lower().endswith(UNFINISHED)


def _is_day(name: str) -> bool:
    try:
        return _DAY.fullmatch(name) is not None and bool(date.fromisoformat(name))
    except ValueError:
        return False


def _digest(path: Path) -> str:
    try:
        return content_digest(path.read_bytes())
    except OSError:  # as when it is read: a file that cannot be opened has no digest
        return ""


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # taken away in this moment, which the folder's time shows
        return 0.0
