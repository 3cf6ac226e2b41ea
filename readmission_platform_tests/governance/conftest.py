"""Fixtures: a real ledger in a real SQLite file, and one in each supported database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.intruder import Intruder
from readmission_platform_tests.support.scenario import MODEL, ledger_in


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with ledger_in(tmp_path) as opened:
        yield opened


@pytest.fixture
def any_ledger(ledger_url: str) -> Iterator[Ledger]:
    """The same test on SQLite and on PostgreSQL."""
    with Ledger(ledger_url, model=MODEL, environment="local") as opened:
        yield opened


@pytest.fixture
def intruder(ledger_url: str) -> Iterator[Intruder]:
    """Somebody who reaches the same database as ``any_ledger``, without going through it."""
    intruding = Intruder(ledger_url)
    yield intruding
    intruding.close()
