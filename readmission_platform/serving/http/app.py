"""The application that a worker runs: the service behind its guard, with its routes and its documentation.

What belongs here: putting the application together. What does not: starting a server (``server``).
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import escape

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp

from readmission_platform import __version__
from readmission_platform.config.environment import settings
from readmission_platform.foundation.memory import share_heaps
from readmission_platform.serving.http.connection import ImpatientProtocol
from readmission_platform.serving.http.documentation import HERE, complete, page
from readmission_platform.serving.http.guard import Guard
from readmission_platform.serving.http.open_inference import open_inference_routes
from readmission_platform.serving.http.responses import JsonResponse
from readmission_platform.serving.http.routes import metrics_route, open_routes, routes
from readmission_platform.serving.logs import log_to_stderr
from readmission_platform.serving.problems import Problem
from readmission_platform.serving.server import MODELS, REQUEST_LOG
from readmission_platform.serving.service import Service


def app_of_process() -> ASGIApp:
    """Return the application of a worker, by the environment variables of its process."""
    share_heaps()
    # While one thread reads what is new in the tables, the one that answers must not wait its turn for long.
    sys.setswitchinterval(0.0005)
    log_to_stderr(requests=os.environ.get(REQUEST_LOG, "1") == "1")
    named = os.environ.get(MODELS, "")
    service = Service(settings(), [name for name in named.split(",") if name])
    ImpatientProtocol.header_seconds = service.config.header_seconds
    return make_app(service)


def make_app(service: Service) -> ASGIApp:
    """Return the application around a service, which starts and ends with it."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(service.start)
        yield
        await asyncio.to_thread(service.stop)

    app = FastAPI(
        title="Risks of single rows",
        version=__version__,
        description="Calibrated risks with reasons, by the version of each model that the ledger has in production. "
        "The answer for a row is the one that the daily list would give it.",
        lifespan=life,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.state.service = service
    for router in (open_routes(), routes(service), metrics_route(), open_inference_routes()):
        app.include_router(router)
    described = complete(app.openapi(), service)
    app.openapi = lambda: described  # type: ignore[method-assign]
    shown = page(described, service)

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(shown.replace(HERE, escape(str(request.base_url).rstrip("/"))))

    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_problem)
    return Guard(
        app,
        paths=[*described["paths"], "/docs", "/openapi.json"],
        config=service.config,
        metrics=service.metrics,
        tokens=service.tokens,
    )


async def _problem(request: Request, error: Exception) -> JsonResponse:
    assert isinstance(error, Problem)
    return JsonResponse(error.body(request.state.request_id), status_code=error.status, headers=error.headers)


async def _http_problem(request: Request, error: Exception) -> JsonResponse:
    """Give what the framework refuses (an unknown path, a wrong method) the shape of every other error."""
    assert isinstance(error, HTTPException)
    problem = Problem(error.status_code, "not_found" if error.status_code == 404 else "not_possible", str(error.detail))
    return JsonResponse(problem.body(request.state.request_id), status_code=error.status_code, headers=error.headers)
