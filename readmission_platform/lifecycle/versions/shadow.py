"""The days a version ran in the shadow, as people are shown them.

What belongs here: the days with their mean risk and how far they agree with production's. What does not: how many days
are needed (``configs/environments``) and counted (``shadow_days``).
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.estimates.agreement import agreement_of, disagreements
from readmission_platform.lifecycle.versions.shadow_days import complete_days, shadow_days
from readmission_platform.storage.tables import PREDICTIONS, ModelLake


def shadow_of(lake: ModelLake, rows: pd.DataFrame, config: ModelConfig) -> dict[str, Any]:
    """Return the days in the shadow: rows, mean risk, agreement with production by day and over all days.

    A day with 1 to 10 rows is listed without figures.

    Parameters
    ----------
    rows
        Of ``shadow_days.shadow_rows``.
    """
    if rows.empty:
        return {"complete_days": 0, "days": [], "overall": None, "outside": []}
    complete = complete_days(shadow_days(lake, rows))
    rows = rows[rows["risk"].notna()]  # those withheld were not scored
    days = sorted(set(rows[lake.day]))
    pairs = both_scored(lake, rows, days)
    limits = config.shadow_agreement
    overall = agreement_of(pairs, psi_rows=limits.psi_rows) if len(pairs) >= SMALLEST_SHOWN else None
    return {
        "complete_days": complete,
        "days": [_day(day, rows[rows[lake.day] == day], pairs[pairs["day"] == day], limits.psi_rows)
                 for day in days],
        "overall": None if overall is None else asdict(overall),
        "outside": disagreements(overall, limits.model_dump()) if overall else [],
    }  # fmt: skip


def both_scored(lake: ModelLake, shadow: pd.DataFrame, days: Sequence[str]) -> pd.DataFrame:
    """Return the rows of these days that production scored as well.

    Parameters
    ----------
    shadow
        Rows of ``shadow_predictions``.

    Returns
    -------
    ``day``, ``shadow_risk``, ``production_risk``, ``shadow_flagged``, ``production_flagged``. A version is not compared
    with itself: days it scored in production as well are left out, and so are rows that one of the two withheld.
    """
    risks, flags = ("shadow_risk", "production_risk"), ("shadow_flagged", "production_flagged")
    nothing = pd.DataFrame({name: [] for name in ("day", *risks, *flags)})
    if shadow.empty or not lake.exists(PREDICTIONS):
        return nothing
    compared = [lake.row, lake.day, "risk", "flagged", "model_version"]
    live = lake.read(PREDICTIONS, columns=compared, where={lake.day: list(days)})
    pairs = shadow[compared].merge(live, on=[lake.day, lake.row], suffixes=("", "_live"))
    pairs = pairs[pairs["model_version"] != pairs["model_version_live"]].dropna(subset=["risk", "risk_live"])
    named = {lake.day: "day", "risk": risks[0], "risk_live": risks[1], "flagged": flags[0], "flagged_live": flags[1]}
    return pairs.rename(columns=named)[list(nothing.columns)].reset_index(drop=True)


def _day(day: str, ours: pd.DataFrame, both: pd.DataFrame, psi_rows: int) -> dict[str, Any]:
    enough, comparable = len(ours) >= SMALLEST_SHOWN, len(both) >= SMALLEST_SHOWN
    found = agreement_of(both, psi_rows=psi_rows)
    return {
        "day": day,
        "rows": len(ours) if enough else None,
        "mean_risk": float(ours["risk"].mean()) if enough else None,
        "compared": bool(len(both)),
        "mean_difference": found.mean_difference if comparable else None,
        "rank_correlation": found.rank_correlation if comparable else None,
    }
