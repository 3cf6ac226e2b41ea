"""`readmission dossier`: a sealed folder that verifies by itself, and in which no byte can be changed unseen."""

import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.config.files import roles_config
from readmission_platform.config.governance import Person
from readmission_platform.governance.demo_approver import Signer, demo_signer
from readmission_platform.governance.dossier import manifest as dossier
from readmission_platform.governance.dossier.manifest import check_seal
from readmission_platform.governance.policy.adoption import adopt
from readmission_platform.governance.signatures import create_key
from readmission_platform.lifecycle.versions.dossier_verification import read_folder, verify_files
from readmission_platform_tests.support.homes import Home, Outcome
from readmission_platform_tests.support.rebound import rebound

Changing = Callable[[Home], Home]
Files = dict[str, bytes]
STRANGER = Signer("stranger", Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def made(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, Home]:
    """The dossier of a version in production, what the command said, and the home it is of."""
    folder = tmp_path_factory.mktemp("made")
    home = lived_home.copy(folder / "home")
    outcome = home.command("dossier", "1", "--out", str(folder / "dossier"), "--json")
    assert outcome.code == 0, outcome.err
    return folder / "dossier", outcome, home


@pytest.fixture(scope="module")
def contents(made: tuple[Path, Outcome, Home]) -> tuple[bytes, Files]:
    files = read_folder(made[0])
    return files.pop(dossier.MANIFEST), files


def failures(manifest: bytes, files: Mapping[str, bytes], **options: Any) -> list[str]:
    """Return the names of the checks that failed."""
    return [check.name for check in verify_files(manifest, files, **options) if check.result == "fail"]


def resealed(manifest: bytes, files: Files, signer: Signer = STRANGER, **changes: Any) -> bytes:
    """Seal changed files once more, as somebody with a key of their own can."""
    said = dossier.read_manifest(manifest)[0].model_dump()
    about = {name: said[name] for name in ("model", "version", "environment", "code_version", "made_at", "ledger")}
    return dossier.sealed(files, signer, **{**about, **changes})


def edited(files: Files, name: str, edit: Callable[[Any], None]) -> Files:
    """Return the files with the JSON of one of them edited."""
    content = json.loads(files[name])
    edit(content)
    return {**files, name: dossier.json_bytes(content)}


# ------------------------------------------------------------------------------------------------- what is in it


def test_a_dossier_verifies_where_there_is_no_home_and_no_database(made: tuple[Path, Outcome, Home], tmp_path: Path):
    folder = shutil.copytree(made[0], tmp_path / "carried away")
    nowhere = Home(tmp_path / "no home here")
    outcome = nowhere.command("dossier", "verify", str(folder), "--json")
    assert (outcome.code, outcome.json["verified"]) == (0, True), outcome.err
    results = {check["name"]: check["result"] for check in outcome.json["checks"]}
    assert set(results) >= {"manifest_signature", "files", "ledger_chain", "evidence_digest", "metrics_recomputed",
                            "gates_recomputed", "approval_signatures", "approvals_counted", "document",
                            "repeated_files"}  # fmt: skip
    assert results.pop("signed_requests") == "not applicable"  # in local who acts is a claim
    assert set(results.values()) == {"pass"}
    assert not nowhere.path.exists()


def test_verifying_says_what_it_cannot_prove(made: tuple[Path, Outcome, Home]):
    outcome = made[2].command("dossier", "verify", str(made[0]))
    assert outcome.code == 0
    assert "cannot show" in outcome.out
    assert "--public-key" in outcome.out


def test_the_files_are_those_of_the_manifest_and_every_one_is_explained(
    made: tuple[Path, Outcome, Home], contents: tuple[bytes, Files]
):
    manifest, files = contents
    assert set(files) == set(dossier.read_manifest(manifest)[0].files) >= set(dossier.REQUIRED)
    text = files[dossier.README].decode()
    assert all(f"`{name}`" in text for name in {*files, dossier.MANIFEST} - {dossier.README})
    assert "demonstration" in text
    assert oct(made[0].stat().st_mode)[-3:] == "700"


def test_the_extract_is_the_whole_ledger_up_to_the_sealing_which_itself_is_recorded_after_it(
    made: tuple[Path, Outcome, Home], contents: tuple[bytes, Files]
):
    manifest, files = contents
    with made[2].ledger() as ledger:
        events = ledger.events()
    assert [json.loads(line)["hash"] for line in files[dossier.LEDGER].splitlines()] == [
        event.hash for event in events[:-1]
    ]
    assert events[-1].kind == "dossier_made"
    assert events[-1].payload["manifest_digest"] == dossier.digest_of_bytes(manifest)


def test_no_pseudonym_of_a_patient_or_encounter_leaves_the_rows(contents: tuple[bytes, Files]):
    _, files = contents
    rows = pd.read_parquet(pd.io.common.BytesIO(files[dossier.ROWS]))
    elsewhere = b"".join(content for name, content in files.items() if name != dossier.ROWS).decode()
    words = set(re.findall(r"\w+", elsewhere))
    assert set(re.findall(r"\w+", rows["entity_key"].iloc[0])) == {rows["entity_key"].iloc[0]}
    assert not words & {*rows["entity_key"], *rows["row_key"]}


def test_the_approval_and_the_policy_stand_there_with_their_signatures(contents: tuple[bytes, Files]):
    approvals = json.loads(contents[1][dossier.APPROVALS])
    assert [approval["statement"]["version"] for approval in approvals] == ["1"]
    assert approvals[0]["signature"]
    policy = json.loads(contents[1][dossier.POLICY])
    assert policy["in_force"]["digest"] == policy["at_validation"]["digest"]
    assert json.loads(contents[1][dossier.ROLES])["in_force"]["signature"]


@pytest.mark.slow
def test_a_rejected_version_has_a_dossier_too_with_the_rows_of_the_champion_it_was_compared_with(
    blocked_home: Home, tmp_path: Path
):
    public = create_key(tmp_path / "mine.pem")
    home = blocked_home.copy(tmp_path / "home")
    command = ("dossier", "2", "--out", str(tmp_path / "dossier"), "--key", str(tmp_path / "mine.pem"))
    outcome = home.command(*command)
    assert (outcome.code, (tmp_path / "dossier").exists()) == (3, False), "nobody could tell whose key it is"
    assert "no key is registered for tester" in outcome.err
    register(home, "tester", public)
    outcome = home.command(*command)
    assert outcome.code == 0, outcome.err
    files = read_folder(tmp_path / "dossier")
    manifest = files.pop(dossier.MANIFEST)
    statement, signed = dossier.read_manifest(manifest)
    assert (signed["public_key"], statement.signer, statement.demo) == (public, "tester", False)
    assert json.loads(files[dossier.GATES])["verdict"] == "fail"
    assert dossier.CHAMPION_ROWS in files
    without = {name: content for name, content in files.items() if name != dossier.CHAMPION_ROWS}
    assert "metrics_recomputed" in failures(resealed(manifest, without), without)


# ----------------------------------------------------------------------------------------------- making one


def register(home: Home, identity: str, public_key: str) -> None:
    """Put roles into force in which somebody has a key."""
    with home.workspace() as workspace, workspace.ledger() as ledger:
        person = Person(name=identity, roles=("data_scientist",), public_key=public_key)
        roles = roles_config(workspace.settings).model_copy(update={"people": {identity: person}})
        adopt(ledger, "roles_adopted", roles, demo_signer(ledger, workspace.settings.keys))


def test_what_cannot_be_put_in_place_is_not_recorded_as_handed_over(
    lived_home: Home, changing: Changing, tmp_path: Path
):
    home = changing(lived_home)
    (tmp_path / "dossier").symlink_to(tmp_path / "nowhere")
    outcome = home.command("dossier", "1", "--out", str(tmp_path / "dossier"))
    assert outcome.code == 2, outcome.err
    assert "dossier_made" not in home.kinds()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_that_something_is_in_is_left_alone(lived_home: Home, tmp_path: Path):
    (tmp_path / "earlier.txt").write_text("evidence")
    outcome = lived_home.command("dossier", "1", "--out", str(tmp_path))
    assert outcome.code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["earlier.txt"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("77", "--out", "OUT"),
        ("1",),
        ("1", "--out", "."),
        ("1", "--out", "OUT", "--key", "MISSING"),
        ("verify",),
        ("verify", "MISSING"),
        ("verify", "OUT", "--key", "MISSING"),
        ("1", "--out", "OUT", "--public-key", "00"),
    ],
)
def test_what_cannot_be_is_bad_input_in_one_line(lived_home: Home, tmp_path: Path, arguments: tuple[str, ...]):
    outcome = lived_home.command("dossier", *(str(tmp_path / word) if word.isupper() else word for word in arguments))
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_evidence_that_was_changed_makes_no_dossier_and_leaves_no_folder(
    lived_home: Home, changing: Changing, tmp_path: Path
):
    home = changing(lived_home)
    file = next((home.lake.root / "model_evidence").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-100])
    outcome = home.command("dossier", "1", "--out", str(tmp_path / "out" / "dossier"))
    assert outcome.code == 3
    assert not (tmp_path / "out").exists()
    assert "dossier_made" not in home.kinds()


def test_outside_local_somebody_has_to_sign(lived_home: Home, changing: Changing, tmp_path: Path):
    home = rebound(changing(lived_home), "staging")
    outcome = home.command("dossier", "1", "--out", str(tmp_path / "dossier"))
    assert outcome.code == 3
    assert "--key" in outcome.err


# ----------------------------------------------------------------------------------------------- what is found


@settings(max_examples=150)
@given(data=st.data())
def test_one_flipped_bit_anywhere_is_found(contents: tuple[bytes, Files], data: st.DataObject):
    manifest, files = contents
    everything = {**files, dossier.MANIFEST: manifest}
    name = data.draw(st.sampled_from(sorted(name for name, content in everything.items() if content)))
    place = data.draw(st.integers(0, len(everything[name]) - 1))
    flipped = bytearray(everything[name])
    flipped[place] ^= 1 << data.draw(st.integers(0, 7))
    everything[name] = bytes(flipped)
    changed = everything.pop(dossier.MANIFEST)
    checks = [check for check in verify_files(changed, everything) if check.result == "fail"]
    assert checks
    assert name in checks[0].detail


def test_every_byte_of_the_manifest_counts_and_every_bit_of_its_signature(contents: tuple[bytes, Files]):
    manifest, _ = contents
    signature = manifest.index(b'"statement"')  # the key and the signature come before it
    places = [(place, bit) for place in range(signature) for bit in range(8)]
    places += [(place, place % 8) for place in range(signature, len(manifest))]
    for place, bit in places:
        flipped = bytearray(manifest)
        flipped[place] ^= 1 << bit
        assert check_seal(bytes(flipped), {}, public_key=None)[0].result == "fail", (place, bit)


def test_a_removed_an_added_and_a_renamed_file_are_each_named(made: tuple[Path, Outcome, Home], tmp_path: Path):
    folder = shutil.copytree(made[0], tmp_path / "dossier")
    (folder / dossier.CARD_TEXT).rename(folder / "card.md")
    (folder / dossier.APPROVALS).unlink()
    (folder / "more").mkdir()
    outcome = made[2].command("dossier", "verify", str(folder), "--json")
    assert outcome.code == 3
    found = {check["name"]: check["detail"] for check in outcome.json["checks"] if check["result"] == "fail"}
    assert list(found) == ["files"]
    for words in ("card.md was added", "model_card.md was removed", "approvals.json was removed", "more/ was added"):
        assert words in found["files"]
    assert len(outcome.err.strip().splitlines()) == 1


def test_a_dossier_without_its_manifest_is_refused_and_another_folder_is_bad_input(
    made: tuple[Path, Outcome, Home], tmp_path: Path
):
    folder = shutil.copytree(made[0], tmp_path / "dossier")
    (folder / dossier.MANIFEST).unlink()
    outcome = made[2].command("dossier", "verify", str(folder))
    assert (outcome.code, "not a whole dossier" in outcome.err) == (3, True)
    (tmp_path / "photographs").mkdir()
    assert made[2].command("dossier", "verify", str(tmp_path / "photographs")).code == 2


def test_a_seal_by_another_key_than_the_one_given_is_found(contents: tuple[bytes, Files]):
    manifest, files = contents
    key = dossier.read_manifest(manifest)[1]["public_key"]
    again = resealed(manifest, files)
    assert failures(manifest, files, public_key=key) == []
    assert failures(again, files, public_key=key) == ["manifest_signature"]
    detail = verify_files(again, files)[0].detail
    assert "which the ledger extract does not know" in detail


def test_the_key_may_be_given_in_hex_and_nothing_else_is_taken_for_one(
    made: tuple[Path, Outcome, Home], contents: tuple[bytes, Files]
):
    import base64

    text = made[1].json["public_key"]
    outcome = made[2].command("dossier", "verify", str(made[0]), "--public-key", base64.b64decode(text).hex())
    assert outcome.code == 0, outcome.err
    assert made[2].command("dossier", "verify", str(made[0]), "--public-key", "no key").code == 2


def swapped_rows(files: Files) -> Files:
    rows = pd.read_parquet(pd.io.common.BytesIO(files[dossier.ROWS]))
    first, second = rows.index[rows["label"] == 1][0], rows.index[rows["label"] == 0][0]
    rows.loc[[first, second], "score"] = rows.loc[[second, first], "score"].to_numpy()
    return {**files, dossier.ROWS: rows.to_parquet(index=False)}


def better_auroc(document: Any) -> None:
    document["estimates"]["auroc"]["value"] += 0.001


def passed(table: Any) -> None:
    table["gates"][0]["observed"] = 0.9


def other_reason(approvals: Any) -> None:
    approvals[0]["statement"]["reason"] = "somebody else's words"


def looser(policy: Any) -> None:
    policy["in_force"]["content"]["gates"]["discrimination_auroc"]["limits"]["real"]["at_least"] = 0.5


def more_replicates(document: Any) -> None:
    document["settings"]["replicates"] += 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (swapped_rows, "evidence_digest"),
        (lambda files: edited(files, dossier.DOCUMENT, better_auroc), "document"),
        (lambda files: edited(files, dossier.DOCUMENT, more_replicates), "metrics_recomputed"),
        (lambda files: edited(files, dossier.GATES, passed), "repeated_files"),
        (lambda files: edited(files, dossier.APPROVALS, other_reason), "repeated_files"),
        (lambda files: edited(files, dossier.POLICY, looser), "repeated_files"),
        (lambda files: {**files, dossier.ROWS: b"no Parquet"}, "metrics_recomputed"),
        (lambda files: {**files, dossier.DOCUMENT: b"[]"}, "ledger_extract"),
    ],
)
def test_what_whoever_seals_again_has_changed_contradicts_the_rest(
    contents: tuple[bytes, Files], change: Callable[[Files], Files], found: str
):
    manifest, files = contents
    changed = change(dict(files))
    assert found in failures(resealed(manifest, changed), changed)


def test_a_dossier_that_is_said_to_be_of_another_environment_contradicts_its_ledger(contents: tuple[bytes, Files]):
    manifest, files = contents
    assert failures(resealed(manifest, files, environment="production"), files) == ["ledger_extract"]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_an_edited_or_missing_event_is_named_even_when_it_was_sealed_again(contents: tuple[bytes, Files], share: float):
    manifest, files = contents
    lines = files[dossier.LEDGER].decode().splitlines()
    number = int(share * (len(lines) - 1))
    renamed = [*lines]
    renamed[number] = json.dumps({**json.loads(lines[number]), "actor": "somebody"})
    shorter = lines[:number] + lines[number + 1 :]
    for text in ("\n".join(renamed), "\n".join(shorter)):
        changed = {**files, dossier.LEDGER: text.encode()}
        assert failures(resealed(manifest, changed), changed) == ["ledger_extract"]


def test_an_exported_head_shows_that_the_ledger_was_not_rewritten(
    made: tuple[Path, Outcome, Home], lived_home: Home, trained_home: Home, tmp_path: Path
):
    results = {}
    for name, home in (("its own", lived_home), ("another", trained_home)):
        head = str(tmp_path / f"{name}.json")
        assert home.command("audit", "export-head", "--out", head).code == 0
        outcome = made[2].command("dossier", "verify", str(made[0]), "--head", head, "--json")
        checks = {check["name"]: check["result"] for check in outcome.json["checks"]}
        results[name] = (outcome.code, checks["exported_head"])
    assert results == {"its own": (0, "pass"), "another": (3, "fail")}


def test_a_dossier_older_than_the_exported_head_is_only_known_to_be_of_the_same_ledger(
    made: tuple[Path, Outcome, Home], tmp_path: Path
):
    later = str(tmp_path / "later.json")
    assert made[2].command("audit", "export-head", "--out", later).code == 0
    outcome = made[2].command("dossier", "verify", str(made[0]), "--head", later, "--json")
    assert outcome.code == 0
    checks = {check["name"]: check for check in outcome.json["checks"]}
    assert checks["exported_head"]["result"] == "not applicable"
