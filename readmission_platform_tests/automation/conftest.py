"""Fixtures of this folder: a home that is watched."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from readmission_platform_tests.support.homes import Home
from readmission_platform_tests.support.watched import Watched, watched_home


@pytest.fixture(scope="session")
def prepared_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which nothing has happened, with MLflow's database made."""
    home = Home.new(tmp_path_factory.mktemp("prepared") / "home")
    home.aliases()
    return home


@pytest.fixture
def watched(prepared_home: Home, tmp_path: Path) -> Iterator[Watched]:
    """A home that is watched and may be changed; its runs are in memory, which is quick."""
    with watched_home(prepared_home.copy(tmp_path / "home"), in_memory=True) as opened:
        yield opened


@pytest.fixture
def installed(prepared_home: Home, tmp_path: Path) -> Iterator[Watched]:
    """The same with Dagster's storage and settings in the home."""
    with watched_home(prepared_home.copy(tmp_path / "home")) as opened:
        yield opened
