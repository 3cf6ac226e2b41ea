"""The landing zone: files of discharges and outcomes as the hospital delivers them, by day.

What belongs here: finding, reading and (for the replay) writing these files. What does not: judging their rows.
"""

import csv
import hashlib
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class LandedFile:
    """One file of a day: its text cells, the digest of its bytes, and why it cannot be read, if so."""

    name: str
    digest: str
    cells: pd.DataFrame | None
    problem: str | None = None


class Landing:
    """Files below ``landing/discharges/<YYYY-MM-DD>/`` and ``landing/outcomes/<YYYY-MM-DD>/``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def days(self, kind: str = "discharges") -> list[str]:
        """Return the days that have at least one file, ascending."""
        folder = self.root / kind
        if not folder.is_dir():
            return []
        return sorted(day.name for day in folder.iterdir() if day.is_dir() and self._files(day))

    def read_day(self, day: str) -> list[LandedFile]:
        """Read every file of discharges of a day, in order of name."""
        folder = self.root / "discharges" / day
        return [_read(path) for path in self._files(folder)] if folder.is_dir() else []

    def write_discharges(self, day: str, frame: pd.DataFrame) -> Path:
        """Write a day of discharges as a CSV in the source's format; a reader sees all of it or nothing."""
        return self._write("discharges", day, frame.where(frame.notna(), "?"))

    def write_outcomes(self, day: str, frame: pd.DataFrame) -> Path:
        """Write the matured outcomes (``encounter_id``, ``readmitted_30d``) of a day's discharges."""
        return self._write("outcomes", day, frame)

    def _write(self, kind: str, day: str, frame: pd.DataFrame) -> Path:
        folder = self.root / kind / day
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{kind}.csv"
        staged = path.with_suffix(".part")
        frame.to_csv(staged, index=False)
        staged.replace(path)
        return path

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())


def _read(path: Path) -> LandedFile:
    import io

    content = path.read_bytes()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    problem = None
    cells = None
    try:
        if path.suffix == ".parquet":
            cells = pd.read_parquet(io.BytesIO(content)).astype(object)
        else:
            text = content.decode("utf-8")
            cells = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except UnicodeDecodeError:
        problem = "not UTF-8 text"
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error):
        problem = "not a readable CSV file"
    except (OSError, ValueError):
        problem = "not a readable Parquet file"
    return LandedFile(path.name, digest, cells, problem)
