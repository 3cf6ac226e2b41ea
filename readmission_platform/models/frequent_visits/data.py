"""The data part of this example: from enrolments to inputs, subgroups and baselines.

What belongs here: what the contract asks. What does not: the rules it hands on to (``cohort``, ``history``).
"""

import numpy as np
import pandas as pd

from readmission_platform.models.frequent_visits import cohort as enrolled
from readmission_platform.models.frequent_visits.feed import COLUMNS, FREQUENT, INPUTS, OUTCOME, VISITS, YEAR
from readmission_platform.models.frequent_visits.history import history_of

# Where the year before is not known, a person stands between those with frequent visits and those without.
_NOT_KNOWN = 0.2


class EnrolmentData:
    """Enrolments, each with what is known of the person's earlier years."""

    history_columns = (YEAR,)
    source_columns = ()

    def cohort(self, raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
        """Select the enrolments that are studied; see ``cohort.eligible_enrolments``."""
        return enrolled.eligible_enrolments(raw, key=key, replay_share=replay_share)

    def with_matured(self, cohort: pd.DataFrame, matured: pd.DataFrame) -> pd.DataFrame:
        """Add enrolments whose year is over; see ``cohort.with_matured``."""
        return enrolled.with_matured(cohort, matured)

    def flow(self, raw: pd.DataFrame, cohort: pd.DataFrame) -> dict[str, int]:
        """Count enrolments from the source to the parts of the study; see ``cohort.cohort_flow``."""
        return enrolled.cohort_flow(raw, cohort)

    def as_delivered(self, raw: pd.DataFrame) -> pd.DataFrame:
        """Return enrolments as an insurer would deliver them, and whether the visits became frequent."""
        return raw[list(COLUMNS)].assign(**{OUTCOME: (raw[VISITS] >= FREQUENT).astype("int8")})

    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        """Return ``INPUTS``, history taken from the enrolments known; see ``history.history_of``."""
        return pd.concat([rows, history_of(rows, known)], axis=1)[list(INPUTS)]

    def forget(self, rows: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
        """Return enrolments with the outcome of ``which`` missing."""
        return rows.assign(**{OUTCOME: rows[OUTCOME].astype("float64").mask(which)})

    def subgroups(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return sex, self-rated health (fair and poor together: few are poor), and whether care is free."""
        free = (rows["coinsurance"] == 0) & (rows["deductible_plan"] == "no")
        return pd.DataFrame({
            "sex": rows["sex"],
            "self_rated_health": rows["self_rated_health"].replace({"fair": "fair or poor", "poor": "fair or poor"}),
            "plan": pd.Series(np.where(free, "free care", "cost sharing"), rows.index, dtype=object),
        })  # fmt: skip

    def baselines(
        self, inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, *, fitted: bool = True
    ) -> pd.DataFrame:
        """Return the outcome of the year before, chronic diseases (none where not asked), and a logistic regression."""
        scores: dict[str, np.ndarray | pd.Series] = {
            "year_before": inputs["frequent_year_before"].fillna(_NOT_KNOWN).astype("float64"),
            "chronic_diseases": inputs["chronic_diseases"].fillna(0.0).astype("float64"),
        }
        if fitted:
            from readmission_platform.models.frequent_visits.baseline import logistic_scores

            scores["logistic"] = logistic_scores(inputs, labels, folds)
        return pd.DataFrame(scores, index=inputs.index)
