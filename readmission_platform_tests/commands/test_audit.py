"""``readmission audit``: what an auditor sees, and the exit codes that scripts rely on, on both databases."""

import json
from pathlib import Path

import pytest

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.scenario import ready_for_staging

# Of a version in staging: one of creation, six adoptions, training, validation and promotion.
EVENTS = 10


@pytest.fixture
def home(ledger_url: str, tmp_path: Path) -> Home:
    """A home whose ledger is elsewhere, with a version in staging."""
    with Ledger(ledger_url, model=MODEL, environment="local") as ledger:
        ready_for_staging(ledger).promote("staging")
    return Home.new(tmp_path / "home", READMISSION_LEDGER_URL=ledger_url)


def test_a_sound_ledger_verifies_and_says_what_is_where(home: Home) -> None:
    outcome = home.command("audit", "verify")
    assert outcome.code == 0
    assert f"{EVENTS} events verified" in outcome.out
    assert f"{MODEL}, staging: version 1 (event {EVENTS})" in outcome.out
    report = home.command("audit", "verify", "--json").json
    assert report["ok"] is True
    assert (report["events"], report["first_bad_seq"], report["problem"]) == (EVENTS, None, None)
    assert report["pointers"][MODEL]["staging"] == {"stage": "staging", "version": "1", "seq": EVENTS}


def test_a_stage_that_nothing_properly_made_ends_with_1_and_one_line_that_names_it(home: Home, ledger_url: str) -> None:
    with Ledger(ledger_url, model=MODEL, environment="local") as ledger:
        moves = {"production": "666"}
        ledger.move("version_promoted", {}, actor="o", version="666", moves=moves, expected=ledger.pointers())
    outcome = home.command("audit", "verify")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.strip().count("\n") == 0
    assert f"{MODEL}: version 666 was not properly put into production" in outcome.err
    scripted = home.command("audit", "verify", "--json")
    assert (scripted.code, scripted.json["ok"], scripted.json["first_bad_seq"]) == (1, False, EVENTS + 1)


def test_an_edited_ledger_ends_with_1_and_one_line_that_names_the_event(home: Home, ledger_url: str) -> None:
    intruder = Intruder(ledger_url)
    intruder.disarm()
    intruder.run("UPDATE events SET actor = 'somebody else' WHERE seq = 2")
    intruder.close()
    outcome = home.command("audit", "verify")
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.strip().count("\n") == 0
    assert "event 2 was edited" in outcome.err
    scripted = home.command("audit", "verify", "--json")
    assert scripted.code == 1
    assert (scripted.json["ok"], scripted.json["first_bad_seq"]) == (False, 2)


def test_a_ledger_without_its_table_ends_with_1(home: Home, ledger_url: str) -> None:
    intruder = Intruder(ledger_url)
    intruder.run("DROP TABLE events")
    intruder.close()
    outcome = home.command("audit", "verify", "--json")
    assert outcome.code == 1
    assert (outcome.json["ok"], outcome.json["first_bad_seq"]) == (False, 1)


def test_a_head_exported_with_a_key_finds_what_was_cut_off_later(home: Home, ledger_url: str, tmp_path: Path) -> None:
    key, head = tmp_path / "auditor.pem", tmp_path / "head.json"
    made = home.command("keys", "create", str(key)).out
    auditor = home.having(READMISSION_ACTOR="auditor")
    assert auditor.command("audit", "export-head", "--key", str(key), "--out", str(head)).code == 0
    assert json.loads(head.read_text())["statement"]["signer"] == "auditor"
    public = made.removeprefix("public_key: ").strip()
    checked = home.command("audit", "verify", "--head", str(head), "--public-key", public)
    assert checked.code == 0, checked.err
    assert "signed by auditor" in checked.out
    intruder = Intruder(ledger_url)
    intruder.disarm()
    first = intruder.rows(f"SELECT hash FROM events WHERE seq = {EVENTS - 1}")[0][0]
    intruder.run(
        f"DELETE FROM events WHERE seq = {EVENTS}",
        "DELETE FROM pointers",
        f"UPDATE ledger_meta SET head_seq = {EVENTS - 1}, head_hash = '{first}'",
    )
    intruder.close()
    assert home.command("audit", "verify").code == 0  # nothing in the database tells
    outcome = home.command("audit", "verify", "--head", str(head))
    assert outcome.code == 1
    assert f"event {EVENTS} is missing" in outcome.err


def test_a_head_that_cannot_be_used_ends_with_2(home: Home, tmp_path: Path) -> None:
    head = tmp_path / "head.json"
    assert home.command("audit", "verify", "--head", str(head)).code == 2
    assert home.command("audit", "verify", "--public-key", "x").code == 2
    assert home.command("audit", "export-head", "--out", str(head)).code == 0  # the demo approver signs in local
    assert json.loads(head.read_text())["statement"]["demo"] is True
    assert home.command("audit", "export-head", "--out", str(head)).code == 2
    assert home.command("audit", "verify", "--head", str(head), "--public-key", "x").code == 2
    head.write_text(head.read_text().replace(f'"seq":{EVENTS + 1}', f'"seq":{EVENTS}'))
    outcome = home.command("audit", "verify", "--head", str(head))
    assert outcome.code == 2
    assert "signature" in outcome.err


def test_without_a_key_nobody_signs_outside_local(tmp_path: Path) -> None:
    production = Home.new(tmp_path / "home", READMISSION_ENVIRONMENT="production")
    outcome = production.command("audit", "export-head", "--out", str(tmp_path / "head.json"))
    assert outcome.code == 3
    assert "--key" in outcome.err
    assert not (tmp_path / "head.json").exists()


def test_an_unreachable_ledger_ends_with_5(tmp_path: Path) -> None:
    home = Home.new(tmp_path / "home").having(READMISSION_LEDGER_URL="postgresql://nobody@127.0.0.1:1/none")
    for command in (["audit", "verify"], ["status"]):
        outcome = home.command(*command)
        assert (outcome.code, outcome.out) == (5, "")
        assert outcome.err.strip().count("\n") == 0
