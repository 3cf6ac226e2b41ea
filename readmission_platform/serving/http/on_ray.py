"""The application for Ray Serve: each replica is a worker of the service.

What belongs here: what Ray imports. What does not: the application (``app``) and its cluster
(``operations.manifests``).

Only imported by Ray, which the platform does not install.
"""

from ray import serve
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from readmission_platform.serving.http.app import app_of_process


class _Worker(Starlette):
    """The application of a worker as one of Starlette's, which Ray adds handlers of its own errors to."""

    def __init__(self, application: ASGIApp) -> None:
        super().__init__()
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope, receive, send)


def worker() -> Starlette:
    """Return the application of a replica, by the environment variables of its process."""
    return _Worker(app_of_process())


class Scoring:
    """Answers as a worker does; Ray says how many there are."""


app = serve.deployment(serve.ingress(worker)(Scoring)).bind()
