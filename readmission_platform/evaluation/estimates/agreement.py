"""How well two versions agree on the same rows: the shadow stage beside production.

What belongs here: pure functions on pairs of scores. What does not: which days are compared
(``assets.daily.agreement``), and whether the version in the shadow is better, which only outcomes can tell.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from readmission_platform.foundation.counting import percent

PSI_BINS = 10
# A tenth in which one version has nobody would make the index infinite.
_SMALLEST_SHARE = 1e-4


@dataclass(frozen=True)
class Agreement:
    """What two versions say of the same rows; None where it is not defined.

    ``mean_difference`` is the mean of shadow minus production, in risk; ``flagged_overlap`` the share of those that
    production flagged whom the shadow version flags as well; ``psi`` the population stability index.
    """

    rows: int
    flagged: int
    mean_difference: float | None
    rank_correlation: float | None
    flagged_overlap: float | None
    psi: float | None

    def figures(self) -> dict[str, float]:
        """Return what is defined, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def agreement_of(pairs: pd.DataFrame, *, psi_rows: int) -> Agreement:
    """Compare two versions on the same rows.

    Parameters
    ----------
    pairs
        One row each: ``shadow_risk``, ``production_risk`` in [0, 1], ``shadow_flagged``,
        ``production_flagged``.
    psi_rows
        The population stability index of fewer rows says nothing and is left out: among 30 rows more than
        half of undisturbed columns exceed .1.
    """
    shadow = pairs["shadow_risk"].to_numpy(dtype=np.float64)
    production = pairs["production_risk"].to_numpy(dtype=np.float64)
    listed, also = pairs["production_flagged"].astype(bool), pairs["shadow_flagged"].astype(bool)
    flagged = int(listed.sum())
    return Agreement(
        rows=len(pairs),
        flagged=flagged,
        mean_difference=float(np.mean(shadow - production)) if len(pairs) else None,
        rank_correlation=rank_correlation(shadow, production),
        flagged_overlap=float((listed & also).sum() / flagged) if flagged else None,
        psi=stability_index(shadow, production) if len(pairs) >= max(psi_rows, 1) else None,
    )


def rank_correlation(one: "np.ndarray", other: "np.ndarray") -> float | None:
    """Return Spearman's rank correlation with mid-ranks for ties, or None when it is not defined."""
    if len(one) < 2 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    found = float(np.corrcoef(pd.Series(one).rank(), pd.Series(other).rank())[0, 1])
    return min(1.0, max(-1.0, found)) if math.isfinite(found) else None


def stability_index(scores: "np.ndarray", reference: "np.ndarray") -> float:
    """Return the population stability index of scores against a reference, over the reference's tenths."""
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, PSI_BINS + 1)[1:-1]))
    shares = []
    for values in (scores, reference):
        counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
        shares.append(np.maximum(counts / len(values), _SMALLEST_SHARE))
    return float(np.sum((shares[0] - shares[1]) * np.log(shares[0] / shares[1])))


def compared(found: Agreement, limits: Mapping[str, float]) -> list[tuple[str, bool]]:
    """Say in plain words what was found beside its limit, and whether it lies outside; nothing of what is not defined.

    Parameters
    ----------
    limits
        ``max_mean_difference`` (either way), ``min_rank_correlation``, ``min_flagged_overlap``, ``max_psi``.
    """
    far, apart = limits["max_mean_difference"], found.mean_difference
    lowest, ranks = limits["min_rank_correlation"], found.rank_correlation
    fewest, common = limits["min_flagged_overlap"], found.flagged_overlap
    highest, moved = limits["max_psi"], found.psi
    said = []
    if apart is not None:
        said.append((f"mean risk differs by {apart:+z.4f}, limit {far:g} either way", abs(apart) > far))
    if ranks is not None:
        said.append((f"rank correlation {ranks:.3f}, at least {lowest:g}", ranks < lowest))
    if common is not None:
        said.append((f"{percent(common)} of the flagged in common, at least {percent(fewest)}", common < fewest))
    if moved is not None:
        said.append((f"population stability index {moved:.3f}, limit {highest:g}", moved > highest))
    return said


def disagreements(found: Agreement, limits: Mapping[str, float]) -> list[str]:
    """Return what :func:`compared` says that lies outside the limits."""
    return [said for said, outside in compared(found, limits) if outside]
