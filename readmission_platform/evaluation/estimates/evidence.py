"""The evidence document: everything a version is judged by, computed from its stored rows.

What belongs here: checking the rows, and arranging estimates, curves and groups into one JSON document. What
does not: the computations (``pooled``), limits and verdicts (``governance.policy.gates``), and hiding small cells
before the document is shown (``disclosure``).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.evaluation.disclosure import digits_shown, telling_shares
from readmission_platform.evaluation.estimates import curves
from readmission_platform.evaluation.estimates.bootstrap import Estimate, Key, bootstrap
from readmission_platform.evaluation.estimates.fairness import (
    Group,
    compared_in_auroc_gap,
    compared_in_equalised_odds,
)
from readmission_platform.evaluation.estimates.pooled import (
    EvidenceArrays,
    Prepared,
    compared_pairs,
    prepare,
    statistics,
)
from readmission_platform.evaluation.estimates.ranking import Ranking
from readmission_platform.evaluation.estimates.rows import (
    InvalidEvidence,
    category_codes,
    digest_rows,
    entity_codes,
    evidence_columns,
    read_columns,
    require_finite,
    require_labels,
    require_unit_interval,
)
from readmission_platform.evaluation.estimates.schema import GROUP_MEASURES, EvidenceSchema

__all__ = ["InvalidEvidence", "builtin_estimate", "digest_rows", "evaluate", "require_settings"]


def evaluate(
    rows: pd.DataFrame,
    *,
    schema: EvidenceSchema,
    flag_share: float,
    wide_flag_share: float,
    thresholds: Iterable[float],
    replicates: int,
    seed: int,
) -> dict[str, Any]:
    """Compute the evidence document of one model version.

    Parameters
    ----------
    rows : evidence rows (``rows.evidence_columns``); their order does not matter.
    schema : the attributes whose groups are compared, and the baselines that the model is compared with.
    flag_share, wide_flag_share : shares of the rows flagged, between 0 and 1, for the estimates ``recall_at_flag`` and
        ``ppv_at_flag``, and ``recall_at_wide_flag``.
    thresholds : probabilities at which net benefit is reported, between 0 and 1.
    replicates : number of entity-cluster bootstrap replicates behind every 95 % percentile interval.
    seed : seed of the bootstrap; the same rows and settings give the same document.

    Returns
    -------
    Builtin types only, ready for JSON: ``schema`` (as given), ``n``, ``positives``, ``entities`` (how many entities),
    ``prevalence``, ``settings``, ``estimates`` (name to value, low, high, n, positives; ``entities`` of a group, and
    ``digits`` where a figure may be shown to so many only), ``curves``, ``groups``,
    ``baselines`` (AUROC of each score the model is compared with) and ``comparisons`` (AUROC of the first less that of
    the second, for each pair of them and the model, on the same replicates). Undefined figures are None. In the
    estimates that compare groups, n and positives count the rows of the compared groups (0 when fewer than two can be
    compared).

    Raises
    ------
    InvalidEvidence
        The rows or the settings are unusable; one line that names the column, without values.
    """
    in_use = tuple(float(t) for t in thresholds)
    require_settings(shares=(flag_share, wide_flag_share), thresholds=in_use, replicates=replicates)
    arrays = read_evidence(rows, schema)
    prepared = prepare(arrays, flag_share=flag_share, wide_flag_share=wide_flag_share, thresholds=in_use)
    found = bootstrap(
        partial(statistics, prepared),
        clusters=arrays.entities,
        rows=len(arrays.labels),
        replicates=replicates,
        seed=seed,
    )
    n, positives = prepared.overall.n, prepared.overall.p
    document: dict[str, Any] = {
        "schema": schema.to_json(),
        "n": n,
        "positives": positives,
        "entities": arrays.entities,
        "prevalence": positives / n if n else None,
        "settings": {
            "flag_share": float(flag_share),
            "wide_flag_share": float(wide_flag_share),
            "thresholds": list(in_use),
            "replicates": int(replicates),
            "seed": int(seed),
        },
        "estimates": _estimates(prepared, found),
        "curves": _curves(arrays, schema, found, thresholds=in_use, flag_share=flag_share),
        "groups": {
            attribute.name: {group.name: _group(group, found) for group in groups}
            for attribute, groups in prepared.groups.items()
        },
        "baselines": [{"name": name, "auroc": _interval(found["baseline_auroc", name])} for name in prepared.baselines],
        "comparisons": [
            {"first": first, "second": second, "difference": _interval(found["auroc_difference", first, second])}
            for first, second in compared_pairs(prepared)
        ],
    }
    for attribute, groups in prepared.groups.items():
        digits = _digits_of_gap(document, attribute.name, compared_in_equalised_odds(groups))
        document["estimates"][f"equalised_odds_{attribute.name}"] |= {} if digits is None else {"digits": digits}
    return document


def require_settings(*, shares: Iterable[float], thresholds: Iterable[float], replicates: int) -> None:
    """Refuse shares and thresholds that are not strictly between 0 and 1, and fewer than one replicate."""
    for name, values in (("flag share", shares), ("threshold", thresholds)):
        if not all(0 < value < 1 for value in values):
            raise InvalidEvidence(f"every {name} must lie strictly between 0 and 1")
    if replicates < 1:
        raise InvalidEvidence("at least one bootstrap replicate is needed")


def read_evidence(rows: pd.DataFrame, schema: EvidenceSchema) -> EvidenceArrays:
    """Check evidence rows and turn them into arrays in canonical order; raises ``InvalidEvidence``."""
    kinds = evidence_columns(rows, schema)
    columns = read_columns(rows, kinds=kinds)
    require_labels(columns.whole["label"])
    require_unit_interval("score", columns.number["score"])
    require_unit_interval("clock", columns.number["clock"])
    baselines = [baseline for baseline in schema.baselines if baseline.name in kinds]
    for baseline in baselines:
        check = require_unit_interval if baseline.probability else require_finite
        check(baseline.name, columns.number[baseline.name])
    codes, entities = entity_codes(columns.text["entity_key"])
    return EvidenceArrays(
        labels=columns.whole["label"],
        scores=columns.number["score"],
        codes=codes,
        entities=entities,
        fold=columns.whole["fold"],
        clock=columns.number["clock"],
        baselines={baseline.name: columns.number[baseline.name] for baseline in baselines},
        members={attribute: category_codes(columns.text[attribute.name]) for attribute in schema.attributes},
    )


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _interval(estimate: Estimate) -> dict[str, float | None]:
    return {"value": _number(estimate.value), "low": _number(estimate.low), "high": _number(estimate.high)}


def builtin_estimate(estimate: Estimate, *, n: int, positives: int) -> dict[str, Any]:
    """Return an estimate as the document holds it: value, low, high (None = undefined), n, positives."""
    return {**_interval(estimate), "n": n, "positives": positives}


def _estimates(prepared: Prepared, found: Mapping[Key, Estimate]) -> dict[str, Any]:
    slices: dict[str, Ranking] = {
        "auroc_test": prepared.test,
        "latest_auroc": prepared.latest,
        "latest_observed_expected": prepared.latest,
    }
    counted = {name: (rows.n, rows.p) for name, rows in slices.items()}
    for attribute, groups in prepared.groups.items():
        counted[f"equalised_odds_{attribute.name}"] = _compared(compared_in_equalised_odds(groups))
        counted[f"auroc_gap.{attribute.name}"] = _compared(compared_in_auroc_gap(groups))
    n, positives = prepared.overall.n, prepared.overall.p
    by_name = {(group.attribute.name, group.name): group for groups in prepared.groups.values() for group in groups}
    estimates: dict[str, Any] = {
        "rows": {"value": float(n), "low": float(n), "high": float(n), "n": n, "positives": positives}
    }
    for key, estimate in found.items():
        if len(key) == 1:
            rows, cases = counted.get(key[0], (n, positives))
            estimates[key[0]] = builtin_estimate(estimate, n=rows, positives=cases)
        elif key[0] == "groups" and key[3] == "observed_expected":
            group = by_name[key[1], key[2]]
            counts = builtin_estimate(estimate, n=group.n, positives=group.positives)
            estimates[f"observed_expected.{key[1]}.{key[2]}"] = {**counts, "entities": group.entities}
    return estimates


def _digits_of_gap(document: Mapping[str, Any], attribute: str, compared: Sequence[Group]) -> int | None:
    """Say how exactly a gap may be shown: the shares it lies between may tell of few people; None is exactly."""
    telling = [
        group.n - group.positives if of_negatives else group.positives
        for of_negatives in (False, True)
        for names in [telling_shares(document, document["groups"][attribute], of_negatives=of_negatives)]
        for group in compared
        if group.name in names
    ]
    return digits_shown(min(telling)) if telling else None


def _compared(groups: list[Group]) -> tuple[int, int]:
    if len(groups) < 2:
        return 0, 0
    return sum(group.n for group in groups), sum(group.positives for group in groups)


def _group(group: Group, found: Mapping[Key, Estimate]) -> dict[str, Any]:
    figures = {m: _interval(found["groups", group.attribute.name, group.name, m]) for m in GROUP_MEASURES}
    return {"n": group.n, "positives": group.positives, "entities": group.entities, **figures}


def _curves(
    arrays: EvidenceArrays,
    schema: EvidenceSchema,
    found: Mapping[Key, Estimate],
    *,
    thresholds: tuple[float, ...],
    flag_share: float,
) -> dict[str, Any]:
    labels, scores = arrays.labels, arrays.scores
    probabilities = {baseline.name for baseline in schema.baselines if baseline.probability}
    baselines = {
        name: {
            **curves.roc(labels=labels, scores=values),
            "auroc": _interval(found["baseline_auroc", name]),
        }
        for name, values in arrays.baselines.items()
    }
    calibration = curves.calibration(labels=labels, scores=scores)
    for entry in calibration["bins"]:
        estimate = found["bins", str(entry["bin"])]
        # All or none positive: resampling would show no uncertainty at all, which is not so.
        certain = entry["positives"] in (0, entry["n"])
        entry["low"], entry["high"] = (None, None) if certain else (_number(estimate.low), _number(estimate.high))
    return {
        "roc": {
            **curves.roc(labels=labels, scores=scores),
            "auroc": _interval(found[("auroc",)]),
            "baselines": baselines,
        },
        "precision_recall": {
            **curves.precision_recall(labels=labels, scores=scores),
            "average_precision": _interval(found[("average_precision",)]),
            "prevalence": float(np.mean(labels)) if len(labels) else None,
            "flag": {
                "share": float(flag_share),
                "recall": _number(found[("recall_at_flag",)].value),
                "precision": _number(found[("ppv_at_flag",)].value),
            },
        },
        "calibration": {
            **calibration,
            "slope": _interval(found[("calibration_slope",)]),
            "observed_expected": _interval(found[("observed_expected",)]),
        },
        "decision": curves.decision(
            labels=labels,
            scores=scores,
            points={name: values for name, values in arrays.baselines.items() if name not in probabilities},
            risks={name: values for name, values in arrays.baselines.items() if name in probabilities},
            thresholds=thresholds,
        ),
    }
