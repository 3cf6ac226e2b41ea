"""The prediction log: what was answered is in the lake once, whoever is killed and whatever the disk does."""

import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from readmission_platform.models.frequent_visits import CONTRACT
from readmission_platform.serving.journal import SERVED_ON, Journal, ship
from readmission_platform.storage.tables import SERVED, ModelLake
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.interruption import listen, meanwhile

PLENTY = 10_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "serving"


@pytest.fixture
def lake(tmp_path: Path) -> ModelLake:
    return ModelLake(tmp_path / "lake", CONTRACT)


def line(number: int, **more: Any) -> dict[str, Any]:
    return {
        "request_id": f"r{number}",
        CONTRACT.row: number,
        CONTRACT.day: "2026-03-01",
        "entity_key": f"key{number}",
        "at": f"2026-03-0{1 + number % 2}T08:00:00.000000+00:00",
        "model_version": "1",
        "status": "scored",
        "risk": 0.25,
        "latency_ms": 0.2,
        **more,
    }


def shipped(lake: ModelLake) -> list[str]:
    return sorted(lake.read(SERVED)["request_id"]) if lake.exists(SERVED) else []


def write(folder: Path, *numbers: int) -> Journal:
    journal = Journal(folder, most_bytes=PLENTY)
    journal.write([line(number) for number in numbers])
    return journal


def test_what_was_answered_is_in_the_lake_with_its_types(folder: Path, lake: ModelLake) -> None:
    journal = write(folder, 1, 2)
    journal.write([line(3, status="withheld", risk=None, rollout=7, arm="candidate")])
    assert ship(folder, lake) == 3
    rows = lake.read(SERVED).sort_values("request_id", ignore_index=True)
    assert list(rows["risk"].isna()) == [False, False, True]
    assert rows["rollout"].tolist()[2] == 7
    assert pd.api.types.is_numeric_dtype(rows[CONTRACT.row])
    assert set(rows[SERVED_ON]) == {"2026-03-01", "2026-03-02"}


def test_shipping_again_ships_only_what_is_new(folder: Path, lake: ModelLake) -> None:
    journal = write(folder, 1)
    ship(folder, lake)
    assert ship(folder, lake) == 0
    journal.write([line(2)])
    assert ship(folder, lake) == 1
    assert shipped(lake) == ["r1", "r2"]


def test_files_are_deleted_once_nobody_writes_them_and_all_is_shipped(folder: Path, lake: ModelLake) -> None:
    journal = write(folder, 1)
    ship(folder, lake)
    assert list(folder.glob("*.jsonl"))
    journal.turn()
    ship(folder, lake)
    assert not list(folder.glob("*.jsonl"))
    journal.write([line(2)])
    assert ship(folder, lake) == 1


def test_a_worker_that_was_killed_loses_nothing_that_it_answered(folder: Path, lake: ModelLake) -> None:
    worker = FORKING.Process(target=_answer_and_die, args=(folder,))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert ship(folder, lake) == 2
    ship(folder, lake)
    assert shipped(lake) == ["r1", "r2"]
    assert not list(folder.glob("*.jsonl"))


def _answer_and_die(folder: Path) -> None:
    write(folder, 1, 2)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_line_that_was_cut_off_was_never_answered_and_stops_nothing(folder: Path, lake: ModelLake) -> None:
    write(folder, 1).turn()
    (file,) = folder.glob("*.jsonl")
    with file.open("ab") as cut:
        cut.write(b'{"request_id": "r2", "ri')
    assert ship(folder, lake) == 1
    ship(folder, lake)
    assert not list(folder.glob("*.jsonl"))


def test_a_file_that_is_being_deleted_takes_no_lines(folder: Path, lake: ModelLake) -> None:
    """A worker that has just made its file and not yet locked it waits, and then sees that the file is gone."""
    folder.mkdir()
    made = os.open(folder / "1-new.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def lock() -> None:
        with pytest.raises(BlockingIOError):
            fcntl.flock(made, fcntl.LOCK_SH | fcntl.LOCK_NB)

    with meanwhile("journal: finished file found", lock):
        ship(folder, lake)
    assert os.fstat(made).st_nlink == 0
    os.close(made)


@pytest.mark.parametrize("finished", [True, False])
def test_more_than_goes_into_one_commit_is_shipped_part_by_part_whole(
    folder: Path, lake: ModelLake, finished: bool
) -> None:
    """Also where the room that is left in a commit is less than a line of the next file."""
    journals = [Journal(folder, most_bytes=PLENTY) for _ in range(3)]
    for place, journal in enumerate(journals):
        for number in range(3000):
            journal.write([line(10_000 * place + number, reasons="r" * (600 + number % 7))])
        if finished:
            journal.turn()
    assert ship(folder, lake) == 9000
    rows = lake.read(SERVED)
    assert len(rows) == rows["request_id"].nunique() == 9000
    assert lake.open(SERVED).version() > 2
    assert bool(list(folder.glob("*.jsonl"))) is not finished


STEPS = [
    "journal: intention noted",
    "lake: served_predictions about to be added to",
    "lake: served_predictions added to",
    "journal: shipped",
]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_every_line_is_in_the_lake_once(folder: Path, lake: ModelLake, step: str) -> None:
    write(folder, 1, 2).turn()
    shipper = FORKING.Process(target=_ship_until, args=(folder, lake.root, step))
    shipper.start()
    shipper.join()
    assert shipper.exitcode == -signal.SIGKILL
    write(folder, 3)
    ship(folder, lake)
    assert shipped(lake) == ["r1", "r2", "r3"]


def _ship_until(folder: Path, root: Path, step: str) -> None:
    listen(step)
    ship(folder, ModelLake(root, CONTRACT))


def test_lines_that_have_no_room_are_counted_and_the_others_stay(folder: Path, lake: ModelLake) -> None:
    journal = Journal(folder, most_bytes=600)
    for number in range(5):
        journal.write([line(number)])
    assert journal.dropped > 0
    assert journal.written + journal.dropped == 5
    assert ship(folder, lake) == journal.written


def test_a_disk_that_takes_nothing_more_fails_no_request(folder: Path, lake: ModelLake) -> None:
    worker = FORKING.Process(target=_answer_on_a_full_disk, args=(folder,))
    worker.start()
    worker.join()
    assert worker.exitcode == 0
    assert ship(folder, lake) == 1
    assert shipped(lake) == ["r1"]


def _answer_on_a_full_disk(folder: Path) -> None:
    import resource

    journal = write(folder, 1)
    (file,) = folder.glob("*.jsonl")
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    # Room for a part of the next line: a part must not stay.
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 20, resource.RLIM_INFINITY))
    journal.write([line(2)])
    assert (journal.written, journal.dropped) == (1, 1)
    os._exit(0)


def test_the_table_says_how_far_shipping_came_whoever_ships(folder: Path, lake: ModelLake) -> None:
    write(folder, 1)
    ship(folder, lake)
    lake.append(SERVED, lake.read(SERVED), partition=SERVED_ON, writer="another", position=1)
    lake.append(SERVED, lake.read(SERVED), partition=SERVED_ON, writer="another", position=1)
    assert shipped(lake) == ["r1", "r1"]
    assert lake.written_until(SERVED, "another") == 1
    assert lake.written_until(SERVED, "nobody") == 0
