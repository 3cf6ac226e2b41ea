"""The days a version ran in the shadow, as decisions count them.

What belongs here: reading them, and which of them are complete. What does not: how people are shown them (``shadow``).
"""

import pandas as pd

from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.storage.tables import ACCOUNTING, SHADOW, ModelLake


def shadow_rows(lake: ModelLake, record: VersionRecord) -> pd.DataFrame:
    """Return what a version's artifact scored in the shadow, those withheld for a reason among them."""
    if not lake.exists(SHADOW):
        return pd.DataFrame({name: [] for name in (lake.row, lake.day, "risk", "flagged", "status", "model_version")})
    rows = lake.read(SHADOW, where={"model_version": [record.version]})
    return rows[rows["artifact_digest"] == record.artifact_digest].reset_index(drop=True)


def shadow_days(lake: ModelLake, rows: pd.DataFrame) -> pd.DataFrame:
    """Return per day: rows ``accepted``, ``listed``, ``scored``, and the summed ``risk``.

    Listed are those scored and those withheld for a reason: withholding is an answer, not a gap.

    Parameters
    ----------
    rows
        Of ``shadow_rows``.
    """
    nothing = pd.DataFrame({"listed": [], "scored": [], "risk": [], "accepted": []})
    if rows.empty or not lake.exists(ACCOUNTING):
        return nothing
    answered = rows[rows["risk"].notna() | (rows["status"] == "withheld")]
    if answered.empty:
        return nothing
    per_day = answered.groupby(lake.day).agg(
        listed=(lake.row, "nunique"), scored=("risk", "count"), risk=("risk", "sum")
    )
    accounted = lake.read(ACCOUNTING, where={lake.day: sorted(per_day.index)})
    return per_day.join(accounted.set_index(lake.day)["accepted"], how="inner")


def complete_days(days: pd.DataFrame) -> int:
    """Return how many of the days of ``shadow_days`` are complete: every accepted row has an answer."""
    return int(((days["listed"] == days["accepted"]) & (days["accepted"] > 0)).sum())


def days_in_the_shadow(lake: ModelLake, record: VersionRecord) -> int:
    """Return how many days the version has scored completely in the shadow."""
    return complete_days(shadow_days(lake, shadow_rows(lake, record)))
