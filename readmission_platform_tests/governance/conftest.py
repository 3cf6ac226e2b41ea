"""Fixtures: a real ledger in a real SQLite file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from readmission_platform.governance.ledger import Ledger

from .scenario import ledger_in


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with ledger_in(tmp_path) as opened:
        yield opened
