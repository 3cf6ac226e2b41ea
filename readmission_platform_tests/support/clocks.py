"""Events as a machine writes them whose clock is wrong, in order otherwise and with the right hash."""

import sqlalchemy as sa

from readmission_platform.governance.ledger import schema
from readmission_platform.governance.ledger.chain import ENVIRONMENT, hash_of_text
from readmission_platform_tests.support.intruder import Intruder

NEXT_CENTURY = "2101-01-01T00:00:00.000000Z"


def write_dated(url: str, at: str, *, guarded: bool = False) -> None:
    """Add an event of that time to a ledger, past its triggers or, ``guarded``, not."""
    intruder = Intruder(url)
    ((seq, head),) = intruder.rows("SELECT head_seq, head_hash FROM ledger_meta")
    content = {"seq": seq + 1, "model": ENVIRONMENT, "at": at, "kind": "note", "version": None, "actor": "a",
               "previous_hash": head}  # fmt: skip
    own_hash = hash_of_text(content, "{}")
    insertion = sa.insert(schema.events).values(**content, payload="{}", hash=own_hash)
    if guarded:
        intruder.execute(insertion)
    else:
        with intruder.unguarded():
            intruder.execute(insertion, sa.update(schema.ledger_meta).values(head_seq=seq + 1, head_hash=own_hash))
    intruder.close()
