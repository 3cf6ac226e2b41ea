"""Compiled boostings: one safetensors file with the trees, and in its header what stands before and behind them.

What belongs here: taking a fitted model apart, writing such a file, and reading one that may be anything. What does
not: scoring with it (``scorer``). Nothing in such a file is ever run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, ValidationError

from readmission_platform.foundation.untrusted import read_json
from readmission_platform.foundation.values import Frozen, canonical_json
from readmission_platform.models.boosting.contributions import order_of

if TYPE_CHECKING:
    from readmission_platform.models.boosting.recalibrated import RecalibratedClassifier

FILE = "rows.safetensors"

_KIND = "boosting-rows-1"
# The header of a file of ours has some ten thousand bytes.
_LONGEST_HEADER = 10_000_000
# What is kept of scikit-learn's nodes, under its names; children are numbered within their tree.
_FIELDS = {
    "value": np.float64,
    "count": np.uint32,
    "feature_idx": np.uint32,
    "num_threshold": np.float64,
    "missing_go_to_left": np.uint8,
    "left": np.uint32,
    "right": np.uint32,
    "is_leaf": np.uint8,
    "is_categorical": np.uint8,
    "bitset_idx": np.uint32,
}
_NODE = np.dtype(list(_FIELDS.items()))
_CODES = 256


class _Described(Frozen):
    """What the header says of the model, besides its trees."""

    kind: str = Field(pattern=f"^{_KIND}$")
    features: list[str] = Field(min_length=1)
    # The columns in the order in which the trees number them, and of the first ones, which are categories, the codes.
    order: list[int]
    categories: list[list[float]]
    baseline: float = Field(allow_inf_nan=False)
    slope: float = Field(allow_inf_nan=False)
    intercept: float = Field(allow_inf_nan=False)
    encoding: dict[str, Any]


@dataclass(frozen=True)
class CompiledBoosting:
    """A fitted, recalibrated boosting as data.

    Attributes
    ----------
    features
        Names of the encoder's columns.
    order
        The columns in the order in which the trees number them.
    categories
        Of the first columns of that order, which are categories, the codes that the trees know as 0, 1, ...
    trees, bitsets
        Nodes of each tree, and for each of its categorical splits 8 words of 32 bits: the categories that go left.
    baseline
        Raw log odds that the trees add to.
    slope, intercept
        Of the correction of the log odds.
    encoding
        What the encoder has learnt, as a document.
    """

    features: tuple[str, ...]
    order: tuple[int, ...]
    categories: tuple[tuple[float, ...], ...]
    trees: tuple[np.ndarray, ...]
    bitsets: tuple[np.ndarray, ...]
    baseline: float
    slope: float
    intercept: float
    encoding: Mapping[str, Any]

    @classmethod
    def of(cls, model: "RecalibratedClassifier", encoding: Mapping[str, Any]) -> "CompiledBoosting":
        """Take a fitted model apart; reads the boosting as ``contributions.BoostingExplainer`` does."""
        encoder, boosting = model.classifier[0], model.classifier[-1]
        preprocessor = boosting._preprocessor
        known = [] if preprocessor is None else preprocessor.named_transformers_["encoder"].categories_
        trees = [tree for (tree,) in boosting._predictors]
        return cls(
            features=tuple(encoder.feature_names()),
            order=tuple(order_of(boosting).tolist()),
            categories=tuple(tuple(codes[~np.isnan(codes)].tolist()) for codes in known),
            trees=tuple(_nodes({name: tree.nodes[name] for name in _FIELDS}) for tree in trees),
            bitsets=tuple(np.asarray(tree.raw_left_cat_bitsets, dtype=np.uint32).reshape(-1, 8) for tree in trees),
            baseline=float(boosting._baseline_prediction.ravel()[0]),
            slope=float(model.slope),
            intercept=float(model.intercept),
            encoding=encoding,
        )


def dump(compiled: CompiledBoosting) -> bytes:
    """Return a compiled boosting as the bytes of its file, the same for the same model."""
    from safetensors.numpy import save

    described = _Described(
        kind=_KIND,
        features=list(compiled.features),
        order=list(compiled.order),
        categories=[list(codes) for codes in compiled.categories],
        baseline=compiled.baseline,
        slope=compiled.slope,
        intercept=compiled.intercept,
        encoding=dict(compiled.encoding),
    )
    nodes = np.concatenate(compiled.trees)
    tensors = {name: np.ascontiguousarray(nodes[name]) for name in _FIELDS}
    tensors["bitsets"] = np.ascontiguousarray(np.concatenate(compiled.bitsets))
    for name, parts in (("nodes_of_tree", compiled.trees), ("bitsets_of_tree", compiled.bitsets)):
        tensors[name] = np.array([len(part) for part in parts], dtype=np.uint32)
    # One entry, because several come in any order.
    return bytes(save(tensors, metadata={"model": canonical_json(described.model_dump())}))


def load(content: bytes) -> CompiledBoosting:
    """Read a compiled boosting; raises ``ValueError`` for anything that is not a file of ours whose trees are trees."""
    from safetensors import SafetensorError
    from safetensors.numpy import load as tensors_of

    described = _described(content)
    try:
        tensors = tensors_of(content)
    except (SafetensorError, KeyError) as error:
        raise ValueError("the compiled model is no safetensors file") from error
    features, known = len(described.features), [len(codes) for codes in described.categories]
    if sorted(described.order) != list(range(features)) or len(known) > features or max([0, *known]) > _CODES:
        raise ValueError("the compiled model has columns that are none")
    sizes = _taken(tensors, "nodes_of_tree", np.uint32, (-1,)).astype(np.intp)
    words = _taken(tensors, "bitsets_of_tree", np.uint32, sizes.shape).astype(np.intp)
    nodes = _nodes({name: _taken(tensors, name, kind, (int(sizes.sum()),)) for name, kind in _FIELDS.items()})
    bitsets = _taken(tensors, "bitsets", np.uint32, (int(words.sum()), 8))
    if tensors:
        raise ValueError("the compiled model holds more than the model")
    _refuse_what_is_no_tree(nodes, sizes, words, features, categorical=len(known))
    return CompiledBoosting(
        features=tuple(described.features),
        order=tuple(described.order),
        categories=tuple(map(tuple, described.categories)),
        trees=tuple(np.split(nodes, np.cumsum(sizes)[:-1])),
        bitsets=tuple(np.split(bitsets, np.cumsum(words)[:-1])),
        baseline=described.baseline,
        slope=described.slope,
        intercept=described.intercept,
        encoding=described.encoding,
    )


def _nodes(columns: Mapping[str, np.ndarray]) -> np.ndarray:
    nodes = np.empty(len(columns["value"]), dtype=_NODE)
    for name, values in columns.items():
        nodes[name] = values
    return nodes


def _described(content: bytes) -> _Described:
    """Read what the header says: eight bytes with its length, then JSON."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_LONGEST_HEADER, len(content) - 8):
        raise ValueError("the compiled model is no safetensors file")
    try:
        header = read_json(content[8 : 8 + length])
        return _Described.model_validate(read_json(header["__metadata__"]["model"]))
    except (KeyError, TypeError, ValueError) as error:
        problem = "misses or contradicts" if isinstance(error, ValidationError) else "does not have"
        raise ValueError(f"the compiled model's header {problem} what a boosting of this platform says") from error


def _taken(tensors: dict[str, np.ndarray], name: str, kind: Any, shape: Sequence[int]) -> np.ndarray:
    """Take a tensor of this type and shape (-1: any length) out of those that were found."""
    found = tensors.pop(name, None)
    fits = (
        found is not None
        and found.dtype == kind
        and len(found.shape) == len(shape)
        and all(wanted in (-1, length) for wanted, length in zip(shape, found.shape, strict=True))
    )
    if found is None or not fits:
        raise ValueError(f"the compiled model has no {name} of the right shape and type")
    return found


def _refuse_what_is_no_tree(
    nodes: np.ndarray, sizes: np.ndarray, words: np.ndarray, features: int, *, categorical: int
) -> None:
    """Refuse nodes at which a path would not end in a leaf, or would ask what is not there."""
    if not len(sizes) or (sizes < 1).any():
        raise ValueError("the compiled model has a tree without nodes")
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    number = np.arange(len(nodes)) - first
    split = nodes["is_leaf"] == 0
    asked, owner = nodes[split], np.repeat(np.arange(len(sizes)), sizes)[split]
    children = np.concatenate([asked["left"], asked["right"]]).astype(np.intp)
    roots = np.flatnonzero(number == 0)
    # Every node but the roots is the child of one before it.
    reached = np.sort(np.concatenate([children + np.tile(first[split], 2), roots]))
    sound = (
        (children < np.tile(sizes[owner], 2)).all()
        and (children > np.tile(number[split], 2)).all()
        and np.array_equal(reached, np.arange(len(nodes)))
        and (asked["feature_idx"] < features).all()
        and ((asked["is_categorical"] == 0) | (asked["bitset_idx"] < words[owner])).all()
        and ((asked["is_categorical"] != 0) == (asked["feature_idx"] < categorical)).all()
        and not np.isnan(asked["num_threshold"]).any()
        and np.isfinite(nodes["value"]).all()
        and (nodes["count"] > 0).all()
    )
    if not sound:
        raise ValueError("the compiled model has a tree that is none")
