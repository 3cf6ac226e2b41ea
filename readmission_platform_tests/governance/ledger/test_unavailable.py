"""A database that cannot be used: exit code 5, one line that says so, and nothing changed or claimed."""

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from readmission_platform.foundation.errors import Unavailable
from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.promotion.decision import apply
from readmission_platform_tests.support.forking import FORKING
from readmission_platform_tests.support.scenario import MODEL, ledger_in, ready_for_production
from readmission_platform_tests.support.throwaway_postgresql import Server, binaries, throwaway_server


def attempts(ledger: Ledger) -> dict[str, Callable[[], Any]]:
    """Return every way to write, on a ledger that can still be read."""
    pointers = ledger.pointers()
    return {
        "append": lambda: ledger.append("note", {"text": "x" * 200_000}, actor="a"),
        "move": lambda: ledger.move(
            "m", {"text": "x" * 200_000}, actor="a", version="1", moves={"production": "1"}, expected=pointers
        ),
    }


def assert_refused(attempt: Callable[[], Any]) -> None:
    with pytest.raises(Unavailable) as unavailable:
        attempt()
    assert unavailable.value.exit_code == 5
    assert "\n" not in str(unavailable.value)


def test_a_read_only_database_can_be_read_and_refuses_a_promotion(
    any_ledger: Ledger, ledger_url: str, request: pytest.FixtureRequest
) -> None:
    scenario = ready_for_production(any_ledger)
    decision = scenario.decide()
    assert decision.allowed
    before = any_ledger.snapshot()
    if ledger_url.startswith("sqlite"):
        url = ledger_url.replace("sqlite:///", "sqlite:///file:") + "?mode=ro&uri=true"
    else:
        server: Server = request.getfixturevalue("postgresql")
        server.execute("ALTER DATABASE ledger SET default_transaction_read_only = on")
        url = ledger_url
    with Ledger(url, model=MODEL, environment="local") as readonly:
        assert readonly.snapshot() == before
        readonly.verify()
        for attempt in (*attempts(readonly).values(), lambda: apply(readonly, decision)):
            assert_refused(attempt)
        assert readonly.snapshot() == before
    any_ledger.verify()


@contextmanager
def as_large_as_it_is() -> Iterator[None]:
    """Let no SQLite database that is opened meanwhile grow by more than a page or so."""

    def limit(connection: Any, _record: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 1}")

    sa.event.listen(sa.Pool, "connect", limit)
    try:
        yield
    finally:
        sa.event.remove(sa.Pool, "connect", limit)


def test_a_full_database_refuses_a_promotion_and_stays_whole(ledger: Ledger, tmp_path: Path) -> None:
    scenario = ready_for_production(ledger)
    decision = scenario.decide()
    before = ledger.snapshot()
    with as_large_as_it_is(), ledger_in(tmp_path) as full:
        for attempt in (*attempts(full).values(), lambda: apply(full, decision)):
            assert_refused(attempt)
        assert full.snapshot() == before
    ledger.verify()
    assert apply(ledger, decision) is not None


def fill_the_disk(folder: str, results: Any) -> None:
    with ledger_in(Path(folder)) as ledger:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
        try:
            while True:
                ledger.append("note", {"text": "x" * 20_000}, actor="a")
        except Unavailable as error:
            results.put(str(error))


def test_a_full_disk_is_unavailable_and_leaves_the_ledger_whole(ledger: Ledger, tmp_path: Path) -> None:
    ready_for_production(ledger)
    results = FORKING.Queue()
    writer = FORKING.Process(target=fill_the_disk, args=(str(tmp_path), results))
    writer.start()
    assert "\n" not in results.get(timeout=60)
    writer.join(30)
    ledger.verify()
    assert ledger.pointers()["staging"].version == "1"
    ledger.append("note", {}, actor="a")


@pytest.mark.slow
def test_a_server_that_stops_refuses_everything_and_has_lost_nothing_when_it_is_back(postgresql: Server) -> None:
    assert postgresql.keeper.poll() is None  # there is PostgreSQL here
    folder = binaries()
    assert folder is not None
    with throwaway_server(folder) as server, Ledger(server.emptied(), model=MODEL, environment="local") as ledger:
        scenario = ready_for_production(ledger)
        decision = scenario.decide()
        before = ledger.snapshot()
        writes = attempts(ledger)
        server.stop()
        reads = (
            ledger.snapshot,
            ledger.pointers,
            ledger.verify,
            lambda: Ledger(server.url("ledger"), model=MODEL, environment="local"),
        )
        for attempt in (*writes.values(), *reads, lambda: apply(ledger, decision)):
            assert_refused(attempt)
        server.start()
        assert ledger.snapshot() == before
        assert apply(ledger, decision) is not None
        ledger.verify()


def test_what_is_no_database_is_unavailable_and_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database at all, but long enough to be read as a header " * 20)
    before = (tmp_path / "ledger.db").read_bytes()
    with pytest.raises(Unavailable):
        ledger_in(tmp_path)
    assert (tmp_path / "ledger.db").read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        Ledger(f"sqlite:///{tmp_path / 'file' / 'ledger.db'}", model=MODEL, environment="local")


@pytest.mark.parametrize(
    "url", ["postgresql://user:open-sesame@127.0.0.1:1/none", "postgres://user@127.0.0.1:1/none?password=open-sesame"]
)
def test_an_unreachable_server_is_unavailable_and_its_password_is_never_shown(url: str) -> None:
    with pytest.raises(Unavailable) as error:
        Ledger(url, model=MODEL, environment="local")
    assert "open-sesame" not in str(error.value)
    assert "127.0.0.1" in str(error.value)
