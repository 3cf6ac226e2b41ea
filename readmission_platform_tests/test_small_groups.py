"""A group of 1 to 10 people cannot be worked out from what is shown, whatever outlets are put side by side."""

from pathlib import Path

import pytest

from readmission_platform.evaluation.estimates.rows import digest_rows
from readmission_platform.storage.tables import EVIDENCE
from readmission_platform_tests.support.bad_deliveries import clean_rows, csv
from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.outlets import (
    Said,
    said_by_csv,
    said_by_json,
    said_by_metrics,
    said_by_page,
    said_by_terminal,
    said_in_dagster,
    said_in_mlflow,
    said_of_days,
    said_of_version,
)
from readmission_platform_tests.support.small_groups import leaks_of_days, leaks_of_version, named

DAY, VERSION = "2024-02-29", "2"
TOTALS = {"n": 89_409, "positives": 10_134, "source": 101_766}


@pytest.fixture(scope="module")
def home(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with a version 2 that was judged on three rows of unknown gender, and a day with two rows set aside."""
    home = lived_home.copy(tmp_path_factory.mktemp("small_groups") / "home")
    folder = home.path / "landing" / "discharges" / DAY
    folder.mkdir(parents=True)
    cells = clean_rows(27)
    cells.loc[[3, 4], "age"] = "unheard of"
    (folder / "ward.csv").write_bytes(csv(cells))
    assert home.command("score", "--date", DAY).code == 0
    _judge_with_three_of_unknown_gender(home)
    for asset in ("drift_report", "live_performance", "monitoring_figures"):
        assert home.materialize(asset).success
    return home


def _judge_with_three_of_unknown_gender(home: Home) -> None:
    with home.workspace() as workspace, workspace.ledger() as ledger:
        trained = next(event.payload for event in ledger.events(kind="version_trained"))
        rows = workspace.lake.read(EVIDENCE).drop(columns="version")
        rows.loc[rows.index[:3], "gender"] = None
        rows["label"] = [0, 0, 1, *rows["label"].iloc[3:]]
        written = workspace.lake.write(EVIDENCE, rows.assign(version=VERSION), partition=("version", [VERSION]))
        evidence = {"table": EVIDENCE, "table_version": written.version,
                    "digest": digest_rows(rows, workspace.contract.evidence)}  # fmt: skip
        ledger.append("version_trained", {**trained, "evidence": evidence}, actor="tester", version=VERSION)
    assert home.materialize("validation_report", ops={"validation_report": {"version": VERSION}}).success


@pytest.fixture(scope="module")
def in_dagster(home: Home) -> list[Said]:
    with home.instance() as instance:
        return said_in_dagster(instance)


@pytest.mark.slow
def test_nothing_shown_of_a_version_tells_a_small_group(home: Home, in_dagster: list[Said], tmp_path: Path):
    with home.workspace() as workspace:
        evidence = workspace.lake.read(EVIDENCE, where={"version": [VERSION]})
        raw, cohort = (
            len(workspace.lake.read(name)) for name in (workspace.lake.names.raw, workspace.lake.names.cohort)
        )
    totals = {"n": len(evidence), "positives": int(evidence["label"].sum()), "source": raw, "cohort": cohort,
              "entities": evidence["entity_key"].nunique()}  # fmt: skip
    said = [*said_of_version(home, VERSION, tmp_path), *in_dagster, *said_in_mlflow(home)]
    assert len({one.outlet for one in said}) > 40
    assert not (leaks := leaks_of_version(said, totals)), named(leaks)


@pytest.mark.slow
def test_nothing_shown_of_days_tells_a_small_group(home: Home, in_dagster: list[Said], tmp_path: Path):
    days = [DAY, *home.landed()[-14:]]
    said = [*said_of_days(home, days, tmp_path), *in_dagster]
    assert not (leaks := leaks_of_days(said)), named(leaks)


def test_the_gates_of_the_real_file_would_have_told_of_three_people():
    gates = [{"gate": "fairness_gender", "metric": "equalised_odds_gender", "n": 89_406, "positives": 10_134},
             {"gate": "auroc", "metric": "auroc", "n": 89_409, "positives": 10_134}]  # fmt: skip
    text = "gate            ┃ n     \nfairness_gender │ 89,406\nauroc           │ 89,409\n"
    page = "<table><tr><th>gate</th><th>n</th></tr><tr><td>fairness_gender</td><td>89,406</td></tr></table>"
    for said in (said_by_json("gates --json", gates), said_by_terminal("gates", text), said_by_page("report", page),
                 said_by_csv("file", "gate,n\nfairness_gender,89406\n")):  # fmt: skip
        assert "89406 beside 89409 (n): 3 people" in [leak.what for leak in leaks_of_version([said], TOTALS)]


def test_a_count_a_share_and_a_difference_that_tell_a_small_group_are_found():
    planted = {
        "n 7 (Asian)": {"Asian": {"n": 7, "positives": None}},
        "share 2e-05 of 101766 (weight)": [{"column": "weight", "missing": 0.00002}],
        "positives 10130 beside 10134 (race)": {"race": {"n": 80_000, "positives": 10_130}},
        "n 310, positives 304: few negatives are in or out (black)": {"black": {"n": 310, "positives": 304}},
    }
    for what, content in planted.items():
        assert what in [leak.what for leak in leaks_of_version([said_by_json("file", content)], TOTALS)]


def test_counts_of_a_day_are_put_side_by_side_across_outlets():
    terminal = said_by_terminal("score", "date       ┃ received\n2024-02-29 │ 27\n")
    metadata = Said("UI", "", ({"accepted": 25},), day=DAY)
    assert [leak.what for leak in leaks_of_days([terminal, metadata])] == [
        "received 27 less accepted 25 (UI) on 2024-02-29: 2",
        "received 27 less all of its parts shown on 2024-02-29: 2",
    ]
    assert not leaks_of_days([terminal])
    words = Said("check", "received 27, accepted 25, quarantined 2, duplicate 0")
    assert [leak.what for leak in leaks_of_days([words])] == ["quarantined 2"]
    metric = 'readmission_rows_flagged{model="readmission_30d",cohort="all",version="1",kind="measured"} 3.0\n'
    assert [leak.what for leak in leaks_of_days([said_by_metrics("file", metric)])] == ["flagged 3 on the newest day"]
