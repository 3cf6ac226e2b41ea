"""Fixtures of this folder: a small study with a trained model, and MLflow without its two seconds of set-up."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from readmission_platform.resources.tracking import TrackingResource
from readmission_platform_tests.support.small_study import SmallStudy, make_small_study

EXPERIMENT = "readmission_30d"


@pytest.fixture(scope="session")
def small_study() -> SmallStudy:
    """Return 6,000 synthetic encounters with a trained model; do not change anything in place."""
    return make_small_study(encounters=6_000, seed=11)


def tracking_in(home: Path) -> TrackingResource:
    return TrackingResource(
        uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=str(home / "mlartifacts"), experiment=EXPERIMENT
    )


@pytest.fixture(scope="session")
def initialised_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with an MLflow database without runs, to be copied."""
    home = tmp_path_factory.mktemp("mlflow")
    tracking_in(home).client()
    return home


@pytest.fixture
def tracking(initialised_mlflow: Path, tmp_path: Path) -> Iterator[TrackingResource]:
    """Return tracking in a home of its own."""
    import mlflow

    home = tmp_path / "home"
    shutil.copytree(initialised_mlflow, home)
    yield tracking_in(home)
    # MLflow keeps the active run per process; a test that failed half-way must not hand its run on.
    while mlflow.active_run():
        mlflow.end_run()
