"""A day that is delivered as FHIR resources: taken in, scored and listed as one delivered as CSV."""

import shutil
from collections.abc import Callable

import pandas as pd
import pytest

from readmission_platform.encounters.contract import ENCOUNTERS
from readmission_platform.lifecycle.days.progress import day_states
from readmission_platform.storage.tables import PREDICTIONS
from readmission_platform_tests.support.fhir import put, resources_of, side_by_side
from readmission_platform_tests.support.homes import Home


@pytest.fixture
def home(lived_home: Home, changing: Callable[[Home], Home]) -> Home:
    return changing(lived_home)


def listed(home: Home, day: str) -> pd.DataFrame:
    """What the work list is made of: risk and reasons by encounter."""
    rows = home.lake.read(PREDICTIONS, where={"discharge_date": [day]})
    told = [name for name in rows.columns if name == "risk" or name.startswith("reason")]
    assert "risk" in told
    return rows.set_index("encounter_id")[told].sort_index()


def progress(home: Home, day: str) -> str:
    with home.workspace() as workspace:
        return day_states(workspace, [day])[0].progress.value


def test_the_same_day_as_csv_parquet_and_fhir_has_the_same_risks_and_reasons_and_late_resources_are_taken_in(
    home: Home,
) -> None:
    day = home.landed()[-1]
    folder = home.path / "landing" / "discharges" / day
    cells = pd.read_csv(folder / "discharges.csv", dtype=str, keep_default_na=False)
    rows = ENCOUNTERS.parse_text(cells[list(ENCOUNTERS.columns)])
    expected = listed(home, day)

    shutil.rmtree(folder)
    folder.mkdir()
    rows.to_parquet(folder / "discharges.parquet", index=False)
    assert home.command("score", "--date", day).code == 0
    pd.testing.assert_frame_equal(listed(home, day), expected)

    shutil.rmtree(folder)
    files = side_by_side(resources_of(rows, day))
    late = files.pop("Patient.ndjson")
    put(home.path / "landing", files, day)
    outcome = home.command("score", "--date", day)
    assert (outcome.code, "Traceback" in outcome.err) == (2, False)
    assert f"nothing of {day} was accepted" in outcome.err
    assert progress(home, day) == "nothing_accepted"

    put(home.path / "landing", {"Patient.ndjson": late}, day)
    assert progress(home, day) == "to_take_in"
    assert home.command("score", "--date", day).code == 0
    assert progress(home, day) == "complete"
    pd.testing.assert_frame_equal(listed(home, day), expected)
    traced = home.command("trace", str(expected.index[0]), "--date", day, "--replay")
    assert traced.code == 0, traced.err
