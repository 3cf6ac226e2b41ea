"""The lake: data frames as versioned Delta tables.

What belongs here: reading and writing tables atomically, with the commit saying who wrote what.
What does not: what the columns mean. Dagster's own file IO manager is not used, because a kill while it
overwrites destroys the previous good file; a Delta commit is all or nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from readmission_platform.foundation.errors import BadInput, Unavailable
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.foundation.steps import reached

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable
    from pyarrow.dataset import Expression

WRITE_ATTEMPTS = 5

# The ledger names table versions for years. By default Delta forgets the commits of a busy table after a month.
KEPT = {"delta.logRetentionDuration": "interval 36500 days"}


class TableMissing(BadInput):
    """A table, or the asked version of it, is not in the lake."""


class TableDamaged(Unavailable):
    """A table is there and cannot be read: a file of it is damaged or gone."""

    def __init__(self, table: str) -> None:
        super().__init__(f"the lake's table {table!r} is damaged: restore its folder from the last backup")


@dataclass(frozen=True)
class Written:
    """Where a frame went: table name, Delta version, digest of its content, number of rows."""

    table: str
    version: int
    digest: str
    rows: int
    reused: bool = False


class Lake:
    """Delta tables below one folder, by name.

    Parameters
    ----------
    sought
        Columns of any table by which rows are looked for, beside the partitions: of these alone Delta keeps the lowest
        and the highest value of each file. By default it keeps those of every column, and a table with a file a day
        then takes longer to open than to read.
    """

    def __init__(self, root: Path, *, sought: Sequence[str] = ()) -> None:
        self.root = root
        self._kept = KEPT | ({"delta.dataSkippingStatsColumns": ",".join(sought)} if sought else {})

    def exists(self, table: str) -> bool:
        """Tell whether the table has ever been written.

        Raises
        ------
        TableDamaged
            When a file is in its place.
        """
        from deltalake import DeltaTable

        try:
            return DeltaTable.is_deltatable(str(self.root / table))
        except OSError as error:
            raise TableDamaged(table) from error

    def open(self, table: str, version: int | None = None) -> "DeltaTable":
        """Open a table at a version (default: the newest).

        Raises
        ------
        TableMissing
            Saying which table or version is not there.
        TableDamaged
            When it cannot be opened at any version.
        """
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            return DeltaTable(str(self.root / table), version=version)
        except TableNotFoundError as error:
            raise TableMissing(f"the lake has no table {table!r}; materialize the asset first") from error
        except (DeltaError, OSError) as error:
            if version is None:
                raise TableDamaged(table) from error
            raise TableMissing(f"the lake has no version {version} of {table!r}") from error

    def read(
        self,
        table: str,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        where: Mapping[str, Sequence[str]] | None = None,
        kept: "Expression | None" = None,
    ) -> pd.DataFrame:
        """Read rows, with the ``attrs`` they were written with.

        ``where`` keeps the rows whose (text) column has one of the values given, ``kept`` those that a filter of Arrow
        lets through. Of both only the files are read that can hold such rows.

        Raises
        ------
        TableMissing, TableDamaged
            When there is nothing to read, or it cannot be read.
        """
        import pyarrow as pa
        from pyarrow import compute
        from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

        opened = self.open(table, version)
        # Partitions that are not asked for are left out before any file is looked at: a year has hundreds.
        partitioned = [name for name in opened.metadata().partition_columns if (where or {}).get(name)]
        for column, values in (where or {}).items():
            if column in partitioned:
                continue
            among = compute.field(column).isin(pa.array(list(values), pa.string()))
            kept = among if kept is None else kept & among
        try:
            frame = opened.to_pandas(
                partitions=[(name, "in", list((where or {})[name])) for name in partitioned] or None,
                columns=list(columns) if columns else None,
                filters=kept,
                # By itself Delta has Arrow's threads read through Python objects. One that lets go of such an object
                # while the interpreter ends aborts the process (apache/arrow#34314).
                filesystem=SubTreeFileSystem(str(self.root / table), LocalFileSystem()),
            )
        except (OSError, pa.ArrowInvalid) as error:
            raise TableDamaged(table) from error
        frame.attrs = json.loads(self.commit_metadata(table, opened.version()).get("readmission.attrs", "{}"))
        return frame

    def partitions(self, table: str) -> set[str]:
        """Return the values of the partition column that have rows, without reading any.

        Raises
        ------
        TableMissing, TableDamaged
            When there is no such table, or it cannot be opened.
        """
        import pyarrow as pa

        opened = self.open(table)
        (column,) = opened.metadata().partition_columns
        files = pa.table(opened.get_add_actions(flatten=True)).select([f"partition.{column}", "num_records"])
        return {str(value) for value, rows in zip(*files.to_pydict().values(), strict=True) if rows != 0}

    def commit_metadata(self, table: str, version: int | None = None) -> dict[str, Any]:
        """Return what the writer of a version recorded with it.

        Raises
        ------
        TableMissing
            When the table, the version or its commit is not there.
        """
        number = self.open(table, version).version()
        # Not DeltaTable.history(): it counts back from the newest commit, whichever version was opened.
        commit = self.root / table / "_delta_log" / f"{number:020d}.json"
        try:
            actions = [json.loads(line) for line in commit.read_text(encoding="utf-8").splitlines()]
        except FileNotFoundError as error:
            raise TableMissing(f"the lake has lost the commit of version {number} of {table!r}") from error
        except (OSError, ValueError) as error:
            raise TableDamaged(table) from error
        recorded: dict[str, Any] = next((action["commitInfo"] for action in actions if "commitInfo" in action), {})
        return {key: value for key, value in recorded.items() if key.startswith("readmission.")}

    def write(
        self,
        table: str,
        frame: pd.DataFrame,
        *,
        partition: tuple[str, Sequence[str]] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Written:
        """Write a frame as one commit: the whole table, or the named partitions of it.

        The same content written again to an unpartitioned table makes no new version.

        Parameters
        ----------
        partition
            Partition column and the values that this frame replaces; rows of other values are refused.
        metadata
            Recorded in the commit, e.g. the run that wrote it.

        Raises
        ------
        ValueError
            When a row lies outside the partitions named, or a value does not fit the stored column.
        TableDamaged
            When the table cannot be opened, or its rows are there without their log.
        deltalake.exceptions.CommitFailedError
            When others kept winning the race for the same partition.
        """
        from deltalake import CommitProperties
        from deltalake.exceptions import CommitFailedError

        digest = frame_digest(frame)
        recorded = {"digest": digest, "attrs": json.dumps(frame.attrs), **(metadata or {})}
        named = {f"readmission.{key}": value for key, value in recorded.items()}
        if partition is None and self.exists(table):
            newest = self.open(table).version()
            there = self.commit_metadata(table, newest)
            if all(there.get(f"readmission.{key}") == recorded[key] for key in ("digest", "attrs")):
                return Written(table, newest, digest, len(frame), reused=True)
        if partition is not None:
            stray = set(frame[partition[0]]) - set(partition[1])
            if stray:
                raise ValueError(f"{table}: rows outside the partitions being written ({len(stray)} other values)")
        properties = CommitProperties(custom_metadata=named)
        for attempt in range(1, WRITE_ATTEMPTS + 1):
            try:
                reached(f"lake: {table} about to be written")
                version = self._commit(table, _arrow(frame), partition, properties)
                reached(f"lake: {table} written")
                return Written(table, version, digest, len(frame))
            except CommitFailedError:
                if attempt == WRITE_ATTEMPTS:
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    def append(self, table: str, frame: pd.DataFrame, *, partition: str, writer: str, position: int) -> None:
        """Add rows as one commit, which also says how far their writer has come: what is written twice is there once.

        Parameters
        ----------
        partition
            Column that a new table is partitioned by.
        writer, position
            Who adds, and up to which place of what they have to say; see :meth:`written_until`.

        Raises
        ------
        TableDamaged
            When the table cannot be opened, or its rows are there without their log.
        deltalake.exceptions.CommitFailedError
            When somebody else wrote as this writer meanwhile.
        """
        from deltalake import CommitProperties, Transaction, write_deltalake

        properties = CommitProperties(app_transactions=[Transaction(writer, position)])
        if not self.exists(table):
            self._commit(table, _arrow(frame.head(0)), (partition, []), CommitProperties())
        opened = self.open(table)
        if (opened.transaction_version(writer) or 0) >= position:
            return
        reached(f"lake: {table} about to be added to")
        # A column that is new since the table was made is missing in its older rows.
        write_deltalake(
            opened,
            _as_stored(table, _arrow(frame), opened),
            mode="append",
            schema_mode="merge",
            commit_properties=properties,
        )
        reached(f"lake: {table} added to")

    def written_until(self, table: str, writer: str) -> int:
        """Return the place up to which a writer's rows are in a table; 0 before the first."""
        return (self.open(table).transaction_version(writer) or 0) if self.exists(table) else 0

    def _commit(
        self,
        table: str,
        data: "pa.Table",
        partition: tuple[str, Sequence[str]] | None,
        properties: "CommitProperties",
    ) -> int:
        """Make one commit and return its version."""
        from deltalake import write_deltalake

        options: dict[str, Any] = {"partition_by": [partition[0]]} if partition else {}
        if not self.exists(table):
            # One at a time: of two that make a table together Delta lets the second append its rows.
            with _creating(self.root):
                if not self.exists(table):
                    folder = self.root / table
                    if next(folder.rglob("*.parquet"), None) is not None:
                        raise TableDamaged(table)  # a new table would hide the rows that are there
                    options["configuration"] = self._kept
                    write_deltalake(str(folder), data, mode="error", commit_properties=properties, **options)
                    return 0
        opened = self.open(table)
        if partition is None:
            options["schema_mode"] = "overwrite"
        else:
            column, values = partition
            listed = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
            options["predicate"] = f"{column} in ({listed})"
            data = _as_stored(table, data, opened)
            if set(data.column_names) != {field.name for field in opened.schema().fields}:
                # A column that is new since the table was made is missing in its older partitions.
                options["schema_mode"] = "merge"
        write_deltalake(opened, data, mode="overwrite", commit_properties=properties, **options)
        return opened.version()


@contextmanager
def _creating(root: Path) -> Iterator[None]:
    """Let one process (and thread) at a time make a table."""
    import fcntl

    root.mkdir(parents=True, exist_ok=True)
    with (root / ".creating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _arrow(frame: pd.DataFrame) -> "pa.Table":
    """Convert to Arrow; a column of only missing values, which has no type of its own, becomes text."""
    import pyarrow as pa

    schema = pa.Schema.from_pandas(frame, preserve_index=False)
    fields = [pa.field(f.name, pa.string()) if pa.types.is_null(f.type) else f for f in schema]
    return pa.Table.from_pandas(frame, schema=pa.schema(fields), preserve_index=False)


def _as_stored(table: str, data: "pa.Table", opened: "DeltaTable") -> "pa.Table":
    """Cast to the types of the stored table, which Delta does by itself but without minding what gets lost."""
    import pyarrow as pa

    stored = pa.schema(opened.schema().to_arrow())
    for position, field in enumerate(data.schema):
        kind = stored.field(field.name).type if field.name in stored.names else field.type
        try:
            data = data.set_column(position, field.name, data.column(position).cast(kind))
        except pa.ArrowInvalid:
            # Without the cause: it quotes the value.
            raise ValueError(f"{table}: column {field.name} holds values that are not {kind}") from None
    return data
