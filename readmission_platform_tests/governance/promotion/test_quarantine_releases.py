"""Releasing quarantined rows: who may, which rows can be, and what the record holds."""

from datetime import UTC, datetime
from typing import Any

import pytest

from readmission_platform.foundation.errors import Refused
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.quarantine_releases import (
    RELEASED,
    BrokenCell,
    ReleaseDecision,
    ReleaseRequest,
    decide_release,
    record_release,
    released_cells,
)
from readmission_platform_tests.support.scenario import MODEL, Scenario

RACE = BrokenCell(3, "race", "unknown_code", releasable=True)
AGE = BrokenCell(3, "age", "unknown_code", releasable=False)


def asked(*rows: int, actor: str = "ops", reason: str = "the registry had the codes wrong") -> ReleaseRequest:
    return ReleaseRequest("2026-03-01", "sha256:ab", rows or (3,), actor, reason)


def decided(request: ReleaseRequest, *cells: BrokenCell, name: str = "local", events: Any = ()) -> ReleaseDecision:
    return decide_release(
        request, cells or [RACE], events=events, environment_name=name, model=MODEL, now=datetime.now(UTC)
    )


def test_a_release_is_recorded_with_its_cells_and_read_back(ledger: Ledger):
    event = record_release(ledger, decided(asked(5, 3), RACE, BrokenCell(5, "diag_1", "not_icd9", releasable=True)))
    assert (event.kind, event.actor) == ("quarantine_released", "ops")
    assert event.payload == {
        "day": "2026-03-01", "file_digest": "sha256:ab", "rows": [3, 5], "codes": ["not_icd9", "unknown_code"],
        "reason": "the registry had the codes wrong", "identity": "claimed",
        "cells": [
            {"row": 3, "column": "race", "code": "unknown_code"}, {"row": 5, "column": "diag_1", "code": "not_icd9"},
        ],
    }  # fmt: skip
    assert released_cells(ledger.events()) == {
        ("sha256:ab", 3, "race", "unknown_code"),
        ("sha256:ab", 5, "diag_1", "not_icd9"),
    }


def test_one_cell_that_may_not_be_missing_refuses_every_row_and_the_refusal_is_recorded(ledger: Ledger):
    decision = decided(asked(3, 4), RACE, AGE, BrokenCell(4, "age", "unknown_code", releasable=False))
    with pytest.raises(Refused, match="corrected file") as refused:
        record_release(ledger, decision)
    assert refused.value.exit_code == 3
    assert "rows 3, 4: unknown_code in age" in str(refused.value)
    (event,) = ledger.events(after=1)
    assert (event.kind, event.payload["rows"]) == ("quarantine_release_refused", [3, 4])
    assert released_cells(ledger.events()) == set()


def test_a_whole_file_is_refused_in_words(ledger: Ledger):
    decision = decided(asked(0), BrokenCell(0, "", "file_not_utf8", releasable=False))
    assert "the whole file: file_not_utf8 cannot be overruled" in decision.reasons()[0]


def test_many_rows_are_not_all_listed():
    cells = [BrokenCell(row, "age", "unknown_code", releasable=False) for row in range(1, 40)]
    (reason,) = decided(asked(*range(1, 40)), *cells).reasons()
    assert "rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and others" in reason


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_release_needs_a_reason(reason: str):
    assert not decided(asked(reason=reason)).allowed


@pytest.mark.parametrize("name", ["staging", "production"])
@pytest.mark.parametrize(
    ("actor", "may"), [("ops", True), ("clinician", True), ("admin", False), ("stranger", False), ("nobody", False)]
)
def test_outside_local_a_role_has_to_allow_it(ledger: Ledger, name: str, actor: str, may: bool):
    scenario = Scenario(ledger, environment_name=name)
    scenario.adopt()
    request = scenario.ask(asked(actor=actor), RELEASED)
    assert decided(request, name=name, events=ledger.events()).allowed == may
    assert not decided(asked(actor=actor), name=name, events=ledger.events()).allowed
    assert decided(asked(actor=actor), name="local", events=ledger.events()).allowed


def test_without_roles_in_force_nobody_may():
    assert not decided(asked(), name="production").allowed
