"""Dagster's storage in the home: it is Dagster's own in all but its engines."""

from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

from readmission_platform.config.environment import PROJECT_ROOT
from readmission_platform.resources.run_storage import SqliteStorage

DAYS = dg.StaticPartitionsDefinition([f"day{number}" for number in range(5)])


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def listed(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    return dg.MaterializeResult(check_results=[], tags={"of": "test"})


@dg.asset_check(asset=listed)
def complete() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


JOB = dg.Definitions(
    [listed], asset_checks=[complete], jobs=[dg.define_asset_job("job", dg.AssetSelection.all())]
).resolve_job_def("job")


def run(instance: dg.DagsterInstance) -> str:
    days = {"dagster/asset_partition_range_start": "day0", "dagster/asset_partition_range_end": "day4"}
    return JOB.execute_in_process(instance=instance, tags=days).run_id


def seen(instance: dg.DagsterInstance, run_id: str) -> dict[str, object]:
    """Everything that the UI asks for of a run and its asset."""
    record = instance.get_run_record_by_id(run_id)
    assert record is not None
    return {
        "status": record.dagster_run.status,
        "events": [entry.dagster_event_type for entry in instance.all_logs(run_id)],
        "days": sorted(instance.get_materialized_partitions(listed.key)),
        "tags": dict(instance.get_event_tags_for_asset(listed.key)[0]),
        "checks": [each.status for each in instance.event_log_storage.get_asset_check_execution_history(
            complete.check_key, limit=5)],
        "runs": [each.run_id for each in instance.get_runs()],
    }  # fmt: skip


def tables_of(path: Path) -> list[str]:
    return sorted(sa.inspect(sa.create_engine(f"sqlite:///{path}")).get_table_names())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")
    return tmp_path


def ours(home: Path) -> dg.DagsterInstance:
    (home / "dagster.yaml").write_bytes((PROJECT_ROOT / "dagster.yaml").read_bytes())
    instance = dg.DagsterInstance.get()
    assert type(instance.event_log_storage) is not SqliteEventLogStorage
    return instance


def test_what_one_of_the_two_storages_has_written_the_other_reads(home: Path):
    with dg.DagsterInstance.get() as own:
        assert type(own.event_log_storage) is SqliteEventLogStorage
        first = run(own)
        with ours(home) as kept:
            assert seen(kept, first) == seen(own, first)
            second = run(kept)
            assert seen(kept, second) == seen(own, second)
            events = seen(kept, second)["events"]
        assert sorted(map(str, events)) == sorted(map(str, seen(own, first)["events"]))


def test_in_a_new_home_it_makes_the_databases_that_dagster_would(tmp_path: Path):
    laid = {}
    for name, storage in (("own", DagsterSqliteStorage), ("ours", SqliteStorage)):
        storage(str(tmp_path / name)).dispose()
        databases = sorted((tmp_path / name).rglob("*.db"))
        laid[name] = {str(path.relative_to(tmp_path / name)): tables_of(path) for path in databases}
    assert laid["ours"] == laid["own"] != {}


def test_a_run_of_many_events_opens_one_engine_for_each_database(home: Path):
    with ours(home) as instance:
        run(instance)
        used: set[sa.Engine] = set()
        opened: set[str] = set()

        def note(connection: sa.Connection) -> None:
            used.add(connection.engine)
            opened.add(str(connection.engine.url))

        sa.event.listen(sa.Engine, "engine_connect", note)
        try:
            run_id = run(instance)
        finally:
            sa.event.remove(sa.Engine, "engine_connect", note)
    assert any(run_id in url for url in opened)
    assert len(used) == len(opened)
