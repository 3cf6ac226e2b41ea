"""How a version does on rows it scored: measured once outcomes have matured, estimated before.

What belongs here: pure functions on the rows of one version and period; intervals come from the entity-cluster
bootstrap (``bootstrap``), formulas from where validation has them. What does not: which days have matured, limits and
verdicts (``assets.monitoring.performance``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN, hidden_rows, suppress_small_cells
from readmission_platform.evaluation.estimates import curves, metrics
from readmission_platform.evaluation.estimates.bootstrap import Counts, Estimate, Key, bootstrap
from readmission_platform.evaluation.estimates.calibration import (
    equal_mass_edges,
    observed_expected_of,
    recalibrate,
    recalibration_groups,
)
from readmission_platform.evaluation.estimates.metrics import Capacity, capacity_of, skill
from readmission_platform.evaluation.estimates.ranking import (
    Flag,
    FloatArray,
    IntArray,
    Ranking,
    Running,
    accumulate,
    auroc_of,
    flag_at_share,
    grouped_by_place,
    rank_rows,
    ratio,
    squared_errors,
    weighted_sum,
)
from readmission_platform.evaluation.estimates.rows import require_labels, require_unit_interval
from readmission_platform.evaluation.estimates.schema import EvidenceSchema
from readmission_platform.evaluation.operation.cohorts import ALL, SEEN, UNSEEN, group_cohort

MEASURES = (
    *("auroc", "observed_expected", "calibration_slope", "brier", "brier_skill", "recall_at_flag", "ppv_at_flag"),
    "accuracy",
)
FIGURE_COLUMNS = ["cohort", "measure", "value", "low", "high", "n", "positives"]
_NUMBERS = FIGURE_COLUMNS[2:]


def measured(
    rows: pd.DataFrame, *, schema: EvidenceSchema | None, flag_share: float, replicates: int, seed: int
) -> pd.DataFrame:
    """Measure one version on rows whose outcome is known.

    Parameters
    ----------
    rows
        ``score`` (0 to 1), ``label`` (0 or 1), ``entity_key``; ``flagged`` (bool) where a work list said so, else the
        top ``flag_share`` counts as flagged; ``seen`` (bool: the version was trained on the entity) where that is
        known; and the attributes of the schema.
    schema
        Names the attributes whose groups are measured too; None: no subgroups.
    replicates, seed
        Of the bootstrap over entities behind the 95 % intervals.

    Returns
    -------
    One row per cohort and measure, in ``FIGURE_COLUMNS``: ``all``, ``seen``, ``unseen``, and those of the attributes'
    groups (``cohorts.group_cohort``). What is undefined, such as an AUROC without positives, is missing. Counts are the
    true ones: see ``suppressed``.

    Raises
    ------
    InvalidEvidence
        When a score or a label is not what it has to be.
    """
    labels, scores = rows["label"].to_numpy(dtype=np.int64), rows["score"].to_numpy(dtype=np.float64)
    require_labels(labels)
    require_unit_interval("score", scores)
    codes, entities = pd.factorize(rows["entity_key"], sort=True)
    cohorts = [
        _prepared(name, members, labels, scores, codes.astype(np.int64), rows.get("flagged"))
        for name, members in _members(rows, schema).items()
    ]
    found = bootstrap(
        partial(_statistics, cohorts, flag_share),
        clusters=len(entities),
        rows=sum(cohort.ranking.n for cohort in cohorts),
        replicates=replicates,
        seed=seed,
    )
    return _frame(
        (
            cohort.name,
            measure,
            *_figures(found[cohort.name, measure], cohort.ranking),
            cohort.ranking.n,
            cohort.ranking.p,
        )
        for cohort in cohorts
        for measure in MEASURES
    )


@dataclass(frozen=True)
class _Cohort:
    """The rows of a cohort sorted by score, and what every replicate reads from them."""

    name: str
    ranking: Ranking
    squared_errors: FloatArray
    edges: IntArray
    logits: FloatArray
    flagged: FloatArray | None
    flagged_positives: FloatArray | None


def _members(rows: pd.DataFrame, schema: EvidenceSchema | None) -> dict[str, NDArray[np.bool_]]:
    members = {ALL: np.ones(len(rows), dtype=np.bool_)}
    if "seen" in rows:
        seen = rows["seen"].to_numpy(dtype=np.bool_)
        members |= {SEEN: seen, UNSEEN: ~seen}
    for attribute in schema.attributes if schema else ():
        values = rows[attribute.name]
        for value in sorted(values.dropna().unique()):
            members[group_cohort(attribute, str(value))] = (values == value).to_numpy(dtype=np.bool_)
    return members


def _prepared(
    name: str,
    members: NDArray[np.bool_],
    labels: IntArray,
    scores: FloatArray,
    codes: IntArray,
    flagged: "pd.Series[bool] | None",
) -> _Cohort:
    order = np.flatnonzero(members)[np.argsort(scores[members], kind="stable")]
    ranking = rank_rows(labels=labels[order], scores=scores[order], columns=codes[order])
    edges, logits = recalibration_groups(ranking)
    listed = None if flagged is None else np.asarray(flagged.to_numpy(dtype=np.float64)[order], dtype=np.float64)
    return _Cohort(
        name=name,
        ranking=ranking,
        squared_errors=squared_errors(ranking),
        edges=edges,
        logits=logits,
        flagged=listed,
        flagged_positives=None if listed is None else np.asarray(listed * labels[order], dtype=np.float64),
    )


def _statistics(cohorts: Sequence[_Cohort], flag_share: float, counts: Counts) -> dict[Key, FloatArray]:
    """Compute every measure of every cohort for replicate counts (r, entities); values (r,), NaN where undefined."""
    values: dict[Key, FloatArray] = {}
    flag: Flag | None = None
    for cohort in cohorts:
        running = accumulate(ranking=cohort.ranking, weights=counts)
        # The first cohort holds everybody: all face the same threshold.
        flag = flag or flag_at_share(running, share=flag_share)
        total, positive = grouped_by_place(running, edges=cohort.edges)
        brier = ratio(weighted_sum(running, values=cohort.squared_errors), running.total)
        at_flag = _capacity(cohort, running, flag)
        figures = (
            auroc_of(running),
            observed_expected_of(running),
            recalibrate(x=cohort.logits, total=total, positive=positive).slope,
            brier,
            _skill(brier, ratio(running.total_positive, running.total)),
            at_flag.recall,
            at_flag.ppv,
            at_flag.accuracy,
        )
        values |= {(cohort.name, name): figure for name, figure in zip(MEASURES, figures, strict=True)}
    return values


def _skill(brier: FloatArray, prevalence: FloatArray) -> FloatArray:
    """Return the Brier skill; NaN where only one class is present."""
    return np.where((prevalence > 0) & (prevalence < 1), skill(brier_score=brier, prevalence=prevalence), np.nan)


def _capacity(cohort: _Cohort, running: Running, flag: Flag) -> Capacity:
    """Return what following up the flagged achieved: by the lists as they were, or by the share."""
    if cohort.flagged is None or cohort.flagged_positives is None:
        return capacity_of(running, flag=flag)
    chosen = weighted_sum(running, values=cohort.flagged)
    found = weighted_sum(running, values=cohort.flagged_positives)
    total, positive = running.total, running.total_positive
    return Capacity(
        recall=ratio(found, positive),
        ppv=ratio(found, chosen),
        accuracy=ratio(total - (chosen - found) - (positive - found), total),
        f1=np.where(positive > 0, ratio(2 * found, chosen + positive), np.nan),
        false_positive_rate=ratio(chosen - found, total - positive),
    )


def estimated(rows: pd.DataFrame, *, flag_share: float) -> pd.DataFrame:
    """Estimate the measures before outcomes are known, taking each risk at its word.

    A row of risk p counts as positive with weight p and as negative with weight 1 - p. The estimate sees a change of
    case mix and no change of how risks turn into outcomes; so observed over expected and the calibration slope are 1 by
    construction and are left out, and there is no interval: what it can be off by is just what it cannot see.

    Parameters
    ----------
    rows
        ``score``, and ``flagged`` where a work list said so.

    Returns
    -------
    Rows of the cohort ``all`` in ``FIGURE_COLUMNS``; ``low``, ``high`` and ``positives`` are missing.
    """
    scores = rows["score"].to_numpy(dtype=np.float64)
    require_unit_interval("score", scores)
    twice, weights = np.concatenate([scores, scores]), np.concatenate([scores, 1 - scores])
    labels = np.repeat(np.array([1, 0], dtype=np.int64), len(scores))
    # The lists as they were, as a score that ranks the flagged above everybody else.
    by, share = twice, flag_share
    if "flagged" in rows and len(rows):
        listed = rows["flagged"].to_numpy(dtype=np.float64)
        by, share = np.concatenate([listed, listed]), float(listed.mean())
    at_flag = metrics.capacity_at_share(labels=labels, scores=by, share=share, weights=weights)
    figures = {
        "auroc": metrics.auroc(labels=labels, scores=twice, weights=weights),
        "brier": metrics.brier(labels=labels, scores=twice, weights=weights),
        "brier_skill": metrics.brier_skill(labels=labels, scores=twice, weights=weights),
        "recall_at_flag": at_flag["recall"],
        "ppv_at_flag": at_flag["ppv"],
        "accuracy": at_flag["accuracy"],
    }
    return _frame((ALL, name, value, None, None, len(rows), None) for name, value in figures.items())


def suppressed(figures: pd.DataFrame) -> pd.DataFrame:
    """Hide the cohorts in which 1 to 10 people are counted, and those they could be worked out from.

    A hidden cohort keeps its rows; its counts and figures are missing. Of an estimate only the rows count.
    """
    cells = {
        str(name): {"n": int(n)} if np.isnan(p) else {"n": int(n), "positives": int(p), "negatives": int(n - p)}
        for name, n, p in figures.drop_duplicates("cohort")[["cohort", "n", "positives"]].itertuples(index=False)
    }
    overall = cells.pop(ALL)
    hidden: set[str] = set()
    if any(0 < count < SMALLEST_SHOWN for count in overall.values()):
        hidden = {ALL, *cells}
    topics: dict[str, dict[str, Mapping[str, int]]] = {}
    for name, cell in cells.items():
        topics.setdefault(name.partition(":")[0] if ":" in name else SEEN, {})[name] = cell
    for groups in topics.values():
        hidden |= hidden_rows(groups, totals=overall)
    gone = figures["cohort"].isin(sorted(hidden))
    return figures.assign(**{name: figures[name].mask(gone) for name in _NUMBERS})


def reliability(rows: pd.DataFrame, figures: pd.DataFrame, *, replicates: int, seed: int) -> dict[str, Any]:
    """Return what ``plots.calibration_png`` draws: observed against predicted risk in tenths, small cells hidden.

    Parameters
    ----------
    rows, replicates, seed
        As for ``measured``.
    figures
        What ``measured`` returned for these rows.
    """
    labels, scores = rows["label"].to_numpy(dtype=np.int64), rows["score"].to_numpy(dtype=np.float64)
    codes, entities = pd.factorize(rows["entity_key"], sort=True)
    ranking = rank_rows(labels=labels, scores=scores, columns=codes.astype(np.int64))
    edges = equal_mass_edges(ranking)

    def observed(counts: Counts) -> dict[Key, FloatArray]:
        total, positive = grouped_by_place(accumulate(ranking=ranking, weights=counts), edges=edges)
        return {("bins", str(place)): values for place, values in enumerate(ratio(positive, total).T)}

    found = bootstrap(observed, clusters=len(entities), rows=len(rows), replicates=replicates, seed=seed)
    drawn = curves.calibration(labels=labels, scores=scores)
    for entry in drawn["bins"]:
        estimate = found["bins", str(entry["bin"])]
        certain = entry["positives"] in (0, entry["n"]) or not np.isfinite(estimate.low)
        entry["low"], entry["high"] = (None, None) if certain else (estimate.low, estimate.high)
    document = {"n": len(rows), "positives": int(labels.sum()), "prevalence": None, "estimates": {}, "groups": {},
                "curves": {"calibration": drawn}}  # fmt: skip
    shown: dict[str, Any] = suppress_small_cells(document)["curves"]
    overall = figures[figures["cohort"] == ALL].set_index("measure")[["value", "low", "high"]].to_dict("index")
    for name, measure in (("slope", "calibration_slope"), ("observed_expected", "observed_expected")):
        known = {end: float(number) if np.isfinite(number) else None for end, number in overall[measure].items()}
        shown["calibration"][name] = known
    return shown


def _frame(lines: Iterable[Sequence[Any]]) -> pd.DataFrame:
    return pd.DataFrame(lines, columns=FIGURE_COLUMNS).astype(dict.fromkeys(_NUMBERS, "float64"))


def _figures(estimate: Estimate, rows: Ranking) -> tuple[float | None, float | None, float | None]:
    """Return value and interval; without one of the outcomes resampling would show a certainty that is not there."""
    value, low, high = estimate.value, estimate.low, estimate.high
    return (value, None, None) if rows.p in (0, rows.n) else (value, low, high)
