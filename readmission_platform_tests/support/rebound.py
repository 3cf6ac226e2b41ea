"""A home whose whole past is made to be of another environment, as only somebody with the database's rights can."""

import json
from typing import Any

import sqlalchemy as sa

from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.ledger import schema
from readmission_platform.governance.ledger.chain import GENESIS, hash_of_text
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.intruder import Intruder


def rebound(home: Home, environment: str) -> Home:
    """Return the home as one of that environment, every hash of its ledger computed anew."""
    intruder = Intruder(f"sqlite:///{home.path / 'ledger.db'}")
    rows: list[dict[str, Any]] = [
        dict(zip(schema.events.columns.keys(), row, strict=True))
        for row in intruder.rows("SELECT * FROM events ORDER BY seq")
    ]
    rows[0]["payload"] = canonical_json(json.loads(rows[0]["payload"]) | {"environment": environment})
    head = GENESIS
    for row in rows:
        row["previous_hash"] = head
        head = row["hash"] = hash_of_text(row, row["payload"])
    with intruder.unguarded():
        intruder.execute(sa.delete(schema.events), sa.insert(schema.events).values(rows))
        intruder.execute(sa.update(schema.ledger_meta).values(head_hash=head))
    intruder.close()
    file = home.path / "installation.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"environment": environment}))
    return home.having(READMISSION_ENVIRONMENT=environment)
