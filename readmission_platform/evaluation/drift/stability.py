"""How far the rows of a window are from a version's training data: Evidently's index, missing and unseen values.

What belongs here: the one place that knows Evidently. What does not: which values are compared as one (``cells``), and
what counts as drift (``drift``). The numbers on Evidently's page are the numbers that are judged.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from readmission_platform.evaluation.drift.cells import Codes, Vocabulary, compared_as, vocabulary_of
from readmission_platform.evaluation.drift.kinds import DRIFT, MISSING, RISK, UNSEEN

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

MEASURED_COLUMNS = ["column", "measure", "score", "observed", "reference"]
METHOD = "psi"
_NOTHING = 0.0001


@dataclass(frozen=True)
class Reference:
    """Training as windows are compared with it: what all of it knows of each column, and the cells of a sample."""

    vocabularies: Mapping[str, Vocabulary]
    cells: Mapping[str, Codes]


@dataclass(frozen=True)
class Measured:
    """What was measured of one window: ``rows`` as :func:`measure` returns them, and the report they stand in."""

    rows: pd.DataFrame
    report: "Snapshot | None"

    def page(self) -> bytes | None:
        """Return Evidently's page, 4 MB of HTML that loads nothing from elsewhere; None if nothing was compared."""
        return None if self.report is None else str(self.report.get_html_str(as_iframe=False)).encode()


def reference_of(training: pd.DataFrame, risks: np.ndarray, *, rows: int, rare_share: float, seed: int) -> Reference:
    """Prepare a version's training data for comparisons.

    Parameters
    ----------
    training
        All training rows: numbers (float64) or categories (text) by column, missing as NaN or None.
    risks
        The version's out-of-fold risks, shape (n,): what it says of entities it was not trained on.
    rows
        How many to draw for the comparison, by ``seed``; all if there are fewer.
    rare_share
        Categories of a smaller share of training are compared together.
    """
    columns = {str(name): training[name] for name in training.columns} | {RISK: pd.Series(risks, name=RISK)}
    drawn = np.random.default_rng(seed)
    vocabularies = {name: vocabulary_of(values, rare_share=rare_share) for name, values in columns.items()}
    size = min(rows, len(training), len(risks))
    sample = {count: np.sort(drawn.choice(count, size, replace=False)) for count in sorted({len(training), len(risks)})}
    cells = {name: vocabularies[name].codes(values.iloc[sample[len(values)]]) for name, values in columns.items()}
    return Reference(vocabularies, cells)


def measure(reference: Reference, window: pd.DataFrame, *, limits: Mapping[str, float]) -> Measured:
    """Measure how far a window is from the reference, column by column.

    Parameters
    ----------
    window
        The columns of the reference, prepared in the same way, and ``risk`` (NaN where there is none).
    limits
        By column, the score from which Evidently's page calls it drifted.

    Returns
    -------
    ``rows``: one per ``column`` and ``measure``, with its ``score``. ``drift`` is Evidently's population stability
    index, NaN where there was nothing to compare; ``missing`` how far the share of missing values is from that of
    training, either way; ``unseen`` the share of categories that training never saw. ``observed`` and ``reference``
    are the two shares of the last two, else NaN.
    """
    labels = {
        name: _labels(vocabulary, reference.cells[name], window[name])
        for name, vocabulary in reference.vocabularies.items()
        if name != RISK or window[name].notna().any()
    }
    scores: dict[str, float] = {}
    report = None
    if labels and len(window):
        ours = pd.DataFrame({name: pair[0] for name, pair in labels.items()})
        theirs = pd.DataFrame({name: pair[1] for name, pair in labels.items()})
        scores, report = _stability(ours, theirs, {name: limits[name] for name in labels})
    rows = [row for name, vocabulary in reference.vocabularies.items()
            for row in _rows(vocabulary, window[name], scores.get(name, math.nan))]  # fmt: skip
    return Measured(pd.DataFrame(rows, columns=MEASURED_COLUMNS), report)


def risk_index(reference: pd.Series, risks: pd.Series, *, rare_share: float) -> float:
    """Return the population stability index of risks against others, the one that :func:`measure` finds.

    Worked out here, because Evidently takes seconds to load and this is wanted whenever figures are.

    Parameters
    ----------
    reference, risks
        Float64, none missing; neither is empty.
    """
    vocabulary = vocabulary_of(reference.rename(RISK), rare_share=rare_share)
    cells = vocabulary.codes(reference), vocabulary.codes(risks)
    names = np.array(compared_as(vocabulary, *cells), dtype=object)
    shares = pd.DataFrame({place: pd.Series(names[codes]).value_counts(normalize=True)
                           for place, codes in enumerate(cells)})  # fmt: skip
    # Evidently's stand-in for a share of nothing, where no share is smaller still.
    least = shares.min().where(shares.min() > _NOTHING, shares.min() / 1e6).where(shares.min() <= _NOTHING, _NOTHING)
    theirs, ours = shares.fillna(least).T.to_numpy()
    return float(((theirs - ours) * np.log(theirs / ours)).sum())


def _labels(vocabulary: Vocabulary, cells: Codes, values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels of reference and window; a row without a risk has none, and Evidently leaves it out."""
    has_one = values.notna().to_numpy() if vocabulary.column == RISK else np.ones(len(values), dtype=bool)
    codes = vocabulary.codes(values[has_one])
    names = np.array(compared_as(vocabulary, cells, codes), dtype=object)
    labels = np.full(len(values), None, dtype=object)
    labels[has_one] = names[codes]
    return names[cells], labels


def _rows(vocabulary: Vocabulary, values: pd.Series, score: float) -> list[tuple[str, str, float, float, float]]:
    name = vocabulary.column
    rows = [(name, DRIFT, score, math.nan, math.nan)]
    if name == RISK:
        return rows
    missing = float(values.isna().mean()) if len(values) else math.nan
    rows.append((name, MISSING, abs(missing - vocabulary.missing), missing, vocabulary.missing))
    if not vocabulary.ordered:
        unseen = vocabulary.unseen(values)
        rows.append((name, UNSEEN, unseen, unseen, 0.0))
    return rows


def _stability(
    reference: pd.DataFrame, window: pd.DataFrame, limits: Mapping[str, float]
) -> tuple[dict[str, float], "Snapshot"]:
    """Have Evidently compare labels of cells, column by column."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    columns = list(limits)
    # Categories throughout: of numbers Evidently draws the mean of every few rows, which is a patient's value.
    definition = DataDefinition(categorical_columns=columns)
    report = Report([ValueDrift(column=column, method=METHOD, threshold=limits[column]) for column in columns])
    found = report.run(
        current_data=Dataset.from_pandas(window[columns], data_definition=definition),
        reference_data=Dataset.from_pandas(reference[columns], data_definition=definition),
    )
    return {metric["config"]["column"]: float(metric["value"]) for metric in found.dict()["metrics"]}, found
