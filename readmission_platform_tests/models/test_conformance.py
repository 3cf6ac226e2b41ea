"""Every model keeps the promises behind its contract, and a broken contract is noticed."""

import importlib
import pickle
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from readmission_platform import models
from readmission_platform.models.conformance import conformance_checks, import_is_light
from readmission_platform.models.contract import CrossValidated, Loaded, ModelContract, SourceRequest
from readmission_platform.models.frequent_visits import CONTRACT
from readmission_platform.models.frequent_visits.cohort import eligible_enrolments, with_matured
from readmission_platform.models.frequent_visits.data import EnrolmentData
from readmission_platform.models.frequent_visits.estimator import EnrolmentEstimator
from readmission_platform.models.frequent_visits.watch import EnrolmentWatch

QUICK = {
    "learning_rate": 0.3,
    "max_iter": 12,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 20,
    "l2_regularization": 1.0,
    "max_features": 0.5,
}
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "frequent_visits": {"boosting": QUICK},
    "readmission_30d": {"boosting": QUICK, "target_smoothing": 50.0},
}
ROWS = 1_500


def packages() -> Iterator[str]:
    """The packages of ``models`` that expose a contract."""
    for found in pkgutil.iter_modules(models.__path__, models.__name__ + "."):
        if found.ispkg and hasattr(importlib.import_module(found.name), "CONTRACT"):
            yield found.name.rpartition(".")[2]


def test_every_model_is_tried_here_or_has_a_test_of_its_own() -> None:
    beside = {file.stem.removeprefix("test_") for file in Path(__file__).parent.glob("test_*.py")}
    assert set(SETTINGS) <= set(packages()) <= {*SETTINGS, *beside}


@pytest.mark.parametrize("package", sorted(SETTINGS))
def test_a_model_keeps_every_promise(package: str) -> None:
    contract: ModelContract = importlib.import_module(f"{models.__name__}.{package}").CONTRACT
    found = dict(conformance_checks(contract, SETTINGS[package], rows=ROWS))
    assert {name: problem for name, problem in found.items() if problem} == {}
    assert len(found) > 35


@pytest.mark.parametrize("package", sorted(SETTINGS))
def test_importing_a_model_is_cheap(package: str) -> None:
    assert import_is_light(f"{models.__name__}.{package}") is None


def test_an_import_that_is_not_cheap_is_noticed() -> None:
    assert "sklearn" in str(import_is_light("readmission_platform.models.frequent_visits.encoder"))
    assert "cannot be imported" in str(import_is_light("readmission_platform.models.nowhere"))


def problem(contract: ModelContract, promise: str) -> str | None:
    """What is wrong with one promise of the example, which keeps all of them, under a changed contract."""
    for name, found in conformance_checks(contract, {"boosting": QUICK}, rows=ROWS):
        if name == promise:
            return found
    raise AssertionError(f"nothing is said of: {promise}")


class KnowsTheTotal(EnrolmentData):
    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        years = rows["entity_key"].map(known.groupby("entity_key").size())
        return super().inputs_of(rows, known).assign(family_size=years.astype("float64"))


class ComparesWithTheRest(EnrolmentData):
    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        inputs = super().inputs_of(rows, known)
        return inputs.assign(family_size=inputs["family_size"] - inputs["family_size"].mean())


class KnowsItsOwnOutcome(EnrolmentData):
    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        inputs = super().inputs_of(rows, known)
        return inputs.assign(family_size=rows.get("frequent_visits", inputs["family_size"]))


class ServesSomethingElse(EnrolmentData):
    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        inputs = super().inputs_of(rows, known)
        return inputs if "clock" in rows else inputs.assign(frequent_share_before=np.nan)


class DoesNotWaitForAnOutcome(EnrolmentData):
    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        return super().inputs_of(rows.drop(columns="start_date", errors="ignore"),
                                 known.drop(columns="start_date", errors="ignore"))  # fmt: skip


class InAnotherOrder(EnrolmentData):
    def inputs_of(self, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        return super().inputs_of(rows, known).iloc[:, ::-1]


class ShowsThePerson(EnrolmentData):
    def cohort(self, raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
        cohort = eligible_enrolments(raw, key=key, replay_share=replay_share)
        persons = raw.set_index("person_year_id")["person_id"].loc[cohort["person_year_id"]]
        return cohort.assign(entity_key=[f"{person:032x}" for person in persons])


class KeepsThePerson(EnrolmentData):
    def cohort(self, raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
        cohort = eligible_enrolments(raw, key=key, replay_share=replay_share)
        persons = raw.set_index("person_year_id")["person_id"].loc[cohort["person_year_id"]]
        return cohort.assign(family_size=persons.to_numpy())


class HasNoKey(EnrolmentData):
    def cohort(self, raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
        return eligible_enrolments(raw, key=b"always the same", replay_share=replay_share)


class HasNoOrder(EnrolmentData):
    def cohort(self, raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
        return eligible_enrolments(raw, key=key, replay_share=replay_share).sample(frac=1, random_state=1)


class StudiesInfants(EnrolmentData):
    def cohort(self, raw: pd.DataFrame, *, key: bytes, replay_share: float) -> pd.DataFrame:
        cohort = eligible_enrolments(raw, key=key, replay_share=replay_share)
        return cohort.assign(age=cohort["age"].mask(cohort.index < 5, 0))


class LosesMatured(EnrolmentData):
    def with_matured(self, cohort: pd.DataFrame, matured: pd.DataFrame) -> pd.DataFrame:
        return with_matured(cohort, matured.iloc[1:])


class CannotCount(EnrolmentData):
    def flow(self, raw: pd.DataFrame, cohort: pd.DataFrame) -> dict[str, int]:
        return super().flow(raw, cohort) | {"excluded: in the first year of life": 0}


class DeliversTooMuch(EnrolmentData):
    def as_delivered(self, raw: pd.DataFrame) -> pd.DataFrame:
        return super().as_delivered(raw).assign(visits=raw["visits"])


class ForgetsNothing(EnrolmentData):
    def forget(self, rows: pd.DataFrame, which: np.ndarray) -> pd.DataFrame:
        return rows


class GroupsByNumber(EnrolmentData):
    def subgroups(self, rows: pd.DataFrame) -> pd.DataFrame:
        return super().subgroups(rows).assign(sex=(rows["sex"] == "male").astype(int))


class HasAnotherBaseline(EnrolmentData):
    def baselines(self, *of: Any, fitted: bool = True) -> pd.DataFrame:
        return super().baselines(*of, fitted=fitted).rename(columns={"year_before": "last_year"})


class FitsWhatMayBeLeftOut(EnrolmentData):
    def baselines(self, *of: Any, fitted: bool = True) -> pd.DataFrame:
        return super().baselines(*of, fitted=True)


DATA = [
    (KnowsTheTotal, "history looks backwards"),
    (KnowsTheTotal, "the source's own rows know nothing of delivered ones"),
    (ComparesWithTheRest, "inputs are those of the contract, one row each, in order"),
    (KnowsItsOwnOutcome, "a row's own outcome is not among its inputs"),
    (ServesSomethingElse, "training and serving see the same inputs"),
    (DoesNotWaitForAnOutcome, "a delivered row knows what had arrived and matured by its day"),
    (InAnotherOrder, "inputs are those of the contract, one row each, in order"),
    (ShowsThePerson, "pseudonyms hide the entities"),
    (KeepsThePerson, "pseudonyms hide the entities"),
    (HasNoKey, "pseudonyms hide the entities"),
    (HasNoOrder, "the cohort is in the order of time, with the latest rows for replay"),
    (StudiesInfants, "who is not scored is not studied"),
    (LosesMatured, "matured rows join the development part"),
    (CannotCount, "the flow from the source adds up"),
    (DeliversTooMuch, "rows are delivered as the feed says"),
    (ForgetsNothing, "the outcome can be forgotten"),
    (GroupsByNumber, "subgroups fit the evidence schema"),
    (HasAnotherBaseline, "baselines fit the evidence schema"),
    (FitsWhatMayBeLeftOut, "baselines fit the evidence schema"),
]


@pytest.mark.parametrize(("part", "promise"), DATA, ids=[f"{part.__name__}-{promise}" for part, promise in DATA])
def test_a_broken_data_part_is_noticed(part: type[EnrolmentData], promise: str) -> None:
    assert problem(replace(CONTRACT, data=part()), promise) is not None


class Unseeded(EnrolmentEstimator):
    def pipeline(self, settings: Mapping[str, Any], *, seed: int) -> Any:
        return super().pipeline(settings, seed=int(np.random.default_rng().integers(1 << 30)))


class RateOfAll:
    """The mistake: the share of positives by age, of all rows, before they are divided into folds."""

    def __init__(self, inputs: pd.DataFrame, labels: np.ndarray) -> None:
        self.by_age = pd.Series(labels, index=inputs.index).groupby(inputs["age"]).mean()

    def __call__(self, inputs: pd.DataFrame) -> pd.DataFrame:
        return inputs.assign(family_size=inputs["age"].map(self.by_age))


class SeesTheLabelsOfTheFold(EnrolmentEstimator):
    rate: RateOfAll

    def cross_validate(self, inputs: pd.DataFrame, labels: np.ndarray, *of: Any, **more: Any) -> CrossValidated:
        self.rate = RateOfAll(inputs, labels)
        return super().cross_validate(self.rate(inputs), labels, *of, **more)

    def score(self, model: Any, inputs: pd.DataFrame) -> np.ndarray:
        return super().score(model, self.rate(inputs))


class GivesLogOdds(EnrolmentEstimator):
    def cross_validate(self, *of: Any, **more: Any) -> CrossValidated:
        fitted = super().cross_validate(*of, **more)
        return replace(fitted, scores=np.log(fitted.scores / (1 - fitted.scores)))


class ShipsAnother(EnrolmentEstimator):
    def score(self, model: Any, inputs: pd.DataFrame) -> np.ndarray:
        return super().score(model, inputs) * 0.99


class RanksAmongOthers(EnrolmentEstimator):
    def score(self, model: Any, inputs: pd.DataFrame) -> np.ndarray:
        risk = super().score(model, inputs)
        return risk - 1e-6 * risk.mean() if len(risk) else risk


class TrustsEverybody(EnrolmentEstimator):
    def dump(self, model: Any) -> bytes:
        return pickle.dumps(model)

    def load(self, content: bytes) -> Any:
        return pickle.loads(content)


class Repeats(EnrolmentEstimator):
    def unsound(self, model: Any, inputs: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
        found = super().unsound(model, inputs, risk)
        return [each and f"{each}: {age:.0f}" for each, age in zip(found, inputs["age"], strict=True)]


class ScoresAnything(EnrolmentEstimator):
    def unsound(self, model: Any, inputs: pd.DataFrame, risk: np.ndarray) -> list[str | None]:
        return [None] * len(inputs)


ESTIMATORS = [
    (Unseeded, "the same seed gives the same bits"),
    (SeesTheLabelsOfTheFold, "no entity has a part in its own scores"),
    (SeesTheLabelsOfTheFold, "randomly permuted labels teach nothing"),
    (GivesLogOdds, "out-of-fold scores are probabilities"),
    (ShipsAnother, "the model to ship gives the scores of its test entities"),
    (RanksAmongOthers, "a row's risk does not depend on the rows beside it"),
    (TrustsEverybody, "an artifact of a foreign type is refused"),
    (Repeats, "rows are withheld without any of their values"),
    (ScoresAnything, "rows are withheld without any of their values"),
]


@pytest.mark.parametrize(("part", "promise"), ESTIMATORS, ids=[f"{part.__name__}-{name}" for part, name in ESTIMATORS])
def test_a_broken_estimator_is_noticed(part: type[EnrolmentEstimator], promise: str) -> None:
    assert problem(replace(CONTRACT, estimator=part()), promise) is not None


@dataclass(frozen=True)
class Lies:
    """An explanation that changes what the honest one says."""

    change: Callable[[list[str], list[str]], tuple[list[str], list[str]]]

    @property
    def named_at_most(self) -> int:
        return 3

    def explainer(self, model: Any) -> Callable[[pd.DataFrame, np.ndarray], tuple[list[str], list[str]]]:
        honest = CONTRACT.explain.explainer(model)
        return lambda inputs, risk: self.change(*honest(inputs, risk))

    def __getattr__(self, name: str) -> Any:
        return getattr(CONTRACT.explain, name)


@pytest.mark.parametrize(
    "change",
    [
        lambda said, accounts: (said, [text.replace('"other": ', '"other": 1') for text in accounts]),
        lambda said, accounts: (["a; b; c; d" for _ in said], accounts),
        lambda said, accounts: (said[1:], accounts[1:]),
        lambda said, accounts: (["" for _ in said], accounts),
    ],
    ids=["does not add up", "too many", "too few", "none"],
)
def test_reasons_that_are_wrong_are_noticed(change: Callable[[list[str], list[str]], Any]) -> None:
    promise = "every row gets reasons and contributions that add up to its risk"
    assert problem(replace(CONTRACT, explain=Lies(change)), promise) is not None


class WatchesOutcomes:
    def watched_columns(self, importance: object, count: int) -> list[str]:
        return ["frequent_visits"]

    def comparable(self, inputs: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        return inputs[columns]

    def translated(self, inputs: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:
        return inputs


class TranslatesNumbers(EnrolmentWatch):
    def translated(self, inputs: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:
        return inputs.assign(**{inputs.columns[0]: draws})


def test_a_translation_that_changes_more_than_codes_is_noticed() -> None:
    broken = replace(CONTRACT, watch=TranslatesNumbers())
    assert problem(broken, "watched columns are inputs, one comparable column each") is not None


def test_a_watched_column_that_is_no_input_is_noticed() -> None:
    broken = replace(CONTRACT, watch=WatchesOutcomes())
    assert problem(broken, "watched columns are inputs, one comparable column each") is not None


@pytest.mark.parametrize("identifier", ["person_id", "person_year_id", "clock", "start_date", "frequent_visits"])
def test_an_identifier_or_the_outcome_among_the_inputs_is_noticed(identifier: str) -> None:
    broken = replace(CONTRACT, inputs=(*CONTRACT.inputs, identifier))
    assert identifier in str(problem(broken, "no identifier and no outcome is an input"))


def test_identifiers_that_leave_out_a_key_are_noticed() -> None:
    broken = replace(CONTRACT, identifiers=CONTRACT.identifiers - {"person_id"})
    assert "person_id" in str(problem(broken, "no identifier and no outcome is an input"))


def test_names_that_contradict_each_other_are_noticed() -> None:
    assert problem(replace(CONTRACT, maturity_days=0), "the names of the contract agree") is not None
    without = replace(CONTRACT.raw, columns=CONTRACT.raw.columns[:-2] + CONTRACT.raw.columns[-1:], vocabularies={
        name: texts for name, texts in CONTRACT.raw.vocabularies.items() if name != "self_rated_health"
    })  # fmt: skip
    assert "lack" in str(problem(replace(CONTRACT, raw=without), "the names of the contract agree"))


def generating(change: Callable[[pd.DataFrame], pd.DataFrame]) -> ModelContract:
    source = CONTRACT.sources["synthetic"]

    def load(request: SourceRequest) -> Loaded:
        loaded = source.load(request)
        return replace(loaded, frame=change(loaded.frame))

    return replace(CONTRACT, sources={"synthetic": replace(source, load=load)})


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.assign(age=frame["age"] - 5),
        lambda frame: frame.assign(sex="unknown"),
        lambda frame: frame.drop(columns="visits"),
        lambda frame: frame.iloc[1:],
        lambda frame: frame.assign(person_year_id=7),
    ],
    ids=["range", "code", "column", "rows", "twice"],
)
def test_a_source_that_breaks_the_raw_contract_is_noticed(change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    promise = "source synthetic gives rows that keep the raw contract"
    assert problem(generating(change), promise) is not None


def test_a_source_that_does_not_hold_what_its_digest_says_is_noticed() -> None:
    source = CONTRACT.sources["synthetic"]
    promise = "source synthetic gives what was asked for"
    for changed in (
        lambda request: replace(source.load(request), digest=f"sha256:{np.random.default_rng().random()}"),
        lambda request: replace(source.load(request), digest="sha256:always the same"),
        lambda request: replace(source.load(request), expected_digest="sha256:another"),
    ):
        broken = replace(CONTRACT, sources={"synthetic": replace(source, load=changed)})
        assert problem(broken, promise) is not None


def test_a_generated_source_that_is_judged_as_real_is_noticed() -> None:
    source = replace(CONTRACT.sources["synthetic"], limits="real")
    broken = replace(CONTRACT, sources={"synthetic": source})
    assert problem(broken, "source synthetic is judged by the limits for synthetic data") is not None
