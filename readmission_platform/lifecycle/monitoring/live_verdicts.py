"""The table of live performance: figures by version and period, with what was promised and the verdict.

What belongs here: periods, and holding figures against limits. What does not: the measures
(``evaluation.operation.live``), which rows there are (``scored``), and the asset with its checks
(``assets.monitoring.performance``).
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.config.monitoring import PerformanceConfig
from readmission_platform.evaluation.disclosure import SMALLEST_SHOWN
from readmission_platform.evaluation.estimates.schema import EvidenceSchema
from readmission_platform.evaluation.operation.cohorts import ALL, validated_as
from readmission_platform.evaluation.operation.live import MEASURES, estimated, measured, suppressed
from readmission_platform.foundation.errors import BadInput
from readmission_platform.governance.ledger.versions import VersionRecord
from readmission_platform.governance.policy.limits import bounds_of, read_estimate
from readmission_platform.lifecycle.workspace import Workspace
from readmission_platform.storage.tables import PERFORMANCE, ModelLake

JUDGED, MEASURED, ESTIMATE = "judged", "measured", "estimate"
HOLDS, WORSE, INSUFFICIENT, NOT_JUDGED = "holds", "worse", "insufficient", ""
COLUMNS = [
    *("version", "period", "first_day", "last_day", "cohort", "measure", "kind", "value", "low", "high", "n"),
    *("positives", "promised", "promised_low", "promised_high", "result"),
]


def performance_of(
    rows: pd.DataFrame,
    records: Mapping[str, VersionRecord],
    live: str,
    settings: PerformanceConfig,
    workspace: Workspace,
) -> pd.DataFrame:
    """Return the table of live performance: the judged period of the live version, and the months of every version.

    Parameters
    ----------
    rows
        Of ``scored.rows_to_judge``.

    Raises
    ------
    BadInput
        When there are limits on something that is not measured: they would hold for ever.
    """
    unknown = sorted(set(settings.limits) - set(MEASURES))
    if unknown:
        raise BadInput(
            f"monitoring.yaml of {workspace.name}: performance.limits: {', '.join(unknown)} is not measured; measured "
            f"are {', '.join(MEASURES)}"
        )
    shown = _shown_before(workspace.lake)
    parts = [pd.DataFrame(columns=COLUMNS)]
    for version, own in rows.groupby("version", sort=True):
        record = records.get(str(version))
        own = own.drop(columns="seen") if own["seen"].isna().any() else own.astype({"seen": bool})
        promised = ((record.validated_payload or {}).get("estimates") if record else None) or {}
        periods = Periods(str(version), promised, settings, workspace.config, workspace.contract.evidence)
        if version == live:
            parts += periods.judged(own)
        for month, of_month in own.groupby("month", sort=True):
            parts += periods.month(str(month), of_month, shown)
    return _typed(pd.concat([part for part in parts if len(part)] or parts, ignore_index=True))


class Periods:
    """Figures of one version by period, with what validation promised and the result where it is judged."""

    def __init__(
        self,
        version: str,
        promised: Mapping[str, Any],
        settings: PerformanceConfig,
        model: ModelConfig,
        schema: EvidenceSchema,
    ) -> None:
        self.version, self.promised, self.settings, self.model = version, promised, settings, model
        self.schema = schema

    def judged(self, rows: pd.DataFrame) -> list[pd.DataFrame]:
        """Judge the latest matured days; before there are any, estimate the latest days there are."""
        matured = latest_days(rows[rows["label"].notna()], self.settings.days)
        if matured.empty:
            return [self._estimated(JUDGED, latest_days(rows, self.settings.days))]
        figures = self._measured(JUDGED, matured, self.schema)
        return [figures, self._estimated(JUDGED, matured)]

    def month(self, month: str, rows: pd.DataFrame, shown: pd.DataFrame) -> list[pd.DataFrame]:
        """Measure a month once all of its days are old enough; the estimate shown before stays as it was."""
        estimate = self._estimated(month, rows)
        matured = rows[rows["label"].notna()]
        if not bool(rows["due"].all()) or matured.empty:
            return [estimate]
        keys = ["version", "period", "first_day", "last_day"]
        earlier = shown.merge(estimate[keys].drop_duplicates(), on=keys)
        return [self._measured(month, matured, None), estimate if earlier.empty else earlier]

    def _measured(self, period: str, rows: pd.DataFrame, schema: EvidenceSchema | None) -> pd.DataFrame:
        figures = measured(
            rows,
            schema=schema,
            flag_share=self.model.flag_share,
            replicates=self.model.bootstrap_replicates,
            seed=self.model.seed,
        )
        results = [self._result(period, row) for row in figures.to_dict("records")]
        return self._entries(period, rows, suppressed(figures), MEASURED).assign(result=results)

    def _estimated(self, period: str, rows: pd.DataFrame) -> pd.DataFrame:
        figures = suppressed(estimated(rows, flag_share=self.model.flag_share))
        return self._entries(period, rows, figures, ESTIMATE).assign(result=NOT_JUDGED)

    def _entries(self, period: str, rows: pd.DataFrame, figures: pd.DataFrame, kind: str) -> pd.DataFrame:
        made = [self._promise(str(cohort), str(measure)) for cohort, measure in
                zip(figures["cohort"], figures["measure"], strict=True)]  # fmt: skip
        promises = pd.DataFrame(made, index=figures.index, columns=["value", "low", "high"])
        return (
            figures.join(promises.astype("float64").add_prefix("promised_"))
            .assign(
                version=self.version,
                period=period,
                first_day=rows["day"].min(),
                last_day=rows["day"].max(),
                kind=kind,
            )
            .rename(columns={"promised_value": "promised"})
        )

    def _promise(self, cohort: str, measure: str) -> Mapping[str, Any]:
        """Return what validation estimated: of subgroups it recorded observed over expected."""
        promise = self.promised.get(validated_as(cohort, measure, self.schema) or "") or {}
        counts = [promise.get(count) for count in ("n", "positives")]
        few = any(count is not None and 0 < count < SMALLEST_SHOWN for count in counts)
        return {} if few else promise

    def _result(self, period: str, figure: Mapping[Any, Any]) -> str:
        """Judge one figure; only those over everybody in the judged period are held against the limits."""
        estimate = read_estimate(figure)
        if estimate.value is None or (estimate.positives or 0) < self.settings.min_positives:
            return INSUFFICIENT
        limits = self.settings.limits.get(figure["measure"])
        if period != JUDGED or figure["cohort"] != ALL or limits is None:
            return NOT_JUDGED
        if estimate.low is None or estimate.high is None:
            return INSUFFICIENT
        return HOLDS if all(bound.holds(estimate) for bound in bounds_of(limits)) else WORSE


def worse_measures(lake: ModelLake, version: str) -> list[str]:
    """Return the measures that the judged period of a version found worse than their limits allow."""
    if not lake.exists(PERFORMANCE):
        return []
    rows = lake.read(PERFORMANCE, where={"version": [version], "period": [JUDGED], "result": [WORSE]})
    return sorted(rows["measure"])


def matured_events(lake: ModelLake, version: str) -> int:
    """Return how many events the judged period of a version has; 0 when it was not judged or they are few."""
    if not lake.exists(PERFORMANCE):
        return 0
    rows = lake.read(PERFORMANCE, where={"version": [version], "period": [JUDGED], "kind": [MEASURED]})
    return int(rows.loc[rows["cohort"] == ALL, "positives"].fillna(0).max()) if len(rows) else 0


def latest_days(rows: pd.DataFrame, days: int) -> pd.DataFrame:
    """Return the rows of the latest so many days that there are rows of."""
    return rows[rows["day"].isin(sorted(set(rows["day"]))[-days:])]


def _shown_before(lake: ModelLake) -> pd.DataFrame:
    """Return the estimates of months that the table held before."""
    if not lake.exists(PERFORMANCE):
        return pd.DataFrame(columns=COLUMNS)
    rows = lake.read(PERFORMANCE)
    return rows[(rows["kind"] == ESTIMATE) & (rows["period"] != JUDGED)]


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    numbers = [*("value", "low", "high", "promised", "promised_low", "promised_high")]
    whole = dict.fromkeys(["n", "positives"], "Int64")
    return table[COLUMNS].astype(dict.fromkeys(numbers, "float64") | whole)
