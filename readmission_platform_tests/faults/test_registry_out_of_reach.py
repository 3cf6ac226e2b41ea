"""With the registry out of reach nothing moves, and nothing is claimed to have moved."""

from collections.abc import Callable
from pathlib import Path

import pytest

from readmission_platform_tests.support.homes import Home


@pytest.mark.parametrize(
    ("start", "command"),
    [
        ("challenged_home", ("promote", "--version", "2", "--to-stage", "staging")),
        ("succeeded_home", ("rollback", "--reason", "it went wrong")),
    ],
)
def test_a_promotion_and_a_rollback_end_with_5_and_change_nothing(
    start: str,
    command: tuple[str, ...],
    request: pytest.FixtureRequest,
    changing: Callable[[Home], Home],
    tmp_path: Path,
) -> None:
    home = changing(request.getfixturevalue(start))
    stages, events, aliases = home.stages, home.kinds(), home.aliases()
    blocked = tmp_path / "a file"
    blocked.touch()
    ended = home.having(READMISSION_MLFLOW_URL=f"sqlite:///{blocked / 'mlflow.db'}").command(*command)
    assert ended.code == 5
    assert "registry cannot be reached" in ended.err
    # That it failed is on the record, and nothing else is.
    assert (home.stages, home.kinds(), home.aliases()) == (stages, [*events, "run_failed"], aliases)
