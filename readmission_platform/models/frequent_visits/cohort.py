"""Who is in the study of this example, in which order, and what has matured since.

What belongs here: rules that decide which enrolments count and in what order. What does not: history (``history``).

The file has no dates. Its clock is the year of the contract; within a year the order is fixed and arbitrary. The order
of the file would not do: it goes place by place, so that each simulated day would hold people of one place and the
latest rows would be of one. Days of a replay are simulated, and follow each other faster than the years of a person.
"""

import hashlib

import pandas as pd

from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.models.frequent_visits.feed import (
    COLUMNS,
    DAY,
    FREQUENT,
    OUTCOME,
    PERSON,
    ROW,
    VISITS,
    YEAR,
    in_the_first_year_of_life,
)
from readmission_platform.models.tabular import cohort as tabular
from readmission_platform.models.tabular.cohort import divided


def eligible_enrolments(raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
    """Select the enrolments of everybody who is past the first year of life, in the order of time.

    Parameters
    ----------
    raw
        Columns of ``feed.RAW``, one row each.
    key
        Secret key of the pseudonyms.
    replay_share
        Share of the enrolments, the latest ones, that is set aside as the replay stream.

    Returns
    -------
    The columns of the feed with ``entity_key`` in place of the person, plus ``clock`` (position in [0, 1)), ``part``
    (``development`` or ``replay``) and the outcome (0 or 1).
    """
    kept = raw[~in_the_first_year_of_life(raw)]
    drawn = kept[PERSON].map(lambda person: hashlib.sha256(str(person).encode()).hexdigest())
    order = kept.assign(drawn=drawn).sort_values([YEAR, "drawn", ROW], kind="stable").index
    kept = kept.loc[order].reset_index(drop=True)
    frame = kept[[name for name in COLUMNS if name != PERSON]].copy()
    frame.insert(1, "entity_key", pseudonyms(kept[PERSON], key, purpose="person"))
    frame[OUTCOME] = (kept[VISITS] >= FREQUENT).astype("int8")
    return divided(frame, replay_share)


def with_matured(cohort: pd.DataFrame, matured: pd.DataFrame) -> pd.DataFrame:
    """Add delivered enrolments whose year is over to the development part; see ``tabular.cohort``."""
    return tabular.with_matured(cohort, matured, row=ROW, day=DAY, outcome=OUTCOME, order=[YEAR, ROW])


def cohort_flow(raw: pd.DataFrame, cohort: pd.DataFrame) -> dict[str, int]:
    """Count enrolments at each step from the source to the parts of the study.

    Matured enrolments are the rows of ``cohort`` with a ``start_date``.
    """
    dated = cohort[DAY].notna() if DAY in cohort else pd.Series(False, cohort.index)
    development = cohort["part"] == "development"
    return {
        "enrolments in the source": len(raw),
        "excluded: in the first year of life": int(in_the_first_year_of_life(raw).sum()),
        "added: matured enrolments that are not in the source": int((dated & ~cohort[ROW].isin(raw[ROW])).sum()),
        "eligible enrolments": len(cohort),
        "eligible persons": int(cohort["entity_key"].nunique()),
        "development (first part of the clock)": int((development & ~dated).sum()),
        "development (matured enrolments)": int((development & dated).sum()),
        "replay stream (set aside)": int((cohort["part"] == "replay").sum()),
    }
