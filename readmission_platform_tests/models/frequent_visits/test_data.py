"""Who is studied, in which order, and in which groups."""

import pandas as pd
import pytest

from readmission_platform.intake.sources import SourceRequest
from readmission_platform.models.frequent_visits import CONTRACT

KEY = b"a key that is only used in tests"


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return CONTRACT.sources["rand"].load(SourceRequest()).frame


@pytest.fixture(scope="module")
def cohort(raw: pd.DataFrame) -> pd.DataFrame:
    return CONTRACT.data.cohort(raw, key=KEY, replay_share=0.1)


def test_infants_are_left_out_and_everybody_else_is_in(raw: pd.DataFrame, cohort: pd.DataFrame) -> None:
    assert CONTRACT.data.flow(raw, cohort) == {
        "enrolments in the source": 20_190,
        "excluded: in the first year of life": 390,
        "added: matured enrolments that are not in the source": 0,
        "eligible enrolments": 19_800,
        "eligible persons": 5_801,
        "development (first part of the clock)": 17_820,
        "development (matured enrolments)": 0,
        "replay stream (set aside)": 1_980,
    }
    assert cohort["age"].min() == 1


def test_years_of_the_contract_are_the_clock_and_places_are_mixed_within_one(
    raw: pd.DataFrame, cohort: pd.DataFrame
) -> None:
    assert cohort["contract_year"].is_monotonic_increasing
    # The first digit of a person's number is the place; each day of 25 holds several of the six.
    place = raw.set_index("person_year_id")["person_id"].loc[cohort["person_year_id"]] // 100_000
    days = [place.iloc[start : start + 25].nunique() for start in range(0, 19_800, 25)]
    assert min(days) >= 3


def test_the_order_hangs_on_no_key(raw: pd.DataFrame, cohort: pd.DataFrame) -> None:
    other = CONTRACT.data.cohort(raw, key=b"another", replay_share=0.1)
    assert other["person_year_id"].equals(cohort["person_year_id"])


def test_groups_are_those_of_the_schema_and_hold_everybody(cohort: pd.DataFrame) -> None:
    groups = CONTRACT.data.subgroups(cohort)
    assert groups.notna().all().all()
    assert {name: sorted(groups[name].unique()) for name in groups} == {
        "sex": ["female", "male"],
        "self_rated_health": ["excellent", "fair or poor", "good"],
        "plan": ["cost sharing", "free care"],
    }


def test_matured_enrolments_come_after_the_source_s_own_in_the_order_of_their_days(cohort: pd.DataFrame) -> None:
    replayed = cohort[cohort["part"] == "replay"].head(3)
    delivered = replayed.drop(columns=["clock", "part"]).assign(start_date=["2024-03-01", "2024-02-01", "2024-03-01"])
    joined = CONTRACT.data.with_matured(cohort, delivered)
    added = joined[joined["start_date"].notna()]
    assert added["start_date"].tolist() == ["2024-02-01", "2024-03-01", "2024-03-01"]
    assert (added["part"] == "development").all()
    assert added.index.min() == 17_820
    assert (joined.loc[added.index.max() + 1 :, "part"] == "replay").all()
    raw = CONTRACT.sources["rand"].load(SourceRequest()).frame
    flow = CONTRACT.data.flow(raw, joined)
    assert flow["development (matured enrolments)"] == 3
    assert flow["added: matured enrolments that are not in the source"] == 0


def test_the_year_before_puts_those_it_knows_nothing_of_between_the_others(cohort: pd.DataFrame) -> None:
    inputs = CONTRACT.data.inputs_of(cohort, cohort)
    scores = CONTRACT.data.baselines(inputs, cohort[CONTRACT.outcome].to_numpy(), None, fitted=False)["year_before"]
    first = cohort["contract_year"] == 1
    assert set(scores[first]) == {0.2}
    assert set(scores) == {0.0, 0.2, 1.0}
