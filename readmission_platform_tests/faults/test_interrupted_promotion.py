"""What a crash at any step of a promotion or a rollback leaves behind, and that a restart puts it right."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from readmission_platform.governance.ledger.ledger import Ledger
from readmission_platform.governance.ledger.schema import events, ledger_meta, pointers
from readmission_platform_tests.support.homes import MODEL, Home
from readmission_platform_tests.support.interruption import run_until

pytestmark = pytest.mark.slow

PROMOTE = ("promote", "--version", "2", "--to-stage", "production", "--replace", "--reason", "refresh")
ROLL_BACK = ("rollback", "--reason", "it went wrong")


@pytest.fixture(scope="module")
def approved_home(shadowed_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Version 1 is in production; version 2 is in staging, shadowed and approved."""
    home = shadowed_home.copy(tmp_path_factory.mktemp("approved") / "home")
    assert home.command("approve", "--version", "2", "--reason", "as good as the one before").code == 0
    return home


def on_postgresql(home: Home, url: str) -> Home:
    """Return a home whose ledger is in this empty database, row by row as it was in its file."""
    with Ledger(url, model=MODEL, environment="local"):
        pass  # there are tables now
    file = sa.create_engine(f"sqlite:///{home.path / 'ledger.db'}")
    server = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with file.connect() as source, server.begin() as target:
        for table in (ledger_meta, events, pointers):
            rows = [dict(row) for row in source.execute(sa.select(table)).mappings()]
            target.execute(sa.text(f"ALTER TABLE {table.name} DISABLE TRIGGER USER"))
            target.execute(sa.delete(table))
            if rows:
                target.execute(sa.insert(table), rows)
        for trigger in ("events_append_only", "events_in_order"):
            target.execute(sa.text(f"ALTER TABLE events ENABLE ALWAYS TRIGGER {trigger}"))
    file.dispose()
    server.dispose()
    return home.having(READMISSION_LEDGER_URL=url)


@pytest.fixture(params=["sqlite", "postgresql"])
def placed(request: pytest.FixtureRequest) -> Callable[[Home], Home]:
    """Put a home's ledger where it is tested: left in its file, or moved to a server."""
    if request.param == "sqlite":
        return lambda home: home
    server = request.getfixturevalue("postgresql")
    return lambda home: on_postgresql(home, server.emptied())


def every_step(home: Home, command: tuple[str, ...]) -> list[str]:
    """Return the steps of a command that is left alone."""
    ended = run_until(home, None, *command)
    assert ended.code == 0
    return list(dict.fromkeys(ended.steps))


def assert_sound(home: Home) -> None:
    """The chain verifies, and at most one version is in production, by the pointers as by the events."""
    with home.ledger() as ledger:
        ledger.verify()
    assert home.stages["production"] in {"1", "2"}


def assert_converges(home: Home) -> None:
    """After a restart, the registry shows what the ledger says."""
    assert home.command("reconcile").code == 0
    assert home.aliases() == {stage: version for stage, version in home.stages.items() if version is not None}


@pytest.mark.parametrize(
    ("command", "start", "before", "after"),
    [(PROMOTE, "approved_home", "1", "2"), (ROLL_BACK, "succeeded_home", "2", "1")],
    ids=["promotion", "rollback"],
)
def test_a_kill_at_any_step_leaves_one_version_and_a_restart_converges(
    command: tuple[str, ...],
    start: str,
    before: str,
    after: str,
    request: pytest.FixtureRequest,
    placed: Callable[[Home], Home],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    home: Home = request.getfixturevalue(start)
    undisturbed = placed(home.copy(tmp_path / "undisturbed" / "home"))
    steps = every_step(undisturbed, command)
    record_property("steps", len(steps))
    assert len(steps) >= 8
    if "READMISSION_LEDGER_URL" in undisturbed.variables:
        steps = [step for step in steps if "ledger" in step]  # at the others the ledger's database plays no part
    for number, step in enumerate(steps):
        hit = placed(home.copy(tmp_path / str(number) / "home"))
        ended = run_until(hit, step, *command)
        assert ended.code == -9, f"it was not killed at {step!r}"
        assert_sound(hit)
        moved = hit.stages["production"] == after
        assert moved or hit.stages["production"] == before
        assert_converges(hit)
        if command is PROMOTE:
            again = hit.command(*command)
            assert again.code == (3 if moved else 0), "a promotion that happened is refused, one that did not succeeds"
            assert hit.stages["production"] == after
            assert_sound(hit)
            assert hit.aliases() == {"production": after}
