"""The OpenAPI 3.1 document, generated from the table of endpoints and the types that validate."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from feeds.command import MAX_TAG
from feeds.ids import PATTERN
from publisher.answers import JobAnswer, ProblemAnswer, Written
from publisher.endpoint import TAG_NAME, Endpoint
from publisher.problem import MEDIA_TYPE

_REFERENCE = "#/components/schemas/{model}"


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI document of the endpoints."""
    schemas = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Edgebake write API", "version": version("edgebake"), "license": {"name": "MIT"}},
        "security": [{"token": []}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _schemas(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    wanted: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ProblemAnswer, "serialization"): None}
    for endpoint in endpoints:
        if endpoint.answer is not None:
            wanted[endpoint.answer, "serialization"] = None
        if endpoint.body is not None:
            wanted[endpoint.body, "validation"] = None
    _, definitions = models_json_schema(list(wanted), ref_template=_REFERENCE)
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _operation(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "parameters": [_path_parameter(name) for name in path_names(endpoint.path)],
        "responses": _responses(endpoint),
    }
    if endpoint.method == "POST" and endpoint.body is not None:
        operation["parameters"].append(_IDEMPOTENCY)
    if endpoint.body is not None:
        schema = _body_schema(endpoint, schemas)
        content = {"application/json": {"schema": schema}}
        operation["requestBody"] = {"required": not endpoint.body_optional, "content": content}
    if endpoint.public:
        operation["security"] = []
    return operation


_LOCATIONS = {
    Written: "Where to ask after the change, if there is one",
    JobAnswer: "Where to ask after the job",
}
_IDEMPOTENCY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same body gives the same answer for 24 hours, and does nothing again.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,128}$"},
}


def path_names(path: str) -> list[str]:
    """Return the names in a path: ``user`` and ``author`` of ``/api/users/{user}/follows/{author}``."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def _operation_id(endpoint: Endpoint) -> str:
    words = [part.strip("{}").removesuffix(".json") for part in endpoint.path.split("/") if part]
    return "_".join([endpoint.method.lower(), *words])


def _path_parameter(name: str) -> dict[str, Any]:
    tag = {"type": "string", "minLength": 1, "maxLength": MAX_TAG}
    schema = tag if name == TAG_NAME else {"type": "string", "pattern": PATTERN}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _body_schema(endpoint: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of the body: the command without what the path says."""
    if endpoint.body is None:
        return {}
    whole: dict[str, Any] = schemas[endpoint.body.__name__]
    said = {"kind", *path_names(endpoint.path)}
    properties = {name: schema for name, schema in whole["properties"].items() if name not in said}
    required = [name for name in whole.get("required", ()) if name not in said]
    return {**whole, "properties": properties, "required": required}


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    problem = {"$ref": _REFERENCE.format(model=ProblemAnswer.__name__)}
    return {
        str(endpoint.status): _done(endpoint),
        "default": {"description": "Refused; nothing was kept", "content": {MEDIA_TYPE: {"schema": problem}}},
    }


def _done(endpoint: Endpoint) -> dict[str, Any]:
    done: dict[str, Any] = {"description": "Done"}
    if endpoint.answer is not None:
        answer = {"$ref": _REFERENCE.format(model=endpoint.answer.__name__)}
        done["content"] = {"application/json": {"schema": answer}}
    if endpoint.status == 202 and endpoint.answer in _LOCATIONS:
        location = {"description": _LOCATIONS[endpoint.answer], "schema": {"type": "string"}}
        done["headers"] = {"Location": location}
    return done
