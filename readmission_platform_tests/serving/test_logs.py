"""Lines of the log: JSON, where an error came from, and nothing of its text."""

import json
import logging

from readmission_platform.serving.logs import JsonLines, log_error

SECRET = "patient-4711"


def line_of(record: logging.LogRecord) -> dict[str, object]:
    found: dict[str, object] = json.loads(JsonLines().format(record))
    return found


def test_an_error_is_logged_by_its_kind_and_places_and_not_by_its_text(caplog) -> None:
    def fails() -> None:
        raise ValueError(f"cannot read {SECRET}")

    try:
        fails()
    except ValueError as error:
        log_error("shipping failed", error, table="t")
    (record,) = caplog.records
    line = line_of(record)
    assert (line["event"], line["error"], line["table"], line["level"]) == (
        "shipping failed",
        "ValueError",
        "t",
        "error",
    )
    assert str(line["places"]).count("test_logs.py") == 2
    assert SECRET not in json.dumps(line)


def test_a_traceback_that_a_library_logs_loses_its_text() -> None:
    try:
        raise KeyError(SECRET)
    except KeyError as error:
        record = logging.LogRecord(
            "uvicorn.error", logging.ERROR, __file__, 1, "it broke", None, (type(error), error, error.__traceback__)
        )
    line = line_of(record)
    assert line["error"] == "KeyError"
    assert SECRET not in json.dumps(line)
