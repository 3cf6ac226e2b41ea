"""Codes of another system in the accepted rows: how those of one row were translated, and the shares of some days.

What belongs here: reading what intake recorded (``storage.tables.CODE_TRANSLATIONS``). What does not: translating
(``intake.translation``), and judging a share against its limit (``assets.feed.delivered``). No code is kept or shown,
neither as it came nor as it was read.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd

from readmission_platform.intake.translation import KINDS, codes_by_kind, translators
from readmission_platform.storage.lake import TableMissing
from readmission_platform.storage.tables import CODE_TRANSLATIONS, ModelLake


class TranslatedCode(NamedTuple):
    """A code of a row that was translated: its column, the system it came in, the way by its name and in words."""

    column: str
    system: str
    how: str
    said: str


def translated_codes(lake: ModelLake, row: int, day: str, version: int | None) -> list[dict[str, str]]:
    """Return which codes of a row were translated, and how, when its day was taken in.

    Parameters
    ----------
    version
        Version of the table of delivered rows that was read; None for the newest.

    Returns
    -------
    The fields of ``TranslatedCode`` by name, by column; what is not recorded counts as not translated.
    """
    known = translators(lake.contract.feed)
    if not known or not lake.exists(CODE_TRANSLATIONS):
        return []
    lines = lake.read(CODE_TRANSLATIONS, version=_written_with(lake, version), where={lake.day: [day]})
    lines = lines[lines[lake.row] == row].sort_values("column")
    return [
        TranslatedCode(column, known[column].system, how, known[column].ways[how].words)._asdict()
        for column, how in zip(lines["column"], lines["how"], strict=True)
        if column in known
    ]


def codes_of_days(lake: ModelLake, days: Sequence[str]) -> pd.DataFrame:
    """Return what became of the codes of days, as ``intake.translation.codes_by_kind`` counts them; by day."""
    feed = lake.contract.feed
    known = translators(feed)
    if not known or not lake.exists(CODE_TRANSLATIONS) or not lake.exists(lake.names.delivered):
        return pd.DataFrame(columns=list(KINDS), dtype="int64")
    of_days = {lake.day: list(days)}
    accepted = lake.read(lake.names.delivered, columns=[lake.day, *known], where=of_days)
    return codes_by_kind(accepted, lake.read(CODE_TRANSLATIONS, where=of_days), feed)


def translated_share(lake: ModelLake, rows: pd.DataFrame) -> float:
    """Return the share of rows (``row``, ``day``) of which a code came in another system."""
    if not len(rows) or not translators(lake.contract.feed) or not lake.exists(CODE_TRANSLATIONS):
        return 0.0
    of_days = {lake.day: sorted(set(rows["day"]))}
    lines = lake.read(CODE_TRANSLATIONS, columns=[lake.row, lake.day], where=of_days)
    return float(rows["row"].isin(lines[lake.row]).mean())


def _written_with(lake: ModelLake, delivered: int | None) -> int | None:
    """Return the version of the translations that the run wrote which wrote these delivered rows; None if unknown."""
    if delivered is None:
        return None
    run = lake.commit_metadata(lake.names.delivered, delivered).get("readmission.run_id")
    # Written just before the rows, whenever these are: an interrupted run leaves this table ahead, never behind.
    for version in range(delivered, lake.open(CODE_TRANSLATIONS).version() + 1):
        try:
            if lake.commit_metadata(CODE_TRANSLATIONS, version).get("readmission.run_id") == run:
                return version
        except TableMissing:
            continue
    return None
