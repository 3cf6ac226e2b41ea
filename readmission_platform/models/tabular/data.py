"""The data part of a model of one table.

What belongs here: from raw rows to the cohort, inputs, subgroups and baselines. What does not: reading the table
(``source``), and inputs of the model's own, which its package makes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.intake.contract import RowContract
from readmission_platform.models.tabular import cohort as studied
from readmission_platform.models.tabular.columns import Columns

# From rows and what is known of their entities to inputs or groups, one row each in the same order.
InputsOf = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]
GroupsOf = Callable[[pd.DataFrame], pd.DataFrame]


@dataclass(frozen=True)
class TableData:
    """Rows of one table, each with its time in a column of its own.

    Attributes
    ----------
    feed
        Contract of delivered rows.
    time
        The column that orders rows: dates as text, or whole numbers. It is no input.
    columns
        The inputs by kind.
    make_inputs
        Returns ``columns.names`` of rows; is given what is known of their entities besides.
    groups
        Returns the attributes of the evidence schema, as text or missing.
    ranked_by
        By name of each baseline that is not fitted, the input that it ranks by and the sign: 1 where a higher value is
        a higher risk, else -1.
    history_columns
        Columns that ``make_inputs`` needs of earlier rows of the same entity.
    """

    feed: RowContract
    time: str
    columns: Columns
    make_inputs: InputsOf
    groups: GroupsOf
    ranked_by: Mapping[str, tuple[str, int]]
    history_columns: tuple[str, ...] = ()
    source_columns: tuple[str, ...] = ()

    def cohort(self, raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
        """Select the rows whose outcome is known, in the order of time; of one time in that of their numbers."""
        feed = self.feed
        kept = raw[raw[feed.outcome].notna()]
        kept = kept.sort_values([self.time, feed.row], kind="stable").reset_index(drop=True)
        frame = kept[[name for name in feed.columns if name != feed.entity]].copy()
        frame.insert(1, "entity_key", pseudonyms(kept[feed.entity], key, purpose="entity"))
        frame[feed.outcome] = kept[feed.outcome].astype("int8")
        return studied.divided(frame, replay_share)

    def with_matured(self, cohort: pd.DataFrame, matured: pd.DataFrame) -> pd.DataFrame:
        """Add delivered rows whose outcome is known; see ``cohort.with_matured``."""
        feed = self.feed
        return studied.with_matured(
            cohort, matured, row=feed.row, day=feed.day, outcome=feed.outcome, order=[self.time, feed.row]
        )

    def flow(self, raw: pd.DataFrame, cohort: pd.DataFrame) -> dict[str, int]:
        """Count rows at each step from the source to the parts of the study."""
        feed, rows = self.feed, self.feed.words.rows
        dated = cohort[feed.day].notna() if feed.day in cohort else pd.Series(False, cohort.index)
        development = cohort["part"] == "development"
        return {
            f"{rows} in the source": len(raw),
            "excluded: the outcome is not known": int(raw[feed.outcome].isna().sum()),
            f"added: matured {rows} that are not in the source": int((dated & ~self._in(raw, cohort)).sum()),
            f"eligible {rows}": len(cohort),
            "eligible entities": int(cohort["entity_key"].nunique()),
            "development (first part of the clock)": int((development & ~dated).sum()),
            f"development (matured {rows})": int((development & dated).sum()),
            "replay stream (set aside)": int((cohort["part"] == "replay").sum()),
        }

    def _in(self, raw: pd.DataFrame, cohort: pd.DataFrame) -> "pd.Series[bool]":
        known = raw.loc[raw[self.feed.outcome].notna(), self.feed.row]
        return cohort[self.feed.row].isin(known)

    def as_delivered(self, raw: pd.DataFrame) -> pd.DataFrame:
        """Return rows as the feed would deliver them, and the outcome; those without one count as without the event."""
        feed = self.feed
        return raw[list(feed.columns)].assign(**{feed.outcome: raw[feed.outcome].fillna(0).astype("int8")})

    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        """Return the inputs of rows, numbers as float64."""
        made = self.make_inputs(rows, known)
        numbers = {name: pd.to_numeric(made[name]).astype("float64") for name in self.columns.numbers}
        return made.assign(**numbers)[list(self.columns.names)]

    def forget(self, rows: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
        """Return rows with the outcome of ``which`` missing."""
        return rows.assign(**{self.feed.outcome: rows[self.feed.outcome].astype("float64").mask(which)})

    def subgroups(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the attributes of the evidence schema."""
        return self.groups(rows)

    def baselines(
        self, inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, *, fitted: bool = True
    ) -> pd.DataFrame:
        """Return the inputs that are ranked by, missing ones in the middle, and a logistic regression."""
        scores: dict[str, np.ndarray | pd.Series] = {}
        for name, (column, sign) in self.ranked_by.items():
            values = sign * inputs[column].astype("float64")
            scores[name] = values.fillna(values.median())
        if fitted:
            from readmission_platform.models.tabular.baseline import logistic_scores

            scores["regression"] = logistic_scores(inputs, labels, folds, self.columns)
        return pd.DataFrame(scores, index=inputs.index)
