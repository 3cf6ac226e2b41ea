"""How far risks move with each source of information: nought when it was lost, whatever stands in for it."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from readmission_platform.evaluation.estimates.schema import InformationSource
from readmission_platform.evaluation.information import risks_moved
from readmission_platform.models.contract import CrossValidated
from readmission_platform.models.readmission_30d import CONTRACT
from readmission_platform_tests.support.small_study import SETTINGS, SmallStudy, make_small_study

SOURCES = CONTRACT.evidence.information
# Enough for a source to be seen or not, and quick.
FEW_TREES = {**SETTINGS["boosting"], "max_iter": 15}


def moved(fitted: CrossValidated, inputs: pd.DataFrame, *, seed: int = 1) -> dict[str, float]:
    return dict(risks_moved(partial(CONTRACT.estimator.score, fitted.model), inputs, SOURCES, seed=seed))


@pytest.fixture(scope="module")
def small_study() -> SmallStudy:
    return make_small_study(encounters=6_000, seed=11)


@pytest.fixture(scope="module")
def honest(small_study: SmallStudy) -> dict[str, float]:
    return moved(small_study.fitted, small_study.inputs[small_study.folds == 0])


def test_an_honest_model_draws_on_every_source_that_it_declares(honest: dict[str, float]) -> None:
    assert set(honest) == {source.name for source in SOURCES}
    assert all(value > 0.05 for value in honest.values())


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_of_a_source_that_is_the_same_for_everybody_nothing_is_left(
    small_study: SmallStudy, source: InformationSource, honest: dict[str, float]
) -> None:
    """Also where another source tells nearly the same, as the previous stays do of the utilisation counts."""
    columns = list(source.inputs)
    somebody = small_study.inputs.nlargest(1, "prior_encounters")[columns]
    same = pd.concat([somebody] * len(small_study.inputs), ignore_index=True)
    lost = small_study.inputs.assign(**{name: same[name].to_numpy() for name in columns})
    fitted = CONTRACT.estimator.cross_validate(
        lost,
        small_study.labels,
        small_study.folds % 2,
        SETTINGS | {"boosting": FEW_TREES},
        entities=small_study.entities,
        seed=1,
    )
    found = moved(fitted, lost[small_study.folds % 2 == 0])
    assert found[source.name] == 0.0
    assert all(found[other] > 0.02 for other in honest if other != source.name)


def test_of_a_source_that_belongs_to_other_patients_little_is_left(
    small_study: SmallStudy, honest: dict[str, float]
) -> None:
    columns = list(SOURCES[0].inputs)
    order = np.random.default_rng(3).permutation(len(small_study.inputs))
    theirs = small_study.inputs[columns].iloc[order].set_axis(small_study.inputs.index)
    mixed = small_study.inputs.assign(**{name: theirs[name] for name in columns})
    fitted = CONTRACT.estimator.cross_validate(
        mixed, small_study.labels, small_study.folds, SETTINGS, entities=small_study.entities, seed=1
    )
    assert moved(fitted, mixed[small_study.folds == 0])[SOURCES[0].name] < 0.6 * honest[SOURCES[0].name]


def test_the_same_seed_measures_the_same_and_the_inputs_stay_as_they_are(small_study: SmallStudy) -> None:
    inputs = small_study.inputs[small_study.folds == 0]
    before = inputs.copy()
    assert moved(small_study.fitted, inputs) == moved(small_study.fitted, inputs)
    pd.testing.assert_frame_equal(inputs, before)


def test_risks_of_nought_and_one_move_a_finite_way() -> None:
    inputs = pd.DataFrame({"sure": [0.0, 1.0] * 50})
    source = InformationSource("all", "all", ("sure",))
    found = risks_moved(lambda rows: rows["sure"].to_numpy(), inputs, [source], seed=0)
    assert 0 < found["all"] < 30
