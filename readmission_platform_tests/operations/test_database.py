"""The operations database: made once, each run in it once, work taken by one at a time; on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import pytest
import sqlalchemy as sa

from readmission_platform.foundation.database import Migration
from readmission_platform.foundation.errors import BadInput, Unavailable
from readmission_platform.operations import schema
from readmission_platform.operations.database import CLAIM, Audit, Operations, enter_run
from readmission_platform.operations.names import ModelNames
from readmission_platform.operations.observed_runs import AssetSeen, RunSeen
from readmission_platform.operations.schema import SCHEMA_VERSION, meta, metadata

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAMES = ModelNames({"a": "a", "b": "b"})


@pytest.fixture
def operations(ledger_url: str) -> Iterator[Operations]:
    with Operations(ledger_url, now=NOON) as opened:
        yield opened


def enter(operations: Operations, run_id: str, *, minutes: float = 0, model: str = "a") -> bool:
    run = RunSeen(
        run_id=run_id,
        job=NAMES.of_job(f"{model}_scoring_job", model),
        status="failure",
        started_at=NOON,
        ended_at=NOON + timedelta(minutes=minutes),
        actor="somebody",
        trigger="person",
        assets=(
            AssetSeen(NAMES.of_asset(f"{model}/daily_predictions"), "made", "2026-03-01", "2026-03-01", NOON, 2.0, 27),
        ),
    )
    with operations.writing() as connection:
        return enter_run(connection, run, code_version="c", quiet=False, audit=Audit("run_failed", {}), now=NOON)


def test_it_is_made_once_and_knows_when(ledger_url: str):
    with Operations(ledger_url, now=NOON) as first, Operations(ledger_url, now=NOON + timedelta(days=1)) as second:
        assert first.created_at == second.created_at == NOON


def test_processes_that_make_it_together_all_find_it_made(ledger_url: str):
    together = Barrier(4)

    def make(_: int) -> datetime:
        together.wait()
        with Operations(ledger_url, now=NOON) as made:
            return made.created_at

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(make, range(4))) == {NOON}


def test_a_database_of_an_older_release_is_migrated_and_keeps_what_is_in_it(
    operations: Operations, ledger_url: str, monkeypatch: pytest.MonkeyPatch
):
    enter(operations, "a")
    add = ("ALTER TABLE observed_runs ADD COLUMN host TEXT",)
    monkeypatch.setattr(schema, "MIGRATIONS", (Migration(SCHEMA_VERSION + 1, sqlite=add, postgresql=add),))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)
    for _ in range(2):  # the second time there is nothing to do
        with Operations(ledger_url) as migrated, migrated.reading() as connection:
            row = connection.execute(sa.text("SELECT run_id, host FROM observed_runs")).one()
            version = connection.execute(sa.select(meta.c.schema_version)).scalar_one()
        assert (row.run_id, row.host, version) == ("a", None, SCHEMA_VERSION + 1)


def test_a_database_of_a_newer_release_is_left_alone(operations: Operations, ledger_url: str):
    with operations.writing() as connection:
        connection.execute(sa.update(meta).values(schema_version=SCHEMA_VERSION + 1))
    with pytest.raises(Unavailable, match="upgrade it"):
        Operations(ledger_url)


def test_a_run_is_entered_once(operations: Operations):
    assert enter(operations, "a")
    assert not enter(operations, "a")
    assert len(operations.asset_runs()) == len(operations.runs()) == 1
    assert operations.not_observed(["b", "a", "c"]) == ["b", "c"]


def test_a_run_that_is_not_wholly_entered_is_not_entered_at_all(operations: Operations):
    def interrupted() -> None:
        same = (AssetSeen(NAMES.of_asset("x"), "made"),) * 2
        run = RunSeen("a", NAMES.of_job("j", None), "success", NOON, NOON, "somebody", "person", assets=same)
        with operations.writing() as connection:
            enter_run(connection, run, code_version="c", quiet=False, audit=None, now=NOON)

    with pytest.raises(Exception, match="operations database"):
        interrupted()  # the same asset twice
    assert operations.not_observed(["a"]) == ["a"]


def test_what_is_to_be_done_is_taken_by_one_and_by_another_only_when_that_one_is_gone(operations: Operations):
    for number, run_id in enumerate("abc"):
        enter(operations, run_id, minutes=-number)
    first = operations.claim("audit", now=NOON, limit=2)
    assert [row["run_id"] for row in first] == ["c", "b"]  # the oldest first
    assert [row["run_id"] for row in operations.claim("audit", now=NOON, limit=9)] == ["a"]
    operations.done("audit", ["c"])
    operations.release("audit", ["a"])
    assert [row["run_id"] for row in operations.claim("audit", now=NOON, limit=9)] == ["a"]
    late = operations.claim("audit", now=NOON + CLAIM + timedelta(seconds=1), limit=9)
    assert [row["run_id"] for row in late] == ["b", "a"]
    # Another duty is another matter.
    assert len(operations.claim("track", now=NOON, limit=9)) == 3


def test_the_last_timed_run_of_an_asset_is_that_of_its_model(operations: Operations):
    assert operations.last_asset_run("daily_predictions", model="a") is None
    enter(operations, "1")
    enter(operations, "2", model="b")
    last = operations.last_asset_run("daily_predictions", model="a")
    assert last is not None
    assert (last["run_id"], last["asset_key"], last["seconds"], last["rows"]) == ("1", "a/daily_predictions", 2.0, 27)
    assert operations.last_asset_run("daily_predictions", model="c") is None


def test_runs_are_found_by_their_model(operations: Operations):
    enter(operations, "1")
    enter(operations, "2", model="b")
    assert [(run["run_id"], run["model"], run["job"]) for run in operations.runs()] == [
        ("1", "a", "scoring_job"),
        ("2", "b", "scoring_job"),
    ]
    assert [run["run_id"] for run in operations.runs(model="b")] == ["2"]
    assert [run["run_id"] for run in operations.asset_runs(model="b")] == ["2"]
    assert len(operations.asset_runs()) == 2


def test_marks_are_kept(operations: Operations):
    assert operations.mark("runs") is None
    operations.set_mark("runs", "1")
    operations.set_mark("runs", "2")
    assert operations.mark("runs") == "2"


def test_its_errors_name_it_and_no_password(tmp_path: Path):
    with pytest.raises(BadInput, match="operations database cannot live in mysql"):
        Operations("mysql://u@h/d")
    blocked = tmp_path / "a file"
    blocked.touch()
    with pytest.raises(Unavailable) as gone:
        Operations(f"sqlite:///{blocked / 'operations.db'}")
    assert "pass" not in str(gone.value)
    with pytest.raises(Unavailable) as unreached:
        Operations("postgresql://u:passw0rd@127.0.0.1:1/d")
    assert "operations database" in str(unreached.value)
    assert "passw0rd" not in str(unreached.value)


def test_no_table_has_a_place_for_a_message_of_an_error_or_an_address():
    columns = {f"{table.name}.{column.name}" for table in metadata.sorted_tables for column in table.columns}
    assert not [name for name in columns if any(word in name for word in ("message", "url", "traceback", "stack"))]
