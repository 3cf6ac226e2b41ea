"""What the ledger keeps of how a version came about, besides its digests: recipe, split and cohort.

What belongs here: describing the inputs of training as plain values, small cells hidden. What does not: training
(``training``) and showing them (``evidence_document``). What stands here is what a version can be rebuilt from.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.cohort import CANNOT_BE_READMITTED, cohort_flow
from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN, hidden_cells
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform.storage.lake import Lake

RAW_TABLE = "raw_encounters"
FEATURES_TABLE = "encounter_features"
SPLIT_TABLE = "patient_split"
# Of cohort_flow: what adds up to the eligible encounters, and what these are divided into.
_OUT = ("excluded: died in hospital", "excluded: discharged to hospice")
_PARTS = (
    "development (first part of the proxy clock)",
    "development (matured discharges)",
    "replay stream (set aside)",
)


def recipe_of(model: ModelConfig, features: list[str]) -> dict[str, Any]:
    """Return what the model is made by: algorithm, settings, inputs and the encoder's features."""
    return {
        "algorithm": CONTRACT.estimator.algorithm,
        "settings": model.fit_settings,
        "folds": model.folds,
        "inputs": list(CONTRACT.inputs),
        "features": features,
    }


def split_of(lake: Lake, split: pd.DataFrame) -> dict[str, Any]:
    """Return where the split is, and the digest of its content."""
    return {
        "table": SPLIT_TABLE,
        "table_version": lake.open(SPLIT_TABLE).version(),
        "digest": frame_digest(split),
    }


def cohort_of(lake: Lake, eligible: pd.DataFrame, features: pd.DataFrame) -> dict[str, Any]:
    """Return who the model was developed on: the flow from the source, and what is missing of each input.

    Counts of 1 to 10, and what they could be worked out from, are None.

    Parameters
    ----------
    eligible
        The eligible encounters, development and replay.
    features
        The training table: development encounters with ``MODEL_INPUTS``.
    """
    encounters = len(features)
    missing = features[list(CONTRACT.inputs)].isna().sum()
    return {
        "source": _source_table(lake),
        "flow": _flow(lake, eligible),
        "missing": {str(name): _share(int(count), encounters) for name, count in missing.items() if count},
        "encounters": encounters,
        "patients": int(features["entity_key"].nunique()),
    }


def _share(count: int, total: int) -> float | None:
    shown = count >= SMALLEST_SHOWN and not 0 < total - count < SMALLEST_SHOWN
    return round(count / total, 5) if shown else None


def _source_table(lake: Lake) -> dict[str, Any] | None:
    if not lake.exists(RAW_TABLE):
        return None
    return {"table": RAW_TABLE, "table_version": lake.open(RAW_TABLE).version()}


def _flow(lake: Lake, eligible: pd.DataFrame) -> list[dict[str, Any]]:
    """Count from the source to the parts of the study; empty when the source at hand is another one."""
    if not lake.exists(RAW_TABLE):
        return []
    raw = lake.read(RAW_TABLE, columns=["encounter_id", "discharge_disposition_id"])
    kept = raw.loc[~raw["discharge_disposition_id"].isin(CANNOT_BE_READMITTED), "encounter_id"]
    if not kept.isin(eligible["encounter_id"]).all():
        return []
    flow = cohort_flow(raw, eligible)
    hidden = _hidden_steps(flow)
    return [{"step": step, "encounters": None if step in hidden else count} for step, count in flow.items()]


def _hidden_steps(flow: Mapping[str, int]) -> frozenset[str]:
    few = frozenset(step for step, count in flow.items() if 0 < count < SMALLEST_SHOWN)
    excluded = hidden_cells({step: flow[step] for step in _OUT}, total=sum(flow[step] for step in _OUT))
    parts = hidden_cells({step: flow[step] for step in _PARTS}, total=flow["eligible encounters"])
    return few | excluded | parts
