"""Judging the shipped recipe under other people's rules: risks, figures, and their intervals over patients.

What belongs here: what is common to both protocols. What does not: the formulas (``evaluation``).
"""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from readmission_platform.config.model import ModelConfig
from readmission_platform.evaluation.estimates.bootstrap import bootstrap
from readmission_platform.evaluation.estimates.ranking import accumulate, auroc_of, rank_rows
from readmission_platform.models.readmission_30d.model import build_pipeline
from readmission_platform_tests.benchmarks.public.rules import ASKED, PUBLISHED, Fold, Protocol, Published

Counted = Callable[[np.ndarray], np.ndarray]
Risks = list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Figure:
    """One figure of ours over ``n`` test rows of all its folds, its 95 % interval over patients, theirs beside it.

    ``seconds`` is the time that fitting and predicting all folds of the protocol took.
    """

    protocol: str
    test: str
    measure: str
    value: float
    low: float
    high: float
    n: int
    patients: int
    seconds: float
    asked: float | None
    published: Sequence[Published]

    @property
    def reached(self) -> bool:
        """Whether it is what was asked for."""
        return self.asked is None or self.value >= self.asked

    def alone(self) -> "Figure":
        """Return it without anything to compare with: of other data the published figures say nothing."""
        return replace(self, asked=None, published=())


def risks(protocol: Protocol, model: ModelConfig, *, seed: int) -> Risks:
    """Fit what the platform trains on each fold's training rows; return the risks of its tests, by name."""

    def of_fold(fold: Fold) -> dict[str, np.ndarray]:
        with threadpool_limits(1, user_api="openmp"):
            pipeline = build_pipeline(**model.settings, seed=seed)
            fitted = pipeline.fit(
                protocol.inputs.iloc[fold.train], protocol.labels[fold.train],
                encode__entities=fold.train,  # by these rules no patient is named
            )  # fmt: skip
            return {name: fitted.predict_proba(protocol.inputs.iloc[rows])[:, 1] for name, rows in fold.tests.items()}

    # A thread per fold and core, each fit on one core: see boosting.crossvalidation.
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        return list(pool.map(of_fold, protocol.folds))


def figures(protocol: Protocol, model: ModelConfig, *, seed: int, replicates: int) -> list[Figure]:
    """Measure the shipped recipe under one protocol, on each of its tests: the mean over the folds that have it."""
    began = time.monotonic()
    found = risks(protocol, model, seed=seed)
    seconds = time.monotonic() - began
    return [
        _of_test(protocol, test, found, seed=seed, replicates=replicates, seconds=seconds)
        for test in protocol.folds[0].tests
    ]


def _of_test(protocol: Protocol, test: str, found: Risks, *, seed: int, replicates: int, seconds: float) -> Figure:
    rows = [fold.tests[test] for fold in protocol.folds if test in fold.tests]
    scores = [of_fold[test] for of_fold in found if test in of_fold]
    # Patients are drawn, so that the encounters of one, and her part in several folds, go together.
    patients = np.unique(protocol.patients[np.concatenate(rows)])
    counted = [
        _MEASURES[protocol.measure](protocol.labels[of], risk, np.searchsorted(patients, protocol.patients[of]))
        for of, risk in zip(rows, scores, strict=True)
    ]

    def mean_over_folds(counts: np.ndarray) -> dict[str, np.ndarray]:
        return {"value": np.mean([of_fold(counts) for of_fold in counted], axis=0)}

    estimate = bootstrap(
        mean_over_folds, clusters=len(patients), rows=max(map(len, rows)), replicates=replicates, seed=seed
    )["value"]
    return Figure(
        protocol.name, test, protocol.measure, estimate.value, estimate.low, estimate.high,
        n=sum(map(len, rows)), patients=len(patients), seconds=seconds,
        asked=ASKED.get((protocol.name, test)), published=PUBLISHED.get((protocol.name, test), ()),
    )  # fmt: skip


def _accuracy(labels: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> Counted:
    right = ((scores >= 0.5) == (labels == 1)).astype("float64")

    def counted(counts: np.ndarray) -> np.ndarray:
        weights = counts[:, patients]
        return np.asarray(np.einsum("rn,n->r", weights, right) / weights.sum(axis=1))

    return counted


def _auroc(labels: np.ndarray, scores: np.ndarray, patients: np.ndarray) -> Counted:
    ranking = rank_rows(labels=labels.astype("int64"), scores=scores, columns=patients)
    return lambda counts: auroc_of(accumulate(ranking=ranking, weights=counts))


_MEASURES = {"accuracy": _accuracy, "AUROC": _auroc}
