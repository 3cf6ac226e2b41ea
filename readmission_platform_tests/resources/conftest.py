"""Fixtures of this folder: a small study with a trained model, and MLflow without its two seconds of set-up."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from readmission_platform.storage.registry import Registry
from readmission_platform_tests.support.small_study import SmallStudy, make_small_study

NAME = "readmission_30d"


@pytest.fixture(scope="session")
def small_study() -> SmallStudy:
    """Return 6,000 synthetic encounters with a trained model; do not change anything in place."""
    return make_small_study(encounters=6_000, seed=11)


def registry_in(home: Path) -> Registry:
    return Registry(f"sqlite:///{home / 'mlflow.db'}", home / "mlartifacts", NAME)


@pytest.fixture(scope="session")
def initialised_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with an MLflow database without runs, to be copied."""
    home = tmp_path_factory.mktemp("mlflow")
    registry_in(home).client()
    return home


@pytest.fixture
def registry(initialised_mlflow: Path, tmp_path: Path) -> Iterator[Registry]:
    """Return a registry in a home of its own."""
    import mlflow

    home = tmp_path / "home"
    shutil.copytree(initialised_mlflow, home)
    yield registry_in(home)
    # MLflow keeps the active run per process; a test that failed half-way must not hand its run on.
    while mlflow.active_run():
        mlflow.end_run()
