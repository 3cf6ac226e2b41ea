"""A leak that is planted, in what the source delivers or in how inputs are computed, and what Dagster does about it."""

from collections.abc import Callable

import dagster as dg
import pandas as pd
import pytest

from readmission_platform.assets.model.firewall import MEASURED
from readmission_platform.models.readmission_30d.data import ReadmissionData
from readmission_platform_tests.support.homes import Home

SOURCE = {"rows": 2500, "seed": 5}
Leak = Callable[[pd.DataFrame], pd.Series]


@pytest.fixture(scope="module")
def ingested_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A small cohort is in the lake; nothing has been made of it."""
    home = Home.new(tmp_path_factory.mktemp("ingested") / "home")
    assert home.materialize("raw_encounters", "eligible_encounters", ops={"raw_encounters": SOURCE}).success
    return home


def trained_with(home: Home) -> tuple[dg.ExecuteInProcessResult, set[str]]:
    """Try to train; returns the run and which checks of the features failed."""
    result = home.materialize("encounter_features", "patient_split", "candidate_model")
    checks = [each for each in result.get_asset_check_evaluations() if each.asset_key.path == ["encounter_features"]]
    assert len(checks) == 3
    assert all(check.severity is dg.AssetCheckSeverity.ERROR for check in checks)
    return result, {check.check_name for check in checks if not check.passed}


def assert_nothing_was_trained(home: Home, result: dg.ExecuteInProcessResult) -> None:
    assert not result.success
    assert not result.asset_materializations_for_node("candidate_model")
    assert "version_trained" not in home.kinds()
    assert not (home.path / "mlartifacts").exists() or not any((home.path / "mlartifacts").iterdir())


def total(encounters: pd.DataFrame) -> pd.Series:
    return encounters.groupby("entity_key")["encounter_id"].transform("size")


def identifier(encounters: pd.DataFrame) -> pd.Series:
    return encounters["encounter_id"].rank().astype("int64")


def outcome(encounters: pd.DataFrame) -> pd.Series:
    return (encounters["readmitted"] == "<30").astype("int64")


@pytest.mark.parametrize(
    ("leak", "checks"),
    [
        # Who knows how many encounters a patient has knows a good deal of the outcome, too.
        (total, {"no_row_total", "no_identifier_or_outcome"}),
        (identifier, {"no_identifier_or_outcome"}),
        (outcome, {"no_identifier_or_outcome"}),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_leak_that_the_source_delivers_in_one_of_its_columns_stops_the_run_before_training(
    ingested_home: Home, changing: Callable[[Home], Home], leak: Leak, checks: set[str]
) -> None:
    home = changing(ingested_home)
    encounters = home.lake.read("eligible_encounters")
    planted = encounters.assign(num_lab_procedures=leak(encounters))
    planted.attrs = encounters.attrs
    home.lake.write("eligible_encounters", planted)
    result, failed = trained_with(home)
    assert failed == checks
    assert_nothing_was_trained(home, result)


def test_a_total_that_our_own_code_computes_stops_the_run_before_training(
    ingested_home: Home, changing: Callable[[Home], Home], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs_of = ReadmissionData.inputs_of

    def leaking(self: ReadmissionData, rows: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
        counted = known.groupby("entity_key")["encounter_id"].size()
        return inputs_of(self, rows, known).assign(prior_encounters=rows["entity_key"].map(counted) - 1.0)

    monkeypatch.setattr(ReadmissionData, "inputs_of", leaking)
    home = changing(ingested_home)
    result, failed = trained_with(home)
    assert failed == {"history_looks_backwards", "no_row_total", "no_identifier_or_outcome"}
    assert_nothing_was_trained(home, result)


def test_what_a_check_stopped_in_one_run_is_rejected_by_a_gate_in_the_next(
    ingested_home: Home, changing: Callable[[Home], Home]
) -> None:
    home = changing(ingested_home)
    encounters = home.lake.read("eligible_encounters")
    planted = encounters.assign(num_lab_procedures=total(encounters))
    planted.attrs = encounters.attrs
    home.lake.write("eligible_encounters", planted)
    assert not home.materialize("encounter_features", "patient_split", "candidate_model").success
    # The table is in the lake all the same: whoever selects only what comes after it trains on it.
    assert home.materialize("patient_split", "candidate_model").success
    home.materialize("validation_report")
    with home.ledger() as ledger:
        (gates,) = [event.payload["gates"] for event in ledger.events(kind="version_validated")]
    failed = {gate["gate"] for gate in gates if gate["blocks"]}
    assert {"leakage_row_total", "leakage_outcome"} <= failed


def test_a_version_without_the_measurements_of_the_firewall_is_rejected(
    ingested_home: Home, changing: Callable[[Home], Home]
) -> None:
    home = changing(ingested_home)
    assert home.materialize("encounter_features", "patient_split").success
    features = home.lake.read("encounter_features")
    features.attrs = {name: value for name, value in features.attrs.items() if name != MEASURED}
    home.lake.write("encounter_features", features)
    assert home.materialize("candidate_model").success
    home.materialize("validation_report")
    with home.ledger() as ledger:
        (gates,) = [event.payload["gates"] for event in ledger.events(kind="version_validated")]
    missing = {gate["gate"] for gate in gates if gate["blocks"] and gate["observed"] is None}
    assert {"leakage_history", "leakage_row_total", "leakage_clock", "leakage_identifiers"} <= missing
