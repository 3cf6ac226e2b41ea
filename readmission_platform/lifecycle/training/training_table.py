"""The training table of a model: rows, labels, folds and seed, and the evidence rows that come of scores for them.

What belongs here: joining what the assets of training made. What does not: fitting (the contract's estimator).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from readmission_platform.evaluation.estimates.pooled import time_slices
from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.models.contract import ModelContract


@dataclass(frozen=True)
class TrainingTable:
    """A training table with its labels, folds and seed; fold 0 holds the test entities of what is shipped.

    ``frame`` has the row's identifier, ``entity_key``, ``clock``, the outcome, and the inputs of the model.
    """

    frame: pd.DataFrame
    labels: np.ndarray
    folds: np.ndarray
    seed: int

    @classmethod
    def of(cls, contract: ModelContract, features: pd.DataFrame, split: pd.DataFrame, seed: int) -> "TrainingTable":
        """Join features and split; they have to be of the same rows."""
        if not features[contract.row].equals(split[contract.row]):
            names = contract.names
            raise ValueError(f"{names.features} and {names.split} are of different data versions; materialize both")
        return cls(features, features[contract.outcome].to_numpy(), split["fold"].to_numpy(), seed)

    @property
    def entities(self) -> np.ndarray:
        """Pseudonym of each row's entity, shape (rows,)."""
        return self.frame["entity_key"].to_numpy()

    @property
    def test(self) -> np.ndarray:
        """Which rows are of test entities, shape (rows,)."""
        return np.asarray(self.folds == 0)


def evidence_of(
    contract: ModelContract, table: TrainingTable, scores: np.ndarray, key: bytes, *, baselines: pd.DataFrame
) -> pd.DataFrame:
    """Build the evidence rows: pseudonymised, with the subgroups and the baselines that gates look at.

    They are in the order of their pseudonyms, and ``clock`` says in which slice of time the entity is, no more: in the
    order of the source each could be told by counting.

    Parameters
    ----------
    scores
        Out-of-fold scores, shape (rows,).
    key
        Secret key of the pseudonyms.
    baselines
        As the contract's ``data.baselines`` returns them; fitted ones may be left out.
    """
    frame = table.frame
    groups = contract.data.subgroups(frame)
    rows = pd.DataFrame(
        {
            "row_key": pseudonyms(frame[contract.row], key, purpose=contract.words.row),
            "entity_key": frame["entity_key"],
            "fold": table.folds.astype("int8"),
            "clock": time_slices(clock=frame["clock"].to_numpy(), entity_keys=frame["entity_key"].tolist()),
            "label": table.labels.astype("int8"),
            "score": scores,
            **{name: groups[name] for name in groups},
            **{name: baselines[name] for name in baselines},
        }
    )
    return rows.sort_values("row_key", ignore_index=True)
