"""The lake in Dagster: the IO manager that stores what assets return.

What belongs here: mapping assets and partitions to tables. What does not: tables themselves (``storage.lake``).
"""

from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd

from readmission_platform.storage.lake import Lake, TableMissing


class LakeResource(dg.ConfigurableResource[Any]):
    """The lake, for assets that read or write tables besides their own output."""

    root: str

    def open(self) -> Lake:
        """Return the lake."""
        return Lake(Path(self.root))


class LakeIOManager(dg.ConfigurableIOManager):
    """Stores the frame an asset returns as a Delta table of the asset's name; daily assets by partition.

    An asset with daily partitions names its partition column in ``metadata={"partition_column": ...}``; the
    rows of that column hold the partition key as text.
    """

    root: str

    def handle_output(self, context: dg.OutputContext, obj: pd.DataFrame) -> None:
        """Write the frame as one atomic commit that names the run."""
        partition = None
        if context.has_asset_partitions:
            partition = (context.definition_metadata["partition_column"], list(context.asset_partition_keys))
        written = Lake(Path(self.root)).write(
            context.asset_key.path[-1], obj, partition=partition, metadata={"run_id": context.run_id}
        )
        context.add_output_metadata(
            {
                "dagster/row_count": len(obj),
                "lake_table": written.table,
                "lake_version": written.version,
                "content_digest": written.digest,
            }
        )

    def load_input(self, context: dg.InputContext) -> pd.DataFrame:
        """Read the newest version of the table, or the asked partitions of it."""
        where = None
        if context.has_asset_partitions:
            upstream = context.upstream_output
            if upstream is None:
                raise TableMissing(f"{context.asset_key.to_user_string()} has no recorded output")
            where = {upstream.definition_metadata["partition_column"]: list(context.asset_partition_keys)}
        return Lake(Path(self.root)).read(context.asset_key.path[-1], where=where)
