"""Days that hold nothing because nothing is to be made of them show as done in the UI, and say why."""

from collections.abc import Callable

import dagster as dg

from readmission_platform_tests.support.homes import Home


def test_a_day_that_no_version_was_there_for_shows_as_settled_and_says_why_it_holds_nothing(
    lived_home: Home, changing: Callable[[Home], Home]
):
    first, *_, last = lived_home.landed()
    settled = [("daily_predictions", first, "predictions", "production"), ("work_list", first, "list", "production"),
               ("shadow_predictions", last, "predictions", "staging")]  # fmt: skip
    with lived_home.instance() as instance:
        for asset, day, what, stage in settled:
            wanted = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[day])
            (record,) = instance.fetch_materializations(wanted, limit=10).records
            assert record.asset_materialization is not None
            assert record.asset_materialization.metadata[what].value == f"none: no version was in {stage}"
    assert set(lived_home.predictions()["discharge_date"]).isdisjoint({first})
    assert not (lived_home.path / "reports" / "readmission_30d" / "work_lists" / first).exists()
    # Where there is a version, a day without predictions is not settled.
    again = changing(lived_home).materialize("work_list", day=first)
    assert again.success
    assert not again.asset_materializations_for_node("work_list")
