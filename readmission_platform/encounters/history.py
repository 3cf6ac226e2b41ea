"""What is known of a patient's past when an encounter ends: one function for training and for scoring.

Only earlier encounters count. Counting a patient's *total* encounters would leak the outcome, because most readmissions
within 30 days are themselves a later row of the file.

An encounter with a ``discharge_date`` arrived on that day. How it ended is known at the patient's next admission, which
is itself the return or comes after the 30 days; what was told of it counts once the 30 days are over. The others, which
have no dates, were known from the start, with their outcome: they came before all that arrived, in the order of their
numbers. Among what arrived only dates say what came first, since a new record system starts numbers anew; a number
orders nothing but the stays of one day.
"""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from readmission_platform.encounters.cohort import MATURITY_DAYS, PREVIOUS_RETURN

DAY = "discharge_date"

HISTORY_COLUMNS = [
    "prior_encounters",
    "prior_readmissions_30d",
    "previous_outcome",
    "previous_time_in_hospital",
    "previous_disposition",
    "prior_mean_time_in_hospital",
    "prior_max_number_inpatient",
]

# What of a known encounter history is made from.
KNOWN_COLUMNS = [
    "encounter_id",
    "entity_key",
    "time_in_hospital",
    "number_inpatient",
    "discharge_disposition_id",
    PREVIOUS_RETURN,
]
_NUMBERS = ["time_in_hospital", "number_inpatient", "discharge_disposition_id"]


def history_of(encounters: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Describe each encounter's past: of one that arrived on a day, from what was known by that day.

    Parameters
    ----------
    encounters, known
        As for ``history_as_of``. Where there is a ``discharge_date`` see ``history_by_day``; encounters without one
        know nothing of those that have one.
    """
    dated = _is_dated(encounters)
    if not dated.any():
        return history_as_of(encounters, known[~_is_dated(known)])
    by_day = history_by_day(encounters[dated], known if DAY in known else known.assign(**{DAY: None}))
    if dated.all():
        return by_day
    from_the_start = history_as_of(encounters[~dated], known[~_is_dated(known)])
    return pd.concat([from_the_start, by_day]).loc[encounters.index]


def history_by_day(discharges: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Describe the past of discharges of several days, each from what was known by its day.

    The same as ``history_as_of`` day by day, in one pass: what is known of a patient on a day is described as a patient
    of its own, and numbered anew by when it arrived. How an encounter ended is known as ``_ended`` tells.

    Parameters
    ----------
    discharges
        Columns of a discharge plus ``entity_key`` and ``discharge_date`` (text).
    known
        As for ``history_as_of``, with ``discharge_date``: the day an encounter arrived, missing where it was known from
        the start.
    """
    of_day = discharges[KNOWN_COLUMNS].assign(as_of=discharges[DAY])
    views = of_day[["entity_key", "as_of"]].drop_duplicates()
    seen = known.assign(place=np.arange(len(known))).merge(views, on="entity_key")
    seen["arrived"] = seen[DAY].fillna("")  # what was known from the start comes before every day
    # In the order of what is known, since the first row of an encounter counts.
    seen = seen[seen["arrived"] <= seen["as_of"]].sort_values("place", kind="stable")
    seen = seen.drop_duplicates(["as_of", "encounter_id"])
    own = pd.MultiIndex.from_frame(of_day[["as_of", "encounter_id"]])
    seen = seen[~pd.MultiIndex.from_frame(seen[["as_of", "encounter_id"]]).isin(own)]
    named = ["as_of", "arrived", *KNOWN_COLUMNS[:2]]
    both = pd.concat([seen[named], of_day.assign(arrived=of_day["as_of"])[named]], ignore_index=True)
    renamed = pd.DataFrame({
        "encounter_id": both.groupby(["as_of", "arrived", "encounter_id"]).ngroup(),  # ascending in this order
        "entity_key": both.groupby(["as_of", "entity_key"]).ngroup(),
    }).to_numpy()  # fmt: skip
    rows = pd.concat([seen, of_day.assign(**{DAY: of_day["as_of"]})], ignore_index=True)
    rows[KNOWN_COLUMNS[:2]] = renamed
    ended = rows.assign(readmitted=_ended(rows))
    asked = ended[len(seen) :].set_index(of_day.index)
    return history_as_of(asked, ended[: len(seen)])


def _ended(rows: pd.DataFrame) -> pd.Series:
    """Tell how each encounter ended as far as that was known ``as_of`` a day.

    Of one that arrived as a discharge, in this order: a return that was told of and has matured; what the patient's
    next encounter says of it; that there was none, told and matured; the days until the next admission. Of one that was
    known from the start, what its source says.

    Parameters
    ----------
    rows
        Encounters, of each ``entity_key`` in the order of ``encounter_id``.
    """
    told = pd.Series(None, index=rows.index, dtype=object)
    if "readmitted_30d" in rows:
        matures = {day: (date.fromisoformat(day) + timedelta(days=MATURITY_DAYS)).isoformat()
                   for day in rows[DAY].dropna().unique()}  # fmt: skip
        matured = rows[DAY].map(matures).fillna("9999") <= rows["as_of"]
        told = rows["readmitted_30d"].map({1: "<30", 0: ">30"}).where(matured)
    said, days = _at_next_admission(rows)
    counted = days.map(lambda gone: "<30" if gone <= MATURITY_DAYS else ">30", na_action="ignore")
    ended = told.where(told == "<30")
    for otherwise in (said, told, counted):
        ended = ended.where(ended.notna(), otherwise)
    dated = _is_dated(rows)
    return ended.where(dated, rows["readmitted"].astype(object)) if "readmitted" in rows else ended.where(dated)


def _at_next_admission(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return what the patient's next encounter says of each one, and the days from its discharge to that admission.

    The days are missing where one of the two has no date, and where stays overlap by more than a day: a stay counts as
    one day at least, so that one within the day of the discharge before begins, by its length, the day before.
    """
    ordered = rows.sort_values(["entity_key", "encounter_id"], kind="stable")
    left = pd.to_datetime(ordered[DAY])
    came = left - pd.to_timedelta(ordered["time_in_hospital"].astype("float64"), unit="D")
    later = pd.DataFrame({"said": ordered[PREVIOUS_RETURN].astype(object), "came": came})
    following = later.groupby(ordered["entity_key"], sort=False).shift(-1)
    days = (following["came"] - left).dt.days
    return following["said"].reindex(rows.index), days.where(days >= -1).reindex(rows.index)


def _is_dated(rows: pd.DataFrame) -> pd.Series:
    return rows[DAY].notna() if DAY in rows else pd.Series(False, index=rows.index)


def history_as_of(encounters: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Describe each encounter's past from the encounters known at that moment.

    Parameters
    ----------
    encounters
        Rows to describe: ``KNOWN_COLUMNS``.
    known
        Every encounter known; may include ``encounters`` themselves and later ones, which are ignored. A
        column ``readmitted`` tells how an encounter ended, where that is known. ``<30`` and ``>30`` are known
        at the next admission; ``NO`` is treated as no information, since the source contradicts it in 490
        rows. Of an encounter that is there several times the first row counts.

    Returns
    -------
    One row per encounter in the order (and with the index) of ``encounters``, with ``HISTORY_COLUMNS``.
    """
    # Only the patients asked for matter: a day of discharges must not cost a pass over ten years.
    relevant = known["entity_key"].isin(encounters["entity_key"]) & ~known["encounter_id"].isin(
        encounters["encounter_id"]
    )
    # A hospital may deliver again what is already among the development encounters: it is one past stay, not two.
    past = _with_outcome(known[relevant].drop_duplicates("encounter_id"))
    asked = _with_outcome(encounters)
    rows = pd.concat([past, asked], ignore_index=True)
    rows = rows.sort_values(["entity_key", "encounter_id"], kind="stable")

    by_patient = rows.groupby("entity_key", sort=False)
    prior = by_patient.cumcount()
    stay = rows["time_in_hospital"]
    early = (rows["outcome"] == "<30").astype("float64")
    described = pd.DataFrame(
        {
            "prior_encounters": prior.astype("float64"),
            "prior_readmissions_30d": early.groupby(rows["entity_key"], sort=False).cumsum() - early,
            "previous_outcome": by_patient["outcome"].shift(),
            "previous_time_in_hospital": by_patient["time_in_hospital"].shift(),
            "previous_disposition": by_patient["discharge_disposition_id"].shift(),
            "prior_mean_time_in_hospital": (stay.groupby(rows["entity_key"], sort=False).cumsum() - stay)
            / prior.where(prior > 0),
            "prior_max_number_inpatient": by_patient["number_inpatient"]
            .cummax()
            .groupby(rows["entity_key"], sort=False)
            .shift(),
        }
    )
    informative = described["previous_outcome"].isin(["<30", ">30"])
    described.loc[~informative, "previous_outcome"] = None
    described.index = pd.Index(rows["encounter_id"])
    described = described.loc[encounters["encounter_id"]]
    described.index = encounters.index
    return described


def _with_outcome(rows: pd.DataFrame) -> pd.DataFrame:
    outcome = rows["readmitted"] if "readmitted" in rows.columns else None
    # Said explicitly, because a frame without rows (the first day of all) has no types to go by.
    typed = rows[[*KNOWN_COLUMNS[:2], *_NUMBERS]].astype({"encounter_id": "int64"})
    typed = typed.astype(dict.fromkeys(_NUMBERS, "float64"))
    return typed.assign(outcome=pd.Series(outcome, index=rows.index, dtype=object))
