"""Other rules for who is in the study, to see whether the result depends on ours.

What belongs here: the rules, and the study as it would be under them. What does not: figures (``evaluation``).
"""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from readmission_platform.encounters.cohort import eligible_encounters
from readmission_platform.encounters.history import HISTORY_COLUMNS, history_as_of
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.models.contract import CohortRule, TrainingTable

ELECTIVE = 3


def narrower_cohorts(features: pd.DataFrame) -> Mapping[str, np.ndarray]:
    """Return the encounters that narrower rules keep, shape (encounters,) each, by the rule in words.

    The model stays as it is: the rule changes whom it is judged on.

    Parameters
    ----------
    features
        The training table: ``MODEL_INPUTS``, ``encounter_id`` and ``entity_key``.
    """
    past = features["prior_encounters"].to_numpy() > 0
    return {
        "only the first encounter of each patient (no previous stay on record)": first_encounters(features),
        "without encounters whose race is not recorded": features["race"].notna().to_numpy(),
        "without elective admissions": (features["admission_type_id"] != ELECTIVE).to_numpy(),
        "only encounters with a previous stay on record": past,
    }


def first_encounters(features: pd.DataFrame) -> np.ndarray:
    """Tell of each encounter whether it is its patient's first, shape (encounters,)."""
    first = features.groupby("entity_key")["encounter_id"].transform("min")
    return (features["encounter_id"] == first).to_numpy()


def study_of_first_encounters(features: pd.DataFrame, labels: np.ndarray, folds: np.ndarray) -> TrainingTable:
    """Return the study as it would be with one encounter of each patient, the first.

    Nobody has a past then. Histories that are missing for everybody are set to 0, since boosting cannot cut a column
    of nothing into bins.
    """
    first = first_encounters(features)
    frame = features[first].reset_index(drop=True)
    nothing = [name for name in HISTORY_COLUMNS if frame[name].isna().all() and frame[name].dtype.kind == "f"]
    return TrainingTable(
        frame=frame.assign(**dict.fromkeys(nothing, 0.0)),
        labels=labels[first],
        folds=folds[first],
        shipped=np.ones(len(frame), dtype=bool),
    )


def study_with_everybody(raw: pd.DataFrame, *, key: bytes, replay_share: float, folds: int) -> TrainingTable:
    """Return the study as it would be if those who died or went to hospice were not excluded.

    The replay stream stays closed: what comes after its first encounter is in neither study. Patients keep their fold.

    Parameters
    ----------
    raw
        Encounters in the source's columns.
    key, replay_share, folds
        As the shipped study was made.
    """
    shipped = eligible_encounters(raw, key=key, replay_share=replay_share)
    everybody = eligible_encounters(raw, key=key, replay_share=0.0, excluded=())
    opened = shipped.loc[shipped["part"] == "replay", "encounter_id"].min()
    if pd.notna(opened):
        everybody = everybody[everybody["encounter_id"] < opened]
    everybody = everybody.reset_index(drop=True)
    frame = everybody.join(history_as_of(everybody, everybody))
    return TrainingTable(
        frame=frame,
        labels=frame["readmitted_30d"].to_numpy(),
        folds=entity_folds(frame["entity_key"], folds=folds).to_numpy(),
        shipped=frame["encounter_id"].isin(shipped["encounter_id"]).to_numpy(),
    )


class ReadmissionRobustness:
    """The rules above as the contract asks for them."""

    def narrower(self, features: pd.DataFrame) -> Mapping[str, np.ndarray]:
        """Return the encounters that narrower rules keep; see ``narrower_cohorts``."""
        return narrower_cohorts(features)

    def refitted(
        self, features: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, raw: pd.DataFrame | None, *,
        key: bytes, replay_share: float, fold_count: int,
    ) -> Iterator[CohortRule]:  # fmt: skip
        """Yield the study of first encounters, and where the source is at hand the one with everybody."""
        alone = study_of_first_encounters(features, labels, folds)
        yield CohortRule("first encounters", alone, {"trained and judged on first encounters only": alone.shipped})
        if raw is None:
            return
        wide = study_with_everybody(raw, key=key, replay_share=replay_share, folds=fold_count)
        judged = {
            "with those who died or went to hospice": np.ones(len(wide.frame), dtype=bool),
            "trained with those who died or went to hospice, judged without": wide.shipped,
        }
        yield CohortRule("cohort with deaths and hospice", wide, judged)
