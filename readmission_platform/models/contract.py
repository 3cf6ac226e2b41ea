"""The contract: all that the platform may know of a model. Each package of ``models`` exposes one as ``CONTRACT``.

What belongs here: the types of the contract. What does not: any model, and anything that the platform does with one.

A model gives the probability of a binary outcome for each row of an entity at a time; the outcome becomes known after
``maturity_days``. The platform owns pseudonyms, folds, evidence, gates, ledger, shadow and monitoring: a contract has
no say in them and cannot leave them out. Importing a package of ``models`` must stay light, so the parts import
scikit-learn and the like in their functions or in modules that these functions import.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd
from pydantic import BaseModel

from readmission_platform.evaluation.estimates.schema import EvidenceSchema
from readmission_platform.evaluation.words import Words
from readmission_platform.intake.contract import RowContract
from readmission_platform.intake.sources import LandingFolders, Loaded, Source, SourceRequest

__all__ = [
    "ArtifactFormat",
    "AssetNames",
    "CohortRule",
    "CrossValidated",
    "DataPart",
    "EstimatorPart",
    "ExplainPart",
    "Explained",
    "LandingFolders",
    "Loaded",
    "ModelContract",
    "Progress",
    "Reliance",
    "RobustnessPart",
    "RowPart",
    "RowScore",
    "RowScorer",
    "Source",
    "SourceRequest",
    "TrainingTable",
    "WatchPart",
    "Words",
]  # fmt: skip

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class AssetNames:
    """What the assets are called that speak of the model's own rows; tables have the names of their assets."""

    raw: str
    cohort: str
    features: str
    split: str
    delivered: str

    @classmethod
    def of(cls, words: Words) -> "AssetNames":
        """Make the names from the model's words: the entity "patient" gives ``patient_split``."""
        row, rows, entity, delivery = (
            word.replace("-", "_").replace(" ", "_") for word in (words.row, words.rows, words.entity, words.delivery)
        )
        return cls(f"raw_{rows}", f"eligible_{rows}", f"{row}_features", f"{entity}_split", f"daily_{delivery}")


class DataPart(Protocol):
    """From raw rows to inputs. Raw rows have the columns of the feed, and may have more."""

    @property
    def history_columns(self) -> tuple[str, ...]:
        """What ``inputs_of`` needs of earlier rows of the same entity: columns of the feed besides its keys."""
        ...

    @property
    def source_columns(self) -> tuple[str, ...]:
        """Columns of the cohort that only the source's own rows have, missing in rows that were delivered."""
        ...

    def cohort(self, raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
        """Select the rows that are studied, in the order of time.

        Returns the feed's columns with the entity replaced by ``entity_key`` (a keyed pseudonym), plus
        ``source_columns``, ``clock`` (position in [0, 1)), ``part`` (``development`` or ``replay``, the latest
        ``replay_share``) and the outcome. Rows of an entity are in the order in which they happened.
        """
        ...

    def with_matured(self, cohort: pd.DataFrame, matured: pd.DataFrame) -> pd.DataFrame:
        """Add delivered rows whose outcome has matured to the development part, with the feed's day column.

        ``matured`` has the columns of the feed with ``entity_key`` in place of the entity, the day and the outcome;
        before anything has matured perhaps no more than the row. A row of the replay part leaves it; one that the
        development part has already is not added again. The day is missing for the source's own rows,
        ``source_columns`` for those added.
        """
        ...

    def flow(self, raw: pd.DataFrame, cohort: pd.DataFrame) -> dict[str, int]:
        """Count rows at each step from the source to the parts of the study.

        Steps that begin with "excluded", "added", "development" and "replay" have to add up; the first step counts the
        source's rows, and the one that begins with "eligible" those of the cohort.
        """
        ...

    def as_delivered(self, raw: pd.DataFrame) -> pd.DataFrame:
        """Return raw rows, in their order, as the feed would deliver them: its columns, and the outcome (0 or 1).

        The order of time is the cohort's.
        """
        ...

    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        """Return ``inputs`` of rows, their history taken from the rows known. The same in training and in serving.

        Parameters
        ----------
        rows
            The feed's columns with ``entity_key`` in place of the entity. Rows that were delivered have a day, and know
            only what was known by that day: rows of earlier days, and their outcomes once they had matured. The
            source's own rows have none, and know those of the source that came before.
        known
            The row, ``entity_key``, ``history_columns`` and ``source_columns``; the outcome, missing where it is not
            known; and the day where there are delivered rows, missing for the source's own. These were known from the
            start, with their outcomes. The rows asked for may be among them, and later ones: neither counts. Of a row
            that is there several times the first one counts.

        Returns
        -------
        One row each, with the index of ``rows`` and in their order.
        """
        ...

    def forget(self, rows: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
        """Return rows with all that tells the outcome of ``which`` (bool, shape (rows,)) missing."""
        ...

    def subgroups(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the attributes of the evidence schema, text or missing, one row each.

        ``rows`` are inputs or delivered rows: both have to tell the groups.
        """
        ...

    def baselines(
        self, inputs: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, *, fitted: bool = True
    ) -> pd.DataFrame:
        """Return the scores of the baselines of the evidence schema, float64, higher for a higher risk.

        Those that are fitted are out of fold, and left out where ``fitted`` is false: they cost time.
        """
        ...


@dataclass(frozen=True)
class CrossValidated:
    """The model to ship (that of fold 0) and the out-of-fold scores, calibrated probabilities of shape (rows,)."""

    model: Any
    scores: np.ndarray


@dataclass(frozen=True)
class ArtifactFormat:
    """How a model is stored: file name, MLflow flavour, packages that loading needs, and the types allowed in it.

    ``library`` is what fits it, as Dagster shows it.
    The flavour ``files`` is none of MLflow's own: MLflow keeps the file and shows it, and only the contract loads it.
    """

    file: str
    flavour: Literal["sklearn", "files"]
    packages: tuple[str, ...]
    trusted_types: tuple[str, ...]
    library: Literal["scikitlearn", "pytorch"] = "scikitlearn"


class EstimatorPart(Protocol):
    """Fitting, scoring, storing.

    ``settings`` validates the block ``settings`` of model.yaml; nobody else knows its fields.
    """

    @property
    def algorithm(self) -> str:
        """What kind of model this is. A change plan names it: another kind needs a new review."""
        ...

    @property
    def settings(self) -> type[BaseModel]:
        """Shape of the block ``settings`` of ``model.yaml``."""
        ...

    @property
    def artifact(self) -> ArtifactFormat:
        """How a model is stored."""
        ...

    def cross_validate(
        self,
        inputs: pd.DataFrame,
        labels: np.ndarray,
        folds: np.ndarray,
        settings: Mapping[str, Any],
        *,
        entities: np.ndarray,
        seed: int,
        progress: Progress = ...,
    ) -> CrossValidated:
        """Fit one model a fold on the other folds; a row's score comes from models that never saw its entity.

        ``entities`` (rows,) says whose row each is, for what has to be learnt from other entities. It is no input.
        """
        ...

    def feature_names(self, model: Any) -> list[str]:
        """Return what the fitted model splits on, for the record."""
        ...

    def score(self, model: Any, inputs: pd.DataFrame) -> np.ndarray:
        """Return calibrated probabilities, shape (rows,)."""
        ...

    def recalibrated(self, model: Any, slope: float, intercept: float) -> Any:
        """Return a model that ranks as this one does, with the log odds of its risks r corrected.

        They become ``slope * logit(r) + intercept``. The model that is given stays as it is.
        """
        ...

    def unsound(self, model: Any, inputs: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
        """Say for each row why it cannot be scored soundly, without any of its values; None where it can."""
        ...

    def dump(self, model: Any) -> bytes:
        """Return the model as the bytes of its artifact."""
        ...

    def load(self, content: bytes) -> Any:
        """Load a model whose digest has been verified; raises ``ValueError`` for a type that is not trusted."""
        ...


@dataclass(frozen=True)
class Explained:
    """What a version relies on: ``document`` for the evidence, ``importance`` by feature for monitoring."""

    document: dict[str, Any]
    importance: dict[str, float]


@dataclass(frozen=True)
class Reliance:
    """What one fitted model relies on, to be compared with another fit.

    ``losses`` is the AUROC lost by concept (in one order for all fits), ``contributions`` has shape (rows, concepts),
    and ``adds_up`` is the largest difference in log odds between contributions and the risk they explain.
    """

    losses: np.ndarray
    contributions: np.ndarray
    adds_up: float


class ExplainPart(Protocol):
    """Why a row has its risk, and what a version relies on."""

    @property
    def named_at_most(self) -> int:
        """How many reasons a row is given at most."""
        ...

    def explainer(self, model: Any) -> Callable[[pd.DataFrame, np.ndarray], tuple[list[str], list[str]]]:
        """Return a function from inputs and their risks to reasons in words and contributions as JSON, one a row."""
        ...

    def explained(
        self, model: Any, inputs: pd.DataFrame, labels: np.ndarray, entities: pd.Series, *, seed: int
    ) -> Explained:
        """Explain a model on rows of entities it never saw; small cells are hidden."""
        ...

    def reliance(
        self, model: Any, inputs: pd.DataFrame, labels: np.ndarray, entities: np.ndarray, *, seed: int
    ) -> Reliance:
        """Measure what a model relies on, on rows of entities it never saw (``entities`` numbers them)."""
        ...


class WatchPart(Protocol):
    """What drift monitoring compares."""

    def watched_columns(self, importance: object, count: int) -> list[str]:
        """Return the input columns to watch, most important first; all when the importance was not recorded."""
        ...

    def comparable(self, inputs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """Return the columns as ordered numbers (float64) or as categories (text)."""
        ...

    def translated(self, inputs: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:
        """Return inputs as they would be if their codes had come in another system (``feed.patterns``) and been read.

        ``draws`` has a whole number from 0 for each row, which decides between codes that mean the same. A model whose
        feed translates nothing returns the inputs.
        """
        ...


@dataclass(frozen=True)
class RowScore:
    """The answer for one row, as the batch would give it: see ``models.scoring.SCORE_COLUMNS``.

    ``risk``, ``reasons`` and ``contributions`` are None where the row is withheld, and the last two where nobody asked
    for them or the model explains nothing.
    """

    risk: float | None
    withheld_because: str | None
    reasons: str | None = None
    contributions: str | None = None


class RowScorer(Protocol):
    """A version that is ready to score rows one at a time; safe to use from several threads."""

    def score(self, row: Mapping[str, Any], past: Sequence[Mapping[str, Any]], *, explain: bool = True) -> RowScore:
        """Score one row.

        Parameters
        ----------
        row
            An accepted row of the feed (plain Python values, None where one is missing) with ``entity_key`` in place of
            the entity, and the day.
        past
            What was known of this entity, the columns of ``known`` in ``DataPart.inputs_of``. The row itself may be
            among it, and later ones: neither counts.
        """
        ...


class RowPart(Protocol):
    """Scoring rows one at a time, without data frames and scikit-learn: for answers while somebody waits.

    A version is compiled when it is trained; what is stored beside its artifact is data, never code.
    """

    @property
    def file(self) -> str:
        """Name of the file that a compiled model is stored in."""
        ...

    def compiled(self, model: Any) -> bytes:
        """Return all that scoring single rows needs of a fitted model."""
        ...

    def load(self, content: bytes) -> RowScorer:
        """Make a compiled model ready; raises ``ValueError`` for bytes that are none."""
        ...


@dataclass(frozen=True)
class TrainingTable:
    """Inputs, labels, folds and ``entity_key`` of a study under another rule.

    ``shipped`` tells which rows the shipped rule has too.
    """

    frame: pd.DataFrame
    labels: np.ndarray
    folds: np.ndarray
    shipped: np.ndarray


@dataclass(frozen=True)
class CohortRule:
    """One other rule for who is studied: the name it is shown by, the study under it, and who it is judged on."""

    name: str
    table: TrainingTable
    judged: Mapping[str, np.ndarray]


class RobustnessPart(Protocol):
    """Other rules for who is studied, to see whether the result depends on ours."""

    def narrower(self, features: pd.DataFrame) -> Mapping[str, np.ndarray]:
        """Return which rows narrower rules keep, by the rule in words; the model stays as it is."""
        ...

    def refitted(
        self, features: pd.DataFrame, labels: np.ndarray, folds: np.ndarray, raw: pd.DataFrame | None, *,
        key: bytes, replay_share: float, fold_count: int,
    ) -> Iterator[CohortRule]:  # fmt: skip
        """Yield studies under rules that change training; those that need the raw rows only where there are any."""
        ...


@dataclass(frozen=True)
class ModelContract:
    """One model, as the platform sees it.

    Attributes
    ----------
    purpose
        One sentence: what is predicted, for whom, and when.
    feed
        Contract of delivered rows: names of row, entity, day and outcome, types, ranges and codes.
    raw
        Contract of a source's raw rows, as ``sources`` load them: the columns of the feed, and what only a source has.
    maturity_days
        Days from a row's day until its outcome is known.
    inputs, identifiers
        What the model sees; columns that must never be among them.
    evidence
        Subgroups that fairness is judged for and baselines that have to be beaten; gates follow from both.
    rows
        How rows are scored one at a time; without it the service scores them with the artifact itself, which is slower.
    """

    words: Words
    purpose: str
    feed: RowContract
    raw: RowContract
    landing: LandingFolders
    maturity_days: int
    sources: Mapping[str, Source]
    inputs: tuple[str, ...]
    identifiers: frozenset[str]
    evidence: EvidenceSchema
    data: DataPart
    estimator: EstimatorPart
    watch: WatchPart
    explain: ExplainPart | None = None
    robustness: RobustnessPart | None = None
    rows: RowPart | None = None

    @property
    def names(self) -> AssetNames:
        """Names of the assets that speak of the model's own rows."""
        return AssetNames.of(self.words)

    @property
    def row(self) -> str:
        """Column that identifies a row."""
        return self.feed.row

    @property
    def day(self) -> str:
        """Column with the day of a row, text YYYY-MM-DD: the partition of daily tables."""
        return self.feed.day

    @property
    def outcome(self) -> str:
        """Column with the outcome, 0 or 1."""
        return self.feed.outcome
