"""The resources of an environment, built from its settings: for the definitions and for commands alike."""

from typing import TYPE_CHECKING, NamedTuple

from readmission_platform.config.environment import Settings
from readmission_platform.config.files import model_config

if TYPE_CHECKING:
    from readmission_platform.resources.lake import LakeResource
    from readmission_platform.resources.project import ProjectResource
    from readmission_platform.resources.tracking import TrackingResource


class Resources(NamedTuple):
    """What assets and operations work with."""

    project: "ProjectResource"
    tracking: "TrackingResource"
    lake: "LakeResource"


def environment_resources(settings: Settings) -> Resources:
    """Return the resources of an environment."""
    # Here, because commands that only read the ledger are not to wait for Dagster.
    from readmission_platform.resources.lake import LakeResource
    from readmission_platform.resources.project import ProjectResource
    from readmission_platform.resources.tracking import TrackingResource

    return Resources(
        project=ProjectResource.of(settings),
        tracking=TrackingResource(
            uri=settings.mlflow_database,
            artifact_root=str(settings.mlflow_artifacts),
            experiment=model_config(settings).name,
        ),
        lake=LakeResource(root=str(settings.lake)),
    )
