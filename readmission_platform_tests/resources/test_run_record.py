"""Dagster's databases while a command keeps them open: nothing is lost, and everybody else reads and writes as ever."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from readmission_platform.resources.run_record import kept_open


def add(folder: Path, name: str = "runs.db", value: int = 1) -> None:
    """Open a database, write one row and close it again, as Dagster does for an event."""
    engine = sa.create_engine(f"sqlite:///{folder / name}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS events (value INTEGER)")
        connection.execute(sa.text("INSERT INTO events VALUES (:value)"), {"value": value})
    engine.dispose()


def values(folder: Path, name: str = "runs.db") -> list[int]:
    with sqlite3.connect(folder / name) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM events ORDER BY value")]


def test_a_database_stays_open_between_two_events_and_is_closed_at_the_end(tmp_path: Path):
    log = tmp_path / "runs.db-wal"
    with kept_open(tmp_path):
        add(tmp_path, value=1)  # makes the database, which only then is in the mode that needs no closing
        add(tmp_path, value=2)
        assert log.exists()
        add(tmp_path, value=3)
    assert not log.exists()
    assert values(tmp_path) == [1, 2, 3]


def test_afterwards_and_elsewhere_databases_are_closed_as_ever(tmp_path: Path):
    ours, other = tmp_path / "ours", tmp_path / "other"
    for folder in (ours, other):
        folder.mkdir()
    with kept_open(ours):
        add(other)
        assert not (other / "runs.db-wal").exists()
    add(ours)
    assert not (ours / "runs.db-wal").exists()


def test_another_process_reads_and_writes_meanwhile(tmp_path: Path):
    program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])"
    with kept_open(tmp_path):
        add(tmp_path, value=1)
        insert = [sys.executable, "-c", program, tmp_path / "runs.db", "INSERT INTO events VALUES (2)"]
        subprocess.run(insert, check=True)
        add(tmp_path, value=3)
        assert values(tmp_path) == [1, 2, 3]


def test_a_process_that_is_killed_loses_nothing(tmp_path: Path):
    program = f"""
import os, sys
from pathlib import Path
from readmission_platform.resources.run_record import kept_open
from {__name__} import add
with kept_open(Path(sys.argv[1])):
    for value in range(50):
        add(Path(sys.argv[1]), value=value)
    os.kill(os.getpid(), 9)
"""
    killed = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=Path(__file__).parents[2])
    assert killed.returncode == -9
    assert values(tmp_path) == list(range(50))


@pytest.mark.parametrize("databases", [40])
def test_many_runs_do_not_pile_up_open_files(tmp_path: Path, databases: int):
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    with kept_open(tmp_path):
        for number in range(databases):
            add(tmp_path, f"run{number}.db")
        if before:
            assert len(list(Path("/proc/self/fd").iterdir())) < before + databases
    assert all(values(tmp_path, f"run{number}.db") == [1] for number in range(databases))
