"""The shadow version beside production: the check on ``shadow_predictions``, and the days behind it.

What belongs here: finding the encounters that both scored, and the check result. What does not: the comparison itself
(``evaluation.estimates.agreement``) and its limits (``configs/model.yaml``).
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.evaluation.estimates.agreement import Agreement, agreement_of, disagreements
from readmission_platform.storage.lake import Lake

AGREEMENT_CHECK = "agrees_with_production"
AGREEMENT_RULE = (
    "The version in staging ranks and flags the same encounters much as the version in production does, at about the "
    "same mean risk."
)
_ACTION = (
    "Nothing is blocked. Look at the comparison on test patients (`readmission review`), and at which inputs the two "
    "versions treat differently, before approving."
)
_COMPARED = ["encounter_id", "risk", "flagged"]


def both_scored(lake: Lake, shadow: pd.DataFrame, days: Sequence[str]) -> pd.DataFrame:
    """Return the encounters of these days that production scored as well.

    Parameters
    ----------
    shadow
        Rows of ``shadow_predictions``.

    Returns
    -------
    ``discharge_date``, ``shadow_risk``, ``production_risk``, ``shadow_flagged``, ``production_flagged``. A version is
    not compared with itself: days it scored in production as well are left out, and so are encounters that one of the
    two withheld.
    """
    nothing = pd.DataFrame({name: [] for name in ("discharge_date", "shadow_risk", "production_risk",
                                                  "shadow_flagged", "production_flagged")})  # fmt: skip
    if shadow.empty or not lake.exists("daily_predictions"):
        return nothing
    live = lake.read(
        "daily_predictions", columns=[*_COMPARED, "discharge_date", "model_version"],
        where={"discharge_date": list(days)},
    )  # fmt: skip
    pairs = shadow[[*_COMPARED, "discharge_date", "model_version"]].merge(
        live, on=["discharge_date", "encounter_id"], suffixes=("", "_live")
    )
    pairs = pairs[pairs["model_version"] != pairs["model_version_live"]].dropna(subset=["risk", "risk_live"])
    named = {"risk": "shadow_risk", "risk_live": "production_risk", "flagged": "shadow_flagged",
             "flagged_live": "production_flagged"}  # fmt: skip
    return pairs.rename(columns=named)[list(nothing.columns)].reset_index(drop=True)


def agreement_check(lake: Lake, shadow: pd.DataFrame, days: Sequence[str], model: ModelConfig) -> dg.AssetCheckResult:
    """Compare the shadow scores of some days with production's; a warning when they differ by more than the limits."""
    limits = model.shadow_agreement
    pairs = both_scored(lake, shadow, days)
    if pairs.empty:
        return _result(True, "Nothing to compare: no other version was in production on these days.", None, {})
    found = agreement_of(pairs, psi_encounters=limits.psi_encounters)
    shown = {"limits": dg.MetadataValue.json(limits.model_dump())}
    if found.encounters < limits.min_encounters:
        why = f"Too few encounters to judge ({found.encounters} of {limits.min_encounters}); shown only."
        return _result(True, why, found, shown)
    outside = disagreements(found, limits.model_dump())
    if outside:
        return _result(False, f"{AGREEMENT_RULE} Here: {'; '.join(outside)}. {_ACTION}", found, shown)
    return _result(True, AGREEMENT_RULE, found, shown)


def _result(passed: bool, text: str, found: Agreement | None, shown: dict[str, Any]) -> dg.AssetCheckResult:
    figures: dict[str, Any] = found.figures() if found else {}
    return dg.AssetCheckResult(
        check_name=AGREEMENT_CHECK,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata={**{name.replace("_", " "): value for name, value in figures.items()}, **shown},
    )
