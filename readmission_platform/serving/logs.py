"""The log of the service: one JSON object a line on standard error, about requests and versions, never about patients.

What belongs here: the form of a line. What does not: who writes one.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

log = logging.getLogger("readmission.serving")


def places_of(error: BaseException) -> list[str]:
    """Return where an error came from, file and line of each call, without its text."""
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)][-8:]  # fmt: skip


def log_error(event: str, error: BaseException, **fields: object) -> None:
    """Log an error: its kind and places, never its text, which may quote a patient's value."""
    log.error(event, extra={"fields": {**fields, "error": type(error).__name__, "places": places_of(error)}})


class JsonLines(logging.Formatter):
    """One JSON object a record: time, level, logger, event and the fields that came along."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; of an exception its kind and places, since its text may quote a value."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= {"error": type(record.exc_info[1]).__name__, "places": places_of(record.exc_info[1])}
        return json.dumps(line)


def log_to_stderr(*, requests: bool) -> None:
    """Have everything that is logged written as such lines; ``requests`` tells whether each request has one."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    logging.getLogger("readmission.serving").setLevel(logging.INFO if requests else logging.WARNING)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
