"""The tables in which the platform records its own running, and how an older database is migrated.

What belongs here: the shape of ``operations.db``. What does not: reading and writing it (``operations.database``,
``operations.alerts``). The database can be lost: runs are then observed again, and neither ledger nor tracking gets
anything twice; past alerts and their acknowledgements are gone.

Runs, assets and alerts have a ``model``; NULL stands for none: the ledger, the disk, a run of several models. Jobs and
assets are stored by their names without a model's prefix, assets also by their keys.
"""

from datetime import datetime

import sqlalchemy as sa

from readmission_platform.foundation.database import Migration, bring_up_to_date
from readmission_platform.foundation.errors import Unavailable
from readmission_platform.governance.ledger.chain import utc_text

_CREATION_LOCK = 4_207_131

metadata = sa.MetaData()
meta = sa.Table(
    "operations_meta",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("schema_version", sa.Integer, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
)
marks = sa.Table(  # how far the observer has read: runs, ledger, limits
    "marks",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)
observed_runs = sa.Table(  # the primary key makes sure that a run is observed once
    "observed_runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("model", sa.Text),
    sa.Column("job", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("cause", sa.Text),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("trigger", sa.Text, nullable=False),
    sa.Column("started_at", sa.Text),
    sa.Column("ended_at", sa.Text, nullable=False),
    sa.Column("seconds", sa.Float),
    sa.Column("first_partition", sa.Text),
    sa.Column("last_partition", sa.Text),
    sa.Column("code_version", sa.Text),
    sa.Column("failed_checks", sa.Integer, nullable=False),
    sa.Column("observed_at", sa.Text, nullable=False),
    sa.Column("quiet", sa.Boolean, nullable=False),
    sa.Column("audit_kind", sa.Text),
    sa.Column("audit_payload", sa.Text),
    sa.Column("audited", sa.Boolean, nullable=False),
    sa.Column("audit_claimed_at", sa.Text),
    sa.Column("tracked", sa.Boolean, nullable=False),
    sa.Column("track_claimed_at", sa.Text),
    sa.Index("observed_runs_by_end", "ended_at"),
    sa.Index("observed_runs_to_do", "audited", "tracked"),
)
asset_runs = sa.Table(
    "asset_runs",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("asset_key", sa.Text, primary_key=True),
    sa.Column("model", sa.Text),
    sa.Column("asset", sa.Text, nullable=False),
    sa.Column("first_partition", sa.Text),
    sa.Column("last_partition", sa.Text),
    sa.Column("started_at", sa.Text),
    sa.Column("seconds", sa.Float),
    sa.Column("rows", sa.BigInteger),
    sa.Column("data_version", sa.Text),
    sa.Column("code_version", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Index("asset_runs_by_asset", "asset", "model", "started_at"),
)
alerts = sa.Table(
    "alerts",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("model", sa.Text),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("severity", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("place", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("run_id", sa.Text),
    sa.Column("opened_at", sa.Text, nullable=False),
    sa.Column("last_at", sa.Text, nullable=False),
    sa.Column("times_seen", sa.Integer, nullable=False),
    sa.Column("quiet", sa.Boolean, nullable=False),
    sa.Column("notified_at", sa.Text),
    sa.Column("acknowledged_at", sa.Text),
    sa.Column("acknowledged_by", sa.Text),
    sa.Column("acknowledged_reason", sa.Text),
    sa.Column("resolved_at", sa.Text),
    sa.Column("resolved_how", sa.Text),
    sa.Index("alerts_open", "resolved_at", "rule"),
)
notifications = sa.Table(  # written with the alert in one transaction, delivered afterwards
    "notifications",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("alert_id", sa.Integer),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("next_at", sa.Text, nullable=False),
    sa.Column("delivered_at", sa.Text),
    sa.Column("given_up_at", sa.Text),
    sa.Index("notifications_waiting", "delivered_at", "given_up_at", "channel"),
)
deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("notifications", sa.Integer, nullable=False),
    sa.Column("ok", sa.Boolean, nullable=False),
    sa.Column("error", sa.Text),
)

# A new database gets the shape above. An older one gets there by migrations, one for each change, from version 2 up.
MIGRATIONS: tuple[Migration, ...] = ()
SCHEMA_VERSION = 1 + len(MIGRATIONS)


def ensure_schema(engine: sa.Engine, *, now: datetime) -> None:
    """Create or migrate the database, once, safely under several processes.

    Raises
    ------
    Unavailable
        When the database was made by a newer version of this software; nothing is changed.
    """

    def change(connection: sa.Connection, found: int | None) -> None:
        if found is None:
            metadata.create_all(connection)
            first = {"id": 1, "schema_version": SCHEMA_VERSION, "created_at": utc_text(now)}
            connection.execute(sa.insert(meta).values(**first))
            return
        for migration in MIGRATIONS:
            if migration.version > found:
                migration.apply(connection)
        connection.execute(sa.update(meta).values(schema_version=SCHEMA_VERSION))

    bring_up_to_date(engine, wanted=SCHEMA_VERSION, lock=_CREATION_LOCK, found=_schema_version, change=change)


def _schema_version(connection: sa.Connection) -> int | None:
    """Return the version of the database's shape, or None for an empty database."""
    if not sa.inspect(connection).has_table(meta.name):
        return None
    found = connection.execute(sa.select(meta.c.schema_version)).scalar_one()
    if found > SCHEMA_VERSION:
        message = (
            f"The operations database has schema version {found}, this software knows {SCHEMA_VERSION}: upgrade it."
        )
        raise Unavailable(message)
    return int(found)
