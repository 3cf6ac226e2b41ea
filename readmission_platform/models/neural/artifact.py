"""Stored networks: one safetensors file with the weights, the scale, and in its header what the model is.

What belongs here: writing such a file, and reading one that may be anything. What does not: digests and places
(``storage.artifacts``). Nothing in such a file is ever run.
"""

import json
from typing import Any

import numpy as np
from pydantic import Field, ValidationError

from readmission_platform.foundation.untrusted import read_json
from readmission_platform.foundation.values import Frozen, canonical_json
from readmission_platform.models.contract import ArtifactFormat
from readmission_platform.models.neural.encoding import Scale
from readmission_platform.models.neural.model import NeuralModel, shapes_of
from readmission_platform.models.neural.settings import MOST_LAYERS, Units
from readmission_platform.models.tabular.columns import Columns

SAFETENSORS = ArtifactFormat("model.safetensors", "files", ("safetensors", "numpy", "pandas"), (), "pytorch")

_KIND = "readmission-neural-1"
_SCALE = ("mean", "deviation", "low", "high")
# The header of a file of ours has a few thousand bytes.
_LONGEST_HEADER = 10_000_000


class _Described(Frozen):
    """What the header says of the model, besides names and shapes of its tensors."""

    kind: str = Field(pattern=f"^{_KIND}$")
    numbers: list[str]
    texts: list[tuple[str, list[str]]]
    hidden: list[Units] = Field(max_length=MOST_LAYERS)
    trained_with: str
    slope: float = Field(allow_inf_nan=False)
    intercept: float = Field(allow_inf_nan=False)


def dump(model: Any) -> bytes:
    """Return a model as the bytes of its file, the same for the same model; raises ``TypeError`` for anything else."""
    from safetensors.numpy import save

    if not isinstance(model, NeuralModel):
        raise TypeError(f"{type(model).__name__} is no network of this platform")
    described = _Described(
        kind=_KIND,
        numbers=list(model.columns.numbers),
        texts=[(name, list(texts)) for name, texts in model.columns.texts.items()],
        hidden=list(model.hidden),
        trained_with=model.trained_with,
        slope=model.slope,
        intercept=model.intercept,
    )
    tensors = {name: np.ascontiguousarray(weight) for name, weight in model.weights.items()}
    tensors |= {f"scale.{name}": np.ascontiguousarray(getattr(model.scale, name)) for name in _SCALE}
    # One entry, because several come in any order.
    return bytes(save(tensors, metadata={"model": canonical_json(described.model_dump())}))


def load(content: bytes) -> NeuralModel:
    """Load a model; raises ``ValueError`` for anything that is not, name by name and shape by shape, a file of ours."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as tensors_of

    described = _described(content)
    try:
        tensors = tensors_of(content)
    except (SafetensorError, KeyError) as error:
        raise ValueError("the stored model is no safetensors file") from error
    columns = Columns(tuple(described.numbers), {name: tuple(texts) for name, texts in described.texts})
    if len(set(columns.names)) != len(described.numbers) + len(described.texts):
        raise ValueError("the stored model names an input twice")
    weights = {name: _taken(tensors, name, shape, "float32") for name, shape in
               shapes_of(columns, described.hidden).items()}  # fmt: skip
    if any(not np.isfinite(weight).all() for weight in weights.values()):
        raise ValueError("the stored model has a weight that is no number")
    shape = (len(columns.numbers),)
    scale = Scale(**{name: _taken(tensors, f"scale.{name}", shape, "float64") for name in _SCALE})
    if not (np.isfinite(scale.mean).all() and np.isfinite(scale.deviation).all() and (scale.deviation > 0).all()):
        raise ValueError("the stored model has a scale that is none")
    if tensors:
        raise ValueError("the stored model holds more than the model")
    return NeuralModel(columns, tuple(described.hidden), scale, weights, described.trained_with,
                       described.slope, described.intercept)  # fmt: skip


def _described(content: bytes) -> _Described:
    """Read what the header says: eight bytes with its length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_LONGEST_HEADER, len(content) - 8):
        raise ValueError("the stored model is no safetensors file")
    try:
        header = read_json(content[8 : 8 + length])
        return _Described.model_validate(read_json(header["__metadata__"]["model"]))
    except (KeyError, TypeError, ValueError, json.JSONDecodeError) as error:
        problem = "misses or contradicts" if isinstance(error, ValidationError) else "does not have"
        raise ValueError(f"the stored model's header {problem} what a network of this platform says") from error


def _taken(tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """Take a tensor of this shape and type out of those that were found."""
    found = tensors.pop(name, None)
    if found is None or found.shape != shape or found.dtype != kind:
        raise ValueError(f"the stored model has no {name} of the right shape and type")
    return found
