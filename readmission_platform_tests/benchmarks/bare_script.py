"""What a data scientist would write in an afternoon: the yardstick for the time that a governed life takes.

    python -m readmission_platform_tests.benchmarks.bare_script ZIP

Reads the archive, encodes, fits plain histogram boosting on five parts of the patients in turn, scores each part by
the model that did not see it, and prints the AUROC. No history, no gates, no records.

What belongs here: nothing of the platform, on purpose.
"""

import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import OrdinalEncoder

CANNOT_RETURN = [11, 13, 14, 19, 20, 21]
MOST_VALUES = 250


def out_of_fold_auroc(archive: Path) -> float:
    """Fit and score as the module says."""
    with zipfile.ZipFile(archive) as files, files.open("diabetic_data.csv") as file:
        rows = pd.read_csv(file, na_values="?", low_memory=False)
    rows = rows[~rows["discharge_disposition_id"].isin(CANNOT_RETURN)]
    labels = (rows["readmitted"] == "<30").to_numpy().astype(int)
    inputs = rows.drop(columns=["encounter_id", "patient_nbr", "readmitted"])
    text = inputs.select_dtypes(exclude="number").columns
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan)
    encoded = inputs.assign(**dict(zip(text, encoder.fit_transform(inputs[text].astype(object)).T, strict=True)))
    categorical = [name in text and encoded[name].nunique() <= MOST_VALUES for name in encoded]
    scores = np.empty(len(labels))
    for train, test in GroupKFold(5).split(encoded, labels, rows["patient_nbr"]):
        model = HistGradientBoostingClassifier(categorical_features=categorical, early_stopping=False, random_state=0)
        scores[test] = model.fit(encoded.iloc[train], labels[train]).predict_proba(encoded.iloc[test])[:, 1]
    return float(roc_auc_score(labels, scores))


if __name__ == "__main__":
    print(f"{out_of_fold_auroc(Path(sys.argv[1])):.4f}")
