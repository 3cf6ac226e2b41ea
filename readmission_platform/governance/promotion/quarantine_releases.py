"""Releases: a person has quarantined rows taken in although cells of theirs broke a rule.

What belongs here: deciding whether that may be, the record of it, and reading the records. What does not: which rules
may be overruled at all (``intake.quarantine``), and what the intake makes of a release (``intake.rows``).

A released cell counts as missing. The record holds file, row, column and code of each cell, and never a value.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from readmission_platform.foundation.counting import counted
from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.ledger.chain import Event
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.policy.adoption import roles_in_force
from readmission_platform.governance.promotion.case import Judged, condition
from readmission_platform.governance.promotion.permission import asked_of, may_ask, recorded_request

RELEASED: Final = "quarantine_released"
REFUSED = "quarantine_release_refused"
_SHOWN_ROWS = 10


@dataclass(frozen=True)
class ReleaseRequest:
    """Take in these rows (1 is the first after the header; 0 the whole file) of a file, by whom and why.

    ``signed`` as for a promotion.
    """

    day: str
    file_digest: str
    rows: tuple[int, ...]
    actor: str
    reason: str
    signed: Mapping[str, Any] | None = None

    @property
    def what(self) -> dict[str, Any]:
        """What is signed."""
        return {"day": self.day, "file_digest": self.file_digest, "rows": sorted(self.rows)}


@dataclass(frozen=True)
class BrokenCell:
    """A line of the quarantine about one of these rows, and whether its cell may count as missing."""

    row: int
    column: str
    code: str
    releasable: bool


@dataclass(frozen=True)
class ReleaseDecision(Judged):
    """What was decided on what grounds, and the cells that would count as missing."""

    request: ReleaseRequest
    cells: tuple[BrokenCell, ...]


def decide_release(
    request: ReleaseRequest,
    cells: Sequence[BrokenCell],
    *,
    events: Sequence[Event],
    environment_name: str,
    model: str,
    now: datetime,
) -> ReleaseDecision:
    """Decide about a release; pure, and changes nothing. One cell that may not be missing refuses all rows.

    Parameters
    ----------
    cells
        Every line of the quarantine about the wanted rows.
    """
    stay = [cell for cell in cells if not cell.releasable]
    asked = asked_of(RELEASED, model, request)
    roles = roles_in_force(events)
    found = [may_ask(asked, "release", roles, events=events, environment_name=environment_name, now=now)]
    found.append(
        condition("reason_given", bool(request.reason.strip()), request.reason.strip() or "no reason", "Give one.")
    )
    faults = sorted({(cell.code, cell.column) for cell in stay})
    if not faults:
        detail = f"counted as missing: {counted(len(cells), 'cell')} of {counted(len(request.rows), 'row')}"
        found.append(condition("may_be_missing", True, detail, ""))
    for code, column in faults:
        rows = sorted(cell.row for cell in stay if (cell.code, cell.column) == (code, column))
        detail = f"{_rows_text(rows)}: {code}{f' in {column}' if column else ''} cannot be overruled"
        found.append(condition("may_be_missing", False, detail, "Have the source deliver a corrected file."))
    seen = events[-1].seq if events else 0
    return ReleaseDecision(found, {}, seen, request=request, cells=tuple(cells))


def record_release(ledger: Ledger, decision: ReleaseDecision) -> Event:
    """Record a release.

    Raises
    ------
    Refused
        With every reason; the refusal is recorded.
    """
    request = decision.request
    content = {"day": request.day, "file_digest": request.file_digest, "rows": sorted(request.rows),
               "codes": sorted({cell.code for cell in decision.cells}), "reason": request.reason,
               **recorded_request(decision.conditions, request.signed)}  # fmt: skip
    if not decision.allowed:
        ledger.append(REFUSED, {**content, "reasons": decision.reasons()}, actor=request.actor)
        raise Refused(decision.reasons())
    cells = [{name: value for name, value in asdict(cell).items() if name != "releasable"} for cell in decision.cells]
    return ledger.append(RELEASED, {**content, "cells": cells}, actor=request.actor)


def released_cells(events: Iterable[Event]) -> set[tuple[str, int, str, str]]:
    """Return every released cell: file digest, row, column, code."""
    return {
        (event.payload["file_digest"], cell["row"], cell["column"], cell["code"])
        for event in events
        if event.kind == RELEASED
        for cell in event.payload["cells"]
    }


def _rows_text(rows: Sequence[int]) -> str:
    if rows[0] == 0:
        return "the whole file"
    listed = ", ".join(map(str, rows[:_SHOWN_ROWS])) + (" and others" if len(rows) > _SHOWN_ROWS else "")
    return f"row {listed}" if len(rows) == 1 else f"rows {listed}"
