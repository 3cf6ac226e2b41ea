"""`readmission dossier verify` reads what strangers wrote: whatever is in the folder, it ends soon, in one line."""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readmission_platform.foundation.untrusted import MAX_DEPTH, printable, read_json
from readmission_platform.foundation.values import canonical_json
from readmission_platform.governance.demo_approver import DEMO_APPROVER, DEMO_KEY_FILE, Signer
from readmission_platform.governance.dossier import manifest as dossier
from readmission_platform.governance.dossier.folder import read_folder
from readmission_platform.governance.ledger.chain import event_hash
from readmission_platform.governance.ledger.extract import Event, extract_text, read_extract
from readmission_platform.governance.promotion.check import Check
from readmission_platform.governance.signatures import load_key
from readmission_platform.lifecycle.versions.dossier_verification import verify_files
from readmission_platform_tests.support.homes import Home

Files = dict[str, bytes]
STRANGER = Signer(DEMO_APPROVER, Ed25519PrivateKey.generate(), demo=True)


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


def resealed(manifest: bytes, files: Files, signer: Signer, **changes: Any) -> bytes:
    said = dossier.read_manifest(manifest)[0].model_dump()
    about = {name: said[name] for name in ("model", "version", "environment", "code_version", "made_at", "ledger")}
    return dossier.sealed(files, signer, **{**about, **changes})


def failed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if check.result == "fail"]


def rechained(files: Files, kind: str, edit: Callable[[dict[str, Any]], None]) -> tuple[Files, dict[str, Any]]:
    """Edit the payload of the first event of a kind, with every hash after it worked out again; and the new head."""
    entries = [entry for entry in read_extract(files[dossier.LEDGER].decode()) if isinstance(entry, Event)]
    again: list[Event] = []
    done = False
    for entry in entries:
        changed = replace(entry, previous_hash=again[-1].hash if again else entry.previous_hash)
        if entry.kind == kind and not done:
            done = True
            edit(changed.payload)
        again.append(replace(changed, hash=event_hash(asdict(changed))))
    head = {"seq": again[-1].seq, "hash": again[-1].hash}
    return {**files, dossier.LEDGER: extract_text(again).encode()}, head


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


def _archive(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("nested.zip", content[:1000])
        archive.writestr("zeros", b"\0" * 1_000_000)
    return target.getvalue()


def _put_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _put_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _put_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "more").write_bytes(b"x")


def _crowd(path: Path) -> None:
    for number in range(100):
        (path.parent / f"{number}").touch()


def _hole(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(2**34)


def _spoil(path: Path, content: bytes) -> None:
    path.write_bytes(content if content != path.read_bytes() else content + b" ")


DAMAGES: dict[str, Callable[[Path, int], None]] = {
    "removed": lambda path, n: path.unlink(),
    "renamed": lambda path, n: path.rename(path.with_name(f"{path.name}.{n}")) and None,
    "named oddly": lambda path, n: path.rename(path.with_name(f"\x1b[3{n % 8}m[red]{path.name}")) and None,
    "named in bytes": lambda path, n: path.rename(path.with_name(os.fsdecode(b"\xff\xfe%d" % n))) and None,
    "named at length": lambda path, n: path.rename(path.with_name("x" * (200 + n % 50))) and None,
    "link to itself": lambda path, n: _put_link(path, path.name),
    "link to zeros": lambda path, n: _put_link(path, "/dev/zero"),
    "link elsewhere": lambda path, n: _put_link(path, "/etc/hostname"),
    "link beside": lambda path, n: _put_link(path, dossier.README if path.name != dossier.README else dossier.ROWS),
    "pipe": lambda path, n: _put_pipe(path),
    "folder": lambda path, n: _put_folder(path),
    "crowd": lambda path, n: _crowd(path),
    "hole": lambda path, n: _hole(path),
    "cut": lambda path, n: _spoil(path, path.read_bytes()[: n % max(1, path.stat().st_size)]),
    "empty": lambda path, n: path.write_bytes(b"") and None,
    "longer": lambda path, n: _spoil(path, path.read_bytes() + bytes([n % 256])),
    "deep": lambda path, n: _spoil(path, b"[" * (1 + n)),
    "UTF-16": lambda path, n: _spoil(path, path.read_bytes().decode("latin-1").encode("utf-16")),
    "marked": lambda path, n: _spoil(path, b"\xef\xbb\xbf" + path.read_bytes()),
    "archive": lambda path, n: _spoil(path, _archive(path.read_bytes())),
    "archive behind": lambda path, n: _spoil(path, path.read_bytes() + _archive(b"")),
    "noise": lambda path, n: _spoil(path, bytes((n * k) % 251 for k in range(n % 3000))),
    "another file": lambda path, n: (path.parent / f"more{n}.json").write_text("{}") and None,
}


@pytest.fixture
def places(tmp_path: Path) -> Iterator[Path]:
    return (tmp_path / f"{number}" for number in range(100_000))


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_hostile_or_broken_folder_ends_in_refusal_and_one_line(
    made: tuple[Path, Home], places: Iterator[Path], data: st.DataObject
):
    folder = shutil.copytree(made[0], next(places))
    damage = data.draw(st.sampled_from(sorted(DAMAGES)))
    name = data.draw(st.sampled_from(sorted(path.name for path in folder.iterdir())))
    DAMAGES[damage](folder / name, data.draw(st.integers(0, 100_000)))
    outcome = made[1].command("dossier", "verify", str(folder))
    shutil.rmtree(folder)
    assert outcome.code == 3, (damage, name, outcome)
    assert len(outcome.err.strip().splitlines()) == 1
    assert "Traceback" not in outcome.out + outcome.err
    assert "\x1b" not in outcome.out + outcome.err


HOSTILE = st.sampled_from([
    None, True, -1, 0.5, 2**63 - 1, -(2**63) + 1, 1e300, -1e-300, "", "text", "[bold red]PASS[/]", "\x1b[2J\x07",
    "2026-01-01T00:00:00", "0001-01-01T00:00:00.000000Z", "sha256:" + "0" * 64, "x" * 100_000, "$\\frac{1}{0}$", [], {},
    [[[[[]]]]], [None], {"": None}, {"value": "x"}, "\u202e\u2066", "../../etc/passwd",
])  # fmt: skip


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*place, key)
            yield from _places(inner, (*place, key))


def _mutated(value: Any, data: st.DataObject) -> None:
    """Put something hostile into one place, or take the place away."""
    *parents, last = data.draw(st.sampled_from(list(_places(value))))
    for parent in parents:
        value = value[parent]
    if data.draw(st.integers(0, 4)) == 0:
        del value[last]
    else:
        value[last] = data.draw(HOSTILE)


@pytest.mark.slow
@settings(max_examples=120)
@given(data=st.data())
def test_whatever_a_file_holds_and_whoever_sealed_it_verifying_ends_with_checks(
    contents: tuple[bytes, Files], signer: Signer, data: st.DataObject
):
    manifest, files = contents
    stranger = data.draw(st.booleans())
    name = data.draw(st.sampled_from([dossier.LEDGER, dossier.LEDGER, *sorted(files)]))
    about: dict[str, Any] = {}
    if name == dossier.LEDGER:
        kinds = sorted({json.loads(line)["kind"] for line in files[name].splitlines()})
        changed, head = rechained(files, data.draw(st.sampled_from(kinds)), lambda payload: _mutated(payload, data))
        about = {"ledger": head}
    elif name.endswith(".json"):
        content = json.loads(files[name])
        _mutated(content, data)
        changed = {**files, name: dossier.json_bytes(content)}
    else:
        place = data.draw(st.integers(0, len(files[name]) - 1))
        noise = data.draw(st.binary(min_size=1, max_size=40))
        changed = {**files, name: files[name][:place] + noise + files[name][place:]}
    checks = verify_files(resealed(manifest, changed, STRANGER if stranger else signer, **about), changed)
    assert all(printable(check.detail) == check.detail for check in checks)
    # Whoever holds the key and works the chain out again is not found from the folder alone, and need not be.
    same = name.endswith(".json") and json.loads(changed[name]) == json.loads(files[name])
    assert failed(checks) or (not stranger and (name == dossier.LEDGER or same))
