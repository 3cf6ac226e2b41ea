"""What the service promises to whoever asks: the answers of the daily list, and nothing to whoever may not."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from readmission_platform.models.probes import example_row
from readmission_platform.serving.journal import ship
from readmission_platform.storage.tables import PREDICTIONS, SERVED
from readmission_platform_tests.serving.conftest import Served, delivered_rows
from readmission_platform_tests.support.fhir import bundle, resources_of
from readmission_platform_tests.support.homes import MODEL

SCORE = f"/v1/models/{MODEL}/score"
INFER = f"/v2/models/{MODEL}/infer"


@pytest.fixture(scope="module")
def rows(served: Served) -> list[dict[str, Any]]:
    return delivered_rows(served.home)


def test_every_delivered_row_is_answered_as_in_the_daily_list(served: Served, rows: list[dict[str, Any]]) -> None:
    listed = served.home.lake.read(PREDICTIONS).set_index("encounter_id")
    answered = served.score(rows, contributions=True)
    compared = 0
    for answer in answered:
        if answer["status"] == "refused":
            assert answer["encounter_id"] not in listed.index
            continue
        line = listed.loc[answer["encounter_id"]]
        assert answer["status"] == line["status"]
        if answer["status"] == "scored":
            assert answer["risk"] == line["risk"]  # to the last bit
            assert answer["band"] == line["band"]
            assert "; ".join(answer["reasons"]) == line["reasons"]
            assert json.dumps(answer["contributions"]) == line["contributions"]
            compared += 1
    assert compared > 300


def test_the_open_inference_protocol_gives_the_same_risks(served: Served, rows: list[dict[str, Any]]) -> None:
    few = rows[:20]
    tensors = [{"name": name, "shape": [len(few), 1], "datatype": "BYTES", "data": [[row[name]] for row in few]}
               for name in few[0]]  # fmt: skip
    answer = served.client.post(INFER, json={"id": "mine", "inputs": tensors}, headers=served.headers("score")).json()
    assert answer["id"] == "mine"
    outputs = {each["name"]: each["data"] for each in answer["outputs"]}
    assert outputs["risk"] == [each.get("risk") for each in served.score(few, explain=False)]


def test_a_patients_past_is_looked_up(served: Served) -> None:
    """One who was here before is answered otherwise than a stranger with the same stay."""
    lake, home = served.home.lake, served.home
    listed = lake.read(lake.names.delivered)
    known = lake.read(lake.names.cohort, where={"part": ["development"]})
    before = listed[listed["entity_key"].isin(known["entity_key"])]["encounter_id"].tolist()
    returning = [row for row in delivered_rows(home) if int(row["encounter_id"]) in before]
    assert returning
    strangers = [{**row, "patient_nbr": 900_000_000 + place} for place, row in enumerate(returning)]
    here, elsewhere = served.score(returning), served.score(strangers)
    assert [answer.get("risk") for answer in here] != [answer.get("risk") for answer in elsewhere]


def test_what_is_answered_is_in_the_prediction_log(served: Served, rows: list[dict[str, Any]]) -> None:
    answer = served.client.post(
        SCORE, json={"rows": rows[:3]}, headers={**served.headers("score"), "X-Request-ID": "log-1"}
    )
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "log-1"
    served.service.models[MODEL].journal.turn()
    ship(served.home.path / "serving" / MODEL, served.home.lake)
    kept = served.home.lake.read(SERVED)
    kept = kept[kept["request_id"] == "log-1"].sort_values("encounter_id")
    sent = sorted(answer.json()["results"], key=lambda each: each["encounter_id"])
    assert kept["encounter_id"].tolist() == [each["encounter_id"] for each in sent]
    assert kept["risk"].tolist() == [each["risk"] for each in sent]
    assert set(kept["model_version"]) == {"1"}
    assert kept["client"].unique().tolist() == ["score"]
    numbers = {row["patient_nbr"] for row in rows[:3]}
    assert not numbers & set(kept.astype(str).to_numpy().ravel())


def test_the_example_of_the_documentation_works(served: Served) -> None:
    document = served.client.get("/openapi.json").json()
    body = document["paths"]["/v1/models/{model}/score"]["post"]["requestBody"]["content"]["application/json"]
    example = body["examples"][MODEL]["value"]
    assert example["rows"] == [example_row(served.service.models[MODEL].follower.workspace.contract)]
    answer = served.client.post(SCORE, json=example, headers=served.headers("score"))
    assert answer.status_code == 200
    assert answer.json()["results"][0]["status"] == "scored"


def test_the_page_of_the_documentation_needs_nothing_from_elsewhere(served: Served) -> None:
    page = served.client.get("/docs")
    assert page.status_code == 200
    assert "<td><code>gender</code></td><td>Female, Male, Unknown/Invalid</td>" in page.text
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page.text)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", SCORE, "score"),
        ("POST", INFER, "score"),
        ("GET", "/v1/models", "read"),
        ("GET", f"/v1/models/{MODEL}/versions", "read"),
        ("GET", f"/v2/models/{MODEL}", "read"),
        ("GET", f"/v2/models/{MODEL}/ready", "read"),
        ("GET", "/metrics", "read"),
        ("POST", f"/v1/models/{MODEL}/refresh", "admin"),
    ],
)
def test_each_route_asks_for_its_scope(served: Served, method: str, path: str, scope: str) -> None:
    assert served.client.request(method, path, json={}).status_code == 401
    assert served.client.request(method, path, json={}, headers={"Authorization": "Bearer no"}).status_code == 401
    for other in served.tokens:
        answer = served.client.request(method, path, json={}, headers=served.headers(other))
        assert (answer.status_code == 403) is (other != scope), (other, answer.text)


def test_probes_ask_for_no_token_and_say_which_version_answers(served: Served) -> None:
    assert served.client.get("/healthz").json() == {"alive": True}
    ready = served.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["models"][MODEL]["version"] == "1"
    assert served.client.get("/v2/health/ready").status_code == 200


def test_versions_say_which_artifact_they_are(served: Served) -> None:
    (version,) = served.client.get(f"/v1/models/{MODEL}/versions", headers=served.headers("read")).json()["versions"]
    with served.home.ledger() as ledger:
        (trained,) = ledger.events(kind="version_trained")
    assert version["artifact_digest"] == trained.payload["artifact"]["digest"]
    assert version["compiled"] is True


@pytest.mark.parametrize("path", ["/v1/models/nobody/score", "/v2/models/nobody/infer"])
def test_a_model_that_is_not_there_is_not_found(served: Served, path: str) -> None:
    answer = served.client.post(path, json={"rows": [{}]}, headers=served.headers("score"))
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "no_such_model"


def test_one_bad_row_does_not_spoil_the_others(served: Served, rows: list[dict[str, Any]]) -> None:
    answers = served.score([rows[0], {**rows[1], "gender": "Robot"}, rows[2]])
    assert [each["status"] for each in answers] == ["scored", "refused", "scored"]
    assert answers[1]["faults"][0]["column"] == "gender"
    assert "Robot" not in json.dumps(answers)


def test_rows_that_are_all_refused_are_an_error_with_the_faults_of_each(served: Served) -> None:
    answer = served.client.post(SCORE, json={"rows": [{"encounter_id": 1}]}, headers=served.headers("score"))
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "rows_refused"
    assert answer.json()["results"][0]["faults"]


def test_a_body_that_is_too_large_is_refused_before_it_is_read(served: Served) -> None:
    most = served.service.config.most_body_bytes
    answer = served.client.post(SCORE, content=b" " * (most + 1), headers=served.headers("score"))
    assert answer.status_code == 413


@pytest.mark.parametrize("number", ["Jane Doe", "4711x", {"a": 1}, True, -4711])
def test_an_identifier_that_is_none_is_not_repeated(served: Served, rows: list[dict[str, Any]], number: object) -> None:
    answers = served.score([rows[0], {**rows[1], "encounter_id": number}])
    assert answers[1]["status"] == "refused"
    assert answers[1]["encounter_id"] is None


def test_without_reasons_the_answer_has_none(served: Served, rows: list[dict[str, Any]]) -> None:
    assert "reasons" not in served.score(rows[:1], explain=False)[0]
    assert "contributions" not in served.score(rows[:1])[0]


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    caplog.set_level(logging.INFO)
    return caplog


SECRET = "4711081547110815"


@given(
    where=st.sampled_from(
        ["patient_nbr", "diag_1", "age", "gender", "time_in_hospital", "unknown_column", "discharge_date"]
    ),
    value=st.sampled_from([SECRET, {"a": SECRET}, [SECRET], f"{SECRET}é\u202e", int(SECRET), -int(SECRET)]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_was_sent_comes_back_in_an_error_or_gets_into_the_log(
    served: Served, rows: list[dict[str, Any]], logged: pytest.LogCaptureFixture, where: str, value: Any
) -> None:
    logged.clear()
    answer = served.client.post(SCORE, json={"rows": [{**rows[0], where: value}]}, headers=served.headers("score"))
    assert answer.status_code in {200, 422}
    assert SECRET not in answer.text
    assert SECRET not in logged.text


def test_a_fhir_bundle_is_answered_as_its_rows(served: Served, rows: list[dict[str, Any]]) -> None:
    day = rows[-1]["discharge_date"]
    cells = pd.DataFrame([row for row in rows if row["discharge_date"] == day][:5], dtype=object)
    record = bundle(resources_of(cells.drop(columns="discharge_date").replace("?", None), day))
    answer = served.client.post(f"{SCORE}?day={day}", json=record, headers=served.headers("score"))
    assert answer.status_code == 200, answer.text
    expected = {each["encounter_id"]: each.get("risk") for each in served.score(cells.to_dict("records"))}
    assert {each["encounter_id"]: each.get("risk") for each in answer.json()["results"]} == expected


@pytest.mark.parametrize("day", ["2000-01-01", "tomorrow"])
def test_a_bundle_without_a_discharge_of_the_day_is_refused(
    served: Served, rows: list[dict[str, Any]], day: str
) -> None:
    cells = pd.DataFrame(rows[-1:], dtype=object).drop(columns="discharge_date").replace("?", None)
    record = bundle(resources_of(cells, rows[-1]["discharge_date"]))
    assert served.client.post(f"{SCORE}?day={day}", json=record, headers=served.headers("score")).status_code == 422


@pytest.mark.parametrize("day", ["tomorrow", "2026-02-30", 20260101, "20260101", ["2026-01-01"]])
def test_a_row_of_a_day_that_is_none_is_refused(served: Served, rows: list[dict[str, Any]], day: object) -> None:
    answers = served.score([rows[0], {**rows[1], "discharge_date": day}])
    assert [each["status"] for each in answers] == ["scored", "refused"]


def test_the_log_has_a_line_a_request_with_its_number_and_client(
    served: Served, rows: list[dict[str, Any]], logged: pytest.LogCaptureFixture
) -> None:
    number = served.client.post(SCORE, json={"rows": rows[:2]}, headers=served.headers("score")).json()["request_id"]
    (fields,) = [
        record.fields for record in logged.records if getattr(record, "fields", {}).get("request_id") == number
    ]
    assert {name: fields[name] for name in ("client", "route", "status", "rows")} == {
        "client": "score", "route": "/v1/models/{model}/score", "status": 200, "rows": 2,
    }  # fmt: skip


def test_a_request_that_is_refused_before_it_is_read_is_logged_by_its_route(
    served: Served, logged: pytest.LogCaptureFixture
) -> None:
    most = served.service.config.most_body_bytes
    number = "too-large-1"
    headers = {**served.headers("score"), "X-Request-ID": number}
    served.client.post(SCORE, content=b" " * (most + 1), headers=headers)
    (fields,) = [
        record.fields for record in logged.records if getattr(record, "fields", {}).get("request_id") == number
    ]  # type: ignore[attr-defined]
    assert (fields["route"], fields["client"], fields["status"]) == ("/v1/models/{model}/score", "score", 413)


def test_counts_for_prometheus_have_no_values_of_patients(served: Served, rows: list[dict[str, Any]]) -> None:
    served.score(rows[:30])
    text = served.client.get("/metrics", headers=served.headers("read")).text
    assert re.search(r'readmission_serving_rows_total\{.*status="answered".*\} \d', text)
    assert "withheld" not in text
    assert all(float(count) % 25 == 0 for count in re.findall(r"readmission_serving_rows_total\{.*\} (\S+)", text))
    assert not {str(row["patient_nbr"]) for row in rows[:30]} & set(re.findall(r"\d+", text))


def test_frames_of_the_answers_agree_with_batches_of_any_size(served: Served, rows: list[dict[str, Any]]) -> None:
    together = pd.DataFrame(served.score(rows[:30], explain=False))
    alone = pd.DataFrame([served.score([row], explain=False)[0] for row in rows[:30]])
    pd.testing.assert_frame_equal(together, alone)
