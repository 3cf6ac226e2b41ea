"""Evidence rows of a model: what its gates, its pages and the comparison with another version are computed from.

What belongs here: putting them together by the contract. What does not: computing anything from them
(``evaluation.estimates``), and keeping them.
"""

import numpy as np
import pandas as pd

from readmission_platform.foundation.pseudonyms import pseudonyms
from readmission_platform.models.contract import ModelContract


def evidence_rows(
    contract: ModelContract,
    rows: pd.DataFrame,
    inputs: pd.DataFrame,
    folds: np.ndarray,
    scores: np.ndarray,
    *,
    key: bytes,
    fitted: bool = True,
) -> pd.DataFrame:
    """Return one evidence row for each row: pseudonymised, with subgroups and baselines.

    Parameters
    ----------
    rows
        Rows of the cohort's development part: the row, ``entity_key``, ``clock``, the outcome, and what subgroups are
        made of.
    inputs
        Inputs of these rows.
    folds, scores
        Fold and out-of-fold score of each row, shape (rows,).
    key
        Secret key of the pseudonyms.
    fitted
        Whether the baselines that have to be fitted are among them.
    """
    labels = rows[contract.outcome].to_numpy()
    groups = contract.data.subgroups(rows)
    baselines = contract.data.baselines(inputs, labels, folds, fitted=fitted)
    return pd.DataFrame(
        {
            "row_key": pseudonyms(rows[contract.row], key, purpose=contract.words.row),
            "entity_key": rows["entity_key"].to_numpy(),
            "fold": folds.astype("int8"),
            "clock": rows["clock"].to_numpy(),
            "label": labels.astype("int8"),
            "score": scores,
            **{name: groups[name].to_numpy() for name in groups},
            **{name: baselines[name].to_numpy() for name in baselines},
        }
    )
