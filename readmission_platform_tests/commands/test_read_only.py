"""An auditor reads a copy that cannot be written; what writes says so in one line, there and on a full disk."""

import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.foundation.errors import Unavailable
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.homes import BIN, MODEL, Home
from readmission_platform_tests.support.read_only import read_only
from readmission_platform_tests.support.scenario import ledger_in

READING = (("status",), ("models",), ("gates", "1"), ("audit", "verify"), ("verify", "1"), ("worklist",), ("timeline",),
           ("worklist", "--format", "html-path"), ("monitor", "--prometheus", "-"), ("alerts", "list"),
           ("policy", "show"), ("quarantine", "list"), ("card", "1", "--json"), ("reconcile", "--dry-run"))  # fmt: skip
WRITING = (("setup",), ("train",), ("replay",), ("score", "--date"), ("policy", "adopt"),
           ("monitor",), ("card", "1"), ("review", "1"), ("pages",), ("reproduce", "1"),
           ("rollback", "--reason", "x"))  # fmt: skip


@pytest.fixture(scope="module")
def snapshot(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A copy of a home that cannot be written."""
    home = lived_home.copy(tmp_path_factory.mktemp("snapshot") / "home")
    with read_only(home.path):
        yield home


def content(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*")}


def said(text: str, home: Home) -> list[str]:
    """Return the words of a text, whichever home it is about: the length of a path breaks lines elsewhere."""
    return text.replace(str(home.path), "").split()


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_what_only_reads_works_on_a_copy_that_cannot_be_written(
    snapshot: Home, lived_home: Home, command: tuple[str, ...]
) -> None:
    before = content(snapshot.path)
    outcome = snapshot.command(*command)
    assert outcome.code == 0, outcome.err
    assert outcome.out != ""
    assert content(snapshot.path) == before
    if command != ("monitor", "--prometheus", "-"):  # which also says how full the disk is
        there = lived_home.command(*command)
        assert said(outcome.out, snapshot) == said(there.out, lived_home)


def test_a_prediction_is_traced_and_scored_again_on_a_copy_that_cannot_be_written(snapshot: Home) -> None:
    row = str(snapshot.predictions()["encounter_id"].iloc[0])
    assert snapshot.command("trace", row, "--replay").code == 0


@pytest.mark.parametrize("command", WRITING, ids=" ".join)
def test_what_writes_says_in_one_line_that_it_cannot(snapshot: Home, command: tuple[str, ...]) -> None:
    before = content(snapshot.path)
    day = [snapshot.landed()[-1]] if command[-1] == "--date" else []
    outcome = snapshot.command(*command, *day)
    assert (outcome.code, outcome.out) == (5, "")
    assert outcome.err.count("\n") == 1
    assert content(snapshot.path) == before


def test_a_snapshot_taken_while_the_ledger_was_written_shows_the_last_event(tmp_path: Path) -> None:
    with ledger_in(tmp_path / "live") as ledger:
        written = ledger.append("note", {}, actor="a")
        assert (tmp_path / "live" / "ledger.db-wal").stat().st_size > 0
        shutil.copytree(tmp_path / "live", tmp_path / "snapshot")
    url = f"sqlite:///{tmp_path / 'snapshot' / 'ledger.db'}"
    with read_only(tmp_path / "snapshot"), Ledger(url, model=MODEL, environment="local") as copied:
        assert copied.events()[-1] == written
        copied.verify()
        with pytest.raises(Unavailable):
            copied.append("note", {}, actor="a")


def test_scoring_on_a_full_disk_ends_in_one_line_and_leaves_the_day_as_it_was(
    lived_home: Home, changing: Callable[[Home], Home]
) -> None:
    home = changing(lived_home)
    before = home.predictions()
    done = subprocess.run(
        [str(BIN / "readmission"), "score", "--date", home.landed()[-1]],
        cwd=PROJECT_ROOT,
        env=home.environment | {"PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=False,
        # No file can grow beyond this: what is there can be read, and there is no room for more.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert home.predictions().equals(before)
    assert home.command("audit", "verify").code == 0
