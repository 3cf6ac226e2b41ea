"""What a training loads when nobody says what: the source that the home lives on."""

from pathlib import Path

import pandas as pd
from pandas.testing import assert_frame_equal

from readmission_platform_tests.support.homes import Home


def test_in_a_home_with_versions_it_is_what_the_last_one_was_trained_on(small_home: Home, tmp_path: Path):
    home = small_home.copy(tmp_path / "home")
    before = home.lake.read("raw_encounters")
    # Another cohort lies there in between, as after a look at something else.
    other = {"source": "synthetic", "rows": 500, "seed": 99}
    home.materialize("raw_encounters", ops={"raw_encounters": other})
    assert len(home.lake.read("raw_encounters")) == 500
    assert home.materialize("raw_encounters").success
    again = home.lake.read("raw_encounters")
    assert_frame_equal(pd.DataFrame(again), pd.DataFrame(before))
    assert again.attrs["source"] == "synthetic"


def test_what_is_given_counts_beside_it(small_home: Home, tmp_path: Path):
    home = small_home.copy(tmp_path / "home")
    assert home.materialize("raw_encounters", ops={"raw_encounters": {"rows": 2400}}).success
    found = home.lake.read("raw_encounters")
    assert (len(found), found.attrs["source"]) == (2400, "synthetic")


def test_in_a_new_home_it_is_the_first_source_of_the_model(tmp_path: Path):
    home = Home.new(tmp_path / "home")
    assert home.materialize("raw_encounters").success
    assert home.lake.read("raw_encounters").attrs["source"] == "synthetic"
