"""Ways to falsify a ledger, drawn at random, each with the sequence number that an audit has to name.

Each way gets the honest content of a database and changes it; it returns the first event that then does not follow
from what precedes it.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import sqlalchemy as sa

from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger import audit, schema
from readmission_platform.governance.ledger.chain import GENESIS, hash_of_text
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.signatures import sign
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.scenario import KEYS, MODEL

AUDITOR = Signer("auditor", KEYS["admin"])

TEXT_FIELDS = ("model", "at", "kind", "version", "actor", "payload", "previous_hash", "hash")
Row = dict[str, Any]


@dataclass
class Content:
    """All rows of a ledger's database; ``known`` is the last event of a head exported before."""

    events: list[Row]
    pointers: list[Row]
    meta: Row
    known: int | None = field(default=None)

    @classmethod
    def of(cls, intruder: Intruder) -> "Content":
        tables = (schema.events, schema.pointers, schema.ledger_meta)
        events, pointers, meta = (
            [dict(zip(table.columns.keys(), row, strict=True)) for row in intruder.rows(f"SELECT * FROM {table.name}")]
            for table in tables
        )
        return cls(sorted(events, key=lambda row: row["seq"]), sorted(pointers, key=lambda row: row["stage"]), meta[0])

    @property
    def last(self) -> int:
        return len(self.events)

    def write(self, intruder: Intruder) -> None:
        """Put this into the database in place of what is there; needs the triggers out of the way."""
        inserted = [
            sa.insert(table).values(rows)
            for table, rows in ((schema.events, self.events), (schema.pointers, self.pointers))
            if rows
        ]
        emptied = [sa.delete(schema.events), sa.delete(schema.pointers)]
        intruder.execute(*emptied, *inserted, sa.update(schema.ledger_meta).values(**self.meta))


Way = Callable[[Content, Random], int]


def _flipped(text: str, random: Random) -> str:
    """Flip one bit, so that what comes out is still text that a database takes."""
    while True:
        raw = bytearray(text.encode())
        raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
        try:
            found = raw.decode()
        except UnicodeDecodeError:
            continue
        if "\x00" not in found:
            return found


def flip_a_bit(content: Content, random: Random) -> int:
    row, name = random.choice(content.events), random.choice(TEXT_FIELDS)
    row[name] = _flipped(row[name] or "x", random)
    return int(row["seq"])


def change_a_number(content: Content, random: Random) -> int:
    row = random.choice(content.events)
    honest, row["seq"] = row["seq"], random.choice([-3, 0, content.last + 1, content.last + 2**20])
    return int(min(honest, row["seq"]))


def empty_a_field(content: Content, random: Random) -> int:
    row = random.choice(content.events)
    name = random.choice(TEXT_FIELDS)
    row[name] = "" if name != "version" or row[name] is None else None
    return int(row["seq"])


def delete_one(content: Content, random: Random) -> int:
    return int(content.events.pop(random.randrange(content.last))["seq"])


def delete_some(content: Content, random: Random) -> int:
    chosen = sorted(random.sample(range(content.last), random.randint(2, content.last)))
    content.events = [row for place, row in enumerate(content.events) if place not in chosen]
    return chosen[0] + 1


def insert_one(content: Content, random: Random) -> int:
    """Insert an event and number the later ones anew; a forger who chains it well is found one event later."""
    place, well_made = random.randrange(content.last + 1), random.random() < 0.5
    well_made &= place != content.last - 1  # there an exported head tells the forged event itself
    before = content.events[place - 1]["hash"] if place else GENESIS
    forged: Row = {**random.choice(content.events), "seq": place + 1, "actor": "forger", "previous_hash": before}
    forged["at"] = content.events[max(place - 1, 0)]["at"]
    if well_made:
        forged["hash"] = hash_of_text(forged, forged["payload"])
    for row in content.events[place:]:
        row["seq"] += 1
    at_the_end = place == len(content.events)
    content.events.insert(place, forged)
    return place + 1 if at_the_end or not well_made else place + 2


def swap_two(content: Content, random: Random) -> int:
    one, other = sorted(random.sample(content.events, 2), key=lambda row: int(row["seq"]))
    first = int(one["seq"])
    one["seq"], other["seq"] = other["seq"], one["seq"]
    return first


def swap_what_two_say(content: Content, random: Random) -> int:
    one, other = sorted(random.sample(content.events, 2), key=lambda row: int(row["seq"]))
    for name in ("kind", "version", "actor", "payload", "at"):
        one[name], other[name] = other[name], one[name]
    return int(one["seq"])


def edit_a_pointer(content: Content, random: Random) -> int:
    row = random.choice(content.pointers)
    honest = int(row["seq"])
    match random.randrange(4):
        case 0:
            row["version"] = "forged"
            return honest
        case 1:
            row["seq"] = random.choice([n for n in range(1, content.last + 9) if n != honest])
            return min(max(honest, row["seq"]), content.last + 1)
        case 2:
            content.pointers.remove(row)
            return honest
        case _:
            added = {"model": "ghost", "stage": random.choice(["production", "archive"]), "version": "1"}
            content.pointers.append(added | {"seq": random.randint(1, content.last + 9)})
            return min(content.pointers[-1]["seq"], content.last + 1)


def edit_the_meta(content: Content, random: Random) -> int:
    if random.random() < 0.5:
        content.meta["head_hash"] = _flipped(content.meta["head_hash"], random)
        return content.last
    content.meta["head_seq"] = random.choice([n for n in range(-2, content.last + 9) if n != content.last])
    return int(min(max(content.meta["head_seq"], 0), content.last)) + 1


def truncate_consistently(content: Content, random: Random) -> int:
    """Cut off the end, and set head and pointers to what they were then: only an exported head tells."""
    kept = random.randrange(content.last)
    content.known = random.randint(kept + 1, content.last)
    content.events = content.events[:kept]
    _make_consistent(content)
    return kept + 1


def rewrite_consistently(content: Content, random: Random) -> int:
    """Change an event and compute all hashes after it anew: only an exported head tells, and up to where."""
    changed = random.randint(1, content.last)
    content.known = random.randint(changed, content.last)
    content.events[changed - 1]["actor"] = "forger"
    head = content.events[changed - 2]["hash"] if changed > 1 else GENESIS
    for row in content.events[changed - 1 :]:
        row["previous_hash"] = head
        head = row["hash"] = hash_of_text(row, row["payload"])
    _make_consistent(content)
    return 1 if changed == 1 else content.known


def _make_consistent(content: Content) -> None:
    last = content.events[-1] if content.events else {"seq": 0, "hash": GENESIS}
    content.meta |= {"head_seq": last["seq"], "head_hash": last["hash"]}
    content.pointers = []
    for stage in ("staging", "production"):
        needle = f'"{stage}":'
        moved = [row for row in content.events if row["kind"] == "moved" and needle in row["payload"]]
        if moved:
            row = moved[-1]
            target = None if f"{needle}null" in row["payload"] else row["version"]
            content.pointers.append({"model": MODEL, "stage": stage, "version": target, "seq": row["seq"]})


WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        flip_a_bit,
        change_a_number,
        empty_a_field,
        delete_one,
        delete_some,
        insert_one,
        swap_two,
        swap_what_two_say,
        edit_a_pointer,
        edit_the_meta,
        truncate_consistently,
        rewrite_consistently,
    )
}


# ------------------------------------------------------------------------------------------------ whether it is found


def fill(ledger: Ledger, ledger_url: str) -> None:
    """Write a few months of two models, each event different from the others."""
    with Ledger(ledger_url, model="second", environment="local") as other:
        for number in range(1, 6):
            version = str(number)
            ledger.append("trained", {"number": number, "who": "Zoë"}, actor="trainer", version=version)
            other.append("trained", {"other": number}, actor="trainer", version=version)
            for moves in ({"staging": version}, {"staging": None, "production": version}):
                seen = ledger.pointers()
                ledger.move("moved", {"n": number}, actor="ops", version=version, moves=moves, expected=seen)
            ledger.append("note", {"text": "x" * number}, actor="somebody")


def heads_of_the_past(ledger: Ledger, ledger_url: str) -> dict[int, dict[str, Any]]:
    """Return the head that would have been exported after each event."""
    said = audit.export_head(ledger, AUDITOR)["statement"]
    with Ledger(ledger_url, model="second", environment="local") as other:
        events = ledger.events() + other.events()
    return {
        event.seq: sign(said | {"seq": event.seq, "count": event.seq, "hash": event.hash, "at": event.at}, AUDITOR.key)
        for event in events
    }


def falsified(ledger: Ledger, url: str, intruder: Intruder, way: str, cases: int) -> Iterator[str | None]:
    """Falsify a disarmed ledger in one way again and again; yields how each was not found, None where it was."""
    honest, heads = Content.of(intruder), heads_of_the_past(ledger, url)
    random = Random(way)
    for _ in range(cases):
        content = copy.deepcopy(honest)
        expected = WAYS[way](content, random)
        content.write(intruder)
        known = content.known or random.choice([None, honest.last])
        report = audit.verify(ledger, heads[known] if known else None)
        found = (report.ok, report.first_bad_seq) == (False, expected) and f"event {expected} " in str(report.problem)
        yield None if found else f"{way}: expected at event {expected}, told: {report.problem}"
    honest.write(intruder)
    yield from [] if audit.verify(ledger, heads[honest.last]).ok else [f"{way}: the honest ledger does not verify"]
