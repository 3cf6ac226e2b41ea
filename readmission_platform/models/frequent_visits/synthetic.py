"""Synthetic enrolments: the columns of the feed, from a seed, with a known risk. Nobody in them exists.

What belongs here: persons, their contract years, and the visits of each. What does not: the published file
(``published``). Whatever is computed from these must be labelled synthetic.

The known risk model
    The visits of a contract year follow a negative binomial distribution of dispersion 2.6, whose mean is exp of
    .30 + .55 if the person is female and 15 or older + .6 exp(-age / 4) + .008 (age - 25) above 25
    - .006 coinsurance - .25 if on a deductible plan + .016 chronic_diseases (0 where not asked)
    + .3 if there is a physical limitation + (0, .15, .4, .75) by self-rated health + the person's frailty,
    which is normal with standard deviation .9, the same in every year and in no column. Five visits or more are
    frequent. The size of the effects is ours, chosen so that these are about as hard to tell as the published ones.
"""

import numpy as np
import pandas as pd

from readmission_platform.foundation.errors import BadInput
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.intake.sources import Loaded, SourceRequest
from readmission_platform.models.frequent_visits.feed import FREQUENT, HEALTH, PERSON, RAW, ROW, VISITS, YEAR

MINIMUM_ROWS = 200
# Terms were three years for most and five for the others; some leave early.
_TERMS, _TERM_SHARES = (1, 2, 3, 4, 5), (0.05, 0.04, 0.64, 0.01, 0.26)
_COINSURANCE, _COINSURANCE_SHARES = (0, 25, 50, 95, 100), (0.54, 0.20, 0.07, 0.13, 0.06)
_HEALTH_SHARES, _HEALTH_EFFECTS = (0.55, 0.36, 0.075, 0.015), np.array([0.0, 0.15, 0.4, 0.75])
FRAILTY, DISPERSION = 0.9, 2.6
_MOST_VISITS = 365


def load_synthetic(request: SourceRequest) -> Loaded:
    """Generate enrolments; what is expected of them is what was generated.

    Raises
    ------
    BadInput
        When so many cannot be a cohort, or the seed is negative.
    """
    try:
        frame = generate(rows=request.rows, seed=request.seed)
    except ValueError as error:
        raise BadInput(str(error)) from error
    digest = frame_digest(frame)
    origin = f"{request.rows:,} synthetic enrolments, seed {request.seed}"
    return Loaded(frame, digest, expected_digest=digest, origin=origin)


def generate(*, rows: int, seed: int) -> pd.DataFrame:
    """Return exactly so many enrolments (200 and more); the same arguments give the same ones on every machine.

    Raises ValueError for fewer or a negative seed.
    """
    return generate_with_truth(rows=rows, seed=seed)[0]


def generate_with_truth(*, rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the enrolments of ``generate`` and, row by row, the probability that the year's visits were drawn with."""
    if rows < MINIMUM_ROWS:
        raise ValueError(f"A synthetic cohort needs at least {MINIMUM_ROWS} enrolments, not {rows}.")
    if seed < 0:
        raise ValueError(f"The seed of a synthetic cohort must not be negative, but is {seed}.")
    rng = np.random.Generator(np.random.PCG64(seed))
    # One person has three years and more on average, so these are more persons than it takes.
    persons = _persons(rng, rows)
    terms = rng.choice(_TERMS, size=rows, p=_TERM_SHARES)
    of_person = np.repeat(np.arange(rows), terms)[:rows]
    years = np.concatenate([np.arange(term) for term in terms])[:rows]
    frame = persons.iloc[of_person].reset_index(drop=True)
    frame["age"] = frame["age"] + years
    mean = np.exp(_log_mean(frame) + frame.pop("frailty").to_numpy())
    # A negative binomial is a Poisson whose mean varies by a gamma: the year's own ups and downs.
    visits = np.minimum(rng.poisson(mean * rng.gamma(DISPERSION, 1 / DISPERSION, rows)), _MOST_VISITS)
    frame = frame.assign(**{ROW: np.arange(1, rows + 1), YEAR: years + 1, VISITS: visits})
    return frame[list(RAW.columns)], _frequent(mean)


def _frequent(mean: np.ndarray) -> np.ndarray:
    """Return the probability of five visits or more by their mean."""
    share = mean / (DISPERSION + mean)
    term = (1 - share) ** DISPERSION
    fewer = term.copy()
    for count in range(1, FREQUENT):
        term = term * share * (DISPERSION + count - 1) / count
        fewer += term
    return np.asarray(1 - fewer)


def _persons(rng: np.random.Generator, count: int) -> pd.DataFrame:
    age = np.minimum(rng.gamma(1.9, 13.5, count), 61).astype("int64")
    asked = age >= 14
    coinsurance = rng.choice(_COINSURANCE, size=count, p=_COINSURANCE_SHARES)
    offer = np.round(np.where(rng.random(count) < 0.5, 1000.0, 1000 * rng.random(count)), -1)
    limitation = _texts(("no", "yes"), rng.random(count) < 0.04 + 0.004 * age)
    limitation[rng.random(count) >= np.where(asked, 0.985, 0.87)] = None
    chronic = np.round(100 * rng.binomial(29, 0.09 + 0.001 * age) / 29, 1)
    deductible = (coinsurance == 0) & (rng.random(count) < 0.38) | (coinsurance == 100)
    return pd.DataFrame({
        PERSON: 100_000 + rng.permutation(4 * count)[:count],
        "age": age,
        "sex": _texts(("male", "female"), rng.random(count) < 0.517),
        "family_size": 1 + rng.poisson(2.95, count),
        "coinsurance": coinsurance,
        "deductible_plan": _texts(("no", "yes"), deductible),
        "incentive_payment": offer,
        "maximum_expenditure": np.where(coinsurance == 0, 0.0, offer),
        "physical_limitation": limitation,
        "chronic_diseases": np.where(asked & (rng.random(count) < 0.87), chronic, np.nan),
        "self_rated_health": np.array(HEALTH, dtype=object)[rng.choice(4, size=count, p=_HEALTH_SHARES)],
        "frailty": FRAILTY * rng.standard_normal(count),
    })  # fmt: skip


def _texts(names: tuple[str, str], which: np.ndarray) -> np.ndarray:
    return np.asarray(np.array(names, dtype=object)[which.astype(int)])


def _log_mean(frame: pd.DataFrame) -> np.ndarray:
    age, grown_up = frame["age"].to_numpy(), (frame["age"] >= 15).to_numpy()
    rated = frame["self_rated_health"].map(HEALTH.index).to_numpy()
    return np.asarray(
        0.30
        + 0.55 * ((frame["sex"] == "female").to_numpy() & grown_up)
        + 0.6 * np.exp(-age / 4)
        + 0.008 * np.maximum(age - 25, 0)
        - 0.006 * frame["coinsurance"].to_numpy()
        - 0.25 * (frame["deductible_plan"] == "yes").to_numpy()
        + 0.016 * frame["chronic_diseases"].fillna(0.0).to_numpy()
        + 0.3 * (frame["physical_limitation"] == "yes").to_numpy()
        + _HEALTH_EFFECTS[rated]
    )
