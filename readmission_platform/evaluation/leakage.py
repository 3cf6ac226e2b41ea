"""The leakage firewall: measurements that give away a model which knows what it cannot know.

What belongs here: what is computed from a training table to find inputs that look ahead, identify, or repeat the
outcome, and labels that reach the entities a model is judged on; for any model, whose functions are handed in. What
does not: limits and their consequences (the gates ``leakage_*``, and the checks of ``assets.model``).

Two kinds of measurement complement each other. Recomputing the inputs of a shorter past finds whatever our own code
takes from the future, however it is disguised. It cannot find what a source delivers ready-made in one of its columns;
that is found by how much a single input tells of what nobody could know.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

# The past is cut here, as shares of the rows in the order of time.
CUTS = (1 / 3, 2 / 3)
# Rows of the sample whose labels are permuted. At so many, 11 % of them positive, chance spreads the result by .006.
PERMUTED = 20_000

# Numbers of more values are looked at in as many bins of equal size.
_BINS = 50
# Rows of average outcome counted into each value, so that a rare value claims little.
_SMOOTHING = 10.0

# Out-of-fold scores of shape (rows,), from inputs, labels, folds and whose row each is.
OutOfFold = Callable[[pd.DataFrame, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def permuted_labels_auroc(
    out_of_fold: OutOfFold,
    inputs: pd.DataFrame,
    labels: np.ndarray,
    folds: np.ndarray,
    entities: np.ndarray,
    *,
    seed: int,
    rows: int = PERMUTED,
) -> float:
    """Train on randomly permuted labels and return the AUROC on entities held out: about .5.

    It is more when anything that is fitted on labels saw those of the rows it is judged on: target statistics of all
    rows, for instance. The labels are permuted over single rows, not over entities: a row's label must say nothing of
    the entity's other rows, since how many it has is honestly reflected in the inputs.

    The folds are joined to two halves, so that the function that makes the evidence is what is tried, every row of the
    sample is judged, and only two models are fitted.

    Parameters
    ----------
    out_of_fold
        Makes the evidence of the model: each row's score comes from a fit on the other folds.
    inputs, labels, folds, entities
        Of all rows.
    rows
        Size of the random sample.

    Returns
    -------
    The mean of the AUROC within each half. Across halves scores are not comparable: each half's average risk is that
    of the other's labels, which alone would push a pooled AUROC below .5.
    """
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(inputs))[:rows])
    halves = folds[chosen] % 2
    permuted = rng.permutation(labels[chosen])
    scores = out_of_fold(inputs.iloc[chosen], permuted, halves, entities[chosen])
    return float(np.mean([roc_auc_score(permuted[halves == half], scores[halves == half]) for half in (0, 1)]))


def changed_without_future(
    rows: pd.DataFrame,
    inputs_of: Callable[[pd.DataFrame], pd.DataFrame],
    forget: Callable[[pd.DataFrame, np.ndarray], pd.DataFrame],
) -> dict[str, int]:
    """Count, for each input, rows at which it changes when everything that came later is deleted.

    At each of ``CUTS`` the rows after it are deleted, and how each entity's last one before it ended is forgotten,
    since nobody knew it then. The inputs of what remains have to be what they were.

    Parameters
    ----------
    rows
        Development rows in the order of time, with ``entity_key`` and outcomes.
    inputs_of
        Computes the inputs of rows from the same rows.
    forget
        Returns rows with all that tells the outcome of some of them (bool, shape (rows,)) missing.

    Returns
    -------
    Only inputs that change; empty when everything looks backwards.
    """
    whole = inputs_of(rows)
    counted: dict[str, int] = {}
    for share in CUTS:
        past = rows.iloc[: int(len(rows) * share)]
        last = ~past["entity_key"].duplicated(keep="last")
        then, now = inputs_of(forget(past, last.to_numpy())), whole.loc[past.index]
        for name in whole.columns:
            same = (then[name] == now[name]) | (then[name].isna() & now[name].isna())
            counted[name] = counted.get(name, 0) + int((~same).sum())
    return {name: count for name, count in counted.items() if count}


def distinct_shares(inputs: pd.DataFrame) -> pd.Series:
    """Measure how far the values of each input single rows out: different values per value, the largest first."""
    shares = {name: values.nunique() / max(int(values.notna().sum()), 1) for name, values in inputs.items()}
    return pd.Series(shares, dtype="float64").sort_values(ascending=False)


def clock_told(inputs: pd.DataFrame, clock: pd.Series) -> pd.Series:
    """Measure how well each input tells when its row happened: share of the clock's variance, the largest first.

    Parameters
    ----------
    inputs
        The model's inputs, one row each.
    clock
        Position of each row in time. How much of its variance the values of an input explain (the correlation
        ratio) is 1 for any function of it that can be undone, monotone or not.
    """
    told = {name: _explained(_codes(values), clock.to_numpy()) for name, values in inputs.items()}
    return pd.Series(told, dtype="float64").sort_values(ascending=False)


def outcome_told(inputs: pd.DataFrame, labels: np.ndarray, entities: pd.Series) -> pd.Series:
    """Measure how well each input alone tells the outcome: AUROC by input, the largest first.

    The risk of each value of an input is learnt from one half of the entities and judged on the other, so a category
    of many values is not flattered.
    """
    halves = pd.factorize(entities)[0] % 2
    told = {name: _told(_codes(inputs[name]), labels, halves) for name in inputs.columns}
    return pd.Series(told, dtype="float64").sort_values(ascending=False)


def future_told(inputs: pd.DataFrame, entities: pd.Series) -> pd.Series:
    """Measure how well each input tells, at an entity's first row, whether more follow: AUROC, largest first.

    All first rows have the same past, none. Somebody who knows the entity's total knows the answer; who knows the row
    can only guess. The rows have to be in the order of time.
    """
    first = ~entities.duplicated().to_numpy()
    more = entities.duplicated(keep=False).to_numpy()[first]
    return outcome_told(inputs[first], more.astype("int8"), entities[first])


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
