"""The watch part of this example: which inputs drift is looked for in, as numbers and as categories."""

import numpy as np
import pandas as pd

from readmission_platform.models.boosting.watched_inputs import as_categories, as_numbers, watched_columns
from readmission_platform.models.frequent_visits.concepts import NUMBERS
from readmission_platform.models.frequent_visits.feed import HISTORY_COLUMNS, INPUTS

# In these data everybody's contract begins in the same year, so there is more history the later it gets: that would be
# an alarm about the calendar. What history does to the risks is seen in the risks.
WATCHABLE = tuple(name for name in INPUTS if name not in HISTORY_COLUMNS)


class EnrolmentWatch:
    """The encoder's features are the inputs themselves."""

    def watched_columns(self, importance: object, count: int) -> list[str]:
        """Return the input columns to watch, most important first; all when the importance was not recorded."""
        return watched_columns(importance, count, watchable=WATCHABLE, inputs=WATCHABLE, made_of={})

    def comparable(self, inputs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """Return the columns as ordered numbers (float64) or as categories (text)."""
        forms = {name: as_numbers if name in NUMBERS else as_categories for name in columns}
        return pd.DataFrame({name: form(inputs[name]) for name, form in forms.items()}, index=inputs.index)

    def translated(self, inputs: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:  # part of the contract
        """Return the inputs: none of them is a code."""
        return inputs
