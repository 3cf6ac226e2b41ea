"""The explanation part of a model that is a boosting: why a row has its risk, and what a version relies on.

What belongs here: putting together what the modules beside score and ``evaluation`` measures, small cells hidden. What
does not: either of them, and the pages that show it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.evaluation.disclosure import hidden_cells
from readmission_platform.evaluation.estimates.influence import auroc_losses, mean_with_interval
from readmission_platform.models.boosting.concepts import Concept
from readmission_platform.models.boosting.effect_values import InputWords
from readmission_platform.models.boosting.reasons import REASONS, accounts, by_concept, reasons
from readmission_platform.models.boosting.watched_inputs import column_importance
from readmission_platform.models.contract import Explained, Reliance

TOP_INPUTS = 8
# Every concept costs a scoring of them all; more would make training wait, and a study fits many models.
SHUFFLED = 6_000
SHUFFLED_IN_STUDY = 4_000
# Rows whose reasons are added up, in training and in a study, and rows an input is varied in.
ADDED_UP = 200
ADDED_UP_IN_STUDY = 300
VARIED = 400


def as_they_are(inputs: pd.DataFrame, _encoder: Any) -> pd.DataFrame:
    """Let reasons speak of every value of a row; fits feeds without free text."""
    return inputs


@dataclass(frozen=True)
class BoostingExplanation:
    """Reasons, importance and effects, in the concepts and words of one model.

    Attributes
    ----------
    concepts
        What people see as one thing; each feature of the encoder belongs to one.
    words
        How inputs are named and drawn.
    made_of
        The input columns of each feature that is not an input column itself.
    spoken_of
        Returns inputs (with the fitted encoder at hand) in which text that the model does not know is missing: what a
        file brings along gets into no reason.
    """

    concepts: tuple[Concept, ...]
    words: InputWords
    made_of: Mapping[str, Sequence[str]]
    spoken_of: Callable[[pd.DataFrame, Any], pd.DataFrame] = as_they_are

    @property
    def named_at_most(self) -> int:
        """How many reasons a row is given at most."""
        return REASONS

    def explainer(self, model: Any) -> Callable[[pd.DataFrame, np.ndarray], tuple[list[str], list[str]]]:
        """Return a function from inputs and their risks to reasons in words and contributions as JSON, one a row."""
        from readmission_platform.evaluation.estimates.calibration import logit
        from readmission_platform.models.boosting.contributions import Explainer

        explainer, encoder = Explainer(model), model.classifier[0]

        def explain(inputs: pd.DataFrame, risk: np.ndarray) -> tuple[list[str], list[str]]:
            found = explainer.explain(inputs)
            sums = by_concept(found, encoder.feature_names(), self.concepts)
            said = reasons(sums, self.spoken_of(inputs, encoder), self.concepts)
            return said, accounts(sums, found.baseline, logit(risk), self.concepts)

        return explain

    def explained(
        self, model: Any, inputs: pd.DataFrame, labels: np.ndarray, entities: pd.Series, *, seed: int
    ) -> Explained:
        """Explain a model on rows of entities it never saw.

        Parameters
        ----------
        labels
            0 or 1, shape (rows,).
        entities
            Whose row each is.

        Returns
        -------
        ``document``: ``importance`` (AUROC lost with a concept's features shuffled, 95 % interval over entities,
        largest first), ``effects`` (average calibrated risk with an input set to a value), ``adds_up`` (how far
        contributions are from adding up to the risk they explain), and how many rows are behind each.
        """
        from readmission_platform.models.boosting.effects import entities_sample, shared_among_features

        codes = pd.factorize(entities)[0]
        losses, shuffled = self._losses(model, inputs, labels, codes, SHUFFLED, seed=seed)
        lost = {name: loss["value"] or 0.0 for name, loss in losses.items()}
        few = inputs.iloc[entities_sample(codes, ADDED_UP, seed=seed)]
        contributions, adds_up = _contributions(model, few)
        sizes = np.abs(contributions.values).mean(axis=0)
        names = model.classifier[0].feature_names()
        weights = {name: float(size) for name, size in zip(names, sizes, strict=True)}
        by_feature = shared_among_features(lost, weights, self.concepts)
        importance = [
            {"feature": name, "loss": losses[name]["value"], "low": losses[name]["low"], "high": losses[name]["high"]}
            for name in sorted(lost, key=lambda name: -lost[name])
        ]
        document = {
            "importance": importance,
            "importance_rows": shuffled,
            "effects": self._effects(model, inputs, codes, by_feature, seed=seed),
            "effects_rows": int(min(len(inputs), VARIED)),
            "adds_up": {"rows": len(few), "largest_difference_log_odds": adds_up},
        }
        return Explained(document, by_feature)

    def reliance(
        self, model: Any, inputs: pd.DataFrame, labels: np.ndarray, entities: np.ndarray, *, seed: int
    ) -> Reliance:
        """Measure what a model relies on, on rows of entities it never saw.

        Rows and shuffles depend on ``seed`` alone: with the same one, what differs between two fits is the model.
        """
        from readmission_platform.models.boosting.effects import entities_sample

        codes = pd.factorize(entities)[0]
        losses, _ = self._losses(model, inputs, labels, codes, SHUFFLED_IN_STUDY, seed=seed)
        contributions, adds_up = _contributions(
            model, inputs.iloc[entities_sample(codes, ADDED_UP_IN_STUDY, seed=seed)]
        )
        sums = by_concept(contributions, model.classifier[0].feature_names(), self.concepts)
        return Reliance(np.array([losses[name]["value"] or 0.0 for name in sorted(losses)]), sums, adds_up)

    def _losses(
        self, model: Any, inputs: pd.DataFrame, labels: np.ndarray, codes: np.ndarray, rows: int, *, seed: int
    ) -> tuple[dict[str, dict[str, float | None]], int]:
        """Return the AUROC lost without each concept, and on how many rows of ``inputs`` it was measured."""
        from readmission_platform.models.boosting.effects import entities_sample, shuffled_scores

        chosen = entities_sample(codes, rows, seed=seed)
        reference, shuffled = shuffled_scores(model, inputs.iloc[chosen], self.concepts, seed=seed)
        clusters = pd.factorize(codes[chosen])[0]
        losses = auroc_losses(labels=labels[chosen], reference=reference, others=shuffled, entities=clusters)
        return losses, len(chosen)

    def _effects(
        self, model: Any, inputs: pd.DataFrame, codes: np.ndarray, losses: dict[str, float], *, seed: int
    ) -> list[dict[str, Any]]:
        from readmission_platform.models.boosting.effects import entities_sample

        chosen = entities_sample(codes, VARIED, seed=seed)
        sample, clusters = inputs.iloc[chosen], pd.factorize(codes[chosen])[0]
        important = column_importance(losses, self.made_of)
        effects = []
        for column in [name for name in important if name in inputs.columns][:TOP_INPUTS]:
            unit = {"unit": self.words.units[column]} if column in self.words.units else {}
            name, kind = self.words.plain_name(column), self.words.kind_of(column)
            points = self._points(model, inputs[column], sample, clusters)
            effects.append({"feature": column, "name": name, "kind": kind, **unit, "points": points})
        return effects

    def _points(
        self, model: Any, values: pd.Series, sample: pd.DataFrame, clusters: np.ndarray
    ) -> list[dict[str, Any]]:
        from readmission_platform.models.boosting.effects import risks_with

        cells = self.words.values(values)
        hidden = hidden_cells({str(place): cell.rows for place, cell in enumerate(cells)}, total=len(values))
        risks = risks_with(model, sample, str(values.name), [cell.given for cell in cells])
        points = []
        for place, (cell, risk) in enumerate(zip(cells, risks, strict=True)):
            if str(place) in hidden:
                continue
            mean = mean_with_interval(risk, entities=clusters)
            points.append({
                "value": cell.label if cell.number is None else cell.number,
                "label": cell.label,
                "n": cell.rows,
                "risk": mean["value"],
                "low": mean["low"],
                "high": mean["high"],
            })  # fmt: skip
        return points


def _contributions(model: Any, inputs: pd.DataFrame) -> tuple[Any, float]:
    """Return contributions, and the largest difference in log odds from the risks they explain."""
    from readmission_platform.evaluation.estimates.calibration import logit
    from readmission_platform.models.boosting.contributions import Explainer
    from readmission_platform.models.boosting.recalibrated import score

    found = Explainer(model).explain(inputs)
    return found, float(np.abs(found.log_odds - logit(score(model, inputs))).max())
