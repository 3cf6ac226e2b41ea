"""The routes of the service's own interface: risks, models and versions.

What belongs here: from a request to a response, and what the documentation says of it. What does not: answering
(``answering``), limits that hold for every route (``guard``), and the Open Inference Protocol (``open_inference``).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from readmission_platform.serving.answering import Answer, Asked
from readmission_platform.serving.answering import Request as Asking
from readmission_platform.serving.http import bodies
from readmission_platform.serving.http.documentation import ERRORS, score_documentation
from readmission_platform.serving.http.responses import JsonResponse
from readmission_platform.serving.problems import Problem, no_token
from readmission_platform.serving.service import ServedModel, Service
from readmission_platform.serving.tokens import Client, Scope

# After so many rows others have a turn: a large request must not keep small ones waiting.
_TURN = 4
_bearer = HTTPBearer(auto_error=False, description="A token of `readmission tokens create`.")
ModelName = Annotated[str, Path(description="Name of a model that is served.")]
Day = Annotated[str | None, Query(description="Of a FHIR bundle: the day of discharge; default: today.")]


def service_of(request: Request) -> Service:
    """Return the service of this worker."""
    found: Service = request.app.state.service
    return found


def needs(scope: Scope) -> Callable[..., Awaitable[Client]]:
    """Return a dependency that lets only clients with a scope through, and says which client it is."""

    async def allowed(
        request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Client:
        client = service_of(request).tokens.client(given.credentials) if given else None
        if client is None:
            raise no_token()
        request.state.noted = {"client": client.name}
        if scope not in client.scopes:
            raise Problem(403, "not_allowed", f"this token lacks the scope {scope}")
        return client

    return allowed


Scoring = Annotated[Client, Depends(needs("score"))]
Reading = Annotated[Client, Depends(needs("read"))]
Administering = Annotated[Client, Depends(needs("admin"))]


async def answers_of(service: Service, name: str, rows: Sequence[Asked], asking: Asking) -> list[Answer]:
    """Answer rows of one model; each answer is on disk before this returns."""
    served = service.model(name)
    snapshot, found = served.snapshot(), []
    lines: list[Any] = []
    for place, answered in enumerate(served.answering.answers(rows, snapshot, asking), start=1):
        found.append(answered.answer)
        lines += answered.lines
        service.count(name, answered.answer, answered.lines)
        if place % _TURN == 0:
            await asyncio.sleep(0)
    if lines:
        served.journal.write(lines)
    return found


def versions_of(answers: Sequence[Answer]) -> list[str]:
    """Return the versions that answered, for the log."""
    return sorted({answer.version for answer in answers if answer.version is not None})


def open_routes() -> APIRouter:
    """Return the routes that ask for no token."""
    router = APIRouter(tags=["operation"])

    @router.get("/healthz", summary="Is the process alive?")
    async def healthz() -> Response:
        return JsonResponse({"alive": True})

    @router.get("/readyz", summary="Can it answer?", responses={503: {"description": "Not ready, and why."}})
    async def readyz(request: Request) -> Response:
        state = service_of(request).state()
        return JsonResponse(state, status_code=200 if state["ready"] else 503)

    return router


def routes(service: Service) -> APIRouter:
    """Return the routes of the service's own interface."""
    router = APIRouter(prefix="/v1", responses=ERRORS)

    @router.get("/models", summary="Which models answer here?", tags=["models"])
    async def models(request: Request, client: Reading) -> Response:
        return JsonResponse({"models": [_described(name, each) for name, each in service_of(request).models.items()]})

    @router.get("/models/{model}/versions", summary="Which versions of a model are loaded?", tags=["models"])
    async def versions(request: Request, model: ModelName, client: Reading) -> Response:
        return JsonResponse({"model": model, "versions": _versions(service_of(request).model(model))})

    @router.post(
        "/models/{model}/score", summary="Score rows", tags=["scoring"], openapi_extra=score_documentation(service)
    )
    async def score(request: Request, model: ModelName, client: Scoring, day: Day = None) -> Response:
        here = service_of(request)
        served = here.model(model)
        body = bodies.parsed(await request.body(), here.config)
        number = request.state.request_id
        contributions = bool(body.get("contributions", False))
        explain = contributions or bool(body.get("explain", True))
        record = served.answering.record_format(body)
        if record is not None:
            rows = served.answering.read_record(body, record, day)
        else:
            rows = served.answering.read(bodies.rows_of(body, here.config))
        bodies.check_number(len(rows), here.config)
        asking = Asking(number, client.name, explain)
        found = await answers_of(here, model, rows, asking)
        request.state.noted = {**request.state.noted, "model": model, "rows": len(rows), "versions": versions_of(found)}
        key = served.follower.workspace.contract.row
        results = [bodies.shown(answer, key, contributions=contributions) for answer in found]
        if all(answer.status == "refused" for answer in found):
            problem = Problem(422, "rows_refused", "no row keeps the contract of the model; see the faults of each")
            return JsonResponse({**problem.body(number), "results": results}, status_code=422)
        return JsonResponse({"model": model, "request_id": number, "results": results})

    @router.post("/models/{model}/refresh", summary="Look at the ledger now", tags=["operation"], status_code=202)
    async def refresh(request: Request, model: ModelName, client: Administering) -> Response:
        here = service_of(request)
        here.model(model)
        here.following.look_now()
        return JsonResponse({"model": model, "looking": True}, status_code=202)

    return router


def metrics_route() -> APIRouter:
    """Return the route for Prometheus."""
    router = APIRouter(tags=["operation"], responses=ERRORS)

    @router.get("/metrics", summary="Counts for Prometheus, of all workers",
                responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}})  # fmt: skip
    async def metrics(request: Request, client: Reading) -> Response:
        return Response(service_of(request).metrics.exposition(), media_type="text/plain; version=0.0.4")

    return router


def _described(name: str, served: ServedModel) -> dict[str, Any]:
    contract, snapshot = served.follower.workspace.contract, served.follower.snapshot
    return {"name": name, "title": contract.words.title, "purpose": contract.purpose, "row": contract.row,
            "version": snapshot.production if snapshot else None}  # fmt: skip


def _versions(served: ServedModel) -> list[dict[str, Any]]:
    snapshot = served.snapshot()
    rollout = None if snapshot.dividing is None else snapshot.dividing.now()

    def role(version: str) -> str:
        if version == snapshot.production:
            return "production"
        return "candidate" if rollout and version == rollout.candidate_version else "previous"

    return [{"version": each.version, "role": role(each.version), "artifact_digest": each.artifact_digest,
             "auroc": each.auroc, "compiled": each.compiled,
             "share": rollout.share if rollout and each.version == rollout.candidate_version else None}
            for each in snapshot.versions.values()]  # fmt: skip
