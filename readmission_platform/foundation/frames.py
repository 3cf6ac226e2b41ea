"""Digests of data frames: what two frames with the same content have in common, however they are stored."""

import hashlib

import numpy as np
import pandas as pd


def frame_digest(frame: pd.DataFrame) -> str:
    """Return ``sha256:<hex>`` over names and values of a frame in its row order.

    How strings are stored (objects, Arrow, categories) makes no difference.
    """
    return _digest(frame.columns, _cell_hashes(frame))


def group_digests(frame: pd.DataFrame, *, by: str) -> dict[str, str]:
    """Return the ``frame_digest`` of the rows of each value of a column; each cell is hashed once."""
    hashes = _cell_hashes(frame)
    return {str(value): _digest(frame.columns, hashes[rows]) for value, rows in frame.groupby(by).indices.items()}


def _cell_hashes(frame: pd.DataFrame) -> np.ndarray:
    columns = [pd.util.hash_pandas_object(frame[name], index=False).to_numpy() for name in frame.columns]
    return np.column_stack(columns) if columns else np.empty((len(frame), 0), dtype="uint64")


def _digest(names: pd.Index, hashes: np.ndarray) -> str:
    running = hashlib.sha256("\0".join(map(str, names)).encode())
    for column in hashes.T:
        running.update(np.ascontiguousarray(column).tobytes())
    return "sha256:" + running.hexdigest()
