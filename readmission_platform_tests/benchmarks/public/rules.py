"""Other people's rules for the published data: their rows, targets, inputs, folds and measures, and what they reached.

What belongs here: the protocols and the published figures. What does not: what is fitted under them and how
it is judged (``figures``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

from readmission_platform.encounters.history import HISTORY_COLUMNS
from readmission_platform.models.readmission_30d.inputs import MODEL_INPUTS
from readmission_platform_tests.benchmarks.public.openml_folds import divisions

EMERGENCY_ROOM = 7
# TableShift's own constants, from its public configuration (mlfoundations/tableshift, experiment_defaults.py).
TABLESHIFT_SEED, TABLESHIFT_TENTH = 264738, 0.1
# TabArena shuffles with this seed (TabArena/dataset_curation) and judges three of the task's ten repeats.
TABARENA_SHUFFLE, TABARENA_FOLDS, TABARENA_REPEATS = 42, 3, 3
# No history: TableShift's rows name no patient, TabArena's have one encounter each. Gradient boosting cannot bin a
# column without a value, so these are constant, which no tree can split on.
NO_HISTORY = {**dict.fromkeys(HISTORY_COLUMNS, 0.0), "previous_outcome": None}


@dataclass(frozen=True)
class Published:
    """A figure somebody else published for the same rows and measure; the interval is theirs."""

    method: str
    value: float
    low: float | None
    high: float | None
    source: str


TABLESHIFT_SOURCE = "TableShift, results/best_id_accuracy_results_by_task_and_model.csv"
# A line per data set, fold and method, as errors (1 - AUROC). For this data set it has the first fold alone.
TABARENA_SOURCE = (
    "autogluon/tabarena, packages/tabflow_slurm/experiments/eval_output/"
    "example_tabarena_v0pt1_local/subsets/lite/results_per_split.csv"
)
PUBLISHED: Mapping[tuple[str, str], Sequence[Published]] = {
    ("TableShift", "in distribution"): (
        Published("CatBoost", 0.6594, 0.6450, 0.6736, TABLESHIFT_SOURCE),
        Published("NODE", 0.6592, 0.6448, 0.6734, TABLESHIFT_SOURCE),
        Published("LightGBM", 0.6576, 0.6431, 0.6718, TABLESHIFT_SOURCE),
    ),
    ("TableShift", "out of distribution"): (
        Published("NODE", 0.6238, 0.6196, 0.6280, TABLESHIFT_SOURCE),
        Published("CatBoost", 0.6184, 0.6141, 0.6226, TABLESHIFT_SOURCE),
        Published("LightGBM", 0.5981, 0.5938, 0.6024, TABLESHIFT_SOURCE),
    ),
    ("TabArena", "first fold"): tuple(
        Published(method, auroc, None, None, TABARENA_SOURCE)
        for method, auroc in {
            "AutoGluon 1.4, 4 hours": 0.6855,
            "RealMLP, tuned": 0.6836,
            "XGBoost, tuned, ensemble": 0.6821,
            "LightGBM, tuned, ensemble": 0.6819,
            "CatBoost, tuned, ensemble": 0.6816,
            "TabPFN-2.6": 0.6810,
            "explainable boosting, tuned, ensemble": 0.6723,
            "logistic regression, tuned": 0.6674,
            "random forest, tuned": 0.6657,
        }.items()
    ),
}
# What is asked of the shipped recipe under a protocol.
ASKED: Mapping[tuple[str, str], float] = {
    ("TableShift", "in distribution"): 0.667,
    ("TableShift", "out of distribution"): 0.624,
    ("TabArena", "first fold"): 0.675,
}
# TableShift also published methods that always give the commoner answer. Their accuracy is the share of that answer in
# the test rows: equal shares to the last digit, of as many rows, say that the rows are the same.
CONSTANT_ANSWER = {"in distribution": (4287, 0.5838581758805692), "out of distribution": (50968, 0.5061607283001099)}


@dataclass(frozen=True)
class Fold:
    """Row numbers to train on, and to test on by the name of the test."""

    train: np.ndarray
    tests: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Protocol:
    """Somebody's rules: inputs (n, ``MODEL_INPUTS``), labels (n,), patients numbered from 0 (n,), folds, measure."""

    name: str
    measure: str
    inputs: pd.DataFrame
    labels: np.ndarray
    patients: np.ndarray
    folds: Sequence[Fold]


def _protocol(
    name: str, measure: str, frame: pd.DataFrame, labels: pd.Series, folds: Sequence[Fold], **constant: object
) -> Protocol:
    inputs = frame.assign(**{**NO_HISTORY, **constant})[MODEL_INPUTS]
    patients = pd.factorize(frame["patient_nbr"])[0]
    return Protocol(name, measure, inputs, labels.to_numpy(dtype="int8"), patients, folds)


def tableshift(raw: pd.DataFrame) -> Protocol:
    """Any readmission; rows with a race, in the file's order; the emergency room is the other distribution.

    The column that defines the distributions is no input. Of either distribution a tenth is for validation, which is
    not needed here: the settings are those of configs/model.yaml.
    """
    frame = raw[raw["race"].notna()].reset_index(drop=True)
    there = (frame["admission_source_id"] == EMERGENCY_ROOM).to_numpy()
    inside, outside = np.flatnonzero(~there), np.flatnonzero(there)
    held_out = 2 * TABLESHIFT_TENTH
    train, rest = train_test_split(inside, test_size=held_out, random_state=TABLESHIFT_SEED)
    _, near = train_test_split(rest, test_size=TABLESHIFT_TENTH / held_out, random_state=TABLESHIFT_SEED)
    far, _ = train_test_split(outside, test_size=TABLESHIFT_TENTH, random_state=TABLESHIFT_SEED)
    fold = Fold(train, {"in distribution": near, "out of distribution": far})
    return _protocol("TableShift", "accuracy", frame, frame["readmitted"] != "NO", [fold], admission_source_id=0)


def tabarena(raw: pd.DataFrame) -> Protocol:
    """Readmission within 30 days; the first row of each patient in the file, those who died among them.

    The folds are OpenML's. The first is a test of its own: it is what others' figures are published for.
    """
    frame = raw.drop_duplicates("patient_nbr").sample(frac=1, random_state=TABARENA_SHUFFLE).reset_index(drop=True)
    labels = frame["readmitted"] == "<30"
    folds = []
    for each in divisions(labels.tolist(), folds=TABARENA_FOLDS, repeats=TABARENA_REPEATS):
        train, test = np.sort(each.train), np.sort(each.test)
        folds.append(Fold(train, {"nine folds": test} if folds else {"first fold": test, "nine folds": test}))
    return _protocol("TabArena", "AUROC", frame, labels, folds)


def same_rows(protocol: Protocol) -> dict[str, bool]:
    """Tell of each of TableShift's tests whether it has the published rows, by their number and the commoner answer."""
    told = {}
    for name, rows in protocol.folds[0].tests.items():
        n, share = CONSTANT_ANSWER[name]
        ours = float(1 - protocol.labels[rows].mean())
        told[name] = len(rows) == n and abs(ours - share) < 1e-12
    return told
