"""Commands about the installation: ``setup``, ``dev`` (the Dagster UI) and ``mlflow-ui``."""

from typing import Annotated

import typer

from readmission_platform.commands.terminal import home, out


def setup() -> None:
    """Create the home, and make a plain `dagster dev` in this checkout use it."""
    from readmission_platform.storage.home import prepare_home, write_dagster_environment

    current = home()
    prepare_home(current)
    write_dagster_environment(current)
    out.print(f"home: {current.home}", markup=False)


def dev(
    port: Annotated[int | None, typer.Option(help="Port; default: a free one from 3000 up.")] = None,
) -> None:
    """Start the Dagster UI with schedules and sensors on a free port."""
    from readmission_platform.servers import serve_dagster

    serve_dagster(home(), port=port)


def mlflow_ui(
    port: Annotated[int | None, typer.Option(help="Port; default: a free one from 5000 up.")] = None,
) -> None:
    """Start the MLflow UI on a free port."""
    from readmission_platform.servers import serve_mlflow

    serve_mlflow(home(), port=port)
