"""What the OpenAPI document says of bodies: schemas made from the contract of each model, with an example that works.

What belongs here: descriptions. What does not: checking bodies, which is done by the contract itself (``bodies``,
``intake.single``): no second set of rules that could differ from those of files.
"""

import json
from typing import Any

from jinja2 import Environment, PackageLoader

from readmission_platform.intake.contract import RowContract
from readmission_platform.models.probes import example_row
from readmission_platform.serving.service import Service

# Stands in the page for the address that it is read at.
HERE = "http://address.of.the.service"
_PROBLEM = {
    "type": "object",
    "required": ["error", "request_id"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        },
        "request_id": {"type": "string"},
    },
}


def _problem(text: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _PROBLEM}}}


ERRORS: dict[int | str, dict[str, Any]] = {
    400: _problem("The body is not what it should be."),
    401: _problem("No valid token."),
    403: _problem("The token lacks the scope."),
    404: _problem("No such model."),
    408: _problem("The body did not arrive in time."),
    413: _problem("The body is too large."),
    422: _problem("The rows cannot be read."),
    429: _problem("Too many requests at once; Retry-After says when to come again."),
    500: _problem("The request could not be answered."),
    503: _problem("No version is ready, or no answer in time."),
}


def score_documentation(service: Service) -> dict[str, Any]:
    """Return request and answer of scoring, for the models that are served."""
    contracts = {name: served.follower.workspace.contract for name, served in service.models.items()}
    examples = {
        name: {"summary": f"A row of {name}", "value": {"rows": [example_row(contract)], "explain": True}}
        for name, contract in contracts.items()
    }
    rows = [row_schema(contract.feed, title=name) for name, contract in contracts.items()]
    asked = {
        "type": "object",
        "title": "Rows",
        "required": ["rows"],
        "additionalProperties": False,
        "properties": {
            "rows": {
                "type": "array",
                "minItems": 1,
                "maxItems": service.config.most_rows,
                "items": rows[0] if len(rows) == 1 else {"anyOf": rows},
            },
            "explain": {"type": "boolean", "default": True, "description": "Whether to say why; costs a little time."},
            "contributions": {"type": "boolean", "default": False,
                              "description": "Whether to give what each part adds, in log odds."},
        },
    }  # fmt: skip
    bundle = {"type": "object", "title": "FHIR R4 bundle", "required": ["resourceType", "entry"],
              "properties": {"resourceType": {"const": "Bundle"}, "entry": {"type": "array"}}}  # fmt: skip
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"anyOf": [asked, bundle]}, "examples": examples}},
        },
        "responses": {
            "200": {"description": "One result for each row, in order.",
                    "content": {"application/json": {"schema": _answer_schema()}}},
        },
    }  # fmt: skip


def complete(document: dict[str, Any], service: Service) -> dict[str, Any]:
    """Return the OpenAPI document with the names of the models that are served wherever one is asked for."""
    for methods in document["paths"].values():
        for route in methods.values():
            for parameter in route.get("parameters", []):
                if parameter["name"] == "model":
                    parameter["schema"]["enum"] = list(service.models)
    return document


def page(document: dict[str, Any], service: Service) -> str:
    """Return the documentation as a page that needs nothing from elsewhere: a hospital's network may not lead there."""
    environment = Environment(loader=PackageLoader("readmission_platform.serving.http", "."), autoescape=True)
    models = []
    for name, served in service.models.items():
        contract = served.follower.workspace.contract
        feed = contract.feed
        columns = [
            {"name": each, "meaning": _values(feed, each), "optional": feed.may_miss(each)} for each in feed.columns
        ]
        columns.append({"name": feed.day, "meaning": "YYYY-MM-DD; default: today, at the hospital", "optional": True})
        models.append({"name": name, "title": contract.words.title, "purpose": contract.purpose, "columns": columns,
                       "example": json.dumps({"rows": [example_row(contract)]})})  # fmt: skip
    return environment.get_template("page.html.jinja").render(document=document, models=models, here=HERE)


def _values(feed: RowContract, name: str) -> str:
    if name in feed.whole_numbers:
        low, high = feed.whole_numbers[name]
        return f"whole number, {low:,} to {high:,}"
    if name in feed.numbers:
        lowest, highest = feed.numbers[name]
        return f"number, {lowest:g} to {highest:g}"
    if name in feed.vocabularies:
        return ", ".join(feed.vocabularies[name])
    return "code" if name in feed.patterns else "text"


def row_schema(feed: RowContract, *, title: str) -> dict[str, Any]:
    """Return the JSON schema of a row: its columns, types, ranges and lists. Other spellings are read too."""
    properties = {name: _column(feed, name) for name in feed.columns}
    properties[feed.day] = {
        "type": ["string", "null"],
        "pattern": r"^(\d{4}-\d{2}-\d{2})?$",
        "description": "YYYY-MM-DD; default: today, at the hospital.",
    }
    return {"type": "object", "title": title, "required": list(feed.required), "properties": properties}


def _column(feed: RowContract, name: str) -> dict[str, Any]:
    found: dict[str, Any]
    if name in feed.whole_numbers:
        low, high = feed.whole_numbers[name]
        found = {"type": "integer", "minimum": low, "maximum": high}
    elif name in feed.numbers:
        lowest, highest = feed.numbers[name]
        found = {"type": "number", "minimum": lowest, "maximum": highest}
    elif name in feed.vocabularies:
        found = {"type": "string", "enum": list(feed.vocabularies[name])}
    else:
        found = {"type": "string"}
    return {"anyOf": [found, {"type": "null"}]} if feed.may_miss(name) else found


def _answer_schema() -> dict[str, Any]:
    fault = {"type": "object", "properties": {each: {"type": "string"} for each in ("column", "code", "reason")}}
    result = {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"enum": ["scored", "withheld", "refused", "failed"]},
            "version": {"type": "string"},
            "risk": {"type": "number", "minimum": 0, "maximum": 1},
            "band": {"type": ["string", "null"]},
            "reasons": {"type": "array", "items": {"type": "string"}},
            "contributions": {"type": "object"},
            "withheld_because": {"type": "string"},
            "faults": {"type": "array", "items": fault},
        },
    }
    return {
        "type": "object",
        "required": ["model", "request_id", "results"],
        "properties": {
            "model": {"type": "string"},
            "request_id": {"type": "string"},
            "results": {"type": "array", "items": result},
        },
    }
