"""Challenger against champion, on the same rows and the same bootstrap replicates.

What belongs here: paired differences between two scores of the same rows. What does not: choosing rows
that neither model was trained on, which is the caller's duty (splits hash the entity, so it can be kept).
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.evaluation.estimates.bootstrap import Counts, Key, bootstrap
from readmission_platform.evaluation.estimates.decision_curves import net_benefit_of
from readmission_platform.evaluation.estimates.evidence import builtin_estimate, require_settings
from readmission_platform.evaluation.estimates.pooled import threshold_name
from readmission_platform.evaluation.estimates.ranking import (
    FloatArray,
    Ranking,
    accumulate,
    auroc_of,
    average_precision_of,
    rank_rows,
    ratio,
    squared_errors,
    weighted_sum,
)
from readmission_platform.evaluation.estimates.rows import (
    InvalidEvidence,
    entity_codes,
    read_columns,
    require_labels,
    require_unit_interval,
)
from readmission_platform.evaluation.estimates.schema import ROW_COLUMNS, Kind

COMPARISON_COLUMNS: dict[str, Kind] = {
    **{name: ROW_COLUMNS[name] for name in ("row_key", "entity_key", "label", "score")},
    "champion_score": "number",
}


def compare(
    rows: pd.DataFrame, *, thresholds: Iterable[float], replicates: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Estimate challenger minus champion with paired entity-cluster bootstrap intervals.

    Parameters
    ----------
    rows : one row each with ``row_key``, ``entity_key``, ``label``, ``score`` (challenger)
        and ``champion_score``, both probabilities; neither model may have been trained on these rows.
    thresholds : probabilities at which net benefit is compared, at least one.

    Returns
    -------
    Estimates (value, low, high, n, positives) by name: ``champion_auroc_difference``,
    ``champion_average_precision_difference``, ``champion_brier_difference`` (below 0 is better),
    ``champion_net_benefit_difference`` (mean over the thresholds) and
    ``champion_net_benefit_difference_at_<threshold>`` for each.

    Raises
    ------
    InvalidEvidence
        The rows or the settings are unusable.
    """
    in_use = tuple(float(t) for t in thresholds)
    require_settings(shares=(), thresholds=in_use, replicates=replicates)
    if not in_use:
        raise InvalidEvidence("at least one threshold is needed to compare net benefit")
    columns = read_columns(rows, kinds=COMPARISON_COLUMNS)
    labels = columns.whole["label"]
    require_labels(labels)
    codes, entities = entity_codes(columns.text["entity_key"])
    rankings = {}
    for name in ("score", "champion_score"):
        scores = columns.number[name]
        require_unit_interval(name, scores)
        rankings[name] = rank_rows(labels=labels, scores=scores, columns=codes)
    found = bootstrap(
        partial(_differences, rankings["score"], rankings["champion_score"], in_use),
        clusters=entities,
        rows=len(labels),
        replicates=replicates,
        seed=seed,
    )
    positives = int(labels.sum())
    return {key[0]: builtin_estimate(found[key], n=len(labels), positives=positives) for key in found}


def _differences(
    challenger: Ranking, champion: Ranking, thresholds: tuple[float, ...], counts: Counts
) -> dict[Key, FloatArray]:
    ours, theirs = (accumulate(ranking=ranking, weights=counts) for ranking in (challenger, champion))
    brier, champion_brier = (
        ratio(weighted_sum(running, values=squared_errors(running.ranking)), running.total)
        for running in (ours, theirs)
    )
    benefit = {t: net_benefit_of(ours, threshold=t) - net_benefit_of(theirs, threshold=t) for t in thresholds}
    values: dict[Key, FloatArray] = {
        ("champion_auroc_difference",): auroc_of(ours) - auroc_of(theirs),
        ("champion_average_precision_difference",): average_precision_of(ours) - average_precision_of(theirs),
        ("champion_brier_difference",): brier - champion_brier,
        ("champion_net_benefit_difference",): np.mean(list(benefit.values()), axis=0),
    }
    for threshold, difference in benefit.items():
        name = threshold_name(threshold).replace("net_benefit_at", "champion_net_benefit_difference_at")
        values[(name,)] = difference
    return values
