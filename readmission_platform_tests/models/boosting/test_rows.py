"""Single rows through a compiled boosting: trees and contributions have the bits of the batch, files are only data."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from readmission_platform.models.boosting import trees
from readmission_platform.models.boosting.contributions import BoostingExplainer
from readmission_platform.models.boosting.recalibrated import RecalibratedClassifier
from readmission_platform.models.boosting.rows.compiled import CompiledBoosting, dump, load
from readmission_platform.models.boosting.rows.shapley import RowShapley
from readmission_platform.models.boosting.rows.trees import RowTrees

FEATURES = 5
CATEGORICAL = [False, True, False, True, False]


class Named:
    """Stands where a pipeline has its encoder."""

    def feature_names(self) -> list[str]:
        return [f"feature {place}" for place in range(FEATURES)]


def boosting(*, categorical: list[bool] | None = None, seed: int = 3, **options: Any) -> Any:
    """A boosting fitted on 400 rows with interactions, missing values and categories."""
    generator = np.random.default_rng(seed)
    matrix = generator.integers(0, 6, size=(400, FEATURES)).astype(float)
    log_odds = matrix[:, 0] * (matrix[:, 1] % 2) - matrix[:, 2] + (matrix[:, 3] == 4) * 2 + generator.normal(size=400)
    matrix[generator.random(matrix.shape) < 0.15] = np.nan
    chosen = {"max_iter": 12, "max_leaf_nodes": 9, "min_samples_leaf": 5, "early_stopping": False, **options}
    made = HistGradientBoostingClassifier(**chosen, categorical_features=categorical, random_state=seed)
    with threadpool_limits(1, user_api="openmp"):
        return made.fit(matrix, (log_odds > np.median(log_odds)).astype(int))


def compiled(fitted: Any) -> CompiledBoosting:
    model = RecalibratedClassifier(Pipeline([("encode", Named()), ("boost", fitted)]), 0.9, -0.1)
    return load(dump(CompiledBoosting.of(model, {})))


MODELS = {
    "numbers": {},
    "categories": {"categorical": CATEGORICAL},
    "all categories": {"categorical": [True] * FEATURES},
    "some trees without a split": {"min_samples_leaf": 120, "max_iter": 20},
    "no tree has a split": {"min_samples_leaf": 300},
    "deep": {"max_leaf_nodes": None, "min_samples_leaf": 1, "categorical": CATEGORICAL},
}
ROWS = npst.arrays(float, (4, FEATURES), elements=st.one_of(
    st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 300.0, -1.0, -0.0, np.nan]), st.floats(-10, 10)))  # fmt: skip


@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_the_trees_give_one_row_the_bits_that_they_give_many(options: dict[str, Any]) -> None:
    fitted = boosting(**options)
    alone = RowTrees(compiled(fitted))

    @settings(max_examples=40)
    @given(matrix=ROWS)
    def hold(matrix: np.ndarray) -> None:
        found = [alone.log_odds(alone.goes_left(row.tolist())) for row in matrix]
        assert found == fitted.decision_function(matrix).tolist()

    hold()


@pytest.mark.parametrize("entries", [trees.TABLE_ENTRIES, 300, 0])
@pytest.mark.parametrize("options", MODELS.values(), ids=MODELS)
def test_contributions_of_one_row_have_the_bits_of_the_batch_with_and_without_tables(
    options: dict[str, Any], entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "TABLE_ENTRIES", entries)
    fitted = boosting(**options)
    batch, parts = BoostingExplainer(fitted), compiled(fitted)
    alone = RowTrees(parts)
    shapley = RowShapley(
        trees.Leaves.of(parts.trees, alone.splits), splits=len(alone.splits), features=len(parts.features)
    )

    @settings(max_examples=15)
    @given(matrix=ROWS)
    def hold(matrix: np.ndarray) -> None:
        expected = batch.explain(matrix).values[:, list(parts.order)]
        found = [shapley.contributions(alone.goes_left(row.tolist())) for row in matrix]
        np.testing.assert_array_equal(found, expected)

    hold()


def test_the_same_model_has_the_same_bytes_and_they_hold_no_code() -> None:
    fitted = boosting(categorical=CATEGORICAL)
    content = dump(compiled(fitted))
    assert content == dump(load(content)) == dump(compiled(boosting(categorical=CATEGORICAL)))
    assert set(map(str, (each.dtype for each in tensors_of(content).values()))) <= {"float64", "uint32", "uint8"}


def changed(change: Callable[[dict[str, np.ndarray]], Any]) -> bytes:
    """A compiled model whose tensors were changed, under the header that it had."""
    content = dump(compiled(boosting(categorical=CATEGORICAL)))
    tensors = {name: values.copy() for name, values in tensors_of(content).items()}
    change(tensors)
    length = int.from_bytes(content[:8], "little")
    said = content[8 : 8 + length].decode().split('"__metadata__":{"model":"')[1].split('"},"')[0]
    return bytes(save(tensors, metadata={"model": said.encode().decode("unicode_escape")}))


def setting(name: str, place: int, value: float) -> Callable[[dict[str, np.ndarray]], None]:
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors[name][place] = value

    return change


DAMAGE = {
    "a loop": setting("left", 0, 0),
    "a child of another tree": setting("right", 0, 900),
    "two parents": lambda tensors: setting("left", 0, tensors["right"][0])(tensors),
    "a column that is not there": setting("feature_idx", 0, FEATURES),
    "a leaf that is no number": lambda tensors: tensors["value"].fill(np.nan),
    "a node without rows": setting("count", 0, 0),
    "a threshold that is no number": setting("num_threshold", 0, np.nan),
    "a category of a number": lambda tensors: tensors["is_categorical"].__ixor__(1),
    "categories that are not there": lambda tensors: tensors["bitset_idx"].fill(90),
    "no trees": lambda tensors: tensors.update({name: values[:0] for name, values in tensors.items()}),
    "fewer nodes": lambda tensors: tensors.update(value=tensors["value"][1:]),
    "another type": lambda tensors: tensors.update(value=tensors["value"].astype("float32")),
    "something missing": lambda tensors: tensors.pop("left"),
    "something more": lambda tensors: tensors.update(more=np.zeros(3)),
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_trees_that_are_none_are_refused(change: Callable[[dict[str, np.ndarray]], Any]) -> None:
    load(changed(lambda tensors: None))
    with pytest.raises(ValueError, match="the compiled model"):
        load(changed(change))


@pytest.mark.parametrize(
    ("said", "instead"),
    [
        ("boosting-rows-1", "boosting-rows-2"),
        ('\\"order\\":[1', '\\"order\\":[0'),
        ('\\"slope\\":0.9', '\\"slope\\":1e9999'),
        ('\\"slope\\":0.9', '\\"slant\\":0.9'),
        ('\\"features\\":[', '\\"features\\":[9,'),
    ],
)
def test_a_header_that_says_something_else_is_refused(said: str, instead: str) -> None:
    content = dump(compiled(boosting(categorical=CATEGORICAL)))
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].decode()
    assert said in header
    header = header.replace(said, instead)
    header += " " * (-len(header) % 8)
    with pytest.raises(ValueError, match="the compiled model"):
        load(len(header).to_bytes(8, "little") + header.encode() + content[8 + length :])


@settings(max_examples=100)
@given(noise=st.binary(max_size=200))
def test_noise_is_no_compiled_model(noise: bytes) -> None:
    with pytest.raises(ValueError, match="the compiled model"):
        load(noise)


_SOUND = dump(compiled(boosting(categorical=CATEGORICAL)))


@settings(max_examples=200)
@given(place=st.integers(0, len(_SOUND) - 1), byte=st.integers(0, 255))
def test_a_model_with_a_damaged_byte_is_refused_or_still_answers(place: int, byte: int) -> None:
    damaged = _SOUND[:place] + bytes([byte]) + _SOUND[place + 1 :]
    try:
        alone = RowTrees(load(damaged))
    except ValueError:
        return
    alone.log_odds(alone.goes_left([1.0, 2.0, np.nan, 4.0, 5.0]))
