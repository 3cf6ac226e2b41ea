"""Promises of the estimator part: honest scores, repeatable fits, artifacts, and withheld rows.

What belongs here: what has to be so of any model, however good. What does not: how good it is (its gates).
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from readmission_platform.evaluation.estimates.metrics import auroc
from readmission_platform.evaluation.estimates.recalibration import corrected
from readmission_platform.evaluation.leakage import permuted_labels_auroc
from readmission_platform.models.conformance.subject import Subject

Promise = tuple[str, str | None]
# No interface delivers these; whoever repeats a value of a row would repeat them.
_NUMBER, _TEXT = 987_654_321.0, "qzxv"
# Standard deviations that an AUROC of permuted labels may lie from .5.
_CHANCE = 5.0


class Foreign:
    """A type that no model consists of."""


def promises(subject: Subject) -> Iterator[Promise]:
    """Yield each promise with what is wrong, or None."""
    yield "out-of-fold scores are probabilities", _no_probabilities(subject)
    yield "out-of-fold scores rank better than chance", _no_signal(subject)
    yield "no entity has a part in its own scores", _scores_itself(subject)
    yield "randomly permuted labels teach nothing", _learns_by_heart(subject)
    yield "the model to ship gives the scores of its test entities", _another_model(subject)
    yield "a row's risk does not depend on the rows beside it", _depends_on_neighbours(subject)
    yield "the same seed gives the same bits", _unseeded(subject)
    yield "a recalibrated model ranks as before, and its log odds are the corrected ones", _recalibrated(subject)
    yield "an artifact round-trips bit for bit", _artifact(subject)
    yield "an artifact of a foreign type is refused", _foreign(subject)
    yield "features have names", _features(subject)
    yield "rows are withheld without any of their values", _withheld(subject)


def _no_probabilities(subject: Subject) -> str | None:
    scores = subject.fitted.scores
    if scores.shape != (len(subject.inputs),):
        return f"shape {scores.shape} for {len(subject.inputs)} rows"
    return None if ((scores > 0) & (scores < 1)).all() else "a score does not lie between 0 and 1"


def _no_signal(subject: Subject) -> str | None:
    area = auroc(labels=subject.labels.astype(np.int64), scores=subject.fitted.scores)
    return None if area > 0.5 else f"AUROC {area:.3f}"


def _scores_itself(subject: Subject) -> str | None:
    """Deal the labels of the test rows out anew: the order of their risks may not change.

    Recalibration is fitted on all other folds, whose models saw these labels; it moves risks and keeps their order.
    """
    dealt = subject.labels.copy()
    dealt[subject.test] = np.random.default_rng(subject.seed).permutation(dealt[subject.test])
    model = subject.fit(dealt).model
    before = subject.risk[subject.test]
    after = subject.contract.estimator.score(model, subject.inputs[subject.test])
    in_order = after[np.argsort(before, kind="stable")]
    return None if (np.diff(in_order) >= -1e-9).all() else "the order of the test rows depends on their own labels"


def _learns_by_heart(subject: Subject) -> str | None:
    estimator = subject.contract.estimator

    def out_of_fold(inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, entities: np.ndarray) -> np.ndarray:
        return estimator.cross_validate(
            inputs, labels, folds, subject.settings, entities=entities, seed=subject.seed
        ).scores

    area = permuted_labels_auroc(
        out_of_fold, subject.inputs, subject.labels, subject.folds, subject.entities, seed=subject.seed
    )
    positives = int(subject.labels.sum())
    # Of an AUROC when there is nothing to tell (Mann and Whitney 1947).
    spread = np.sqrt((len(subject.labels) + 1) / (12 * positives * (len(subject.labels) - positives)))
    return None if abs(area - 0.5) <= _CHANCE * spread else f"AUROC {area:.3f}"


def _another_model(subject: Subject) -> str | None:
    apart = np.abs(subject.risk[subject.test] - subject.fitted.scores[subject.test]).max()
    return None if apart <= 1e-9 else f"largest difference {apart:.1e}"


def _depends_on_neighbours(subject: Subject) -> str | None:
    estimator, model, few = subject.contract.estimator, subject.fitted.model, subject.inputs.head(20)
    alone = np.concatenate([estimator.score(model, few.iloc[[place]]) for place in range(len(few))])
    if not np.array_equal(alone, subject.risk[: len(few)]):
        return "alone it is another one"
    return None if estimator.score(model, few.head(0)).shape == (0,) else "no rows give something else than no risks"


def _unseeded(subject: Subject) -> str | None:
    told: list[tuple[int, int]] = []
    again = subject.contract.estimator.cross_validate(
        subject.inputs, subject.labels, subject.folds, subject.settings, entities=subject.entities, seed=subject.seed,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    if not np.array_equal(again.scores, subject.fitted.scores):
        return "out-of-fold scores differ"
    if not np.array_equal(subject.contract.estimator.score(again.model, subject.inputs), subject.risk):
        return "the models to ship differ"
    folds = int(subject.folds.max()) + 1
    return None if told == [(done, folds) for done in range(1, folds + 1)] else "progress is not told fold by fold"


def _recalibrated(subject: Subject) -> str | None:
    estimator, rows = subject.contract.estimator, subject.inputs[subject.test]
    model = estimator.recalibrated(subject.fitted.model, 0.8, 0.3)
    apart = np.abs(estimator.score(model, rows) - corrected(subject.risk[subject.test], 0.8, 0.3)).max()
    if apart > 1e-9:
        return f"risks are {apart:.1e} from the corrected ones"
    same = np.array_equal(estimator.score(subject.fitted.model, rows), subject.risk[subject.test])
    return None if same else "the model that was recalibrated gives other risks than before"


def _artifact(subject: Subject) -> str | None:
    estimator = subject.contract.estimator
    loaded = estimator.load(estimator.dump(subject.fitted.model))
    return None if np.array_equal(estimator.score(loaded, subject.inputs), subject.risk) else "risks differ"


def _foreign(subject: Subject) -> str | None:
    estimator = subject.contract.estimator
    try:
        estimator.load(estimator.dump(Foreign()))
    except (ValueError, TypeError):
        return None
    return "it is loaded"


def _features(subject: Subject) -> str | None:
    names = subject.contract.estimator.feature_names(subject.fitted.model)
    return None if names and len(set(names)) == len(names) else "there are none, or two of one name"


def _withheld(subject: Subject) -> str | None:
    estimator, model = subject.contract.estimator, subject.fitted.model
    usual = estimator.unsound(model, subject.inputs, subject.risk)
    if len(usual) != len(subject.inputs) or sum(each is not None for each in usual) > 0.2 * len(usual):
        return "of rows like those of training, more than one in five is withheld"
    few = subject.inputs.head(30)
    numbers = {name: pd.api.types.is_numeric_dtype(few[name]) for name in few}
    odd = pd.DataFrame({name: [_NUMBER if number else _TEXT] * len(few) for name, number in numbers.items()})
    said = estimator.unsound(model, odd, np.full(len(odd), 0.5))
    if not all(said):
        return "a row that is like nothing in training is scored"
    if any(value in str(text) for text in said for value in (_TEXT, f"{_NUMBER:.0f}")):
        return "a reason repeats a value"
    gone = estimator.unsound(model, few, np.full(len(few), np.nan))
    return None if all(gone) else "a risk that is no number is scored"
