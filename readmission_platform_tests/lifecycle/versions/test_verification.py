"""`readmission verify`: a version as recorded verifies, and whatever was changed is named."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from readmission_platform.governance.promotion.verification import largest_difference
from readmission_platform_tests.support.homes import Home

Changing = Callable[[Home], Home]


def failed(home: Home, version: str = "1") -> tuple[int, dict[str, str]]:
    """Return how the command ended, and the checks that failed."""
    outcome = home.command("verify", version, "--json")
    checks = outcome.json["checks"]
    named = {check["name"]: check["detail"] for check in checks if check["result"] == "fail"}
    assert outcome.json["verified"] == (not named)
    # Where something was changed, what policy says of the rest is not what the command ends with.
    changed = [check["name"] for check in checks if check["result"] == "fail" and check["kind"] == "integrity"]
    assert all(name in outcome.err for name in changed) or outcome.code == 3
    return outcome.code, named


def artifact(home: Home, version: str = "1") -> Path:
    with home.ledger() as ledger:
        recorded = ledger.events(kind="version_trained", version=version)[0].payload["artifact"]["path"]
    return home.path / "mlartifacts" / str(recorded)


def flip(file: Path, place: int) -> None:
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(bytes(content))


def vandalise(home: Home, statement: str, *values: Any) -> None:
    """Write past the ledger's guards, as whoever owns the file can."""
    with sqlite3.connect(home.path / "ledger.db") as database:
        for (name,) in database.execute("select name from sqlite_master where type = 'trigger'").fetchall():
            database.execute(f"drop trigger {name}")
        database.execute(statement, values)
    database.close()


def test_a_version_as_recorded_verifies_in_every_respect(lived_home: Home):
    outcome = lived_home.command("verify", "1", "--json")
    assert outcome.code == 0
    results = {check["name"]: check["result"] for check in outcome.json["checks"]}
    assert results.pop("signed_requests") == "not applicable"
    assert results == dict.fromkeys((
        "ledger_chain", "artifact_digest", "evidence_digest", "metrics_recomputed", "adopted_policy",
        "gates_recomputed", "stage_moves", "approval_signatures", "approvals_counted", "accepted_drift",
        "gates_in_force",
    ), "pass")  # fmt: skip
    assert "identical" in next(check["detail"] for check in outcome.json["checks"]
                               if check["name"] == "metrics_recomputed")  # fmt: skip


def test_the_comparison_with_the_champion_of_that_time_is_recomputed_too(challenged_home: Home):
    assert failed(challenged_home, "2") == (0, {})


def test_a_person_sees_a_table(lived_home: Home):
    outcome = lived_home.command("verify", "1")
    assert "ledger chain" in outcome.out
    assert "pass" in outcome.out


def test_a_rejected_version_is_as_recorded_and_policy_says_no(blocked_home: Home):
    code, named = failed(blocked_home, "2")
    assert code == 3
    assert list(named) == ["gates_in_force"]
    assert "discrimination_auroc" in named["gates_in_force"]


def test_an_unknown_version_is_bad_input(lived_home: Home):
    outcome = lived_home.command("verify", "77")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1


@pytest.mark.parametrize("place", [0, 1000, -1])
def test_one_changed_byte_of_the_model_file_is_named(lived_home: Home, changing: Changing, place: int):
    home = changing(lived_home)
    flip(artifact(home), place)
    code, named = failed(home)
    assert (code, list(named)) == (1, ["artifact_digest"])


def test_a_missing_model_file_is_named(lived_home: Home, changing: Changing):
    home = changing(lived_home)
    artifact(home).unlink()
    code, named = failed(home)
    assert code == 1
    assert "missing" in named["artifact_digest"]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_one_changed_byte_of_the_evidence_is_named_wherever_it_is(lived_home: Home, changing: Changing, share: float):
    home = changing(lived_home)
    file = next((home.lake.root / "model_evidence").rglob("*.parquet"))
    flip(file, int(share * file.stat().st_size))
    code, named = failed(home)
    assert code == 1
    assert "evidence_digest" in named


def test_promotion_refuses_evidence_whose_file_is_damaged(trained_home: Home, changing: Changing):
    home = changing(trained_home)
    file = next((home.lake.root / "model_evidence").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    outcome = home.command("promote", "--version", "1", "--to-stage", "staging", "--dry-run")
    assert outcome.code == 3
    assert "evidence_unchanged" in outcome.err
    assert "Traceback" not in outcome.err


def test_an_edited_event_is_named_by_its_number(lived_home: Home, changing: Changing):
    home = changing(lived_home)
    with home.ledger() as ledger:
        event = ledger.events(kind="version_validated")[0]
    payload = event.payload
    payload["estimates"]["auroc"]["value"] += 1e-6
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    vandalise(home, "update events set payload = ? where seq = ?", text, event.seq)
    code, named = failed(home)
    assert code == 1
    assert f"event {event.seq}" in named["ledger_chain"]
    assert "auroc" in named["metrics_recomputed"]


def test_a_forged_approval_is_named(lived_home: Home, changing: Changing):
    home = changing(lived_home)
    with home.ledger() as ledger:
        genuine = ledger.events(kind="version_approved")[0]
        statement = {**genuine.payload["statement"], "reason": "somebody else's words"}
        forged = ledger.append("version_approved", {**genuine.payload, "statement": statement},
                               actor=genuine.actor, version="1")  # fmt: skip
    code, named = failed(home)
    assert (code, list(named)) == (1, ["approval_signatures"])
    assert f"event {forged.seq}" in named["approval_signatures"]


def test_a_policy_that_was_never_adopted_is_named(trained_home: Home, changing: Changing):
    home = changing(trained_home)
    with home.ledger() as ledger:
        event = ledger.events(kind="version_validated")[0]
        ledger.append("version_validated", {**event.payload, "policy_digest": "sha256:" + "0" * 64},
                      actor="somebody", version="1")  # fmt: skip
    code, named = failed(home)
    assert (code, list(named)) == (1, ["adopted_policy"])


def _without_a_gate(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "gates": [gate for gate in payload["gates"] if gate["gate"] != "discrimination_auroc"]}


def _with_a_gate_of_its_own(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "gates": [*payload["gates"], {**payload["gates"][0], "gate": "discrimination_auroc2"}]}


def _with_a_nicer_figure(payload: dict[str, Any]) -> dict[str, Any]:
    gates = [gate | ({"observed": 0.99} if gate["gate"] == "discrimination_auroc" else {}) for gate in payload["gates"]]
    return {**payload, "gates": gates}


def _with_another_verdict(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "verdict": "fail"}


@pytest.mark.parametrize(
    ("forge", "told"),
    [
        (_without_a_gate, "discrimination_auroc"),
        (_with_a_gate_of_its_own, "discrimination_auroc2"),
        (_with_a_nicer_figure, "discrimination_auroc"),
        (_with_another_verdict, "the verdict"),
    ],
)
def test_a_validation_that_says_other_than_its_figures_is_named(
    trained_home: Home, changing: Changing, forge: Callable[[dict[str, Any]], dict[str, Any]], told: str
):
    home = changing(trained_home)
    with home.ledger() as ledger:
        event = ledger.events(kind="version_validated")[0]
        ledger.append("version_validated", forge(event.payload), actor="somebody", version="1")
    code, named = failed(home)
    assert (code, list(named)) == (1, ["gates_recomputed"])
    assert named["gates_recomputed"] == f"other than recorded: {told}"


def test_a_difference_is_told_with_its_size_and_metric():
    one = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 10, "positives": 2}
    assert largest_difference({"auroc": one}, {"auroc": one}) == (0.0, None, [])
    largest, where, unlike = largest_difference({"auroc": one}, {"auroc": {**one, "high": 0.61}})
    assert (largest, where, unlike) == (pytest.approx(0.01), "auroc", [])
    assert largest_difference({"auroc": one}, {"auroc": {**one, "n": 11}})[2] == ["auroc"]
    assert largest_difference({"auroc": one}, {"auroc": {**one, "low": None}})[2] == ["auroc"]
    assert largest_difference({"auroc": one}, {"auroc": {**one, "low": float("nan")}})[2] == ["auroc"]
    assert largest_difference({"auroc": one}, {})[2] == ["auroc"]
    assert largest_difference({"shadow_scored_share": one}, {})[2] == []
