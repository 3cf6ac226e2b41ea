"""What a crash at any step of the ledger's own transaction leaves behind, on SQLite and on PostgreSQL."""

import signal

import pytest

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.interruption import listen

pytestmark = pytest.mark.slow

MODEL = "readmission_30d"
STEPS = ["ledger: writing has begun", "ledger: event written", "ledger: production pointed", "ledger: staging pointed"]
COMMITTED = "ledger: committed"


def _promote(url: str, step: str) -> None:
    listen(step)
    with Ledger(url, model=MODEL, environment="local") as ledger:
        ledger.move(
            "version_promoted",
            {"reason": "to be interrupted"},
            actor="tester",
            version="2",
            moves={"production": "2", "staging": None},
            expected=ledger.pointers(),
        )


@pytest.mark.parametrize("step", [*STEPS, COMMITTED])
def test_a_kill_inside_the_transaction_leaves_all_of_it_or_nothing(ledger_url: str, step: str) -> None:
    with Ledger(ledger_url, model=MODEL, environment="local") as ledger:
        for version, stage in (("1", "production"), ("2", "staging")):
            expected = ledger.pointers()
            ledger.move("version_promoted", {}, actor="t", version=version, moves={stage: version}, expected=expected)
        before = ledger.pointers()

    process = FORKING.Process(target=_promote, args=(ledger_url, step))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == -signal.SIGKILL

    with Ledger(ledger_url, model=MODEL, environment="local") as ledger:
        ledger.verify()
        after = ledger.pointers()
        if step == COMMITTED:
            assert (after["production"].version, after["staging"].version) == ("2", None)
        else:
            assert after == before
            assert len(ledger.events(after=1)) == 2
        # Nothing the killed process held is in the way of the next one.
        ledger.append("promotion_refused", {"reasons": []}, actor="tester", version="2")
        ledger.verify()
