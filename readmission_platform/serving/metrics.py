"""What the service counts of itself, for Prometheus: of all workers together, whichever of them is asked.

What belongs here: the metrics and their exposition. What does not: counting (whoever does something counts it), and
figures about patients, which would tell of few of them.
"""

import os
from collections import Counter as Counts
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from readmission_platform.serving.server import SHARED

_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PREFIX = "readmission_serving"
_STEP = 25
# How the gauges of several workers become one.
_Mode = Literal["livesum", "livemin", "sum"]


class Metrics:
    """The counters, gauges and histograms of one worker."""

    def __init__(self) -> None:
        own = self._own = CollectorRegistry()
        self.requests = Counter(f"{_PREFIX}_requests", "Requests answered.", ("route", "method", "status"),
                                registry=own)  # fmt: skip
        self.request_seconds = Histogram(f"{_PREFIX}_request_seconds", "From the first byte to the last, by route.",
                                         ("route",), buckets=_SECONDS, registry=own)  # fmt: skip
        self._rows = Counter(f"{_PREFIX}_rows", f"Rows answered, refused, or failed, by version, {_STEP} at a time.",
                             ("model", "version", "status"), registry=own)  # fmt: skip
        self._uncounted: Counts[tuple[str, str, str]] = Counts()
        self.row_seconds = Histogram(f"{_PREFIX}_row_seconds", "Scoring one row.", ("model",), buckets=_SECONDS,
                                     registry=own)  # fmt: skip
        self.in_hand = self._gauge("requests_in_hand", "Requests being answered now.", (), "livesum")
        self.ready = self._gauge("ready", "1 where every model has a version that answers.", (), "livemin")
        self.last_look = self._gauge("last_look_timestamp_seconds", "When the ledger was last read; 0 for never.",
                                     ("model",), "livemin")  # fmt: skip
        self.switches = Counter(f"{_PREFIX}_switches", "Changes of the version that answers.", ("model",),
                                registry=own)  # fmt: skip
        self.journal = self._gauge("journal_lines", "Lines of the prediction log written and dropped by the workers.",
                                   ("model", "fate"), "sum")  # fmt: skip

    def _gauge(self, name: str, text: str, labels: tuple[str, ...], mode: _Mode) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self._own, multiprocess_mode=mode)

    def count_row(self, model: str, version: str, status: str) -> None:
        """Count a row. What is exposed grows in steps: exact counts would tell of few people."""
        labels = (model, version, status)
        self._uncounted[labels] += 1
        if self._uncounted[labels] == _STEP:
            self._rows.labels(*labels).inc(self._uncounted.pop(labels))

    def exposition(self) -> bytes:
        """Return the counts of all workers in the text format."""
        if SHARED not in os.environ:
            return bytes(generate_latest(self._own))
        for file in Path(os.environ[SHARED]).glob("gauge_live*_*.db"):
            number = int(file.stem.rpartition("_")[2])
            if not Path(f"/proc/{number}").exists():
                mark_process_dead(number)  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return bytes(generate_latest(registry))
