"""The newest figures of every model in Prometheus' text format, for a textfile collector on the same host.

What belongs here: the format. What does not: figures (``assets.monitoring.figures``), and what is hidden of them
(``evaluation.operation.shown``): what would tell of 1 to 10 people has no sample.

Prometheus keeps a series for each combination of labels. Their number is bounded: models, figures, cohorts and kinds
are few and known beforehand, and of versions only those of a figure's newest day are written.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from readmission_platform.evaluation.operation.catalogue import CATALOGUE
from readmission_platform.evaluation.operation.shown import shown

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PREFIX = "readmission"
LABELS = ("model", "cohort", "version", "kind")
_BOUNDS = {"low": "Lower end of the 95 % interval of", "high": "Upper end of the 95 % interval of"}


def exposition(figures: Mapping[str, pd.DataFrame]) -> bytes:
    """Write the newest figures as gauges ``readmission_<figure>{model,cohort,version,kind}``, with their intervals.

    Of each model, figure, cohort and kind only the newest day is written, so that a version that is no longer in
    production does not go on being reported. ``readmission_newest_day_timestamp_seconds{model,figure}`` says how new
    each figure is.

    Parameters
    ----------
    figures
        The table of figures by model (columns: ``evaluation.operation.figures``).
    """
    from prometheus_client import generate_latest

    return bytes(generate_latest(registry_of(figures)))


def registry_of(figures: Mapping[str, pd.DataFrame]) -> "CollectorRegistry":
    """Return a registry of its own that holds the newest figures."""
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    age = Gauge(f"{PREFIX}_newest_day_timestamp_seconds", "Last day a figure is about, as the start of it in UTC.",
                ("model", "figure"), registry=registry)  # fmt: skip
    seen = {model: shown(table) for model, table in figures.items() if len(table)}
    visible = {model: table[~table["hidden"]] for model, table in seen.items()}
    newest = [newest_rows(table).assign(model=model) for model, table in visible.items() if len(table)]
    if not newest:
        return registry
    every = pd.concat(newest, ignore_index=True)
    for name, rows in every.groupby("figure", sort=True):
        about = CATALOGUE.get(str(name))
        meaning = f"{about.meaning} ({about.unit})" if about else str(name)
        _gauge(registry, str(name), meaning, rows, "value")
        for bound, words in _BOUNDS.items():
            known = rows[rows[bound].notna()]
            if len(known):
                _gauge(registry, f"{name}_{bound}", f"{words} {name}", known, bound)
    last = every.groupby(["model", "figure"], as_index=False)["last_day"].max()
    for model, figure, day in last[["model", "figure", "last_day"]].itertuples(index=False):
        age.labels(str(model), str(figure)).set(datetime.fromisoformat(str(day)).replace(tzinfo=UTC).timestamp())
    return registry


def newest_rows(figures: pd.DataFrame) -> pd.DataFrame:
    """Return of each figure, cohort and kind the rows of the newest day; of a version the last one of that day."""
    keys = ["figure", "cohort", "kind"]
    newest = figures.groupby(keys)["last_day"].transform("max")
    rows = figures[figures["last_day"] == newest]
    return rows.assign(version=rows["version"].fillna("")).drop_duplicates([*keys, "version"], keep="last")


def _gauge(registry: "CollectorRegistry", name: str, meaning: str, rows: pd.DataFrame, column: str) -> None:
    from prometheus_client import Gauge

    gauge = Gauge(f"{PREFIX}_{name}", meaning, LABELS, registry=registry)
    for labels, value in zip(rows[list(LABELS)].itertuples(index=False), rows[column], strict=True):
        gauge.labels(*labels).set(float(value))
