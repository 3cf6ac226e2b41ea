"""What a body may be: strict JSON of a bounded shape, and nothing of it comes back in an error."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readmission_platform.config.environment import Settings
from readmission_platform.config.files import serving_config
from readmission_platform.serving.answering import Answer
from readmission_platform.serving.http.bodies import parsed, rows_of, shown
from readmission_platform.serving.http.responses import JsonResponse
from readmission_platform.serving.problems import Problem

CONFIG = serving_config(Settings())
SECRET = "patient-4711"


def nested(depth: int) -> bytes:
    return b'{"rows":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"rows": ' + b"1" * 5000 + b"}",
        nested(100_000),
        nested(CONFIG.most_depth + 1),
        b'{"a": 1e999999999999999999999}',
        f'{{"{SECRET}": '.encode(),
    ],
)
def test_what_is_no_json_object_of_a_bounded_depth_is_refused_without_repeating_it(body: bytes) -> None:
    with pytest.raises(Problem) as refused:
        parsed(body, CONFIG)
    assert refused.value.status == 400
    assert SECRET not in json.dumps(refused.value.body("r1"))


def test_the_depth_that_is_allowed_is_read() -> None:
    assert parsed(nested(CONFIG.most_depth), CONFIG)


def test_decimal_numbers_keep_their_digits() -> None:
    assert parsed(b'{"a": 1.000}', CONFIG) == {"a": Decimal("1.000")}


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        found = parsed(body, CONFIG)
    except Problem as problem:
        assert problem.status == 400  # noqa: PT017 - either is right
    else:
        assert isinstance(found, dict)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"rows": []},
        {"rows": {}},
        {"rows": [1]},
        {"rows": [{}], "explain": "yes"},
        {"rows": [{}], SECRET: 1},
        {"rows": [{}] * (CONFIG.most_rows + 1)},
    ],
)
def test_what_has_no_rows_or_too_many_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        rows_of(body, CONFIG)
    assert refused.value.status == 422
    assert SECRET not in str(refused.value)


def test_a_scored_row_has_its_risk_to_the_last_bit() -> None:
    risk = 0.1 + 0.2
    answer = Answer(5, "scored", risk=risk, band="low", reasons="a; b", version="3")
    sent = json.loads(JsonResponse(shown(answer, "encounter_id", contributions=False)).body)
    assert sent == {
        "encounter_id": 5,
        "status": "scored",
        "version": "3",
        "risk": risk,
        "band": "low",
        "reasons": ["a", "b"],
    }


def test_a_withheld_row_says_why_and_has_no_risk() -> None:
    answer = Answer(5, "withheld", withheld_because="no diagnosis is recorded", version="3")
    sent = shown(answer, "encounter_id", contributions=True)
    assert "risk" not in sent
    assert sent["withheld_because"] == "no diagnosis is recorded"


def test_a_failed_row_does_not_say_what_failed_inside() -> None:
    assert shown(Answer(5, "failed", withheld_because="KeyError"), "encounter_id", contributions=False) == {
        "encounter_id": 5,
        "status": "failed",
    }
