"""Who is in the study: the columns of the source, the index admissions, and the outcome.

What belongs here: rules that decide which encounters count and what is predicted for them.
What does not: features (``features``, ``history``) and where the rows come from (``assets.feed.ingestion``).

Source of columns and codes: Diabetes 130-US Hospitals for Years 1999-2008 (Clore, Cios, DeShazo, Strack 2014,
doi 10.24432/C5230J, CC BY 4.0).
"""

from collections.abc import Collection

import pandas as pd

from readmission_platform.foundation.pseudonyms import pseudonyms

DRUG_COLUMNS = (
    "metformin repaglinide nateglinide chlorpropamide glimepiride acetohexamide glipizide glyburide "
    "tolbutamide pioglitazone rosiglitazone acarbose miglitol troglitazone tolazamide examide citoglipton "
    "insulin glyburide-metformin glipizide-metformin glimepiride-pioglitazone "
    "metformin-rosiglitazone metformin-pioglitazone"
).split()

SOURCE_COLUMNS = [
    *"encounter_id patient_nbr race gender age weight admission_type_id discharge_disposition_id".split(),
    *"admission_source_id time_in_hospital payer_code medical_specialty num_lab_procedures".split(),
    *"num_procedures num_medications number_outpatient number_emergency number_inpatient".split(),
    *"diag_1 diag_2 diag_3 number_diagnoses max_glu_serum A1Cresult".split(),
    *DRUG_COLUMNS,
    *"change diabetesMed readmitted".split(),
]

# A file of discharges has no outcome yet.
DISCHARGE_COLUMNS = [column for column in SOURCE_COLUMNS if column != "readmitted"]
# How the patient's previous stay ended, as it is known at this admission, in the words of ``readmitted``. The source
# says it in the row of that stay; a delivery may say it in this column, and where not, dates do.
PREVIOUS_RETURN = "previous_return"
FEED_COLUMNS = [*DISCHARGE_COLUMNS, PREVIOUS_RETURN]

DIED = frozenset({11, 19, 20, 21})
HOSPICE = frozenset({13, 14})
CANNOT_BE_READMITTED = DIED | HOSPICE

# Whether somebody comes back within 30 days is known when the 30 days are over: sooner, later returns are missing.
MATURITY_DAYS = 30


def eligible_encounters(
    raw: pd.DataFrame, *, key: bytes, replay_share: float, excluded: Collection[int] = CANNOT_BE_READMITTED
) -> pd.DataFrame:
    """Select the index admissions, in the order of the proxy clock.

    Excluded are discharges that cannot be readmitted (died, hospice). The patient number is replaced by a
    keyed pseudonym; the encounter number stays, because a prediction must be traceable to its encounter.

    Parameters
    ----------
    raw
        Encounters in the source's columns, one row each.
    key
        Secret key of the pseudonyms.
    replay_share
        Share of the encounters, latest on the proxy clock, set aside as the replay stream.
    excluded
        Discharge dispositions that do not count; only a study of what the rule does asks for others.

    Returns
    -------
    The source's columns less ``patient_nbr``, plus ``entity_key``, ``previous_return`` (see ``previous_returns``),
    ``clock`` (position in [0, 1)), ``part`` (``development`` or ``replay``) and ``readmitted_30d`` (0 or 1).
    """
    kept = raw.loc[~raw["discharge_disposition_id"].isin(excluded)]
    kept = kept.sort_values("encounter_id", kind="stable").reset_index(drop=True)
    frame = kept.drop(columns="patient_nbr").assign(**{PREVIOUS_RETURN: previous_returns(kept)})
    frame.insert(1, "entity_key", pseudonyms(kept["patient_nbr"], key, purpose="patient"))
    frame["clock"] = frame.index / len(frame)
    replayed = int(len(frame) * replay_share)
    frame["part"] = ["development"] * (len(frame) - replayed) + ["replay"] * replayed
    frame["readmitted_30d"] = (frame["readmitted"] == "<30").astype("int8")
    return frame


def previous_returns(encounters: pd.DataFrame) -> pd.Series:
    """Return how the previous stay of each encounter's patient ended, which is a fact once this one has begun.

    Parameters
    ----------
    encounters
        The source's columns; only those that count.

    Returns
    -------
    ``<30``, ``>30`` or ``NO`` as the source says of the previous stay, missing at a patient's first; the index of
    ``encounters``.
    """
    ordered = encounters.sort_values("encounter_id", kind="stable")
    before = ordered.groupby("patient_nbr", sort=False)["readmitted"].shift()
    return before.astype(object).mask(before.isna(), None).reindex(encounters.index)


def with_matured(eligible: pd.DataFrame, matured: pd.DataFrame) -> pd.DataFrame:
    """Add daily discharges whose outcome has matured to the development part.

    Parameters
    ----------
    eligible
        As ``eligible_encounters`` returns it.
    matured
        Accepted discharges: the source's columns less ``patient_nbr`` and ``readmitted``, plus ``previous_return``,
        ``entity_key``, ``discharge_date`` (text) and ``readmitted_30d`` (0 or 1).

    Returns
    -------
    The columns of ``eligible`` and ``discharge_date``, which is missing for the source's own rows; in the order of the
    proxy clock, and what the source does not have after that by its dates. Of a matured discharge ``readmitted`` is
    ``<30`` or missing: what comes after 30 days is not known. One of the replay part leaves it and keeps its place; one
    that the source has in its development part already is not added again.
    """
    source = eligible.assign(discharge_date=pd.Series(None, index=eligible.index, dtype=object))
    known = eligible.loc[eligible["part"] == "development", "encounter_id"]
    fresh = matured[~matured["encounter_id"].isin(known)]
    if fresh.empty:
        return source
    outcome = fresh["readmitted_30d"].astype("int8")
    ended = pd.Series(["<30" if returned else None for returned in outcome], index=fresh.index, dtype=object)
    added = fresh.assign(readmitted_30d=outcome, readmitted=ended, part="development", clock=0.0)
    kept = source[~source["encounter_id"].isin(fresh["encounter_id"])]
    frame = pd.concat([kept, added[list(source.columns)]])
    place = frame["encounter_id"].map(source["clock"].set_axis(source["encounter_id"])).fillna(1.0)
    frame = frame.assign(place=place).sort_values(["place", "discharge_date", "encounter_id"], kind="stable")
    frame = frame.drop(columns="place").reset_index(drop=True)
    frame["clock"] = frame.index / len(frame)
    return frame


def cohort_flow(raw: pd.DataFrame, eligible: pd.DataFrame) -> dict[str, int]:
    """Count encounters at each step from the source to the parts of the study (TRIPOD+AI flow diagram).

    Matured discharges are the rows of ``eligible`` with a ``discharge_date``.
    """
    disposition = raw["discharge_disposition_id"]
    dated = eligible["discharge_date"].notna() if "discharge_date" in eligible else pd.Series(False, eligible.index)
    development = eligible["part"] == "development"
    return {
        "encounters in the source": len(raw),
        "excluded: died in hospital": int(disposition.isin(DIED).sum()),
        "excluded: discharged to hospice": int(disposition.isin(HOSPICE).sum()),
        "added: matured discharges that are not in the source": int(
            (dated & ~eligible["encounter_id"].isin(raw["encounter_id"])).sum()
        ),
        "eligible encounters": len(eligible),
        "eligible patients": int(eligible["entity_key"].nunique()),
        "development (first part of the proxy clock)": int((development & ~dated).sum()),
        "development (matured discharges)": int((development & dated).sum()),
        "replay stream (set aside)": int((eligible["part"] == "replay").sum()),
    }


def subgroups(encounters: pd.DataFrame) -> pd.DataFrame:
    """Return ``gender``, ``race`` and ``age_band`` (<50, 50-70, 70+) of encounters; what is not known is missing."""
    decade = encounters["age"].str.extract(r"^\[(\d+)-", expand=False).astype(float)
    gender = encounters["gender"]
    return pd.DataFrame(
        {
            "gender": gender.mask(~gender.isin(["Female", "Male"])),
            "race": encounters["race"],
            "age_band": pd.cut(decade, [-1, 49, 69, 200], labels=["<50", "50-70", "70+"]).astype(object),
        }
    )
