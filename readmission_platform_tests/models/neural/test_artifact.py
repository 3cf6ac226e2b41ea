"""A stored network: it comes back bit for bit without PyTorch and without pickle, and nothing else is taken for one."""

import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from readmission_platform.models.neural.encoding import Scale
from readmission_platform_tests.support.networks import ESTIMATOR, drawn_network, table

CONTENT = ESTIMATOR.dump(drawn_network())


def header_of(content: bytes) -> dict[str, Any]:
    return dict(json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]))


def described() -> dict[str, Any]:
    return dict(json.loads(header_of(CONTENT)["__metadata__"]["model"]))


def tensors() -> dict[str, np.ndarray]:
    model = drawn_network()
    return {**model.weights, **{f"scale.{name}": value for name, value in vars(model.scale).items()}}


def with_description(**changed: Any) -> bytes:
    return bytes(save(tensors(), metadata={"model": json.dumps({**described(), **changed})}))


def with_tensors(**changed: np.ndarray) -> bytes:
    return bytes(save({**tensors(), **changed}, metadata={"model": json.dumps(described())}))


def test_a_network_round_trips_bit_for_bit() -> None:
    inputs, model = table(300)[0], drawn_network()
    loaded = ESTIMATOR.load(CONTENT)
    assert ESTIMATOR.dump(loaded) == CONTENT
    np.testing.assert_array_equal(ESTIMATOR.score(loaded, inputs), ESTIMATOR.score(model, inputs))


def test_a_network_loads_and_scores_without_pytorch_and_without_pickle(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(CONTENT)
    program = """
import pickle, sys
from pathlib import Path

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "torch":
            raise ImportError("there is no PyTorch here")

sys.meta_path.insert(0, Missing())
from readmission_platform_tests.support.networks import ESTIMATOR, table

def refuse(*arguments, **named):
    raise AssertionError("something is unpickled")

inputs = table(300)[0]
pickle.load = pickle.loads = pickle.Unpickler = refuse
model = ESTIMATOR.load(Path(sys.argv[1]).read_bytes())
print(*(risk.hex() for risk in ESTIMATOR.score(model, inputs)))
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model.safetensors")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    risks = [float.fromhex(text) for text in done.stdout.split()]
    assert risks == ESTIMATOR.score(drawn_network(), table(300)[0]).tolist()


NO_SCALE = {"scale.deviation": np.zeros(2)}
REFUSED: dict[str, Callable[[], bytes]] = {
    "a pickle": lambda: pickle.dumps(drawn_network()),
    "nothing": lambda: b"",
    "the first half": lambda: CONTENT[: len(CONTENT) // 2],
    "more at the end": lambda: CONTENT + b"\0",
    "a header that has no end": lambda: b"\xff" * 8 + CONTENT[8:],
    "no description": lambda: bytes(save(tensors())),
    "a description that is no JSON": lambda: bytes(save(tensors(), metadata={"model": "NaN"})),
    "another kind": lambda: with_description(kind="something-else-1"),
    "a name that we do not know": lambda: with_description(code="import os"),
    "an input named twice": lambda: with_description(numbers=["age", "age"]),
    "an input of two kinds": lambda: with_description(numbers=["age", "ward"]),
    "other layers": lambda: with_description(hidden=[5, 5]),
    "a slope that is no number": lambda: with_description(slope="steep"),
    "a tensor too many": lambda: with_tensors(more=np.zeros(1, "float32")),
    "another shape": lambda: with_tensors(**{"layer.0.bias": np.zeros(9, "float32")}),
    "another type": lambda: with_tensors(**{"layer.0.bias": np.zeros(5, "float64")}),
    "a weight that is no number": lambda: with_tensors(**{"layer.0.bias": np.full(5, np.nan, "float32")}),
    "a scale that is none": lambda: with_tensors(**NO_SCALE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_network_of_ours_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"the stored model|is a number and a text"):
        ESTIMATOR.load(REFUSED[name]())


def test_whatever_a_file_holds_it_is_loaded_or_refused_and_nothing_else() -> None:
    drawing = np.random.default_rng(5)
    refused, header = 0, 8 + int.from_bytes(CONTENT[:8], "little")
    for _ in range(400):
        content = bytearray(CONTENT)
        for place in drawing.integers(0, header, 3):
            content[place] = drawing.integers(0, 256)
        try:
            ESTIMATOR.load(bytes(content))
        except ValueError:
            refused += 1
    assert refused > 300


def test_something_that_is_no_network_is_not_stored() -> None:
    with pytest.raises(TypeError, match="no network"):
        ESTIMATOR.dump({"weights": [1, 2]})


def test_a_scale_of_a_column_without_values_can_be_stored() -> None:
    model = drawn_network()
    empty = Scale.of(np.array([[1.0, np.nan], [3.0, np.nan]]))
    assert ESTIMATOR.load(ESTIMATOR.dump(replace(model, scale=empty))).scale.low.tolist() == [1.0, np.inf]
