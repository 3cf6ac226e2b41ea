"""The watch part of a model of one table: the features are the inputs themselves."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from readmission_platform.models.boosting.watched_inputs import as_categories, as_numbers, watched_columns
from readmission_platform.models.tabular.columns import Columns


@dataclass(frozen=True)
class TableWatch:
    """Every input is watched, numbers as numbers and texts as categories."""

    columns: Columns

    def watched_columns(self, importance: object, count: int) -> list[str]:
        """Return the input columns to watch, most important first; all when the importance was not recorded."""
        names = self.columns.names
        return watched_columns(importance, count, watchable=names, inputs=names, made_of={})

    def comparable(self, inputs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """Return the columns as ordered numbers (float64) or as categories (text)."""
        forms = {name: as_numbers if name in self.columns.numbers else as_categories for name in columns}
        return pd.DataFrame({name: form(inputs[name]) for name, form in forms.items()}, index=inputs.index)

    def translated(self, inputs: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:  # part of the contract
        """Return the inputs: none of them is a code of another system."""
        return inputs
