"""Reading the evidence rows of a dossier: the columns that its schema names and no others, within bounds.

What belongs here: Parquet into a frame. What does not: whether the rows are those recorded
(``lifecycle.versions.dossier_verification``).
"""

import io
from typing import TYPE_CHECKING

import pandas as pd

from readmission_platform.evaluation.estimates.rows import InvalidEvidence
from readmission_platform.evaluation.estimates.schema import ROW_COLUMNS, EvidenceSchema, Kind

if TYPE_CHECKING:
    import pyarrow as pa

# Ten times the published archive.
MOST_ROWS = 1_000_000
MOST_GROUPS = 200
_LONGEST_TEXT = 200
_LARGEST_NUMBER = 10**9


def read_rows(content: bytes, schema: EvidenceSchema) -> pd.DataFrame:
    """Return the rows of a Parquet file.

    Raises
    ------
    InvalidEvidence
        When it is no readable Parquet, holds more or other columns than the schema names, or too much.
    """
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    kinds: dict[str, Kind] = {
        **ROW_COLUMNS,
        **dict.fromkeys((each.name for each in schema.attributes), "category"),
        **dict.fromkeys((each.name for each in schema.baselines), "number"),
    }
    text = [name for name, kind in kinds.items() if kind in ("key", "category")]
    try:
        # Text is read as a dictionary, so that one long value is not repeated in memory for every row.
        file = pq.ParquetFile(io.BytesIO(content), read_dictionary=text)
        _check_columns(file.schema_arrow, kinds)
        if file.metadata.num_rows > MOST_ROWS:
            raise InvalidEvidence(f"more than {MOST_ROWS:,} rows")
        table = file.read()
        table.validate(full=True)
    except (ArrowException, OSError, ValueError) as error:
        if isinstance(error, InvalidEvidence):
            raise
        raise InvalidEvidence("no readable Parquet") from error
    for name in text:
        _check_lengths(name, table.column(name))
    # Metadata of the file could have pandas make other types of the columns.
    rows: pd.DataFrame = table.replace_schema_metadata(None).to_pandas().astype(dict.fromkeys(text, object))
    numbers = [name for name, kind in kinds.items() if kind in ("whole", "number") and name in rows.columns]
    if bool((rows[numbers].abs() > _LARGEST_NUMBER).to_numpy().any()):
        raise InvalidEvidence(f"it holds a number above {_LARGEST_NUMBER:,}")
    crowded = [each.name for each in schema.attributes if rows[each.name].nunique() > MOST_GROUPS]
    if crowded:
        raise InvalidEvidence(f"{crowded[0]} has more than {MOST_GROUPS} groups")
    return rows


def _check_columns(found: "pa.Schema", kinds: dict[str, Kind]) -> None:
    import pyarrow.types as types

    if set(found.names) - set(kinds) or len(set(found.names)) < len(found.names):
        raise InvalidEvidence("it holds columns that evidence does not have")
    for name, kind in kinds.items():
        if name not in found.names:
            if kind == "number" and name not in ROW_COLUMNS:
                continue  # a fitted baseline may be missing; of any other, ``evidence_columns`` says so
            raise InvalidEvidence(f"missing column(s): {name}")
        column = found.field(name).type
        number = types.is_integer(column) or (kind == "number" and (types.is_floating(column) or types.is_null(column)))
        if not (types.is_dictionary(column) if kind in ("key", "category") else number):
            raise InvalidEvidence(f"{name} has another type")


def _check_lengths(name: str, column: "pa.ChunkedArray") -> None:
    import pyarrow.compute as pc

    if any((pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0) > _LONGEST_TEXT for chunk in column.chunks):
        raise InvalidEvidence(f"{name} holds a text of more than {_LONGEST_TEXT} bytes")
