"""What a crash or a fault at any step of a ledger's own transaction leaves behind, on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest

from readmission_platform_tests.support.ledger_rounds import (
    OPERATIONS,
    Ledgers,
    PostgresqlLedgers,
    SqliteLedgers,
    faulty_at,
    killed_at,
    raced,
)

pytestmark = pytest.mark.slow

STEPS = [(name, step) for name, operation in OPERATIONS.items() for step in operation.steps]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def ledgers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ledgers:
    if request.param == "sqlite":
        return SqliteLedgers(Path(tmp_path_factory.mktemp("ledgers")) / "made")
    return PostgresqlLedgers(request.getfixturevalue("postgresql"))


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_a_kill_inside_the_transaction_leaves_all_of_it_or_nothing(ledgers: Ledgers, name: str, step: str) -> None:
    assert killed_at(ledgers, name, step) == []


@pytest.mark.parametrize(("name", "step"), STEPS)
def test_a_full_disk_or_a_connection_that_ends_leaves_nothing_and_that_is_said(
    ledgers: Ledgers, name: str, step: str
) -> None:
    assert faulty_at(ledgers, name, step) == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_of_two_at_once_the_second_is_told_or_both_count(ledgers: Ledgers, name: str) -> None:
    assert raced(ledgers, name) == []
