"""Tables that are added to all the time: their files are put together, and nobody notices."""

import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from readmission_platform.storage.compaction import compact
from readmission_platform.storage.lake import Lake

DAY = "discharge_date"


def day(key: str, *values: int) -> pd.DataFrame:
    return pd.DataFrame({"number": list(values), DAY: key})


@settings(max_examples=15, deadline=None)
@given(
    parts=st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 5)), min_size=1, max_size=10),
    closed=st.sets(st.sampled_from("abcd")),
)
def test_partitions_put_together_hold_the_same_rows_and_every_version_before_stays(
    parts: list[tuple[str, int]], closed: set[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        for place, (key, count) in enumerate(parts, start=1):
            rows = day(key, *range(place * 10, place * 10 + count))
            lake.append("added", rows, partition=DAY, writer="one", position=place)
        before, version = lake.read("added"), lake.open("added").version()
        files = Counter(key for key, _ in parts)
        assert compact(lake, "added", sorted(closed)) == sorted(key for key in closed if files[key] > 1)
        pd.testing.assert_frame_equal(*(each.sort_values("number", ignore_index=True)
                                        for each in (before, lake.read("added"))))  # fmt: skip
        pd.testing.assert_frame_equal(lake.read("added", version=version), before)
        live = Counter(Path(uri).parent.name.removeprefix(f"{DAY}=") for uri in lake.open("added").file_uris())
        assert live == {key: 1 if key in closed else count for key, count in files.items()}
        # Whoever adds goes on where they were, and what is added twice is there once.
        lake.append("added", day("a", 1), partition=DAY, writer="one", position=len(parts))
        assert lake.written_until("added", "one") == len(parts)
        lake.append("added", day("a", 1), partition=DAY, writer="one", position=len(parts) + 1)
        assert len(lake.read("added")) == len(before) + 1
        assert compact(lake, "added", []) == []


def test_rows_added_while_partitions_are_put_together_are_all_there(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append("added", day("a", 0), partition=DAY, writer="one", position=1)

    def add(count: int) -> None:
        for place in range(1, count):
            lake.append("added", day("a", place), partition=DAY, writer="one", position=place + 1)

    with ThreadPoolExecutor(1) as others:
        adding = others.submit(add, 60)
        together = 0
        while not adding.done():
            together += len(compact(lake, "added", ["a"]))
        adding.result()
    assert together > 1
    assert sorted(lake.read("added")["number"]) == list(range(60))
