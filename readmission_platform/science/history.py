"""What is known of a patient's past when an encounter ends: one function for training and for scoring.

Only earlier encounters on the proxy clock count. Counting a patient's *total* encounters would leak the
outcome, because most readmissions within 30 days are themselves a later row of the file.
"""

import pandas as pd

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
    "patient_key",
    "time_in_hospital",
    "number_inpatient",
    "discharge_disposition_id",
]


def history_as_of(encounters: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Describe each encounter's past from the encounters known at that moment.

    Parameters
    ----------
    encounters
        Rows to describe: ``encounter_id``, ``patient_key`` and the columns of a discharge.
    known
        Every encounter known; may include ``encounters`` themselves and later ones, which are ignored. A
        column ``readmitted`` tells how an encounter ended, where that is known. ``<30`` and ``>30`` are known
        at the next admission; ``NO`` is treated as no information, since the source contradicts it in 490
        rows. Nor is anything known of how an encounter with a ``discharge_date`` ended: it arrived as a daily
        discharge, whose outcome is delivered a month later if at all, so scoring never has it. Of an encounter
        that is there several times the first row counts.

    Returns
    -------
    One row per encounter in the order (and with the index) of ``encounters``, with ``HISTORY_COLUMNS``.
    """
    # Only the patients asked for matter: a day of discharges must not cost a pass over ten years.
    relevant = known["patient_key"].isin(encounters["patient_key"]) & ~known["encounter_id"].isin(
        encounters["encounter_id"]
    )
    # A hospital may deliver again what is already among the development encounters: it is one past stay, not two.
    past = _with_outcome(known[relevant].drop_duplicates("encounter_id"))
    asked = _with_outcome(encounters)
    rows = pd.concat([past, asked], ignore_index=True)
    rows = rows.sort_values(["patient_key", "encounter_id"], kind="stable")

    by_patient = rows.groupby("patient_key", sort=False)
    prior = by_patient.cumcount()
    stay = rows["time_in_hospital"]
    early = (rows["outcome"] == "<30").astype("float64")
    described = pd.DataFrame(
        {
            "prior_encounters": prior.astype("float64"),
            "prior_readmissions_30d": early.groupby(rows["patient_key"], sort=False).cumsum() - early,
            "previous_outcome": by_patient["outcome"].shift(),
            "previous_time_in_hospital": by_patient["time_in_hospital"].shift(),
            "previous_disposition": by_patient["discharge_disposition_id"].shift(),
            "prior_mean_time_in_hospital": (stay.groupby(rows["patient_key"], sort=False).cumsum() - stay)
            / prior.where(prior > 0),
            "prior_max_number_inpatient": by_patient["number_inpatient"]
            .cummax()
            .groupby(rows["patient_key"], sort=False)
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
    if outcome is not None and "discharge_date" in rows.columns:
        # Training on matured discharges must see what scoring saw.
        outcome = outcome.astype(object).mask(rows["discharge_date"].notna())
    # Said explicitly, because a frame without rows (the first day of all) has no types to go by.
    numbers = [column for column in KNOWN_COLUMNS if column not in ("encounter_id", "patient_key")]
    typed = rows[KNOWN_COLUMNS].astype({"encounter_id": "int64"}).astype(dict.fromkeys(numbers, "float64"))
    return typed.assign(outcome=pd.Series(outcome, index=rows.index, dtype=object))
