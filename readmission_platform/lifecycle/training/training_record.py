"""What the ledger keeps of how a version came about, besides its digests: recipe, split and cohort.

What belongs here: describing the inputs of training as plain values, small cells hidden. What does not: training
(``assets.model.training``) and showing them (``evidence_document``). What stands here is what a version can be rebuilt
from.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.evaluation.disclosure import hidden_cells, is_few, shown_share
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.models.contract import ModelContract
from readmission_platform.storage.tables import ModelLake

# Beginnings of the steps of a cohort flow that say who is left out, and into which parts the rest is divided.
_OUT, _PARTS = "excluded", ("development", "replay")
_ELIGIBLE = "eligible"  # whom the cohort consists of


def model_of(workspace: Workspace) -> dict[str, Any]:
    """Return what the model is: its package, its words, and what its evidence holds."""
    contract = workspace.contract
    return {
        "contract": workspace.entry.contract,
        "words": asdict(contract.words),
        "purpose": contract.purpose,
        "evidence_schema": contract.evidence.to_json(),
    }


def recipe_of(contract: ModelContract, config: ModelConfig, features: list[str]) -> dict[str, Any]:
    """Return what the model is made by: algorithm, settings, inputs and what the fitted model splits on."""
    return {
        "algorithm": contract.estimator.algorithm,
        "settings": config.settings,
        "folds": config.folds,
        "inputs": list(contract.inputs),
        "features": features,
    }


def split_of(lake: ModelLake, split: pd.DataFrame) -> dict[str, Any]:
    """Return where the split is, and the digest of its content."""
    table = lake.names.split
    return {"table": table, "table_version": lake.open(table).version(), "digest": frame_digest(split)}


def cohort_of(lake: ModelLake, cohort: pd.DataFrame, features: pd.DataFrame) -> dict[str, Any]:
    """Return who the model was developed on: the flow from the source, and what is missing of each input.

    Counts of 1 to 10, and what they could be worked out from, are None.

    Parameters
    ----------
    cohort
        The rows that are studied, development and replay.
    features
        The training table: development rows with the inputs.
    """
    rows = len(features)
    missing = features[list(lake.contract.inputs)].isna().sum()
    return {
        "source": _source_table(lake),
        "flow": _flow(lake, cohort),
        "missing": {str(name): _share(int(count), rows) for name, count in missing.items() if count},
        "rows": rows,
        "entities": int(features["entity_key"].nunique()),
    }


def _share(count: int, total: int) -> float | None:
    share = shown_share(count / total, total)
    return None if share is None else round(share, 5)


def _source_table(lake: ModelLake) -> dict[str, Any] | None:
    raw = lake.names.raw
    return {"table": raw, "table_version": lake.open(raw).version()} if lake.exists(raw) else None


def _flow(lake: ModelLake, cohort: pd.DataFrame) -> list[dict[str, Any]]:
    """Count from the source to the parts of the study; empty when the source at hand is another one."""
    if not lake.exists(lake.names.raw):
        return []
    flow = lake.contract.data.flow(lake.read(lake.names.raw), cohort)
    if not adds_up(flow, len(cohort)):
        return []
    return [{"step": step, "rows": count} for step, count in shown_flow(flow).items()]


def adds_up(flow: Mapping[str, int], rows: int) -> bool:
    """Tell whether a flow accounts for every row: those left out, those added, and the parts of the study.

    Parameters
    ----------
    rows
        Of the cohort.
    """
    first, eligible = next(iter(flow.values())), _eligible(flow)
    excluded = sum(count for step, count in flow.items() if step.startswith(_OUT))
    added = sum(count for step, count in flow.items() if step.startswith("added"))
    parts = sum(count for step, count in flow.items() if step.startswith(_PARTS))
    return first - excluded + added == eligible == parts == rows


def _eligible(flow: Mapping[str, int]) -> int:
    return next(count for step, count in flow.items() if step.startswith(_ELIGIBLE))


def shown_flow(flow: Mapping[str, int]) -> dict[str, int | None]:
    """Return a flow as it may be shown: steps of 1 to 10, and what they could be worked out from, are None."""
    hidden = _hidden_steps(flow)
    return {step: None if step in hidden else count for step, count in flow.items()}


def _hidden_steps(flow: Mapping[str, int]) -> frozenset[str]:
    few = frozenset(step for step, count in flow.items() if is_few(count))
    out = {step: count for step, count in flow.items() if step.startswith(_OUT)}
    parts = {step: count for step, count in flow.items() if step.startswith(_PARTS)}
    excluded = hidden_cells(out, total=sum(out.values())) if out else frozenset()
    return few | excluded | hidden_cells(parts, total=_eligible(flow))
