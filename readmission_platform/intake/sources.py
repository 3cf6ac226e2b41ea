"""Where rows come from, as types: sources of raw rows to train on, and folders of the landing zone.

What belongs here: what a model says of its sources and folders, and what a source is asked and answers. What does not:
any source (the packages that know one have it), and reading folders (``storage.landing``).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

    from readmission_platform.intake.files import JsonFile, LandedFile


@dataclass(frozen=True)
class ResourceFormat:
    """Records of JSON that are no rows yet: how the rows of a day are made from them, and they from rows.

    Attributes
    ----------
    name
        As commands call it: "fhir".
    is_one
        Tells such a record from a flat row.
    read
        Is given all files of such records of a day, which belong together, and the day; returns one file for each.
    write
        Is given rows and their day; returns the records.
    """

    name: str
    is_one: Callable[[Mapping[str, Any]], bool]
    read: "Callable[[Sequence[JsonFile], str], list[LandedFile]]"
    write: "Callable[[pd.DataFrame, str], Iterable[dict[str, Any]]]"


@dataclass(frozen=True)
class LandingFolders:
    """Folders of the landing zone, each with a folder a day: rows to score, and their outcomes later.

    Two models may read the same folders only if both say that they are ``shared``. ``resources`` is a format of
    records, beside rows, in which they may come.
    """

    rows: str
    outcomes: str
    shared: bool = False
    resources: ResourceFormat | None = None


@dataclass(frozen=True, kw_only=True)
class SourceRequest:
    """What somebody asked of a source, which takes of it what its ``options`` name.

    Attributes
    ----------
    archive
        Local copy of what a published source offers for download.
    rows, seed
        Size and seed of a generated source.
    cache
        Folder that downloads are kept in; without one they are not kept.
    """

    archive: Path | None = None
    rows: int = 0
    seed: int = 0
    cache: Path | None = None


@dataclass(frozen=True)
class Loaded:
    """Raw rows, the digest of their content beside the one expected, and where they came from."""

    frame: "pd.DataFrame"
    digest: str
    expected_digest: str
    origin: str


@dataclass(frozen=True)
class Source:
    """Where raw rows for training come from.

    Attributes
    ----------
    words
        For people: "Diabetes 130-US Hospitals for Years 1999-2008".
    limits
        Which set of limits of the gates applies. A version trained on a synthetic source goes live in ``local`` only.
    options
        Which of ``archive``, ``rows`` and ``seed`` of a request it takes.
    least_rows
        Fewer make no cohort.
    load
        Raises ``BadInput`` or ``Unavailable`` of ``foundation.errors``.
    """

    name: str
    words: str
    limits: Literal["real", "synthetic"]
    options: frozenset[str]
    load: Callable[[SourceRequest], Loaded]
    least_rows: int = 1
