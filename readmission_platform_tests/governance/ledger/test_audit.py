"""The audit: a signed head to keep elsewhere, and every falsification found with its sequence number."""

from pathlib import Path
from typing import Any

import pytest

from readmission_platform.foundation.errors import BadInput, LedgerCorrupt
from readmission_platform.governance.demo_approver import Signer
from readmission_platform.governance.ledger import audit
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.signatures import public_key_text, sign
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.scenario import KEYS, ledger_in
from readmission_platform_tests.support.vandalism import AUDITOR, WAYS, falsified, fill

CASES_PER_WAY = 50  # of 12 ways, on each database


@pytest.mark.parametrize("way", WAYS)
def test_whatever_is_falsified_is_found_at_the_right_event(
    any_ledger: Ledger, intruder: Intruder, ledger_url: str, way: str
) -> None:
    fill(any_ledger, ledger_url)
    intruder.disarm()
    problems = [problem for problem in falsified(any_ledger, ledger_url, intruder, way, CASES_PER_WAY) if problem]
    assert problems == []


def test_an_exported_head_says_where_the_ledger_ended_and_who_says_so(any_ledger: Ledger, ledger_url: str) -> None:
    fill(any_ledger, ledger_url)
    head = audit.export_head(any_ledger, AUDITOR)
    last, first = any_ledger.events()[-1], any_ledger.events()[0]
    said = head["statement"]
    assert (said["seq"], said["count"], said["hash"], said["at"]) == (last.seq, last.seq, last.hash, last.at)
    assert (said["first_hash"], said["signer"], said["demo"]) == (first.hash, "auditor", False)
    for number in range(3):
        any_ledger.append("later", {"n": number}, actor="a")
    report = audit.verify(any_ledger, head, public_key=public_key_text(AUDITOR.key))
    assert (report.ok, report.events, report.first_bad_seq) == (True, last.seq + 3, None)
    assert report.pointers[any_ledger.model] == any_ledger.pointers()
    assert report.exported is not None
    assert report.exported["signer"] == "auditor"


def test_a_new_ledger_can_be_exported_and_verified(any_ledger: Ledger) -> None:
    head = audit.export_head(any_ledger, AUDITOR)
    assert head["statement"]["count"] == 1
    any_ledger.append("note", {}, actor="a")
    assert audit.verify(any_ledger, head).ok


def test_a_corrupt_ledger_is_not_vouched_for(any_ledger: Ledger, intruder: Intruder, ledger_url: str) -> None:
    fill(any_ledger, ledger_url)
    intruder.run("UPDATE pointers SET version = '9'")
    with pytest.raises(LedgerCorrupt):
        audit.export_head(any_ledger, AUDITOR)


def test_the_head_of_another_ledger_is_recognised_at_its_first_event(
    any_ledger: Ledger, ledger_url: str, tmp_path: Path
) -> None:
    fill(any_ledger, ledger_url)
    with ledger_in(tmp_path / "other") as other:
        other.append("note", {}, actor="a")
        report = audit.verify(any_ledger, audit.export_head(other, AUDITOR))
    assert (report.ok, report.first_bad_seq) == (False, 1)
    assert "another ledger" in str(report.problem)


EDITS: dict[str, Any] = {
    "another sequence number": lambda head: head["statement"].update(seq=1, count=1),
    "another signer": lambda head: head["statement"].update(signer="somebody"),
    "no signature": lambda head: head.pop("signature"),
    "another key": lambda head: head.update(public_key=public_key_text(KEYS["stranger"])),
    "no key": lambda head: head.pop("public_key"),
    "no statement": lambda head: head.pop("statement"),
    "a field too many": lambda head: head["statement"].update(note="x"),
    "a number as text": lambda head: head["statement"].update(seq="3"),
    "something else signed": lambda head: head.update(sign({"kind": "approval"}, AUDITOR.key)),
    "a count that contradicts": lambda head: head.update(sign(head["statement"] | {"count": 1}, AUDITOR.key)),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_head_that_was_edited_is_bad_input(ledger: Ledger, tmp_path: Path, edit: str) -> None:
    fill(ledger, f"sqlite:///{tmp_path / 'ledger.db'}")
    head = audit.export_head(ledger, AUDITOR)
    EDITS[edit](head)
    with pytest.raises(BadInput):
        audit.verify(ledger, head)


def test_a_head_signed_with_another_key_than_expected_is_bad_input(ledger: Ledger) -> None:
    head = audit.export_head(ledger, Signer("auditor", KEYS["stranger"]))
    assert audit.verify(ledger, head).ok
    with pytest.raises(BadInput, match="another key"):
        audit.verify(ledger, head, public_key=public_key_text(AUDITOR.key))


def test_a_head_comes_back_from_its_file_and_an_earlier_one_is_kept(ledger: Ledger, tmp_path: Path) -> None:
    head = audit.export_head(ledger, AUDITOR)
    path = tmp_path / "head.json"
    audit.write_head(head, path)
    assert audit.read_head(path) == head
    before = path.read_bytes()
    for target in (path, tmp_path / "missing" / "head.json"):
        with pytest.raises(BadInput):
            audit.write_head(head, target)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["", "[]", "{", "\udcff"])
def test_a_file_that_holds_no_head_is_bad_input(tmp_path: Path, content: str) -> None:
    path = tmp_path / "head.json"
    path.write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(BadInput):
        audit.read_head(path)
    with pytest.raises(BadInput):
        audit.read_head(tmp_path / "missing.json")
