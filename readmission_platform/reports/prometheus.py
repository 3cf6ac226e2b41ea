"""The newest figures in Prometheus' text format, for a textfile collector on the same host.

What belongs here: the format. What does not: figures (``assets.monitoring.figures``). These are totals of a day for a
machine that operates the platform; cohorts with 1 to 10 people are not in the table this is made from.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandas as pd

from readmission_platform.evaluation.operation.catalogue import CATALOGUE

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PREFIX = "readmission"
LABELS = ("cohort", "version", "kind")
_BOUNDS = {"low": "Lower end of the 95 % interval of", "high": "Upper end of the 95 % interval of"}


def exposition(figures: pd.DataFrame) -> bytes:
    """Write the newest figures as gauges ``readmission_<figure>{cohort,version,kind}``, with their intervals.

    Of each figure, cohort and kind only the newest day is written, so that a version that is no longer in production
    does not go on being reported. ``readmission_newest_day_timestamp_seconds`` says how new each figure is.
    """
    from prometheus_client import generate_latest

    return bytes(generate_latest(registry_of(figures)))


def registry_of(figures: pd.DataFrame) -> "CollectorRegistry":
    """Return a registry of its own that holds the newest figures."""
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    newest = newest_rows(figures)
    for name, rows in newest.groupby("figure", sort=True):
        about = CATALOGUE.get(str(name))
        meaning = f"{about.meaning} ({about.unit})" if about else str(name)
        _gauge(registry, str(name), meaning, rows, "value")
        for bound, words in _BOUNDS.items():
            known = rows[rows[bound].notna()]
            if len(known):
                _gauge(registry, f"{name}_{bound}", f"{words} {name}", known, bound)
    age = Gauge(f"{PREFIX}_newest_day_timestamp_seconds", "Last day a figure is about, as the start of it in UTC.",
                ("figure",), registry=registry)  # fmt: skip
    for figure, day in newest.groupby("figure")["last_day"].max().items():
        age.labels(str(figure)).set(datetime.fromisoformat(str(day)).replace(tzinfo=UTC).timestamp())
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
