"""The landing zone: files of discharges and outcomes as the hospital delivers them, by day.

What belongs here: finding, reading and (for the replay) writing these files. What does not: judging their
rows.
"""

import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

SUFFIXES = (".csv", ".parquet")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


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
        days = [day for day in folder.iterdir() if DAY.fullmatch(day.name) and day.is_dir()]
        return sorted(day.name for day in days if self._files(day))

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
        return sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())


def _read(path: Path) -> LandedFile:
    content = path.read_bytes()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    problem = None
    cells = None
    try:
        cells = _parquet(content) if path.suffix.lower() == ".parquet" else _csv(content)
    except UnicodeDecodeError:
        problem = "not UTF-8 text"
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning):
        problem = "not a readable CSV file"
    except (OSError, ValueError):
        problem = "not a readable Parquet file"
    return LandedFile(path.name, digest, cells, problem)


def _csv(content: bytes) -> pd.DataFrame:
    # Spreadsheet programs put a byte order mark before the header.
    text = io.StringIO(content.decode("utf-8-sig"))
    with warnings.catch_warnings():
        # Rows longer than the header: left alone, pandas would shift every value by a column or drop the last.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        return pd.read_csv(text, dtype=str, keep_default_na=False, index_col=False)


def _parquet(content: bytes) -> pd.DataFrame:
    cells = pd.read_parquet(io.BytesIO(content)).astype(object)
    # Text as in a CSV: the contract reads text, whatever type a file chose for a column.
    return cells.map(str, na_action="ignore")
