"""Evidence rows: the canonical form in which they are read, checked and digested.

What belongs here: reading a data frame into plain arrays, refusing what is not evidence, the digest. What
does not: any metric. Messages name columns and counts, never a value: the rows describe patients.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from readmission_platform.evaluation.estimates.ranking import FloatArray, IntArray
from readmission_platform.evaluation.estimates.schema import ROW_COLUMNS, EvidenceSchema, Kind

Text: TypeAlias = list[str | None]

# Names the way in which rows are digested; another way needs another name.
DIGEST_FORMAT = b"evidence-rows-1"


class InvalidEvidence(ValueError):
    """The rows or the settings are not what evidence is made of; the message says which column and why."""


@dataclass(frozen=True)
class Columns:
    """Columns of a frame in canonical order of rows (by row key), as plain arrays or lists."""

    text: dict[str, Text]
    whole: dict[str, IntArray]
    number: dict[str, FloatArray]


def evidence_columns(rows: pd.DataFrame, schema: EvidenceSchema) -> dict[str, Kind]:
    """Return the columns of evidence by name, in their order: those of every model, attributes, baselines.

    A fitted baseline may be left out as a whole: one that has no column, or nothing in it, is not among them.
    """
    kinds = dict(ROW_COLUMNS)
    kinds |= {attribute.name: "category" for attribute in schema.attributes}
    kinds |= {
        baseline.name: "number"
        for baseline in schema.baselines
        if not (baseline.fitted and _holds_nothing(rows, baseline.name))
    }
    return kinds


def _holds_nothing(rows: pd.DataFrame, name: str) -> bool:
    return name not in rows.columns or bool(np.all(rows[name].isna()))


def _text(name: str, column: "pd.Series[str]") -> Text:
    missing = column.isna().to_numpy(dtype=np.bool_)
    values: Text = [None if gone else value for value, gone in zip(column.tolist(), missing, strict=True)]
    if not all(value is None or isinstance(value, str) for value in values):
        raise InvalidEvidence(f"{name}: every value must be text or missing")
    return values


def _number(name: str, column: "pd.Series[float]") -> FloatArray:
    if len(column) and not pd.api.types.is_numeric_dtype(column):
        raise InvalidEvidence(f"{name}: must be a numeric column, found {column.dtype}")
    return np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)


def _whole(name: str, column: "pd.Series[float]") -> IntArray:
    values = _number(name, column)
    wrong = int(np.sum(~(np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**53))))
    if wrong:
        raise InvalidEvidence(f"{name}: {wrong} of {len(values)} rows are not whole numbers")
    return values.astype(np.int64)


def read_columns(rows: pd.DataFrame, *, kinds: Mapping[str, Kind]) -> Columns:
    """Read the named columns into canonical types, sorted by row key; other columns are ignored.

    Raises
    ------
    InvalidEvidence
        A column is absent, occurs twice or has another type; a key is missing; a row key occurs twice.
    """
    absent = [name for name in kinds if name not in rows.columns]
    if absent:
        raise InvalidEvidence(f"missing column(s): {', '.join(absent)}")
    twice = [name for name in kinds if int(np.sum(rows.columns == name)) > 1]
    if twice:
        raise InvalidEvidence(f"column(s) occur more than once: {', '.join(twice)}")
    text = {name: _text(name, rows[name]) for name, kind in kinds.items() if kind in ("key", "category")}
    for name, kind in kinds.items():
        without = sum(value is None for value in text[name]) if kind == "key" else 0
        if without:
            raise InvalidEvidence(f"{name}: {without} of {len(rows)} rows have no key")
    keys = text["row_key"]
    repeated = len(keys) - len(set(keys))
    if repeated:
        raise InvalidEvidence(f"row_key: {repeated} of {len(keys)} rows repeat a key")
    order = sorted(range(len(keys)), key=lambda i: keys[i] or "")
    places = np.array(order, dtype=np.int64)
    return Columns(
        text={name: [values[i] for i in order] for name, values in text.items()},
        whole={name: _whole(name, rows[name])[places] for name, kind in kinds.items() if kind == "whole"},
        number={name: _number(name, rows[name])[places] for name, kind in kinds.items() if kind == "number"},
    )


def digest_rows(rows: pd.DataFrame, schema: EvidenceSchema) -> str:
    """Return ``sha256:<hex>`` of the evidence in a frame.

    The digest covers all that ``evaluate`` reads: first the names and kinds of the columns (``evidence_columns``), then
    their values. It does not depend on the order of rows or columns, on the storage type (int8 or int64, object or
    string), nor on how missing text is written (None, NaN, NA). Numbers enter as IEEE 754 bytes, little-endian, so no
    text format matters; 0 and -0 are the same value, as are all NaNs.

    Raises
    ------
    InvalidEvidence
        As ``read_columns``.
    """
    kinds = evidence_columns(rows, schema)
    columns = read_columns(rows, kinds=kinds)
    digest = hashlib.sha256(DIGEST_FORMAT)
    for name, kind in kinds.items():
        digest.update(f"\n{name}:{kind}".encode())
    digest.update(b"\n\n" + np.array([len(rows)], dtype="<i8").tobytes())
    for name, kind in kinds.items():
        if kind == "whole":
            digest.update(columns.whole[name].astype("<i8").tobytes())
        elif kind == "number":
            values = columns.number[name] + 0.0
            digest.update(np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes())
        else:
            # Lengths before bytes: no two different columns of text run together to the same stream.
            encoded = [None if v is None else v.encode("utf-8", "surrogatepass") for v in columns.text[name]]
            digest.update(np.array([-1 if v is None else len(v) for v in encoded], dtype="<i8").tobytes())
            digest.update(b"".join(v for v in encoded if v is not None))
    return "sha256:" + digest.hexdigest()


def entity_codes(keys: Text) -> tuple[IntArray, int]:
    """Number the entities by the order of their keys: the number of each row (n,), and how many there are."""
    codes, distinct = pd.factorize(np.array(keys, dtype=object), sort=True)
    return codes.astype(np.int64), len(distinct)


def category_codes(values: Text) -> dict[str, NDArray[np.bool_]]:
    """Return the rows (n,) of each category, by name; a missing value belongs to none."""
    array = np.array(values, dtype=object)
    return {name: array == name for name in sorted({value for value in values if value is not None})}


def require_labels(labels: IntArray) -> None:
    """Refuse labels other than 0 and 1."""
    wrong = int(np.sum((labels != 0) & (labels != 1)))
    if wrong:
        raise InvalidEvidence(f"label: {wrong} of {len(labels)} rows are neither 0 nor 1")


def require_unit_interval(name: str, values: FloatArray) -> None:
    """Refuse anything outside 0 to 1, and NaN."""
    wrong = int(np.sum(~((values >= 0) & (values <= 1))))
    if wrong:
        raise InvalidEvidence(f"{name}: {wrong} of {len(values)} rows are missing or outside 0 to 1")


def require_finite(name: str, values: FloatArray) -> None:
    """Refuse NaN and infinities."""
    wrong = int(np.sum(~np.isfinite(values)))
    if wrong:
        raise InvalidEvidence(f"{name}: {wrong} of {len(values)} rows are missing or infinite")
