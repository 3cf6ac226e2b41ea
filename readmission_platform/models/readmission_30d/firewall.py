"""The leakage firewall: measurements that give away a model which knows what it cannot know.

What belongs here: what is computed from a training table to find inputs that look ahead, identify, or repeat the
outcome, and labels that reach the patients a model is judged on. What does not: the limits' consequences (checks of
``assets.model.features`` and ``assets.model.training``) and the gate on an AUROC too good to be true (``governance``).

Two kinds of measurement complement each other. Recomputing the inputs of a shorter past finds whatever our own code
takes from the future, however it is disguised. It cannot find what a source delivers ready-made in one of its columns;
that is found by how much a single input tells of what nobody could know.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from readmission_platform.models.readmission_30d.model import cross_validate

# The past is cut here, as shares of the encounters in the order of the clock.
CUTS = (1 / 3, 2 / 3)

# Numbers of more values are looked at in as many bins of equal size.
_BINS = 50
# Encounters of average outcome counted into each value, so that a rare value claims little.
_SMOOTHING = 10.0


def permuted_labels_auroc(
    frame: pd.DataFrame,
    labels: np.ndarray,
    folds: np.ndarray,
    *,
    boosting: Mapping[str, float],
    target_smoothing: float | None,
    seed: int,
    encounters: int = 20_000,
) -> float:
    """Train on labels dealt out at random and return the AUROC on patients held out: about .5.

    It is more when anything that is fitted on labels saw those of the encounters it is judged on: target statistics of
    all encounters, for instance. The labels are permuted over single encounters, not over patients: a patient's label
    must say nothing of her other encounters, since how many she has is honestly reflected in the inputs.

    The folds are joined to two halves, so that ``cross_validate``, the function that makes the evidence, is what is
    tried, every encounter of the sample is judged, and only two models are fitted.

    Parameters
    ----------
    frame, labels, folds
        As for ``cross_validate``, of all encounters.
    boosting, target_smoothing, seed
        As for ``build_pipeline``.
    encounters
        Size of the random sample. At 20,000 encounters, 11 % of them readmitted, chance spreads the result by .006.

    Returns
    -------
    The mean of the AUROC within each half. Across halves scores are not comparable: each half's average risk is that
    of the other's labels, which alone would push a pooled AUROC below .5.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(frame))[:encounters])
    halves = folds[chosen] % 2
    permuted = rng.permutation(labels[chosen])
    scores = cross_validate(
        frame.iloc[chosen], permuted, halves, boosting=boosting, target_smoothing=target_smoothing, seed=seed
    ).scores
    return float(np.mean([roc_auc_score(permuted[halves == half], scores[halves == half]) for half in (0, 1)]))


def changed_without_future(
    encounters: pd.DataFrame, inputs_of: Callable[[pd.DataFrame], pd.DataFrame]
) -> dict[str, int]:
    """Count, for each input, encounters at which it changes when everything that came later is deleted.

    At each of ``CUTS`` the encounters after it are deleted, and how each patient's last one before it ended is
    forgotten, since nobody knew it then. The inputs of what remains have to be what they were.

    Parameters
    ----------
    encounters
        Development encounters in the order of the clock, with ``entity_key`` and outcomes.
    inputs_of
        Computes the inputs of encounters from the same encounters.

    Returns
    -------
    Only inputs that change; empty when everything looks backwards.
    """
    whole = inputs_of(encounters)
    counted: dict[str, int] = {}
    for share in CUTS:
        past = encounters.iloc[: int(len(encounters) * share)]
        last = ~past["entity_key"].duplicated(keep="last")
        known = past.assign(
            readmitted=past["readmitted"].astype(object).mask(last, None),
            readmitted_30d=past["readmitted_30d"].astype("float64").mask(last),
        )
        then, now = inputs_of(known), whole.loc[past.index]
        for name in whole.columns:
            same = (then[name] == now[name]) | (then[name].isna() & now[name].isna())
            counted[name] = counted.get(name, 0) + int((~same).sum())
    return {name: count for name, count in counted.items() if count}


def identifying(inputs: pd.DataFrame, clock: pd.Series, *, distinct_share: float, clock_share: float) -> dict[str, str]:
    """Name the inputs whose values single encounters out or tell when they happened, and say why.

    Parameters
    ----------
    inputs
        The model's inputs, one row per encounter.
    clock
        Position of each encounter in time. How much of its variance the values of an input explain (the correlation
        ratio) is 1 for any function of it that can be undone, monotone or not.
    distinct_share
        Different values per encounter that are too many.
    clock_share
        Share of the clock's variance that is too much to explain.
    """
    found = {}
    for name in inputs.columns:
        values = inputs[name].dropna()
        if values.nunique() > distinct_share * max(len(values), 1):
            found[name] = f"{values.nunique()} values in {len(values)} encounters"
            continue
        explained = _explained(_codes(inputs[name]), clock.to_numpy())
        if explained > clock_share:
            found[name] = f"explains {explained:.0%} of the clock"
    return found


def outcome_told(inputs: pd.DataFrame, labels: np.ndarray, patients: pd.Series) -> pd.Series:
    """Measure how well each input alone tells the outcome: AUROC by input, the largest first.

    The risk of each value of an input is learnt from one half of the patients and judged on the other, so a category
    of many values is not flattered.
    """
    halves = pd.factorize(patients)[0] % 2
    told = {name: _told(_codes(inputs[name]), labels, halves) for name in inputs.columns}
    return pd.Series(told, dtype="float64").sort_values(ascending=False)


def future_told(inputs: pd.DataFrame, patients: pd.Series) -> pd.Series:
    """Measure how well each input tells, at a patient's first encounter, whether more follow: AUROC, largest first.

    All first encounters have the same past, none. Somebody who knows the patient's total knows the answer; who knows
    the discharge can only guess. The rows have to be in the order of the clock.
    """
    first = ~patients.duplicated().to_numpy()
    more = patients.duplicated(keep=False).to_numpy()[first]
    return outcome_told(inputs[first], more.astype("int8"), patients[first])


def _codes(values: pd.Series) -> np.ndarray:
    """Number the values of an input from 0, missing ones included; many different numbers are binned."""
    if pd.api.types.is_numeric_dtype(values) and values.nunique() > _BINS:
        values = pd.qcut(values, _BINS, labels=False, duplicates="drop")
    return np.asarray(pd.factorize(values, use_na_sentinel=False)[0])


def _explained(codes: np.ndarray, target: np.ndarray) -> float:
    """Return the correlation ratio: the share of the target's variance between the values of an input."""
    sizes = np.bincount(codes)
    means = np.bincount(codes, weights=target) / np.maximum(sizes, 1)
    spread = float(target.var())
    return float((sizes * (means - target.mean()) ** 2).sum() / len(target) / spread) if spread > 0 else 0.0


def _told(codes: np.ndarray, labels: np.ndarray, halves: np.ndarray) -> float:
    """Return the mean AUROC, over both halves, of the risk by value as learnt from the other half."""
    width = int(codes.max(initial=0)) + 1
    parts = [(codes[halves == half], labels[halves == half].astype("float64")) for half in (0, 1)]
    size = [np.bincount(values, minlength=width) for values, _ in parts]
    positive = [np.bincount(values, weights=outcome, minlength=width) for values, outcome in parts]
    both = []
    for learn, judge in ((0, 1), (1, 0)):
        prior = positive[learn].sum() / max(size[learn].sum(), 1)
        order = np.argsort((positive[learn] + _SMOOTHING * prior) / (size[learn] + _SMOOTHING), kind="stable")
        both.append(_auroc_of_counts(positive[judge][order], (size[judge] - positive[judge])[order]))
    return float(np.mean(both))


def _auroc_of_counts(positives: np.ndarray, negatives: np.ndarray) -> float:
    """Return the AUROC of values in ascending order of risk, from how many of each are positive and negative."""
    pairs = positives.sum() * negatives.sum()
    if pairs == 0:
        return 0.5
    below = np.cumsum(negatives) - negatives
    return float((positives * (below + negatives / 2)).sum() / pairs)
