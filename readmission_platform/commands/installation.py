"""Commands about the installation: ``setup``, ``models``, ``pages``, ``dev`` (the Dagster UI) and ``mlflow-ui``."""

from typing import Annotated

import typer

from readmission_platform import summary, tables
from readmission_platform.commands.terminal import Json, home, open_page, out, platform_here, print_json
from readmission_platform.foundation.errors import Unavailable


def setup() -> None:
    """Create the home, and make a plain `dagster dev` in this checkout use it, unless it already uses another one."""
    from readmission_platform.storage.home import write_dagster_environment

    current = home(make=True)
    out.print(f"home: {current.home}", markup=False, soft_wrap=True)
    elsewhere = write_dagster_environment(current)
    if elsewhere is not None:
        out.print(f"note: {elsewhere}", markup=False, soft_wrap=True)


def models(as_json: Json = False) -> None:
    """List the models of this installation: what each predicts, who owns it, and which version is live."""
    from readmission_platform.lifecycle.workspace import Platform

    found = summary.models(Platform(home()))
    if as_json:
        print_json(found)
    else:
        tables.show_models(out, found)


def pages(
    show: Annotated[bool, typer.Option("--open", help="Open the index in the browser.")] = False,
    as_json: Json = False,
) -> None:
    """List the pages that have been written, of every model, on one page that leads to them."""
    from readmission_platform.lifecycle.pages import pages_of_home, renew_links

    current = home()
    try:
        index = renew_links(current)
    except OSError as error:
        raise Unavailable(f"the index cannot be written ({error.strerror})") from error
    if as_json:
        print_json({"page": str(index), "models": [each.to_json() for each in pages_of_home(current)]})
    else:
        out.print(str(index), markup=False, soft_wrap=True)
    if show:
        open_page(index)


def dev(
    port: Annotated[int | None, typer.Option(help="Port; default: a free one from 3000 up.")] = None,
) -> None:
    """Start the Dagster UI with schedules and sensors on a free port."""
    from readmission_platform.servers import serve_dagster

    serve_dagster(platform_here(make=True).settings, port=port)


def mlflow_ui(
    port: Annotated[int | None, typer.Option(help="Port; default: a free one from 5000 up.")] = None,
) -> None:
    """Start the MLflow UI on a free port."""
    from readmission_platform.servers import serve_mlflow

    platform = platform_here()
    experiments = {workspace.name: workspace.registry.experiment() for workspace in platform.workspaces}
    serve_mlflow(platform.settings, experiments, port=port)
