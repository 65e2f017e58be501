"""Bodies: read within a limit, parsed strictly, validated once by the types of the ground."""

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from publisher.problem import FieldError, Problem, of_validation

MAX_BODY = 1_048_576
DISCARDED = 16 * MAX_BODY
"""A body that says to be longer than this is cut off after the answer; a shorter one may be sent to its end."""

Document = TypeVar("Document", bound=BaseModel)


async def read(request: Request, max_body: int) -> bytes:
    """Return the whole body. Raises Problem 413 as soon as it is known to be over ``max_body`` bytes."""
    declared = int(request.headers.get("content-length", "0"))  # the server has checked that it is a number
    if declared > max_body:
        raise _too_large(max_body, close=declared > DISCARDED)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_body:
            raise _too_large(max_body, close=True)
    return bytes(body)


def _too_large(max_body: int, *, close: bool) -> Problem:
    headers = {"Connection": "close"} if close else {}
    return Problem(413, f"the body is over {max_body} bytes: send less at a time", headers=headers)


def check_type(request: Request) -> None:
    """Raise Problem 415 unless the body says that it is plain JSON."""
    given = request.headers.get("content-type", "")
    media_type = given.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Problem(
            415, f"Content-Type is {given[:100]!r}: send application/json", headers={"Accept": "application/json"}
        )
    if coding := request.headers.get("content-encoding"):
        raise Problem(
            415, f"Content-Encoding is {coding[:100]!r}: send it plain", headers={"Accept-Encoding": "identity"}
        )


def parse(body: bytes) -> Any:
    """Return the JSON in ``body``. Raises Problem 400 where it is malformed, or not what every reader would read."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"malformed JSON at line {error.lineno}, column {error.colno}: {error.msg}") from None
    _refuse_duplicates(body)
    return document


def _refuse_duplicates(body: bytes) -> None:
    # Readers differ in which of two equal names they take, so neither is safe to act upon (RFC 8259 §4).
    try:
        json.loads(body, object_pairs_hook=_unique, parse_int=len, parse_float=len)
    except RecursionError:
        raise Problem(400, "malformed JSON: it is nested too deeply") from None


def _unique(pairs: list[tuple[str, object]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            error = FieldError(name, None, "is there twice")
            raise Problem(400, f"malformed JSON: the name {name[:100]!r} is twice in one object", [error])
        seen.add(name)


def validated(model: type[Document], document: Any, path: Mapping[str, str]) -> Document:
    """Return ``document`` as ``model``, with the fields that the path names. Raises Problem 422."""
    if not isinstance(document, dict):
        raise Problem(422, "body: must be a JSON object", [FieldError("body", document, "must be a JSON object")])
    fixed = [name for name in document if name in path or name == "kind"]
    if fixed:
        errors = [FieldError(name, document[name], "is said by the path: leave it out") for name in fixed]
        raise Problem(422, f"{fixed[0]}: {errors[0].reason}", errors)
    try:
        # Strict JSON, not strict Python: an array is a tuple there, and text a time.
        return model.model_validate_json(orjson.dumps({**document, **path}), strict=True)
    except ValidationError as failure:
        raise of_validation(failure) from None
