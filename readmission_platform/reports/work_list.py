"""The care team's list of a day: the same rows as a page that prints well, for a spreadsheet, and for a program.

What belongs here: which columns the list has, how it looks, and writing its files. What does not: predictions
(``assets.daily.inference``) and when the list is made (``assets.daily.work_list``). Attributes such as race and gender,
and whatever names a person, are on no list: the number of the row is what the care team looks up.
"""

import io
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pandas as pd
from jinja2 import Environment, StrictUndefined, Template

from readmission_platform.evaluation.words import Words
from readmission_platform.foundation.steps import reached
from readmission_platform.reports.page_links import WORK_LIST, WORK_LISTS, Link, with_links
from readmission_platform.storage.home import replace_file

SCORED, JUDGE_BY_HAND = "scored", "not scored: judge by hand"
# Beside the list: the digest of the predictions that it is made of.
MADE_FROM = "predictions.sha256"
FOLDER, PAGE, TABLE, DATA = WORK_LISTS, WORK_LIST, "work_list.csv", "work_list.parquet"
# For its owner and the group that the care team is in.
FILE_MODE, FOLDER_MODE = 0o640, 0o750
# A cell that begins so is a formula to a spreadsheet program (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_TEMPLATE = "work_list.html.j2"


@dataclass(frozen=True)
class WorkList:
    """A day's list. ``rows`` has the columns of ``columns_of(row)``: by rank, then those that were not scored.

    ``row`` is the column that identifies one of the model's rows, ``made_from`` the digest of the predictions, ``ask``
    who answers questions.
    """

    day: str
    simulated: bool
    example: bool
    model: str
    row: str
    words: Words
    version: str
    source: str
    limit_set: str | None
    scored_at: str
    made_from: str
    rows: pd.DataFrame
    ask: str = ""

    def records(self) -> list[dict[str, Any]]:
        """Return the rows as plain values; missing values are None."""
        return [{str(name): None if pd.isna(value) else value for name, value in row.items()}
                for row in self.rows.to_dict("records")]  # fmt: skip


def columns_of(row: str) -> list[str]:
    """Return the columns of a list whose rows are identified by the column ``row``."""
    return ["rank", row, "risk_percent", "band", "follow_up", "reasons", "status"]


def listed(predictions: pd.DataFrame, *, row: str) -> pd.DataFrame:
    """Turn a day's predictions into the rows of its list.

    Parameters
    ----------
    predictions
        Rows of ``daily_predictions``.
    row
        Column that identifies one.

    Returns
    -------
    ``columns_of(row)``; rank and risk of those not scored are missing, and their reasons say why.
    """
    withheld = predictions["status"].eq("withheld")
    rows = pd.DataFrame({
        "rank": predictions["rank"].astype("Int64"),
        row: predictions[row],
        "risk_percent": (100 * predictions["risk"].astype("float64")).round(1),
        "band": predictions["band"].map(lambda band: band.replace("_", " "), na_action="ignore"),
        "follow_up": predictions["flagged"].map({True: "yes", False: "no"}).mask(withheld),
        "reasons": predictions["withheld_because"].where(withheld, predictions["reasons"]).fillna(""),
        "status": withheld.map({True: JUDGE_BY_HAND, False: SCORED}),
    })  # fmt: skip
    return rows.sort_values(["rank", row], ignore_index=True)


def write_work_list(found: WorkList, folder: Path, *, links: Sequence[Link] = ()) -> Mapping[str, Path]:
    """Write the files of a day, readable by owner and group only, in place of those there.

    A reader finds either all old files or all new ones: the folder is a link, which one step turns from the old ones to
    the new. Whoever is killed before that leaves the old.

    Returns
    -------
    Where they are: ``page``, ``csv`` and ``parquet``.

    Raises
    ------
    OSError
        When they cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.parent.chmod(FOLDER_MODE)
    content = {PAGE: _linked(found, links).encode(), TABLE: csv_text(found.rows).encode(), DATA: _parquet(found.rows),
               MADE_FROM: found.made_from.encode()}  # fmt: skip
    with _one_writer(folder.parent):
        fresh = Path(mkdtemp(dir=folder.parent, prefix=_aside(folder)))
        for name, written in content.items():
            replace_file(fresh / name, written, mode=FILE_MODE)
        fresh.chmod(FOLDER_MODE)
        reached("work list: files written")
        _swap(folder, fresh)
        reached("work list: files visible")
        for left in folder.parent.glob(f"{_aside(folder)}*"):
            if left != fresh:
                left.unlink() if left.is_symlink() else shutil.rmtree(left)
    return {"page": folder / PAGE, "csv": folder / TABLE, "parquet": folder / DATA}


def take_back_work_list(folder: Path) -> bool:
    """Remove the list of a day of which nobody is left; tells whether there was one."""
    if not folder.is_symlink() and not folder.exists():
        return False
    with _one_writer(folder.parent):
        if folder.is_symlink():
            folder.unlink()
        else:  # in a home that was copied
            shutil.rmtree(folder)
        for left in folder.parent.glob(f"{_aside(folder)}*"):
            left.unlink() if left.is_symlink() else shutil.rmtree(left)
    return True


def made_from(folder: Path) -> str | None:
    """Return the digest of the predictions that the list of a day is made of; None where a file of it is missing."""
    if not all((folder / name).is_file() for name in (PAGE, TABLE, DATA, MADE_FROM)):
        return None
    return (folder / MADE_FROM).read_text(encoding="utf-8")


@contextmanager
def _one_writer(folder: Path) -> Iterator[None]:
    """Let one process at a time replace lists."""
    import fcntl

    with (folder / ".writing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _aside(folder: Path) -> str:
    """Return how the names of folders begin that hold, or held, the files of a day's list."""
    return f".{folder.name}-"


def _swap(folder: Path, fresh: Path) -> None:
    """Have the folder lead to the fresh one; in a home that was copied it may be a folder of its own."""
    if folder.exists() and not folder.is_symlink():
        folder.rename(mkdtemp(dir=folder.parent, prefix=_aside(folder)))
    link = fresh.with_name(f"{fresh.name}.link")
    link.symlink_to(fresh.name)
    link.replace(folder)


def csv_text(rows: pd.DataFrame) -> str:
    """Write the list for a spreadsheet program, with no cell that it would take for a formula."""
    words = rows.select_dtypes(exclude="number")
    safe = {str(name): words[name].map(_harmless, na_action="ignore") for name in words}
    return rows.assign(**safe).to_csv(index=False)


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _parquet(rows: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    rows.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _linked(found: WorkList, links: Sequence[Link]) -> str:
    """Render the page with links to others, which are below the same folder of reports."""
    return with_links(page_html(found), f"{found.model}/{FOLDER}/{found.day}/{PAGE}", links)


def page_html(found: WorkList) -> str:
    """Render the page."""
    records = found.records()
    return _template().render(
        found=found,
        row_column=found.rows.columns[1],
        flagged=[row for row in records if row["follow_up"] == "yes"],
        others=[row for row in records if row["follow_up"] == "no"],
        withheld=[row for row in records if row["status"] == JUDGE_BY_HAND],
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath(_TEMPLATE).read_text(encoding="utf-8"))
