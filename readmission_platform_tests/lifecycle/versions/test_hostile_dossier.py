"""`readmission dossier verify` reads what strangers wrote: whatever is in the folder, it ends soon, in one line."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readmission_platform.foundation.untrusted import MAX_DEPTH, printable, read_json
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.demo_approver import DEMO_APPROVER, DEMO_KEY_FILE, Signer
from readmission_platform.governance.dossier import manifest as dossier
from readmission_platform.governance.dossier.folder import read_folder
from readmission_platform.governance.signatures import load_key
from readmission_platform.lifecycle.versions.dossier_verification import verify_files
from readmission_platform_tests.support.home_rounds import put_into_production
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.hostile_dossiers import (
    STRANGER,
    Files,
    failed,
    problem_with,
    problem_with_content,
    rechained,
    resealed,
    verified_when_damaged,
)


@pytest.fixture(scope="module")
def made(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Home]:
    folder = tmp_path_factory.mktemp("made")
    home = lived_home.copy(folder / "home")
    outcome = home.command("dossier", "1", "--out", str(folder / "dossier"))
    assert outcome.code == 0, outcome.err
    return folder / "dossier", home


@pytest.fixture(scope="module")
def contents(made: tuple[Path, Home]) -> tuple[bytes, Files]:
    files = read_folder(made[0])
    return files.pop(dossier.MANIFEST), files


@pytest.fixture(scope="module")
def signer(made: tuple[Path, Home]) -> Signer:
    """Who sealed the dossier."""
    return Signer(DEMO_APPROVER, load_key(made[1].path / "keys" / DEMO_KEY_FILE), demo=True)


def written(files: Files, manifest: bytes, folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name, content in {**files, dossier.MANIFEST: manifest}.items():
        (folder / name).write_bytes(content)
    return folder


# ------------------------------------------------------------------------------------------------- whose seal it is


def test_a_strangers_seal_under_the_signers_name_is_refused_in_the_first_line(
    made: tuple[Path, Home], contents: tuple[bytes, Files], tmp_path: Path
):
    manifest, files = contents
    card = files[dossier.CARD_PAGE].replace(b"AUROC", b"AUROC 0.99")
    changed = {**files, dossier.CARD_PAGE: card}
    folder = written(changed, resealed(manifest, changed, STRANGER), tmp_path / "dossier")
    outcome = made[1].command("dossier", "verify", str(folder))
    assert outcome.code == 3
    first = outcome.out.splitlines()[0]
    assert "NOT TO BE TRUSTED" in first
    assert "which the ledger extract does not know" in first
    assert "manifest_signature" in outcome.err.splitlines()[0]
    assert len(outcome.err.strip().splitlines()) == 1


@pytest.mark.parametrize("identity", ["nobody.knows", DEMO_APPROVER])
def test_a_signer_whom_the_roles_do_not_know_is_refused(contents: tuple[bytes, Files], identity: str):
    manifest, files = contents
    person = Signer(identity, STRANGER.key)  # not as a demonstration: the roles of this ledger name no people
    checks = verify_files(resealed(manifest, files, person), files)
    assert failed(checks)[0] == "manifest_signature"
    assert f"no key is registered for {identity}" in checks[0].detail


def test_a_page_that_does_not_show_what_was_recomputed_is_named_whoever_sealed_it(
    contents: tuple[bytes, Files], signer: Signer
):
    manifest, files = contents
    assert failed(verify_files(manifest, files)) == []
    for name in dossier.PAGES:
        changed = {**files, name: files[name].replace(b"0.6", b"0.9")}
        changed = changed if changed != files else {**files, name: files[name] + b"<!-- AUROC 0.99 -->"}
        checks = verify_files(resealed(manifest, changed, signer), changed)
        assert failed(checks) == ["pages"]
        assert name in checks[-1].detail


def test_a_demonstration_cannot_be_made_to_count_by_saying_that_it_is_of_another_environment(
    contents: tuple[bytes, Files], signer: Signer
):
    manifest, files = contents
    checks = verify_files(resealed(manifest, files, signer, environment="production"), files)
    assert set(failed(checks)) == {"ledger_extract"}


# --------------------------------------------------------------------------------------- what is read is of its form


def one_row_too_many(files: Files) -> Files:
    rows = pd.read_parquet(io.BytesIO(files[dossier.ROWS]))
    rows["name"] = "somebody"
    return {**files, dossier.ROWS: rows.to_parquet(index=False)}


def endless(files: Files) -> Files:
    document = json.loads(files[dossier.DOCUMENT])
    document["settings"]["replicates"] = 10**12
    return {**files, dossier.DOCUMENT: dossier.json_bytes(document)}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda files: {**files, dossier.CHAMPION_ROWS: b"anything"}, "repeated_files"),
        (lambda files: {**files, dossier.CHAMPION_ROWS: files[dossier.ROWS]}, "repeated_files"),
        (one_row_too_many, "metrics_recomputed"),
        (endless, "metrics_recomputed"),
        (lambda files: {**files, dossier.DOCUMENT: b"[" * 100_000}, "ledger_extract"),
        (lambda files: {**files, dossier.CARD_WORDS: b'{"a":' * 5000}, "pages"),
        (lambda files: {**files, dossier.LEDGER: files[dossier.LEDGER].replace(b'"seq":1,', b'"seq":true,')},
         "ledger_extract"),
    ],
)  # fmt: skip
def test_what_no_dossier_holds_is_found_though_the_right_key_sealed_it(
    contents: tuple[bytes, Files], signer: Signer, change: Callable[[Files], Files], found: str
):
    manifest, files = contents
    changed = change(dict(files))
    assert changed != files
    assert found in failed(verify_files(resealed(manifest, changed, signer), changed))


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("version_reserved", "run_id", ["\x1b[2J"]),
        ("version_trained", "trained_by", "[bold red]PASS[/]"),
        ("version_trained", "trained_by", "\x1b[2J"),
        ("version_trained", "seed", -1),
        ("version_trained", "seed", True),
        ("version_trained", "model", {"words": [], "evidence_schema": {}}),
        ("version_validated", "estimates", []),
        ("version_validated", "gates", {"gate": 1}),
        ("version_validated", "verdict", "perhaps"),
        ("version_promoted", "approvals", 8),
        ("version_promoted", "moves", {"everywhere": "1"}),
        ("version_approved", "statement", "yes"),
    ],
)
def test_an_event_that_is_not_of_the_form_of_its_kind_is_named_in_a_chain_that_holds(
    contents: tuple[bytes, Files], signer: Signer, kind: str, field: str, value: Any
):
    manifest, files = contents
    changed, head = rechained(files, kind, lambda payload: payload.update({field: value}))
    checks = verify_files(resealed(manifest, changed, signer, ledger=head), changed)
    assert failed(checks) == ["ledger_extract"]
    assert kind in checks[-1].detail
    assert checks[-1].detail.isprintable()


@pytest.mark.parametrize("at", ["2026-01-01T00:00:00", "9999-12-31T23:59:59.999999Z", "yesterday", ""])
def test_a_moment_that_is_not_written_as_the_ledger_does_is_refused(
    contents: tuple[bytes, Files], signer: Signer, at: str
):
    manifest, files = contents
    first, *rest = files[dossier.LEDGER].decode().splitlines()
    changed = {**files, dossier.LEDGER: "\n".join([canonical_json(json.loads(first) | {"at": at}), *rest]).encode()}
    checks = verify_files(resealed(manifest, changed, signer), changed)
    assert failed(checks) == ["ledger_extract"]
    assert "line 1" in checks[-1].detail


@pytest.mark.parametrize(
    "text", ["[" * 10_000, "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1), "NaN", "1e999", "1" * 30, '"\\ud800"',
             '{"a":1,"a":2}', "\ufeff1", ""]
)  # fmt: skip
def test_json_is_read_within_bounds(text: str):
    with pytest.raises(ValueError, match=r".+"):
        read_json(text.encode("utf-8", "surrogatepass"))


@given(st.text())
def test_what_is_printed_acts_on_no_terminal_and_can_be_encoded(text: str):
    assert "\x1b" not in printable(text)
    assert len(printable(text).encode().splitlines()) <= 1


# ------------------------------------------------------------------------------------------------- any folder at all


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / f"{number}" for number in range(100_000))


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_a_hostile_or_broken_folder_ends_in_refusal_and_one_line(
    made: tuple[Path, Home], places: Iterator[Path], random: Random
):
    damage, outcome = verified_when_damaged(made[1], made[0], next(places), random)
    assert problem_with(outcome) is None, (damage, outcome)


@pytest.fixture(scope="module")
def small(small_home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Files, Signer]:
    """A dossier of few rows, quick to verify, whose ledger holds events of every kind that a version has."""
    folder = tmp_path_factory.mktemp("small")
    home = small_home.copy(folder / "home")
    put_into_production(home)
    assert home.command("dossier", "1", "--out", str(folder / "dossier")).code == 0
    files = read_folder(folder / "dossier")
    manifest = files.pop(dossier.MANIFEST)
    assert failed(verify_files(manifest, files)) == []
    return manifest, files, Signer(DEMO_APPROVER, load_key(home.path / "keys" / DEMO_KEY_FILE), demo=True)


@pytest.mark.slow
@settings(max_examples=120)
@given(random=st.randoms(use_true_random=False))
def test_whatever_a_file_holds_and_whoever_sealed_it_verifying_ends_with_checks(
    small: tuple[bytes, Files, Signer], random: Random
):
    assert problem_with_content(*small, random) is None
