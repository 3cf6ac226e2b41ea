"""Whoever runs the service sees what it answered: in the figures, on the monitoring page, and row by row."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from readmission_platform.evaluation.operation.shown import shown
from readmission_platform.lifecycle.monitoring.figures import figures
from readmission_platform.serving.journal import ship
from readmission_platform.storage.tables import PREDICTIONS, SERVED
from readmission_platform_tests.serving.conftest import Served, delivered_rows, serving
from readmission_platform_tests.support.homes import MODEL, Home

STRANGER = 987_654_321


@dataclass(frozen=True)
class Asked:
    """A home whose service was asked about every delivered row, one of them twice, and one that nobody delivered."""

    home: Home
    answers: list[dict[str, Any]]
    twice: int


def _shipped(served: Served) -> None:
    served.service.models[MODEL].journal.turn()
    ship(served.home.path / "serving" / MODEL, served.home.lake)


@pytest.fixture(scope="module")
def asked(lived_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with serving(lived_home.copy(tmp_path_factory.mktemp("asked") / "home")) as served:
        rows = delivered_rows(served.home)
        answers = [answer for answer in served.score(rows) if answer["status"] != "refused"]
        _shipped(served)
        twice = next(answer["encounter_id"] for answer in answers if answer["status"] == "scored")
        (again,) = [row for row in rows if row["encounter_id"] == str(twice)]
        served.score([again, again | {"encounter_id": STRANGER}])
        _shipped(served)
        yield Asked(served.home, answers, twice)


def test_figures_count_every_row_once_and_find_them_as_listed(asked: Asked) -> None:
    with asked.home.workspace() as workspace:
        table = figures(workspace)
    own = table[table["figure"].str.startswith("served_")].set_index("figure")["value"]
    risks = [answer["risk"] for answer in asked.answers if answer["status"] == "scored"]
    assert own["served_rows"] == len(asked.answers) + 1
    assert own["served_as_listed_share"] == 1  # to the last bit
    assert own["served_failed_share"] == 0
    assert own["served_mean_risk"] == pytest.approx(sum(risks) / len(risks), rel=0.01)
    assert own["served_stability_index"] < 0.1
    visible = shown(table)
    assert not visible[visible["figure"].eq("served_rows")]["hidden"].any()


def test_the_page_and_prometheus_tell_of_them(asked: Asked) -> None:
    outcome = asked.home.command("monitor", "--json")
    assert outcome.code == 0, outcome.err
    page = Path(outcome.json["page"]).read_text(encoding="utf-8")
    assert "Answers of the service" in page
    text = asked.home.command("monitor", "--prometheus", "-").out
    assert f'readmission_served_rows{{cohort="all",kind="measured",model="{MODEL}",version="1"}}' in text
    pseudonyms = set(asked.home.lake.read(SERVED, columns=["entity_key"])["entity_key"])
    assert not [key for key in pseudonyms if key in page or key in text]


def test_a_trace_lists_the_answers_and_has_them_again_bit_by_bit(asked: Asked) -> None:
    found = asked.home.command("trace", str(asked.twice), "--replay", "--json").json
    lines = asked.home.lake.read(SERVED)
    lines = lines[lines["encounter_id"] == asked.twice].sort_values("at")
    assert len(lines) == 2
    for name in ("at", "request_id", "model_version", "risk", "reasons", "cohort_version", "delivered_version"):
        assert [each[name] for each in found["answers"]] == lines[name].tolist(), name
    listed = asked.home.lake.read(PREDICTIONS).set_index("encounter_id").loc[asked.twice]
    for again in found["answers_again"]:
        assert again["identical"] is True
        assert again["replayed"] == again["recorded"] == listed["risk"]


def test_every_answer_is_had_again(asked: Asked) -> None:
    sample = [answer["encounter_id"] for answer in asked.answers][::60]
    assert len(sample) > 4
    for encounter in sample:
        outcome = asked.home.command("trace", str(encounter), "--replay", "--json")
        assert outcome.code == 0, outcome.err
        assert all(each["identical"] for each in outcome.json["answers_again"])


def test_a_row_that_came_in_no_file_is_traced_by_its_answer(asked: Asked) -> None:
    outcome = asked.home.command("trace", str(STRANGER), "--replay", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["predictions"] == []
    (answer,), (again,) = outcome.json["answers"], outcome.json["answers_again"]
    assert answer["model_version"] == "1"
    assert outcome.json["versions"]["1"]["artifact_digest"] == answer["artifact_digest"]
    assert again["identical"] is None
    assert "was not delivered" in again["because"]
    said = asked.home.command("trace", str(STRANGER)).out
    assert f"request {answer['request_id']} of score" in said
    assert asked.home.command("trace", str(STRANGER), "--page").code == 0
    assert asked.home.command("trace", str(STRANGER + 1)).code == 2


def test_an_answer_that_was_edited_in_the_lake_is_not_had_again(asked: Asked, tmp_path: Path) -> None:
    home = asked.home.copy(tmp_path / "home")
    lines = home.lake.read(SERVED)
    lines["risk"] = lines["risk"].where(lines["encounter_id"] != asked.twice, lines["risk"] + 1e-9)
    home.lake.write(SERVED, lines, partition=("served_on", sorted(set(lines["served_on"]))))
    again = home.command("trace", str(asked.twice), "--replay", "--json").json["answers_again"]
    assert [each["identical"] for each in again] == [False, False]


def test_closed_days_are_put_together_and_every_line_stays(asked: Asked, tmp_path: Path) -> None:
    home = asked.home.copy(tmp_path / "home")
    today = home.lake.read(SERVED)
    day = (pd.Timestamp(today["served_on"].iloc[0]) - pd.Timedelta(days=3)).date().isoformat()
    for place, part in enumerate((today.head(5), today.tail(5), today.head(2)), start=1):
        older = part.assign(served_on=day)
        home.lake.append(SERVED, older, partition="served_on", writer="test", position=place)
    before = home.lake.read(SERVED)
    files = {name: len(list((home.path / "lake" / MODEL / SERVED / f"served_on={name}").glob("*.parquet")))
             for name in set(before["served_on"])}  # fmt: skip
    version = home.lake.open(SERVED).version()
    assert home.materialize("monitoring_figures").success
    after = home.lake.read(SERVED)
    order = ["served_on", "at", "request_id", "encounter_id"]
    pd.testing.assert_frame_equal(*(each.sort_values(order, ignore_index=True) for each in (before, after)))
    live = [Path(each).parent.name for each in home.lake.open(SERVED).file_uris()]
    assert live.count(f"served_on={day}") == 1
    assert files[day] == 3
    assert live.count(f"served_on={today['served_on'].iloc[0]}") == files[today["served_on"].iloc[0]]
    pd.testing.assert_frame_equal(home.lake.read(SERVED, version=version), before)
