"""The check that the shadow version agrees with production.

What belongs here: the check result. What does not: which rows both scored (``lifecycle.versions.shadow``), the
comparison itself (``evaluation.estimates.agreement``) and its limits (``model.yaml``).
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.evaluation.estimates.agreement import Agreement, agreement_of, compared
from readmission_platform.evaluation.words import Words
from readmission_platform.lifecycle.versions.shadow import both_scored
from readmission_platform.storage.tables import ModelLake

AGREEMENT_CHECK = "agrees_with_production"
AGREEMENT_RULE = (
    "The version in staging ranks and flags the same rows much as the version in production does, at about the "
    "same mean risk."
)
_ACTION = (
    "Nothing is blocked. Before approving, look at the comparison on test entities (`readmission review`) and at the "
    "inputs that the two versions treat differently."
)


def agreement_check(
    lake: ModelLake, shadow: pd.DataFrame, days: Sequence[str], config: ModelConfig
) -> dg.AssetCheckResult:
    """Compare the shadow scores of some days with production's; a warning when they differ by more than the limits."""
    limits = config.shadow_agreement
    pairs = both_scored(lake, shadow, days)
    if pairs.empty:
        return _result(True, "Nothing to compare: no other version was in production on these days.", {})
    found = agreement_of(pairs, psi_rows=limits.psi_rows)
    against = compared(found, limits.model_dump())
    shown = _shown(found, [said for said, _ in against], lake.contract.words)
    if found.rows < limits.min_rows:
        why = f"Too few {lake.contract.words.rows} to judge ({found.rows} of {limits.min_rows}); shown only."
        return _result(True, why, shown)
    outside = [said for said, far in against if far]
    if outside:
        return _result(False, f"{AGREEMENT_RULE} Here: {'; '.join(outside)}. {_ACTION}", shown)
    return _result(True, AGREEMENT_RULE, shown)


def _shown(found: Agreement, against: Sequence[str], words: Words) -> dict[str, Any]:
    """Show what was found beside its limits first: the UI sorts by name, and plots every number."""
    figures = {name.replace("_", " "): value for name, value in found.figures().items() if not isinstance(value, int)}
    return {
        "finding": "; ".join(against),
        "judged on": f"{found.rows:,} {words.rows} that both versions scored",
        **figures,
        "what to do if it fails": _ACTION,
    }


def _result(passed: bool, text: str, shown: dict[str, Any]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=AGREEMENT_CHECK,
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=text,
        metadata=shown,
    )
