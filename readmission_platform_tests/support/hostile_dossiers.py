"""Dossiers as strangers might make them: broken folders, and sealed ones that hold something hostile.

What belongs here: making them, drawn at random, and what verifying one may end in. What does not: the tests.
"""

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from readmission_platform.foundation.untrusted import printable
from readmission_platform.governance.demo_approver import DEMO_APPROVER, Signer
from readmission_platform.governance.dossier import manifest as dossier
from readmission_platform.governance.ledger.chain import event_hash
from readmission_platform.governance.ledger.extract import Event, extract_text, read_extract
from readmission_platform.governance.promotion.check import Check
from readmission_platform.lifecycle.versions.dossier_verification import verify_files
from readmission_platform_tests.support.homes import Home, Outcome

Files = dict[str, bytes]
STRANGER = Signer(DEMO_APPROVER, Ed25519PrivateKey.generate(), demo=True)


def resealed(manifest: bytes, files: Files, signer: Signer, **changes: Any) -> bytes:
    said = dossier.read_manifest(manifest)[0].model_dump()
    about = {name: said[name] for name in ("model", "version", "environment", "code_version", "made_at", "ledger")}
    return dossier.sealed(files, signer, **{**about, **changes})


def failed(checks: list[Check]) -> list[str]:
    """Return the names of the checks that failed."""
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


def verified_when_damaged(home: Home, made: Path, place: Path, random: Random) -> tuple[str, Outcome]:
    """Copy a dossier, damage one thing of it, and verify it by command; returns what was done and how that ended."""
    folder = shutil.copytree(made, place)
    damage = random.choice(sorted(DAMAGES))
    name = random.choice(sorted(path.name for path in folder.iterdir()))
    DAMAGES[damage](folder / name, random.randint(0, 100_000))
    outcome = home.command("dossier", "verify", str(folder))
    shutil.rmtree(folder)
    return f"{name} {damage}", outcome


def problem_with(outcome: Outcome) -> str | None:
    """Say how the end of a verification is none that is promised: a refusal, in one line, without terminal markup."""
    said = outcome.out + outcome.err
    if outcome.code != 3:
        return f"it ended with {outcome.code}"
    if len(outcome.err.strip().splitlines()) != 1 or "Traceback" in said:
        return "it is not told in one line"
    return "it acts on the terminal" if "\x1b" in said else None


# -------------------------------------------------------------------------------------------- any content, well sealed

HOSTILE = [
    None, True, -1, 0.5, 2**63 - 1, -(2**63) + 1, 1e300, -1e-300, "", "text", "[bold red]PASS[/]", "\x1b[2J\x07",
    "2026-01-01T00:00:00", "0001-01-01T00:00:00.000000Z", "sha256:" + "0" * 64, "x" * 100_000, "$\\frac{1}{0}$", [], {},
    [[[[[]]]]], [None], {"": None}, {"value": "x"}, "\u202e\u2066", "../../etc/passwd",
]  # fmt: skip


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*place, key)
            yield from _places(inner, (*place, key))


def _mutated(content: Any, random: Random) -> Any:
    """Return JSON with something hostile in one place of it, or without that place."""
    places = list(_places(content))
    if not places:
        return random.choice(HOSTILE)
    *parents, last = random.choice(places)
    value = content
    for parent in parents:
        value = value[parent]
    if random.randint(0, 4) == 0:
        del value[last]
    else:
        value[last] = random.choice(HOSTILE)
    return content


def problem_with_content(manifest: bytes, files: Files, signer: Signer, random: Random) -> str | None:
    """Change what a file holds, seal it again, and say how verifying that does not end in checks that find it."""
    stranger = random.choice([False, True])
    name = random.choice([dossier.LEDGER, dossier.LEDGER, *sorted(files)])
    about: dict[str, Any] = {}
    if name == dossier.LEDGER:
        kinds = sorted({json.loads(line)["kind"] for line in files[name].splitlines()})
        changed, head = rechained(files, random.choice(kinds), lambda payload: _mutated(payload, random))
        about = {"ledger": head}
    elif name.endswith(".json"):
        content = _mutated(json.loads(files[name]), random)
        changed = {**files, name: dossier.json_bytes(content)}
    else:
        place = random.randint(0, len(files[name]) - 1)
        noise = bytes(random.randint(0, 255) for _ in range(random.randint(1, 40)))
        changed = {**files, name: files[name][:place] + noise + files[name][place:]}
    checks = verify_files(resealed(manifest, changed, STRANGER if stranger else signer, **about), changed)
    if any(printable(check.detail) != check.detail for check in checks):
        return f"{name}: a check says what acts on a terminal"
    # Whoever holds the key and works the chain out again is not found from the folder alone, and need not be.
    same = name.endswith(".json") and json.loads(changed[name]) == json.loads(files[name])
    if failed(checks) or (not stranger and (name == dossier.LEDGER or same)):
        return None
    return f"{name}: what was changed is not found"
