"""The Open Inference Protocol (version 2), so that clients of KServe, Triton and MLServer can ask as they are used to.

What belongs here: its routes, tensors of columns, and tensors of answers. What does not: answering. Source:
https://github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md.

A column is an input tensor of shape [rows] or [rows, 1]; what is missing in a row is null. Reasons are not asked for
unless the parameter ``explain`` is true.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from readmission_platform import __version__
from readmission_platform.intake.contract import RowContract
from readmission_platform.serving.answering import Answer
from readmission_platform.serving.answering import Request as Asking
from readmission_platform.serving.http import bodies
from readmission_platform.serving.http.documentation import ERRORS
from readmission_platform.serving.http.responses import JsonResponse
from readmission_platform.serving.http.routes import ModelName, Reading, Scoring, answers_of, service_of, versions_of
from readmission_platform.serving.problems import Problem

_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"description": "Not ready."}}
_TYPES = frozenset({"BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP32", "FP64",
                    "BYTES"})  # fmt: skip


def open_inference_routes() -> APIRouter:
    """Return the routes of the protocol."""
    router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"], responses=ERRORS)

    @router.get("", summary="Server metadata")
    async def server() -> Response:
        return JsonResponse({"name": "readmission", "version": __version__, "extensions": []})

    @router.get("/health/live", summary="Server live")
    async def live() -> Response:
        return JsonResponse({"live": True})

    @router.get("/health/ready", summary="Server ready", responses=_NOT_READY)
    async def ready(request: Request) -> Response:
        is_ready = service_of(request).state()["ready"]
        return JsonResponse({"ready": is_ready}, status_code=200 if is_ready else 503)

    @router.get("/models/{model}/ready", summary="Model ready", responses=_NOT_READY)
    async def model_ready(request: Request, model: ModelName, client: Reading) -> Response:
        snapshot = service_of(request).model(model).follower.snapshot
        return JsonResponse({"name": model, "ready": snapshot is not None}, status_code=200 if snapshot else 503)

    @router.get("/models/{model}", summary="Model metadata")
    async def metadata(request: Request, model: ModelName, client: Reading) -> Response:
        served = service_of(request).model(model)
        feed, snapshot = served.follower.workspace.contract.feed, served.follower.snapshot
        names = [*feed.columns, feed.day]
        return JsonResponse({
            "name": model,
            "versions": sorted(snapshot.versions) if snapshot else [],
            "platform": "readmission",
            "inputs": [{"name": name, "datatype": _datatype(feed, name), "shape": [-1]} for name in names],
            "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in _OUTPUTS],
        })  # fmt: skip

    @router.post("/models/{model}/infer", summary="Inference", openapi_extra=_INFER)
    async def infer(request: Request, model: ModelName, client: Scoring) -> Response:
        service = service_of(request)
        served = service.model(model)
        body = bodies.parsed(await request.body(), service.config)
        number = str(body.get("id") or request.state.request_id)
        rows, wanted = rows_of(body), wanted_of(body)
        bodies.check_number(len(rows), service.config)
        parameters = body.get("parameters")
        explain = isinstance(parameters, Mapping) and parameters.get("explain") is True
        asking = Asking(request.state.request_id, client.name, explain)
        found = await answers_of(service, model, served.answering.read(rows), asking)
        request.state.noted = {**request.state.noted, "model": model, "rows": len(rows), "versions": versions_of(found)}
        if all(answer.status == "refused" for answer in found):
            codes = sorted({f"{fault.column}: {fault.code}" for answer in found for fault in answer.faults})
            raise Problem(422, "rows_refused", f"no row keeps the contract of the model ({'; '.join(codes)})")
        versions = {answer.version for answer in found if answer.version}
        return JsonResponse({
            "model_name": model,
            **({"model_version": versions.pop()} if len(versions) == 1 else {}),
            "id": number,
            "outputs": [tensor for tensor in tensors_of(found) if tensor["name"] in wanted],
        })  # fmt: skip

    return router


def rows_of(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows that input tensors hold, column by column.

    Raises
    ------
    Problem
        422 where a tensor is not of the protocol, or tensors differ in length.
    """
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise _refused("expected inputs, a list of at least one tensor")
    columns: dict[str, Sequence[Any]] = {}
    for tensor in inputs:
        name, values = _tensor(tensor)
        if name in columns:
            raise _refused("two inputs have the same name")
        columns[name] = values
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise _refused("the inputs differ in length, or have none")
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def wanted_of(body: Mapping[str, Any]) -> set[str]:
    """Return the names of the outputs that are asked for, all without any; raises ``Problem`` (422) for others."""
    known, asked = [name for name, _ in _OUTPUTS], body.get("outputs")
    if not asked:
        return set(known)
    names = {str(each.get("name")) for each in asked if isinstance(each, Mapping)} if isinstance(asked, list) else set()
    if not names or not names <= set(known):
        raise _refused(f"outputs are {', '.join(known)}")
    return names


def _tensor(tensor: Any) -> tuple[str, Sequence[Any]]:
    if not isinstance(tensor, Mapping) or not isinstance(tensor.get("name"), str):
        raise _refused("each input has a name, a shape, a datatype and data")
    shape, data, kind = tensor.get("shape"), tensor.get("data"), tensor.get("datatype")
    if not isinstance(kind, str) or kind not in _TYPES:
        raise _refused("the datatype of an input is none of the protocol")
    if not isinstance(data, list) or not isinstance(shape, list) or len(shape) not in {1, 2}:
        raise _refused("the data of an input is a list, its shape [rows] or [rows, 1]")
    if len(shape) == 2 and data and all(isinstance(each, list) and len(each) == 1 for each in data):
        data = [each[0] for each in data]
    if shape not in ([len(data)], [len(data), 1]):
        raise _refused("the shape of an input is not that of its data")
    return tensor["name"], data


def tensors_of(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return answers as output tensors; a risk that is not there is null."""
    columns: Mapping[str, list[Any]] = {
        "risk": [answer.risk for answer in answers],
        "status": [answer.status for answer in answers],
        "band": [answer.band for answer in answers],
        "reasons": [answer.reasons for answer in answers],
        "withheld_because": [
            answer.withheld_because if answer.status == "withheld" else
            "; ".join(f"{fault.column}: {fault.code}" for fault in answer.faults) or None
            for answer in answers
        ],
        "version": [answer.version for answer in answers],
    }  # fmt: skip
    return [{"name": name, "datatype": kind, "shape": [len(answers)], "data": columns[name]} for name, kind in _OUTPUTS]


def _datatype(feed: RowContract, name: str) -> str:
    if name in feed.whole_numbers:
        return "INT64"
    return "FP64" if name in feed.numbers else "BYTES"


def _refused(why: str) -> Problem:
    return Problem(422, "no_tensors", why)


_OUTPUTS = (("risk", "FP64"), ("status", "BYTES"), ("band", "BYTES"), ("reasons", "BYTES"),
            ("withheld_because", "BYTES"), ("version", "BYTES"))  # fmt: skip
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        "datatype": {"enum": sorted(_TYPES)},
        "data": {"type": "array"},
    },
}
_INFER: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "parameters": {"type": "object"},
                "inputs": {"type": "array", "minItems": 1, "items": _TENSOR},
                "outputs": {"type": "array"},
            },
        }}},
    },
}  # fmt: skip
