"""Later encounters as a stream: a model is trained on what is earlier, and what is later arrives by day.

What belongs here: cutting encounters into both, and what training and serving do with each. What does not: judging.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from readmission_platform.config.model import ModelConfig
from readmission_platform.encounters.cohort import subgroups
from readmission_platform.encounters.history import DAY
from readmission_platform.evaluation.estimates.folds import entity_folds
from readmission_platform.lifecycle.days.scoring import ranked
from readmission_platform.models.contract import CrossValidated
from readmission_platform.models.readmission_30d import CONTRACT

FIRST_DAY = date(2024, 1, 1)


@dataclass(frozen=True)
class Stream:
    """Encounters known from the start, and those that arrive, whole days of them with simulated dates."""

    before: pd.DataFrame
    arrived: pd.DataFrame

    @classmethod
    def of(cls, before: pd.DataFrame, later: pd.DataFrame, *, per_day: int) -> "Stream":
        """Let the later of some encounters arrive."""
        whole = later.head(len(later) - len(later) % per_day).reset_index(drop=True)
        days = [(FIRST_DAY + timedelta(days=place // per_day)).isoformat() for place in range(len(whole))]
        return cls(before.reset_index(drop=True), whole.assign(**{DAY: days}))

    @property
    def discharges(self) -> pd.DataFrame:
        """What is delivered: no outcome."""
        return self.arrived.drop(columns=["readmitted", "readmitted_30d"])

    @property
    def known(self) -> pd.DataFrame:
        """What the platform holds when all has arrived and matured; history says what counts on which day."""
        return pd.concat([self.before.assign(**{DAY: None}), self.arrived.assign(readmitted=None)], ignore_index=True)

    def served(self) -> pd.DataFrame:
        """Return the inputs of what arrived, as each day's scoring sees them."""
        return CONTRACT.data.inputs_of(self.discharges, self.known)


@dataclass(frozen=True)
class Trained:
    """A model, and the entities that it was trained on."""

    fitted: CrossValidated
    seen: frozenset[str]


def train(encounters: pd.DataFrame, model: ModelConfig, *, seed: int) -> Trained:
    """Train as shipped; encounters with a day know what was known by their day."""
    folds = entity_folds(encounters["entity_key"], folds=model.folds).to_numpy()
    labels = encounters["readmitted_30d"].to_numpy()
    inputs = CONTRACT.data.inputs_of(encounters, encounters)
    entities = encounters["entity_key"].to_numpy()
    fitted = CONTRACT.estimator.cross_validate(inputs, labels, folds, model.settings, entities=entities, seed=seed)
    return Trained(fitted, frozenset(encounters.loc[folds != 0, "entity_key"]))


def listed(stream: Stream, risks: np.ndarray, model: ModelConfig, *, seen: frozenset[str]) -> pd.DataFrame:
    """Return what arrived as live performance reads it: rank and flag by day, label, subgroups, month."""
    arrived = stream.arrived
    lists = ranked(arrived[[DAY, "encounter_id"]].assign(score=risks, risk=risks), model, day=DAY)
    rows = lists.merge(arrived[["encounter_id", "entity_key", "gender", "race", "age", "readmitted_30d"]])
    rows = pd.concat([rows.drop(columns=["gender", "race"]), subgroups(rows)], axis=1)
    return rows.drop(columns="risk").rename(columns={"readmitted_30d": "label"}).assign(
        seen=rows["entity_key"].isin(seen), month=rows[DAY].str[:7]
    )  # fmt: skip
