"""The lake in Dagster: the IO manager that stores what assets return.

What belongs here: mapping assets and partitions to tables. What does not: tables themselves (``storage.lake``).
"""

from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.evaluation.disclosure import rough_count, roughly
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.storage.lake import Lake, TableMissing, Written


class LakeIOManager(dg.IOManager):
    """Stores the frame that an asset returns as a table of its model's lake; daily assets by partition.

    An asset that has to write its table itself, in one go with something else, returns what was written.

    An asset with daily partitions names its partition column in ``metadata={"partition_column": ...}``; the
    rows of that column hold the partition key as text.
    """

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def _table(self, key: dg.AssetKey) -> tuple[Lake, str]:
        found = self._platform.names.of_asset(key.to_user_string())
        if found.model is None or "/" in found.name:
            raise TableMissing(f"{found.key} belongs to no model in use, so the lake has no table for it")
        return self._platform.model(found.model).lake, found.name

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame | Written) -> None:
        """Write the frame as one atomic commit that names the run, unless that was done."""
        written = obj if isinstance(obj, Written) else self._write(context, obj)
        rows: dict[str, Any] = {"dagster/row_count": written.rows}
        if context.has_asset_partitions:
            # Beside what was received of a day, the exact count would tell how many few were set aside. Dagster draws
            # the number, which cannot say that it is rough.
            rows = {
                "dagster/row_count": rough_count(written.rows),
                "rows": f"{roughly(written.rows)}, all days of the run",
            }
        context.add_output_metadata(
            {
                **rows,
                "lake_table": written.table,
                "lake_version": written.version,
                "content_digest": written.digest,
            }
        )

    def _write(self, context: dg.OutputContext, frame: pd.DataFrame) -> Written:
        partition: tuple[str, list[str]] | None = None
        if context.has_asset_partitions:
            partition = (context.definition_metadata["partition_column"], list(context.asset_partition_keys))
        lake, table = self._table(context.asset_key)
        return lake.write(table, frame, partition=partition, metadata={"run_id": context.run_id})

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Read the newest version of the table, or the asked partitions of it."""
        where: dict[str, Any] | None = None
        if context.has_asset_partitions:
            upstream = context.upstream_output
            if upstream is None:
                raise TableMissing(f"{context.asset_key.to_user_string()} has no recorded output")
            where = {upstream.definition_metadata["partition_column"]: list(context.asset_partition_keys)}
        lake, table = self._table(context.asset_key)
        return lake.read(table, where=where)
