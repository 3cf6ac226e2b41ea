"""What a ledger belongs to: its first event says so, and nothing else is a ledger."""

import pytest
import sqlalchemy as sa

from readmission_platform.foundation.database import make_engine
from readmission_platform.foundation.errors import LedgerCorrupt
from readmission_platform.governance.ledger import schema
from readmission_platform.governance.ledger.chain import GENESIS, hash_of_text
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.scenario import MODEL


def test_the_first_event_of_a_ledger_says_what_it_belongs_to(any_ledger: Ledger) -> None:
    (first,) = any_ledger.events()
    assert (first.seq, first.model, first.kind, first.previous_hash) == (1, "*", "ledger_created", GENESIS)
    assert first.payload == {"environment": "local", "installation": any_ledger.binding.installation}
    assert len(any_ledger.binding.installation) == 32
    any_ledger.verify()


def test_a_ledger_that_does_not_say_what_it_belongs_to_is_corrupt(ledger_url: str) -> None:
    def begin_with_something_else(connection: sa.Connection) -> None:
        first = {"seq": 1, "model": MODEL, "at": "2026-01-01T00:00:00.000000Z", "kind": "note", "version": None,
                 "actor": "a", "previous_hash": GENESIS}  # fmt: skip
        row = {**first, "payload": "{}", "hash": hash_of_text(first, "{}")}
        connection.execute(sa.insert(schema.events).values(**row))

    engine = make_engine(ledger_url)
    schema.ensure_schema(engine, begin=begin_with_something_else)
    engine.dispose()
    with pytest.raises(LedgerCorrupt) as corrupt:
        Ledger(ledger_url, model=MODEL, environment="local")
    assert corrupt.value.seq == 1
