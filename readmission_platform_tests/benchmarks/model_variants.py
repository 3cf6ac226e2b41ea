"""Variants of the shipped recipe: what was tried for the model, one thing changed at a time.

What belongs here: the variants, each a function from training rows and labels to log odds of held-out rows. What does
not: the shipped recipe, which is taken from the package, and comparing them (``model_development``).
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler, TargetEncoder

from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.history import HISTORY_COLUMNS
from readmission_platform.encounters.icd9 import category_of
from readmission_platform.evaluation.estimates.calibration import logit
from readmission_platform.models.readmission_30d.features import EncounterEncoder, categorical_mask, monotone_directions
from readmission_platform.models.readmission_30d.inputs import DIAGNOSES

SHIPPED = "as shipped"
BEFORE = {"learning_rate": 0.06, "max_iter": 160, "max_leaf_nodes": 12, "min_samples_leaf": 60, "max_features": 0.15}
FURTHER_HISTORY = ["prior_later_readmissions", "same_diagnosis_as_before", "prior_emergency_admissions"]
FURTHER_SEEDS = ["another seed", "a third seed", "a fourth seed"]
CLOCK = ["clock_since_stay_before"]

# A variant's further columns: fitted on training rows and labels; returned for training and for held-out rows.
Columns = Callable[[pd.DataFrame, np.ndarray, pd.DataFrame, int], tuple[np.ndarray, np.ndarray]]
# Log odds of the held-out rows.
Fit = Callable[[pd.DataFrame, np.ndarray, pd.DataFrame, int], np.ndarray]


def encoded(
    train: pd.DataFrame,
    labels: np.ndarray,
    held_out: pd.DataFrame,
    seed: int,
    *,
    smoothing: float | None,
    by_patient: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Encode with the shipped encoder; otherwise every encounter is taken for a patient of its own."""
    encoder = EncounterEncoder(target_smoothing=smoothing, seed=seed)
    patients = (train["entity_key"] if by_patient else train["encounter_id"]).to_numpy()
    return encoder.fit_transform(train, labels, entities=patients), encoder.transform(held_out)


def boosted(
    train: pd.DataFrame,
    labels: np.ndarray,
    held_out: pd.DataFrame,
    seed: int,
    *,
    model: ModelConfig,
    boosting: Mapping[str, Any] | None = None,
    smoothing: float | None = -1.0,
    by_patient: bool = True,
    more: Sequence[Columns] = (),
    native_categories: bool = True,
    monotone: bool = True,
) -> np.ndarray:
    """Fit the shipped recipe with one thing changed."""
    smoothing = model.settings["target_smoothing"] if smoothing == -1.0 else smoothing
    parts = [encoded(train, labels, held_out, seed, smoothing=smoothing, by_patient=by_patient)]
    parts += [columns(train, labels, held_out, seed) for columns in more]
    fitted_on, asked = (np.hstack(side) for side in zip(*parts, strict=True))
    categorical = categorical_mask(target_statistics=smoothing is not None)
    further = fitted_on.shape[1] - len(categorical)
    directions = monotone_directions(target_statistics=smoothing is not None)
    trees = HistGradientBoostingClassifier(
        **{**model.settings["boosting"], **(boosting or {})},
        categorical_features=[native_categories and each for each in categorical] + [False] * further,
        monotonic_cst=[int(monotone) * each for each in directions] + [0] * further,
        early_stopping=False,
        random_state=seed,
    )
    return logit(trees.fit(fitted_on, labels).predict_proba(asked)[:, 1])


def boosted_with_seed(
    train: pd.DataFrame, labels: np.ndarray, held_out: pd.DataFrame, seed: int, *, step: int, model: ModelConfig
) -> np.ndarray:
    """Fit the shipped recipe with a seed some steps further."""
    return boosted(train, labels, held_out, seed + step, model=model)


def columns_as_they_are(names: Sequence[str]) -> Columns:
    """Add columns of the frame that the encoder does not use."""

    def add(train: pd.DataFrame, _labels: np.ndarray, held_out: pd.DataFrame, _seed: int) -> Any:
        return train[list(names)].to_numpy(float), held_out[list(names)].to_numpy(float)

    return add


def statistics_of(*combined: Sequence[str]) -> Columns:
    """Add target statistics of combinations of columns."""

    def values(frame: pd.DataFrame) -> pd.DataFrame:
        text = frame.assign(number_inpatient=frame["number_inpatient"].clip(upper=5)).astype(object)
        text = text.assign(**{name: frame[name].map(category_of, na_action="ignore") for name in DIAGNOSES})
        joined = {" ".join(names): text[list(names)].astype(str).agg(" ".join, axis=1) for names in combined}
        return pd.DataFrame(joined)

    def add(train: pd.DataFrame, labels: np.ndarray, held_out: pd.DataFrame, seed: int) -> Any:
        encoder = TargetEncoder(
            target_type="binary", smooth=50.0, cv=StratifiedKFold(5, shuffle=True, random_state=seed)
        )
        return encoder.fit_transform(values(train), labels), encoder.transform(values(held_out))

    return add


def diagnoses_wherever_they_stand(train: pd.DataFrame, labels: np.ndarray, held_out: pd.DataFrame, seed: int) -> Any:
    """Add one statistic per code whatever its position: highest and mean of an encounter's three."""
    parts = np.empty(len(train), dtype=int)
    for part, (_, rows) in enumerate(StratifiedKFold(5, shuffle=True, random_state=seed).split(train, labels)):
        parts[rows] = part

    def rates(rows: np.ndarray) -> pd.Series:
        codes = pd.concat([pd.DataFrame({"code": train[name][rows], "label": labels[rows]}) for name in DIAGNOSES])
        counted = codes.groupby("code")["label"].agg(["sum", "size"])
        return (counted["sum"] + 50 * labels[rows].mean()) / (counted["size"] + 50)

    def described(frame: pd.DataFrame, of: pd.Series, otherwise: float) -> np.ndarray:
        found = np.column_stack([frame[name].map(of).fillna(otherwise) for name in DIAGNOSES])
        return np.column_stack([found.max(axis=1), found.mean(axis=1)])

    own = np.empty((len(train), 2))
    for part in range(5):
        of_part, others = parts == part, parts != part
        own[of_part] = described(train[of_part], rates(others), float(labels[others].mean()))
    return own, described(held_out, rates(np.ones(len(train), bool)), float(labels.mean()))


def diagnosis_embedding(train: pd.DataFrame, _labels: np.ndarray, held_out: pd.DataFrame, seed: int) -> Any:
    """Add eight dimensions of which diagnoses occur together (truncated SVD of the encounter-by-code matrix)."""
    codes = {
        code: place for place, code in enumerate(sorted(set(pd.concat([train[name] for name in DIAGNOSES]).dropna())))
    }

    def bag(frame: pd.DataFrame) -> sparse.csr_matrix:
        cells = [(row, codes[code]) for name in DIAGNOSES for row, code in enumerate(frame[name]) if code in codes]
        rows, columns = np.array(cells).T
        return sparse.csr_matrix((np.ones(len(cells)), (rows, columns)), shape=(len(frame), len(codes)))

    embedding = TruncatedSVD(8, random_state=seed).fit(bag(train))
    return embedding.transform(bag(train)), embedding.transform(bag(held_out))


def _filled(
    train: pd.DataFrame, labels: np.ndarray, held_out: pd.DataFrame, seed: int, *, model: ModelConfig
) -> tuple[np.ndarray, np.ndarray]:
    fitted_on, asked = encoded(train, labels, held_out, seed, smoothing=model.settings["target_smoothing"])
    middle = np.nan_to_num(np.nanmedian(fitted_on, axis=0))
    return np.where(np.isnan(fitted_on), middle, fitted_on), np.where(np.isnan(asked), middle, asked)


def extra_trees(
    train: pd.DataFrame, labels: np.ndarray, held_out: pd.DataFrame, seed: int, *, model: ModelConfig
) -> np.ndarray:
    """Extremely randomised trees on the same encoding."""
    fitted_on, asked = _filled(train, labels, held_out, seed, model=model)
    trees = ExtraTreesClassifier(300, min_samples_leaf=20, max_features=0.4, random_state=seed, n_jobs=1)
    return logit(trees.fit(fitted_on, labels).predict_proba(asked)[:, 1])


def logistic(
    train: pd.DataFrame, labels: np.ndarray, held_out: pd.DataFrame, seed: int, *, model: ModelConfig
) -> np.ndarray:
    """Logistic regression on the numbers and target statistics of the same encoding."""
    fitted_on, asked = _filled(train, labels, held_out, seed, model=model)
    numbers = ~np.array(categorical_mask())
    scale = StandardScaler().fit(fitted_on[:, numbers])
    line = LogisticRegression(C=0.1, max_iter=500).fit(scale.transform(fitted_on[:, numbers]), labels)
    return np.asarray(line.decision_function(scale.transform(asked[:, numbers])))


def lightgbm(
    train: pd.DataFrame, labels: np.ndarray, held_out: pd.DataFrame, seed: int, *, model: ModelConfig
) -> np.ndarray:
    """LightGBM on the same encoding, with its own treatment of categories."""
    fitted_on, asked = encoded(train, labels, held_out, seed, smoothing=model.settings["target_smoothing"])
    trees = import_module("lightgbm").LGBMClassifier(
        n_estimators=300, learning_rate=0.03, num_leaves=24, min_child_samples=100, colsample_bytree=0.3,
        reg_lambda=10.0, cat_smooth=50, min_data_per_group=100, random_state=seed, n_jobs=1, verbose=-1,
    )  # fmt: skip
    trees.fit(fitted_on, labels, categorical_feature=np.flatnonzero(categorical_mask()).tolist())
    return logit(trees.predict_proba(asked)[:, 1])


def catboost(
    train: pd.DataFrame, labels: np.ndarray, held_out: pd.DataFrame, seed: int, *, model: ModelConfig
) -> np.ndarray:
    """CatBoost on the same encoding, with its own, ordered target statistics of the categories."""
    categories = np.flatnonzero(categorical_mask()).tolist()

    def of(values: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame(values)
        return frame.astype(dict.fromkeys(categories, str))

    fitted_on, asked = encoded(train, labels, held_out, seed, smoothing=model.settings["target_smoothing"])
    trees = import_module("catboost").CatBoostClassifier(
        iterations=600, learning_rate=0.03, depth=6, l2_leaf_reg=5, cat_features=categories, random_seed=seed,
        thread_count=1, verbose=0, allow_writing_files=False,
    )  # fmt: skip
    return logit(trees.fit(of(fitted_on), labels).predict_proba(of(asked))[:, 1])


def other_libraries(model: ModelConfig) -> dict[str, Fit]:
    """Return those of the libraries that this project does without and that happen to be installed."""
    return {
        name: partial(fit, model=model)
        for name, fit in {"LightGBM": lightgbm, "CatBoost": catboost}.items()
        if find_spec(fit.__name__)
    }


def variants(model: ModelConfig) -> dict[str, Fit]:
    """Return every variant that is fitted by itself."""
    change = partial(partial, boosted, model=model)
    return {
        SHIPPED: change(),
        "recipe before: no target statistics, 12 leaves": change(smoothing=None, boosting=BEFORE, monotone=False),
        "no target statistics": change(smoothing=None),
        "target statistics instead of native categories": change(native_categories=False),
        "target statistics smoothed with 10": change(smoothing=10.0),
        "target statistics smoothed with 200": change(smoothing=200.0),
        "target statistics cross-fitted by encounter": change(by_patient=False),
        "12 leaves": change(boosting={"max_leaf_nodes": 12}),
        "48 leaves": change(boosting={"max_leaf_nodes": 48}),
        "slower: rate .03, 250 trees": change(boosting={"learning_rate": 0.03, "max_iter": 250}),
        "slower and wider: rate .03, 300 trees, .15 of the features": change(
            boosting={"learning_rate": 0.03, "max_iter": 300, "max_features": 0.15, "min_samples_leaf": 100}),
        "a third of the features per split": change(boosting={"max_features": 0.33}),
        "not monotone in utilisation": change(monotone=False),
        "further history": change(more=[columns_as_they_are(FURTHER_HISTORY)]),
        "distance to the previous stay on the proxy clock": change(more=[columns_as_they_are(CLOCK)]),
        "statistics of utilisation x disposition": change(more=[statistics_of(
            ("number_inpatient", "discharge_disposition_id"), ("age", "discharge_disposition_id"))]),
        "statistics of pairs of diagnoses": change(more=[statistics_of(
            ("diag_1", "diag_2"), ("medical_specialty", "diag_1"))]),
        "diagnosis statistics whatever their position": change(more=[diagnoses_wherever_they_stand]),
        "diagnosis embedding": change(more=[diagnosis_embedding]),
        "no history": lambda train, labels, held_out, seed: boosted(
            train.assign(**dict.fromkeys(HISTORY_COLUMNS, 0.0)), labels,
            held_out.assign(**dict.fromkeys(HISTORY_COLUMNS, 0.0)), seed, model=model),
        "extra trees": partial(extra_trees, model=model),
        "logistic regression": partial(logistic, model=model),
        **{name: partial(boosted_with_seed, step=step, model=model) for step, name in enumerate(FURTHER_SEEDS, 1)},
        **other_libraries(model),
    }  # fmt: skip
