"""What the promises are tried on: rows of a generated source, taken through a model's parts once.

What belongs here: preparing. What does not: judging.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.models.contract import CrossValidated, ModelContract, Source, SourceRequest

KEY = b"a key that is only used to try a model"
REPLAY_SHARE = 0.1
# Folds: two would leave next to nothing for the recalibration of each.
FOLDS = 3


@dataclass(frozen=True)
class Subject:
    """A contract with rows, and what its parts make of them.

    Attributes
    ----------
    settings
        What the estimator is given, validated.
    raw, cohort, development
        Rows as loaded, as selected, and those of the development part, numbered from 0.
    """

    contract: ModelContract
    settings: Mapping[str, Any]
    seed: int
    raw: pd.DataFrame
    cohort: pd.DataFrame
    development: pd.DataFrame

    @property
    def labels(self) -> np.ndarray:
        """Outcomes of the development rows, 0 or 1."""
        return self.development[self.contract.outcome].to_numpy()

    @cached_property
    def folds(self) -> np.ndarray:
        """Fold of each development row's entity."""
        return np.asarray(entity_folds(self.development["entity_key"], folds=FOLDS))

    @property
    def entities(self) -> np.ndarray:
        """Pseudonym of each development row's entity."""
        return self.development["entity_key"].to_numpy()

    @cached_property
    def inputs(self) -> pd.DataFrame:
        """Inputs of the development rows."""
        return self.contract.data.inputs_of(self.development, self.development)

    @cached_property
    def fitted(self) -> CrossValidated:
        """The model, cross-validated."""
        return self.fit(self.labels)

    @cached_property
    def risk(self) -> np.ndarray:
        """Risks of all development rows by the model that would be shipped."""
        return self.contract.estimator.score(self.fitted.model, self.inputs)

    @property
    def test(self) -> np.ndarray:
        """Which development rows the model that would be shipped never saw."""
        return np.asarray(self.folds == 0)

    def fit(self, labels: np.ndarray) -> CrossValidated:
        """Cross-validate on these labels."""
        return self.contract.estimator.cross_validate(
            self.inputs, labels, self.folds, self.settings, entities=self.entities, seed=self.seed
        )

    def known(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return what the platform knows of rows when it scores others: the columns that the contract names."""
        data, contract = self.contract.data, self.contract
        names = [contract.row, "entity_key", *data.history_columns, *data.source_columns, contract.outcome]
        return rows[[*names, *({contract.day} & {*rows.columns})]]

    def presented(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows as they are delivered: the feed's columns with ``entity_key`` in place of the entity."""
        carried = [name for name in self.contract.feed.columns if name != self.contract.feed.entity]
        return rows[[*carried, "entity_key"]].copy()


def generated_sources(contract: ModelContract) -> list[Source]:
    """Return the sources that generate rows from a seed."""
    return [source for source in contract.sources.values() if {"rows", "seed"} <= source.options]


def make_subject(contract: ModelContract, settings: Mapping[str, Any], *, rows: int, seed: int) -> Subject:
    """Generate rows and select the cohort; raises ``ValueError`` where no source generates rows."""
    sources = generated_sources(contract)
    if not sources:
        raise ValueError("a model needs a source that generates rows, so that it can be tried without data of people")
    raw = sources[0].load(SourceRequest(rows=rows, seed=seed)).frame
    cohort = contract.data.cohort(raw, key=KEY, replay_share=REPLAY_SHARE)
    development = cohort[cohort["part"] == "development"].reset_index(drop=True)
    checked = contract.estimator.settings.model_validate(settings).model_dump()
    return Subject(contract, checked, seed, raw, cohort, development)


def differing(one: pd.DataFrame, other: pd.DataFrame) -> list[str]:
    """Name the columns of two frames of the same rows that differ anywhere, missing values being alike."""
    same = {str(name): (one[name] == other[name]) | (one[name].isna() & other[name].isna()) for name in one}
    return sorted(name for name, equal in same.items() if not equal.all())
