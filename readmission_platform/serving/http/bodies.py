"""The bodies of requests and answers: reading JSON strictly, and what goes over the wire.

What belongs here: from bytes to rows, and from answers to JSON. What does not: reading a row by its contract
(``intake.single``), and answering.
"""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from readmission_platform.config.serving import ServingConfig
from readmission_platform.serving.answering import Answer
from readmission_platform.serving.problems import Problem

_KEYS = frozenset({"rows", "explain", "contributions"})


class _Refused(ValueError):
    """JSON that is none of ours; says why."""


def parsed(body: bytes, config: ServingConfig) -> dict[str, Any]:
    """Return the JSON object of a body, decimal numbers as ``Decimal``.

    Raises
    ------
    Problem
        400 for what is no JSON object, is nested too deep, or has a name twice in an object.
    """
    try:
        found = json.loads(body, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_once)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError, ValueError, ArithmeticError) as error:
        why = str(error) if isinstance(error, _Refused) else "the body is no JSON"
        raise Problem(400, "not_json", why) from error
    if not isinstance(found, dict):
        raise Problem(400, "not_json", "the body is no JSON object")
    if _depth(found, config.most_depth) > config.most_depth:
        raise Problem(400, "nested_too_deep", f"the body is nested deeper than {config.most_depth}")
    return found


def rows_of(body: Mapping[str, Any], config: ServingConfig) -> list[Mapping[str, Any]]:
    """Return the rows of a request.

    Raises
    ------
    Problem
        422 where the body is not of the form that is asked for, or has too many rows.
    """
    unknown = sorted(set(body) - _KEYS)
    rows = body.get("rows")
    if unknown or not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Problem(422, "no_rows", 'expected {"rows": [{column: value, ...}, ...]} with at least one row, and '
                      f"besides only {', '.join(sorted(_KEYS - {'rows'}))}")  # fmt: skip
    for name in _KEYS - {"rows"}:
        if not isinstance(body.get(name, True), bool):
            raise Problem(422, "no_rows", f"{name} is true or false")
    check_number(len(rows), config)
    return rows


def check_number(rows: int, config: ServingConfig) -> None:
    """Raise ``Problem`` (422) when these are too many rows."""
    if rows > config.most_rows:
        raise Problem(422, "too_many_rows", f"more than {config.most_rows} rows; send them in parts")


def shown(answer: Answer, row: str, *, contributions: bool) -> dict[str, Any]:
    """Return an answer as it goes over the wire; ``row`` is the column that identifies a row."""
    number = answer.row if isinstance(answer.row, int | str) or answer.row is None else None
    found: dict[str, Any] = {row: number, "status": answer.status}
    if answer.version is not None:
        found["version"] = answer.version
    if answer.risk is not None:
        found |= {"risk": answer.risk, "band": answer.band}
        if answer.reasons is not None:
            found["reasons"] = [reason for reason in answer.reasons.split("; ") if reason]
        if contributions and answer.contributions is not None:
            found["contributions"] = json.loads(answer.contributions)
    elif answer.withheld_because is not None and answer.status == "withheld":
        found["withheld_because"] = answer.withheld_because
    if answer.faults:
        found["faults"] = [fault._asdict() for fault in answer.faults]
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Refused("a name stands twice in one object")
    return found


def _no_number(_text: str) -> None:
    raise _Refused("NaN and infinities are no JSON")


def _depth(value: Any, most: int) -> int:
    """Return how deep a value is nested; of what is deeper than ``most`` no more is looked at."""
    if most < 0 or not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max((_depth(each, most - 1) for each in inner if isinstance(each, dict | list)), default=0)
