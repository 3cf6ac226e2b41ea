"""The data part of this model: from encounters of the hospital to its inputs.

What belongs here: what the contract asks, by the rules of the feed (``encounters``). What does not: those rules.
"""

import numpy as np
import pandas as pd

from readmission_platform.encounters import cohort as hospital_cohort
from readmission_platform.encounters.history import KNOWN_COLUMNS, history_of
from readmission_platform.models.readmission_30d.clinical_scores import hospital, lace
from readmission_platform.models.readmission_30d.inputs import MODEL_INPUTS


class ReadmissionData:
    """Encounters, each with its patient's history."""

    history_columns = tuple(name for name in KNOWN_COLUMNS if name not in ("encounter_id", "entity_key"))
    source_columns = ("readmitted",)

    def cohort(self, raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
        """Select the index admissions; see ``encounters.cohort.eligible_encounters``."""
        return hospital_cohort.eligible_encounters(raw, key=key, replay_share=replay_share)

    def with_matured(self, cohort: pd.DataFrame, matured: pd.DataFrame) -> pd.DataFrame:
        """Add matured discharges; see ``encounters.cohort.with_matured``."""
        return hospital_cohort.with_matured(cohort, matured)

    def flow(self, raw: pd.DataFrame, cohort: pd.DataFrame) -> dict[str, int]:
        """Count encounters from the source to the parts of the study; see ``encounters.cohort.cohort_flow``."""
        return hospital_cohort.cohort_flow(raw, cohort)

    def as_delivered(self, raw: pd.DataFrame) -> pd.DataFrame:
        """Return encounters as discharges, with how they ended and what was known of the previous stay at admission."""
        ended = (raw["readmitted"] == "<30").astype("int8")
        counted = raw[~raw["discharge_disposition_id"].isin(hospital_cohort.CANNOT_BE_READMITTED)]
        known = hospital_cohort.previous_returns(counted).reindex(raw.index)
        delivered = raw.assign(**{hospital_cohort.PREVIOUS_RETURN: known})
        return delivered[hospital_cohort.FEED_COLUMNS].assign(readmitted_30d=ended)

    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        """Return ``MODEL_INPUTS``, history taken from the encounters known; see ``encounters.history.history_of``."""
        return pd.concat([rows, history_of(rows, known)], axis=1)[MODEL_INPUTS]

    def forget(self, rows: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
        """Return encounters with how those of ``which`` ended missing."""
        return rows.assign(
            readmitted=rows["readmitted"].astype(object).mask(which, None),
            readmitted_30d=rows["readmitted_30d"].astype("float64").mask(which),
        )

    def subgroups(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return gender, race and age group."""
        return hospital_cohort.subgroups(rows)

    def baselines(
        self, inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, *, fitted: bool = True
    ) -> pd.DataFrame:
        """Return what wards work out by hand, the strongest single column, and a logistic regression."""
        scores: dict[str, np.ndarray | pd.Series] = {
            "lace": lace(inputs),
            "hospital": hospital(inputs),
            "number_inpatient": inputs["number_inpatient"].astype("float64"),
        }
        if fitted:
            from readmission_platform.models.readmission_30d.baseline import logistic_scores

            scores["logistic"] = logistic_scores(inputs, labels, folds)
        return pd.DataFrame(scores, index=inputs.index)
