"""The promises that every estimator keeps, kept by a network on the rows of the example model."""

from dataclasses import replace

import pytest

from readmission_platform.models.conformance import estimators, import_is_light
from readmission_platform.models.conformance.subject import Subject, make_subject
from readmission_platform.models.frequent_visits import CONTRACT
from readmission_platform.models.frequent_visits.encoder import NUMBERS
from readmission_platform.models.frequent_visits.feed import ORDERED
from readmission_platform.models.neural.estimator import NeuralEstimator
from readmission_platform.models.tabular.columns import Columns
from readmission_platform_tests.support.networks import NETWORK

QUICK = {**NETWORK, "layers": 1, "epochs": 6, "learning_rate": 0.02}


@pytest.fixture(scope="module")
def subject(pytorch: None) -> Subject:
    columns = Columns(tuple(NUMBERS), {name: tuple(texts) for name, texts in ORDERED.items()})
    contract = replace(CONTRACT, estimator=NeuralEstimator(columns))
    return make_subject(contract, {"network": QUICK}, rows=1_500, seed=1)


@pytest.mark.slow
def test_a_network_keeps_every_promise_of_an_estimator(subject: Subject) -> None:
    found = dict(estimators.promises(subject))
    assert {name: problem for name, problem in found.items() if problem} == {}
    assert len(found) > 10


def test_importing_the_estimator_is_cheap() -> None:
    assert import_is_light("readmission_platform.models.neural.estimator") is None
