"""What a version relies on and how its risks move, measured when it is trained and kept in the ledger.

What belongs here: putting together what ``science`` scores and ``evaluation`` measures, small cells hidden. What does
not: either of them, and the pages that show it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from readmission_platform.evaluation.disclosure import hidden_cells

if TYPE_CHECKING:
    from readmission_platform.models.readmission_30d.model import RecalibratedClassifier

TOP_FEATURES = 8
# Encounters whose reasons are added up, and encounters an input is varied in: as many as training can wait for.
ADDED_UP = 200
VARIED = 400


@dataclass(frozen=True)
class Explained:
    """``document`` is what the evidence document shows; ``losses`` the AUROC lost by feature of the encoder."""

    document: dict[str, Any]
    losses: dict[str, float]


def explanations_of(
    model: "RecalibratedClassifier",
    frame: pd.DataFrame,
    labels: np.ndarray,
    patients: pd.Series,
    *,
    seed: int,
) -> Explained:
    """Explain a model on encounters of patients it never saw.

    Parameters
    ----------
    frame
        ``MODEL_INPUTS``, one row per test encounter.
    labels
        0 or 1, shape (encounters,).
    patients
        Whose encounter each is.

    Returns
    -------
    ``document``: ``importance`` (AUROC lost with a concept's features shuffled, 95 % interval over patients, largest
    first), ``effects`` (average calibrated risk with an input set to a value), ``adds_up`` (how far contributions are
    from adding up to the risk they explain), and how many encounters are behind each.
    """
    from readmission_platform.evaluation.estimates.influence import auroc_losses
    from readmission_platform.models.readmission_30d.effects import (
        SHUFFLED_ENCOUNTERS,
        patients_sample,
        shared_among_features,
        shuffled_scores,
    )

    codes = pd.factorize(patients)[0]
    chosen = patients_sample(codes, SHUFFLED_ENCOUNTERS, seed=seed)
    reference, shuffled = shuffled_scores(model, frame.iloc[chosen], seed=seed)
    losses = auroc_losses(
        labels=labels[chosen], reference=reference, others=shuffled, patients=pd.factorize(codes[chosen])[0]
    )
    lost = {name: loss["value"] or 0.0 for name, loss in losses.items()}
    few = frame.iloc[patients_sample(codes, ADDED_UP, seed=seed)]
    weights, adds_up = _contributions(model, few)
    by_feature = shared_among_features(lost, weights)
    importance = [
        {"feature": name, "loss": losses[name]["value"], "low": losses[name]["low"], "high": losses[name]["high"]}
        for name in sorted(lost, key=lambda name: -lost[name])
    ]
    document = {
        "importance": importance,
        "importance_encounters": len(chosen),
        "effects": _effects(model, frame, codes, by_feature, seed=seed),
        "effects_encounters": int(min(len(frame), VARIED)),
        "adds_up": adds_up,
    }
    return Explained(document, by_feature)


def _contributions(model: "RecalibratedClassifier", frame: pd.DataFrame) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the mean size of each feature's contribution, and how well contributions add up."""
    from readmission_platform.models.readmission_30d.contributions import Explainer
    from readmission_platform.models.readmission_30d.model import logit, score

    found = Explainer(model).explain(frame)
    names = model.classifier[0].feature_names()
    sizes = np.abs(found.values).mean(axis=0)
    difference = float(np.abs(found.log_odds - logit(score(model, frame))).max())
    weights = {name: float(size) for name, size in zip(names, sizes, strict=True)}
    return weights, {"encounters": len(frame), "largest_difference_log_odds": difference}


def _effects(
    model: "RecalibratedClassifier", frame: pd.DataFrame, codes: np.ndarray, losses: dict[str, float], *, seed: int
) -> list[dict[str, Any]]:
    from readmission_platform.models.readmission_30d.effect_values import UNITS, kind_of, plain_name
    from readmission_platform.models.readmission_30d.effects import patients_sample
    from readmission_platform.models.readmission_30d.watched_inputs import column_importance

    chosen = patients_sample(codes, VARIED, seed=seed)
    sample, patients = frame.iloc[chosen], pd.factorize(codes[chosen])[0]
    columns = [name for name in column_importance(losses) if name in frame.columns][:TOP_FEATURES]
    effects = []
    for column in columns:
        unit = {"unit": UNITS[column]} if column in UNITS else {}
        points = _points(model, frame[column], sample, patients)
        effects.append(
            {"feature": column, "name": plain_name(column), "kind": kind_of(column), **unit, "points": points}
        )
    return effects


def _points(
    model: "RecalibratedClassifier", values: pd.Series, sample: pd.DataFrame, patients: np.ndarray
) -> list[dict[str, Any]]:
    from readmission_platform.evaluation.estimates.influence import mean_with_interval
    from readmission_platform.models.readmission_30d.effect_values import effect_values
    from readmission_platform.models.readmission_30d.effects import risks_with

    cells = effect_values(values)
    hidden = hidden_cells({str(place): cell.encounters for place, cell in enumerate(cells)}, total=len(values))
    risks = risks_with(model, sample, str(values.name), [cell.given for cell in cells])
    points = []
    for place, (cell, risk) in enumerate(zip(cells, risks, strict=True)):
        if str(place) in hidden:
            continue
        mean = mean_with_interval(risk, patients=patients)
        points.append({
            "value": cell.label if cell.number is None else cell.number,
            "label": cell.label,
            "n": cell.encounters,
            "risk": mean["value"],
            "low": mean["low"],
            "high": mean["high"],
        })  # fmt: skip
    return points
