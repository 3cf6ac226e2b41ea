"""The lake: versions are whole, kept, and never overwritten in part."""

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from pyarrow import compute

from readmission_platform.config.environment import Settings
from readmission_platform.foundation.frames import frame_digest
from readmission_platform.lifecycle.workspace import Platform
from readmission_platform.resources.lake import LakeIOManager
from readmission_platform.storage.lake import Lake, TableDamaged, TableMissing
from readmission_platform_tests.support.homes import MODEL

DAY = "discharge_date"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake" / MODEL)


def frame(*values: int, source: str = "synthetic") -> pd.DataFrame:
    made = pd.DataFrame({"number": list(values), "text": [f"row {value}" for value in values]})
    made.attrs = {"source": source}
    return made


def day(key: str, *values: int) -> pd.DataFrame:
    return frame(*values).assign(**{DAY: key})


def test_a_frame_comes_back_as_it_was_written_with_its_attrs(lake: Lake) -> None:
    rows = pd.DataFrame(
        {
            "whole": np.array([1, 2], dtype="int64"),
            "small": np.array([0, 1], dtype="int8"),
            "real": [0.1, np.nan],
            "flag": [True, False],
            "text": pd.Series(["None", None], dtype=object),
            "nothing": pd.Series([None, None], dtype=object),
        }
    )
    rows.attrs = {"source": "synthetic", "seed": 7}
    written = lake.write("table", rows)
    back = lake.read("table")
    pd.testing.assert_frame_equal(back, rows)
    assert back.attrs == rows.attrs
    assert frame_digest(back) == written.digest == lake.commit_metadata("table")["readmission.digest"]


def files_of(table: Path) -> list[Path]:
    return sorted(table.rglob("*.parquet"))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "its rows are something else": lambda table: [file.write_bytes(b"x") for file in files_of(table)],
    "its rows are empty files": lambda table: [file.write_bytes(b"") for file in files_of(table)],
    "its rows are gone": lambda table: [file.unlink() for file in files_of(table)],
    "a commit is cut off": lambda table: (table / "_delta_log" / f"{1:020d}.json").write_text('{"'),
    "a commit is gone": lambda table: (table / "_delta_log" / f"{0:020d}.json").unlink(),
    "a file is in its place": lambda table: (shutil.rmtree(table), table.write_text("x")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_table_says_in_one_line_what_to_restore(lake: Lake, damage: str):
    for key in ("2024-01-01", "2024-01-02"):
        lake.write("days", day(key, 1, 2), partition=(DAY, [key]))
    DAMAGE[damage](lake.root / "days")
    with pytest.raises(TableDamaged, match=r"^the lake's table 'days' is damaged: restore its folder .+$") as raised:
        lake.read("days")
    assert raised.value.exit_code == 5


@pytest.mark.parametrize("damage", ["its log is gone", "a file is in its place"])
def test_rows_without_their_log_are_not_hidden_by_a_new_table(lake: Lake, damage: str):
    lake.write("days", day("2024-01-01", 1, 2), partition=(DAY, ["2024-01-01"]))
    DAMAGE.get(damage, lambda table: shutil.rmtree(table / "_delta_log"))(lake.root / "days")
    with pytest.raises(TableDamaged):
        lake.write("days", day("2024-01-02", 3), partition=(DAY, ["2024-01-02"]))


def test_the_days_that_have_rows_are_told_without_reading_any(lake: Lake) -> None:
    for key, values in (("2024-01-01", (1, 2)), ("2024-01-02", (3,)), ("2024-01-03", (4,))):
        lake.write("days", day(key, *values), partition=(DAY, [key]))
    lake.write("days", day("2024-01-02", 3).head(0), partition=(DAY, ["2024-01-02"]))
    for file in files_of(lake.root / "days"):
        file.write_bytes(b"")
    assert lake.partitions("days") == {"2024-01-01", "2024-01-03"}
    with pytest.raises(TableMissing):
        lake.partitions("nothing")


def test_rows_are_found_by_any_column_whichever_ones_are_said_to_be_looked_for(tmp_path: Path) -> None:
    for sought in ((), ("number",), ("nobody",)):
        lake = Lake(tmp_path / "-".join(("lake", *sought)), sought=sought)
        for key, values in (("2024-01-01", (1, 2)), ("2024-01-02", (2, 3)), ("2024-01-03", (4,))):
            lake.write("days", day(key, *values), partition=(DAY, [key]))
        among = lake.read("days", kept=compute.field("number") == 2)
        assert sorted(among[DAY]) == ["2024-01-01", "2024-01-02"]


def test_each_change_is_a_version_and_earlier_ones_stay_readable(lake: Lake) -> None:
    versions = [lake.write("table", frame(*range(count))).version for count in (1, 2, 3)]
    assert versions == [0, 1, 2]
    assert [len(lake.read("table", version=version)) for version in versions] == [1, 2, 3]
    assert len(lake.read("table")) == 3


def test_the_same_content_makes_no_new_version(lake: Lake) -> None:
    first = lake.write("table", frame(1, 2), metadata={"run_id": "first"})
    again = lake.write("table", frame(1, 2), metadata={"run_id": "second"})
    assert (first.reused, again.reused) == (False, True)
    assert again.version == first.version == 0
    assert lake.commit_metadata("table")["readmission.run_id"] == "first"


def test_the_same_rows_of_another_source_are_a_new_version(lake: Lake) -> None:
    lake.write("table", frame(1, source="synthetic"))
    assert not lake.write("table", frame(1, source="uci")).reused
    assert lake.read("table").attrs == {"source": "uci"}
    assert lake.read("table", version=0).attrs == {"source": "synthetic"}


def test_going_back_to_earlier_content_is_a_version_of_its_own(lake: Lake) -> None:
    for values in ((1,), (2,), (1,)):
        lake.write("table", frame(*values))
    assert lake.open("table").version() == 2


def test_a_version_says_who_wrote_it(lake: Lake) -> None:
    lake.write("table", frame(1), metadata={"run_id": "one"})
    lake.write("table", frame(2), metadata={"run_id": "two"})
    assert lake.commit_metadata("table", 0)["readmission.run_id"] == "one"
    assert lake.commit_metadata("table")["readmission.run_id"] == "two"


def test_commits_are_kept_for_as_long_as_the_ledger_may_name_them(lake: Lake) -> None:
    lake.write("table", frame(1))
    assert lake.open("table").metadata().configuration == {"delta.logRetentionDuration": "interval 36500 days"}


def test_columns_and_types_may_change_from_one_version_of_a_table_to_the_next(lake: Lake) -> None:
    lake.write("table", frame(1))
    changed = pd.DataFrame({"number": [0.5], "more": ["x"]})
    lake.write("table", changed)
    pd.testing.assert_frame_equal(lake.read("table"), changed)


def test_only_the_partitions_named_are_replaced(lake: Lake) -> None:
    lake.write("table", pd.concat([day("d1", 1, 2), day("d2", 3)]), partition=(DAY, ["d1", "d2"]))
    lake.write("table", day("d1", 9), partition=(DAY, ["d1"]))
    lake.write("table", day("d3", 4), partition=(DAY, ["d3"]))
    rows = lake.read("table")
    assert sorted(zip(rows[DAY], rows["number"], strict=True)) == [("d1", 9), ("d2", 3), ("d3", 4)]


def test_a_partition_can_be_emptied(lake: Lake) -> None:
    lake.write("table", pd.concat([day("d1", 1, 2), day("d2", 3)]), partition=(DAY, ["d1", "d2"]))
    lake.write("table", day("d1"), partition=(DAY, ["d1"]))
    assert lake.read("table")[DAY].tolist() == ["d2"]


def test_a_partition_that_starts_empty_takes_rows_later(lake: Lake) -> None:
    lake.write("table", day("d1", 1).iloc[:0], partition=(DAY, ["d1"]))
    lake.write("table", day("d1", 1), partition=(DAY, ["d1"]))
    assert lake.read("table")["number"].tolist() == [1]


def test_rows_outside_the_partitions_being_written_are_refused_without_a_trace(lake: Lake) -> None:
    lake.write("table", day("d1", 1), partition=(DAY, ["d1"]))
    with pytest.raises(ValueError, match="1 other values") as caught:
        lake.write("table", pd.concat([day("d1", 2), day("secret", 3)]), partition=(DAY, ["d1"]))
    assert "secret" not in str(caught.value)
    assert lake.read("table")["number"].tolist() == [1]
    assert lake.open("table").version() == 0


def test_a_value_that_does_not_fit_the_stored_column_is_refused_and_not_rounded(lake: Lake) -> None:
    lake.write("table", day("d1", 1), partition=(DAY, ["d1"]))
    with pytest.raises(ValueError, match="column number holds values that are not int64") as caught:
        lake.write("table", day("d1", 2).assign(number=7.25), partition=(DAY, ["d1"]))
    assert "7.25" not in str(caught.value)
    assert caught.value.__suppress_context__
    assert lake.read("table")["number"].tolist() == [1]
    lake.write("table", day("d1", 2).assign(number=7.0), partition=(DAY, ["d1"]))
    assert lake.read("table")["number"].tolist() == [7]


def test_a_column_that_is_new_is_missing_in_older_partitions(lake: Lake) -> None:
    lake.write("table", day("d1", 1), partition=(DAY, ["d1"]))
    lake.write("table", day("d2", 2).assign(band="high"), partition=(DAY, ["d2"]))
    rows = lake.read("table").set_index(DAY)["band"]
    assert rows.to_dict() == {"d1": None, "d2": "high"}


def test_a_quotation_mark_in_a_partition_value_is_a_character_like_any_other(lake: Lake) -> None:
    for number in (1, 2):
        lake.write("table", day("o'clock", number), partition=(DAY, ["o'clock"]))
    assert lake.read("table", where={DAY: ["o'clock"]})["number"].tolist() == [2]


def test_rows_and_columns_can_be_chosen(lake: Lake) -> None:
    lake.write("table", pd.concat([day("d1", 1, 2), day("d2", 3)]), partition=(DAY, ["d1", "d2"]))
    chosen = lake.read("table", columns=["number"], where={DAY: ["d1"], "text": ["row 2", "row 3"]})
    assert chosen.to_dict("list") == {"number": [2]}
    assert lake.read("table", where={DAY: []}).empty
    assert lake.read("table", where={DAY: ["d9"]}).empty
    assert set(lake.read("table", kept=compute.field("number") >= 2)["number"]) == {2, 3}


def test_no_python_object_is_in_the_hands_of_arrow_s_threads_when_the_interpreter_ends(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.write("table", day("d1", 1, 2), partition=(DAY, ["d1"]))
    monkeypatch.setattr("deltalake.fs.DeltaStorageHandler.from_table", None)  # through which Delta reads by itself
    assert lake.read("table", where={DAY: ["d1"]})["number"].tolist() == [1, 2]


def test_a_table_or_version_that_is_not_there_is_named(lake: Lake) -> None:
    assert not lake.exists("table")
    with pytest.raises(TableMissing, match="no table 'table'"):
        lake.read("table")
    lake.write("table", frame(1))
    with pytest.raises(TableMissing, match="no version 9 of 'table'"):
        lake.read("table", version=9)


def test_the_digest_depends_on_content_and_not_on_storage() -> None:
    rows = pd.DataFrame({"text": pd.Series(["a", None, "None"], dtype=object), "number": [1, 2, 3]})
    digest = frame_digest(rows)
    for storage in ("string", "string[pyarrow]", "category"):
        assert frame_digest(rows.astype({"text": storage})) == digest, storage
    assert frame_digest(rows.assign(text=["a", np.nan, "None"])) == digest
    assert frame_digest(rows.set_axis([7, 8, 9])) == digest


@pytest.mark.parametrize(
    "changed",
    [
        pd.DataFrame({"text": ["a", "None", "None"], "number": [1, 2, 3]}),
        pd.DataFrame({"text": ["a", None, "None"], "number": [1, 2, 4]}),
        pd.DataFrame({"text": ["a", None, "None"], "other": [1, 2, 3]}),
        pd.DataFrame({"number": [1, 2, 3], "text": ["a", None, "None"]}),
        pd.DataFrame({"text": [None, "a", "None"], "number": [2, 1, 3]}),
        pd.DataFrame({"text": ["a", None], "number": [1, 2]}),
    ],
    ids=["missing is not None", "value", "name", "order of columns", "order of rows", "fewer rows"],
)
def test_the_digest_changes_with_the_content(changed: pd.DataFrame) -> None:
    rows = pd.DataFrame({"text": ["a", None, "None"], "number": [1, 2, 3]})
    assert frame_digest(changed) != frame_digest(rows)


@pytest.mark.parametrize("attempt", range(3))
def test_writers_of_distinct_partitions_all_succeed_even_as_the_table_is_made(lake: Lake, attempt: int) -> None:
    days = [f"2024-01-{number:02d}" for number in range(1, 5)]
    with ThreadPoolExecutor(len(days)) as pool:
        written = list(pool.map(lambda key: lake.write("table", day(key, 1, 2), partition=(DAY, [key])), days))
    assert sorted(each.version for each in written) == [0, 1, 2, 3]
    assert sorted(lake.read("table")[DAY]) == sorted(days * 2)


def test_writers_of_one_partition_leave_the_rows_of_one_of_them(lake: Lake) -> None:
    lake.write("table", day("d1", 0), partition=(DAY, ["d1"]))
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: lake.write("table", day("d1", number), partition=(DAY, ["d1"])), (1, 2)))
    assert lake.read("table")["number"].tolist() in ([1], [2])


WRITER = """
import sys
from pathlib import Path
import pandas as pd
from readmission_platform.storage.lake import Lake
lake = Lake(Path(sys.argv[1]))
for round in range(1, 10_000):
    lake.write("table", pd.DataFrame({"round": [round] * 50_000}))
    if round == 1:
        print("writing", flush=True)
"""


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_one_content_whole(tmp_path: Path) -> None:
    writers = []
    for number in range(3):
        Lake(tmp_path / str(number)).write("table", pd.DataFrame({"round": [0] * 50_000}))
        command = [sys.executable, "-c", WRITER, str(tmp_path / str(number))]
        writers.append(subprocess.Popen(command, stdout=subprocess.PIPE))
    moment = random.Random(4)
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        time.sleep(moment.uniform(0.05, 0.3))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    rounds = []
    for number in range(3):
        lake = Lake(tmp_path / str(number))
        (content,) = lake.read("table")["round"].value_counts().to_dict().items()
        assert content[1] == 50_000
        rounds.append(content[0])
        lake.write("table", pd.DataFrame({"round": [-1]}))
        assert lake.read("table")["round"].tolist() == [-1]
    assert min(rounds) > 0


def test_assets_are_stored_and_loaded_whole_or_by_day_with_what_was_written_in_the_metadata(lake: Lake) -> None:
    daily = dg.StaticPartitionsDefinition(["d1", "d2"])

    @dg.asset
    def upstream() -> pd.DataFrame:
        return frame(1, 2)

    @dg.asset(partitions_def=daily, metadata={"partition_column": DAY})
    def discharges(context: dg.AssetExecutionContext, upstream: pd.DataFrame) -> pd.DataFrame:
        return upstream.assign(**{DAY: context.partition_key})

    @dg.asset(partitions_def=daily, metadata={"partition_column": DAY})
    def predictions(discharges: pd.DataFrame) -> pd.DataFrame:
        assert discharges[DAY].nunique() == 1
        return discharges.assign(risk=0.1)

    assets = [upstream, discharges, predictions]
    resources = {"io_manager": LakeIOManager(Platform(Settings(home=lake.root.parents[1])))}
    instance = dg.DagsterInstance.ephemeral()
    results = [
        dg.materialize(assets, resources=resources, partition_key=key, instance=instance) for key in ("d1", "d2")
    ]
    assert all(result.success for result in results)
    assert sorted(lake.read("predictions")[DAY]) == ["d1", "d1", "d2", "d2"]
    assert lake.open("upstream").version() == 0
    (written,) = results[1].asset_materializations_for_node("predictions")
    # Rounded: beside the rows received of a day it would tell how many were set aside.
    assert written.metadata["dagster/row_count"].value == 25
    assert written.metadata["rows"].value == "about 25 (to the nearest 25), all days of the run"
    assert written.metadata["lake_version"].value == 1
    assert lake.commit_metadata("predictions", 1)["readmission.run_id"] == results[1].run_id
