"""Folders to work in: one's own while the process lives, and removed when it was killed."""

import time
from pathlib import Path
from typing import Any

from readmission_platform.storage.working_folder import working_folder
from readmission_platform_tests.support.forking import FORKING


def _work_until_killed(parent: Path, ready: Any) -> None:
    with working_folder(parent, "rebuilding") as folder:
        (folder / "rows").touch()
        ready.set()
        time.sleep(600)


def test_a_folder_is_removed_when_its_process_was_killed_and_not_while_it_lives(tmp_path: Path):
    ready = FORKING.Event()
    process = FORKING.Process(target=_work_until_killed, args=(tmp_path, ready))
    process.start()
    assert ready.wait(60)
    (one,) = tmp_path.iterdir()
    with working_folder(tmp_path, "rebuilding") as other:
        assert set(tmp_path.iterdir()) == {one, other}
    assert list(tmp_path.iterdir()) == [one]
    process.kill()
    process.join()
    with working_folder(tmp_path, "rebuilding") as other:
        assert list(tmp_path.iterdir()) == [other]
    assert list(tmp_path.iterdir()) == []


def test_what_was_renamed_stays_and_nothing_else(tmp_path: Path):
    for name in ("kept", "[odd] *name?"):
        with working_folder(tmp_path, name) as folder:
            (folder / "result").touch()
            folder.rename(tmp_path / name)
        with working_folder(tmp_path, name):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["[odd] *name?", "kept"]
