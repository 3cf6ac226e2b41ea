"""A ledger with version 1 in production and version 2 approved in staging."""

import pytest

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.rollouts import Rollouts


@pytest.fixture
def rollouts(ledger: Ledger) -> Rollouts:
    """Judged as in production, where nobody is believed without a signature."""
    return Rollouts.prepared(ledger)
