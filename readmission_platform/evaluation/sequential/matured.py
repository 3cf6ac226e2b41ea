"""Two versions compared by the outcomes of their own patients, 30 days late: an A/B roll-out.

What belongs here: the metrics that may be registered beforehand, the interval of their difference that holds at all
looks, and how many rows that takes. What does not: which rows have matured, and promoting a winner.

The arms hold different patients, so only means of rows are compared: ranking (AUROC) within small arms has no such
interval.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from readmission_platform.evaluation.sequential.bets import MEAN_BETS, FloatArray, mean_interval
from readmission_platform.evaluation.sequential.findings import UnusableSample

Metric = Literal["brier", "log_loss", "event_rate", "net_benefit", "calibration"]
Winner = Literal["candidate", "control", "undecided"]

# Of all metrics but net benefit, smaller is better.
METRICS: Final[tuple[Metric, ...]] = ("brier", "log_loss", "event_rate", "net_benefit", "calibration")
# The logarithm of a loss is unbounded: no risk counts as closer to 0 or 1 than this.
_CLIPPED: Final = 0.01
_WORDS: Final[dict[Metric, str]] = {
    "brier": "Brier score",
    "log_loss": "log loss (risks clipped to 1 % to 99 %)",
    "event_rate": "rate of readmissions",
    "net_benefit": "net benefit",
    "calibration": "distance of the mean risk from the rate of readmissions",
}


@dataclass(frozen=True)
class MaturedArm:
    """Outcomes and risks of an arm's matured rows, shape (n,) each, in the order in which they were scored."""

    outcomes: NDArray[np.bool_]
    risks: FloatArray

    def __post_init__(self) -> None:
        outcomes, risks = np.asarray(self.outcomes, dtype=float), np.asarray(self.risks, dtype=float)
        if outcomes.ndim != 1 or outcomes.shape != risks.shape:
            raise UnusableSample("each matured row needs one outcome and one risk")
        if not np.isin(outcomes, (0.0, 1.0)).all() or not ((risks >= 0) & (risks <= 1)).all():
            raise UnusableSample("outcomes have to be 0 or 1, and risks between 0 and 1")
        object.__setattr__(self, "outcomes", outcomes.astype(bool))
        object.__setattr__(self, "risks", risks)


@dataclass(frozen=True)
class AbResult:
    """The difference candidate minus control of the registered ``metric``; None as long as an arm is empty.

    ``low`` to ``high`` holds the true difference at all looks together with probability ``1 - alpha``. ``complete``
    says whether the registered sample size has been reached; a winner may be named before.
    """

    metric: Metric
    alpha: float
    estimate: float | None
    low: float | None
    high: float | None
    n_control: int
    n_candidate: int
    complete: bool
    winner: Winner
    words: str


def row_values(arm: MaturedArm, metric: Metric, *, threshold: float | None = None) -> FloatArray:
    """Return what each row adds to the metric, shape (n,); its mean is the metric (for calibration: the signed one).

    ``threshold`` is the risk from which a patient is flagged: needed for ``net_benefit`` (Vickers and Elkin 2006), and
    for ``event_rate`` it leaves only the flagged rows.
    """
    outcomes, risks = arm.outcomes.astype(float), arm.risks
    if metric == "brier":
        return np.asarray((risks - outcomes) ** 2)
    if metric == "log_loss":
        clipped = np.clip(risks, _CLIPPED, 1 - _CLIPPED)
        return np.asarray(-np.log(np.where(arm.outcomes, clipped, 1 - clipped)))
    if metric == "calibration":
        return np.asarray(risks - outcomes)
    if metric == "event_rate":
        return outcomes if threshold is None else outcomes[risks >= threshold]
    odds = _odds(threshold)
    assert threshold is not None
    return np.where(risks >= threshold, np.where(arm.outcomes, 1.0, -odds), 0.0)


def bounds(metric: Metric, *, threshold: float | None = None) -> tuple[float, float]:
    """Return the least and the largest value that a row can have."""
    if metric == "calibration":
        return -1.0, 1.0
    if metric == "log_loss":
        return 0.0, -math.log(_CLIPPED)
    return (-_odds(threshold), 1.0) if metric == "net_benefit" else (0.0, 1.0)


def _odds(threshold: float | None) -> float:
    if threshold is None or not 0 < threshold < 1:
        raise ValueError("net benefit needs a threshold between 0 and 1")
    return threshold / (1 - threshold)


def compare_matured(
    control: MaturedArm,
    candidate: MaturedArm,
    *,
    metric: Metric,
    alpha: float,
    sample_size: int,
    threshold: float | None = None,
) -> AbResult:
    """Compare two arms by a metric that was registered beforehand; may be called as often as rows mature.

    The i-th rows of the arms are paired, which for independent arms of one size costs nothing. The interval is by bets
    on the mean (:func:`mean_interval`). For ``calibration`` each arm has an interval of its own, and the distances from
    0 are compared.
    """
    ours, theirs = (row_values(arm, metric, threshold=threshold) for arm in (candidate, control))
    pairs = min(len(ours), len(theirs))
    complete = pairs >= sample_size
    if not pairs:
        words = "No outcome has matured in one of the arms: undecided."
        return AbResult(metric, alpha, None, None, None, len(theirs), len(ours), complete, "undecided", words)
    if metric == "calibration":
        estimate, low, high = _calibration(theirs, ours, alpha)
    else:
        least, most = bounds(metric, threshold=threshold)
        differences = ours[:pairs] - theirs[:pairs]
        estimate = float(differences.mean())
        low, high = mean_interval(differences, least=least - most, most=most - least, alpha=alpha)
    better, worse = (low > 0, high < 0) if metric == "net_benefit" else (high < 0, low > 0)
    winner: Winner = "candidate" if better else "control" if worse else "undecided"
    words = (
        f"The candidate's {_WORDS[metric]} differs from the control arm's by {estimate:+.4f} ({low:+.4f} to "
        f"{high:+.4f} at all looks together) after {pairs:,} of {sample_size:,} rows for each arm: {winner}."
    )
    return AbResult(metric, alpha, estimate, low, high, len(theirs), len(ours), complete, winner, words)


def _calibration(control: FloatArray, candidate: FloatArray, alpha: float) -> tuple[float, float, float]:
    def distance(values: FloatArray) -> tuple[float, float]:
        low, high = mean_interval(values, least=-1, most=1, alpha=alpha / 2)
        return max(low, -high, 0.0), max(-low, high)

    ours, theirs = distance(candidate), distance(control)
    return abs(float(candidate.mean())) - abs(float(control.mean())), ours[0] - theirs[1], ours[1] - theirs[0]


@dataclass(frozen=True)
class SampleSize:
    """What an A/B roll-out needs: rows of each arm, and the days until they are scored and their outcomes matured."""

    per_arm: int
    days: float | None


def sample_size(
    effect: float,
    deviation: float,
    *,
    alpha: float,
    power: float,
    rows_per_day: float | None = None,
    share: float = 0.5,
    maturing_days: int = 30,
) -> SampleSize:
    """Return how many rows each arm needs, before the roll-out begins.

    A bet of the right size on a difference of z standard errors is worth ``exp(z ** 2 / 2)``, and is one of those
    averaged in :func:`mean_evidence`, so the interval excludes 0 from ``z = sqrt(2 log(2 bets / alpha))`` on: two to
    three times the rows of a test that looks once.

    Parameters
    ----------
    effect : smallest difference worth finding, in units of the metric.
    deviation : standard deviation of one row's value (the root mean square of those of the arms), for instance of
        ``(risk - outcome) ** 2`` on the test patients.
    power : probability that a difference of ``effect`` is found by then.
    rows_per_day : rows a day that count for the metric, in and outside the arms; without it no days.
    share : of the rows that the smaller arm gets.
    maturing_days : days after which an outcome is known.
    """
    if not (effect > 0 and deviation > 0 and 0 < alpha < 1 and 0 < power < 1 and 0 < share <= 0.5):
        raise ValueError("effect and deviation are above 0, alpha and power between 0 and 1, the share at most 1/2")
    if rows_per_day is not None and not rows_per_day > 0:
        raise ValueError("there have to be rows every day")
    from scipy.special import ndtri

    z = math.sqrt(2 * math.log(2 * len(MEAN_BETS) / alpha)) + float(ndtri(power))
    per_arm = math.ceil(2 * (z * deviation / effect) ** 2)
    return SampleSize(per_arm, None if rows_per_day is None else per_arm / (rows_per_day * share) + maturing_days)
