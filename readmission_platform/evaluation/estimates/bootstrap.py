"""Entity-cluster bootstrap: intervals that respect that an entity's rows are not independent.

Whole entities are drawn with replacement. A replicate is a row of integer counts, one per entity, and every
figure is computed for a chunk of replicates at once; the same counts serve every figure, so differences are
paired.

What belongs here: drawing counts of entities, and percentile intervals. What does not: the figures
themselves.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from readmission_platform.evaluation.estimates.ranking import FloatArray

Counts: TypeAlias = NDArray[np.int32]
Key: TypeAlias = tuple[str, ...]
Statistics: TypeAlias = Callable[[Counts], Mapping[Key, FloatArray]]

# 2.5 % and 97.5 %: the 95 % percentile interval of Efron 1981, Can J Stat 9:139.
PERCENTILES = (2.5, 97.5)
# An interval made from fewer replicates than this share would describe only the lucky ones.
LEAST_DEFINED_SHARE = 0.9
# Replicates times rows held at once; small enough that a chunk stays near the processor's cache.
CHUNK_CELLS = 2_000_000


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval; NaN means undefined."""

    value: float
    low: float
    high: float


def replicate_counts(*, clusters: int, replicates: int, seed: int, chunk: int) -> Iterator[Counts]:
    """Yield counts (at most ``chunk``, clusters): how often each cluster is drawn, in all ``clusters`` times.

    The draws depend on the seed only, not on the chunk. Counting uniform draws gives multinomial counts, and
    is much faster than a multinomial generator for tens of thousands of clusters.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, replicates, chunk):
        counts = np.empty((min(chunk, replicates - start), clusters), dtype=np.int32)
        for row in counts:
            row[:] = np.bincount(generator.integers(0, clusters, size=clusters), minlength=clusters)
        yield counts


def percentile_interval(values: FloatArray) -> tuple[float, float]:
    """Return the 95 % percentile interval of values (r,); NaN when more than a tenth are undefined."""
    defined = values[np.isfinite(values)]
    if len(defined) == 0 or len(defined) < LEAST_DEFINED_SHARE * len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, PERCENTILES)
    return float(low), float(high)


def bootstrap(statistics: Statistics, *, clusters: int, rows: int, replicates: int, seed: int) -> dict[Key, Estimate]:
    """Estimate every statistic with its interval.

    Parameters
    ----------
    statistics : takes counts (r, clusters) and returns named values (r,); NaN where undefined. Called by a thread a
        core.
    rows : number of rows behind the clusters; it only sets the chunk size.
    replicates : number of bootstrap replicates.

    A statistic that is undefined on the rows themselves has no interval, nor has anything when there are
    fewer than two clusters: an interval of width zero would be a claim of certainty.
    """
    points = {key: float(value[0]) for key, value in statistics(np.ones((1, clusters), dtype=np.int32)).items()}
    drawn: dict[Key, list[FloatArray]] = {key: [] for key in points}
    if clusters >= 2:
        chunk = max(1, CHUNK_CELLS // max(rows, 1))
        chunks = replicate_counts(clusters=clusters, replicates=replicates, seed=seed, chunk=chunk)
        for found in _each(statistics, chunks):
            for key, values in found.items():
                drawn[key].append(values)
    estimates = {}
    for key, value in points.items():
        defined = np.isfinite(value) and drawn[key]
        low, high = percentile_interval(np.concatenate(drawn[key])) if defined else (float("nan"), float("nan"))
        estimates[key] = Estimate(value=value, low=low, high=high)
    return estimates


def _each(statistics: Statistics, chunks: Iterator[Counts]) -> Iterator[Mapping[Key, FloatArray]]:
    """Yield the statistics of each chunk, in order; the next ones are drawn meanwhile, a few ahead at most."""
    cores = os.cpu_count() or 1
    waiting: deque[Future[Mapping[Key, FloatArray]]] = deque()
    with ThreadPoolExecutor(max_workers=cores) as pool:
        for counts in chunks:
            waiting.append(pool.submit(statistics, counts))
            if len(waiting) > cores:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
