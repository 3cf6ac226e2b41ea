"""Few large files in place of many small ones, for tables that are added to all the time.

What belongs here: putting the files of partitions together. What does not: when that is done, and by whom.
"""

from collections import Counter
from collections.abc import Sequence

from readmission_platform.storage.lake import Lake


def compact(lake: Lake, table: str, values: Sequence[str]) -> list[str]:
    """Put the files of partitions together, each of which has several; returns which had.

    The rows stay the same, and so does every earlier version: no file is deleted. Rows may be added meanwhile.

    Parameters
    ----------
    values
        Of the partition column.

    Raises
    ------
    TableMissing, TableDamaged
        When there is no such table, or it cannot be opened.
    deltalake.exceptions.CommitFailedError
        When somebody replaced rows of these partitions meanwhile.
    """
    import pyarrow as pa

    opened = lake.open(table)
    (column,) = opened.metadata().partition_columns
    files = pa.table(opened.get_add_actions(flatten=True)).column(f"partition.{column}").to_pylist()
    several = sorted(value for value, count in Counter(files).items() if count > 1 and value in set(values))
    if several:
        opened.optimize.compact(partition_filters=[(column, "in", several)])
    return several
