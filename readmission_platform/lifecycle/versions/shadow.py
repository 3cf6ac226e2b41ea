"""The days a version ran in the shadow, as people are shown them.

What belongs here: the days with their mean risk and how far they agree with production's. What does not: how many days
are needed (``configs/environments``) and counted (``lifecycle.versions.version_facts``).
"""

from dataclasses import asdict
from typing import Any

import pandas as pd

from readmission_platform.assets.daily.agreement import both_scored
from readmission_platform.config.model import ModelConfig
from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.estimates.agreement import agreement_of, disagreements
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.lifecycle.versions.version_facts import SHADOW_TABLE, shadow_days
from readmission_platform.storage.lake import Lake


def shadow_of(lake: Lake, record: VersionRecord, model: ModelConfig) -> dict[str, Any]:
    """Return the days in the shadow: encounters, mean risk, agreement with production by day and over all days.

    A day of 1 to 10 encounters shows that it was, and no figure.
    """
    nothing: dict[str, Any] = {"complete_days": 0, "days": [], "overall": None, "outside": []}
    if not lake.exists(SHADOW_TABLE):
        return nothing
    rows = lake.read(SHADOW_TABLE, where={"model_version": [record.version]})
    rows = rows[rows["artifact_digest"] == record.artifact_digest]
    if rows.empty:
        return nothing
    rows = rows[rows["risk"].notna()]  # those withheld were not scored
    days = sorted(set(rows["discharge_date"]))
    pairs = both_scored(lake, rows, days)
    limits = model.shadow_agreement
    overall = agreement_of(pairs, psi_encounters=limits.psi_encounters) if len(pairs) >= SMALLEST_SHOWN else None
    return {
        "complete_days": shadow_days(lake, record),
        "days": [_day(day, rows, pairs, limits.psi_encounters) for day in days],
        "overall": None if overall is None else asdict(overall),
        "outside": disagreements(overall, limits.model_dump()) if overall else [],
    }


def _day(day: str, rows: pd.DataFrame, pairs: pd.DataFrame, psi_encounters: int) -> dict[str, Any]:
    ours, both = rows[rows["discharge_date"] == day], pairs[pairs["discharge_date"] == day]
    enough, comparable = len(ours) >= SMALLEST_SHOWN, len(both) >= SMALLEST_SHOWN
    found = agreement_of(both, psi_encounters=psi_encounters)
    return {
        "day": day,
        "encounters": len(ours) if enough else None,
        "mean_risk": float(ours["risk"].mean()) if enough else None,
        "compared": bool(len(both)),
        "mean_difference": found.mean_difference if comparable else None,
        "rank_correlation": found.rank_correlation if comparable else None,
    }
