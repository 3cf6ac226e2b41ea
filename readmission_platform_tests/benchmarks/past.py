"""A long past for a ledger, written at once: what years of models leave behind, in the right proportions."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from readmission_platform.foundation.database import make_engine
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.ledger import schema
from readmission_platform.governance.ledger.chain import hash_of_text
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.scenario import MODEL, Scenario, ready_for_production

EVENTS_PER_VERSION = 25
_AT_ONCE = 2_000


def write_past(url: str, *, versions: int) -> Scenario:
    """Give a new ledger a past of ``25 * versions`` events and return it with its last version ready for production.

    Each earlier version was trained, judged, approved twice, went to staging and production, and had sixteen days on
    which an alias was repaired or a promotion refused; three more events put people and policy into force.
    """
    ledger = Ledger(url, model=MODEL, environment="local")
    scenario = ready_for_production(ledger)
    scenario.promote()
    example = {event.kind: event.payload for event in ledger.events()}
    engine = make_engine(url)
    with engine.begin() as connection:
        _extend(connection, _contents(example, versions))
    engine.dispose()
    return scenario


def _contents(example: dict[str, dict[str, Any]], versions: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for number in range(2, versions + 1):
        version = str(number)
        yield "version_trained", version, example["version_trained"]
        yield "version_validated", version, example["version_validated"]
        for _ in range(2):
            yield "version_approved", version, example["version_approved"]
        for stage, moves in (
            ("staging", {"staging": version}),
            ("production", {"production": version, "staging": None}),
        ):
            yield "version_promoted", version, example["version_promoted"] | {"to_stage": stage, "moves": moves}
        for day in range(EVENTS_PER_VERSION - 6):
            if day % 4:
                yield "alias_repaired", version, {"aliases": {"staging": [version, None]}}
            else:
                yield "promotion_refused", version, {"to_stage": "production", "reasons": ["approvals: 1 of 2"] * 3}


def _extend(connection: sa.Connection, contents: Iterator[tuple[str, str, dict[str, Any]]]) -> None:
    meta = connection.execute(sa.select(schema.ledger_meta)).one()
    seq, head = meta.head_seq, meta.head_hash
    at = connection.execute(sa.select(schema.events.c.at).where(schema.events.c.seq == seq)).scalar_one()
    rows: list[dict[str, Any]] = []
    seqs: dict[str, int] = {}
    for kind, version, payload in contents:
        seq += 1
        text = canonical_json(payload)
        row = {"seq": seq, "model": MODEL, "at": at, "kind": kind, "version": version,
               "actor": "ops", "previous_hash": head}  # fmt: skip
        head = hash_of_text(row, text)
        rows.append({**row, "payload": text, "hash": head})
        seqs.update(dict.fromkeys(payload.get("moves", {}), seq))
        if len(rows) == _AT_ONCE:
            connection.execute(sa.insert(schema.events), rows)
            rows = []
    if rows:
        connection.execute(sa.insert(schema.events), rows)
    table = schema.pointers.c
    for stage, moved in seqs.items():
        target = version if stage == "production" else None
        here = table.stage == stage
        connection.execute(sa.update(schema.pointers).where(here).values(version=target, seq=moved))
