"""Problems: what the API says when it refuses (RFC 9457), naming field, value and reason of each error."""

import http
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from pydantic_core import ErrorDetails, ValidationError
from starlette.responses import Response

from feeds.errors import Conflict, FeedsError, Gone, InvalidId, NotFound, RecordUnavailable, Refused
from feeds.refusing import Refusing

MEDIA_TYPE = "application/problem+json"
MAX_VALUE = 200
"""Characters of a refused value that are said back."""
MAX_ERRORS = 100
"""Errors that one problem names; it counts the others."""

_RENAMED = {413: "Content Too Large", 422: "Unprocessable Content"}  # RFC 9110, which Python follows from 3.13


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request: ``field`` as a path (``commands[3].title``), its value, and why."""

    field: str
    value: object
    reason: str


@dataclass(slots=True)
class Problem(Exception):
    """A request is refused and nothing of it was kept."""

    status: int
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Return the problem as an answer."""
        return Response(orjson.dumps(self._document()), self.status, self.headers, MEDIA_TYPE)

    def _document(self) -> dict[str, object]:
        document: dict[str, object] = {
            "type": "about:blank",
            "title": _RENAMED.get(self.status) or http.HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            document["errors"] = [_spelt(error) for error in self.errors[:MAX_ERRORS]]
        if len(self.errors) > MAX_ERRORS:
            document["errors_omitted"] = len(self.errors) - MAX_ERRORS
        return document


def _spelt(error: FieldError) -> dict[str, object]:
    return {"field": error.field, "value": shortened(error.value), "reason": error.reason}


def shortened(value: object) -> object:
    """Return a value that is short enough to say back: numbers as they are, text and JSON cut at 200 characters."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"


def field_name(location: Iterable[int | str]) -> str:
    """Return where an error is as a reader would write it: ``commands[3].tags[0]``, or ``body`` for the whole."""
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}"
    return name.removeprefix(".") or "body"


def _location(error: ErrorDetails) -> Sequence[int | str]:
    where = error["loc"]
    # Below commands[3] pydantic names the kind of command too, below users what kind of list: no parts of the document.
    if where[:1] == ("users",):
        return (where[0], *where[2:])
    return (*where[:2], *where[3:]) if where[:1] == ("commands",) else where


def _reason(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    unit = "characters" if isinstance(error["input"], str) else "items"
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return "is not a field that this takes"
        case "too_long" | "string_too_long":
            return f"must have at most {context['max_length']} {unit}"
        case "too_short" | "string_too_short":
            return f"must have at least {context['min_length']} {unit}"
        case "string_pattern_mismatch":
            return f"must match {context['pattern']}"
        case _:
            return error["msg"].removeprefix("Value error, ").replace("Input should be", "must be")


def _field_error(error: ErrorDetails) -> FieldError:
    value = None if error["type"] == "missing" else error["input"]
    return FieldError(field_name(_location(error)), value, _reason(error))


def _is_echo(error: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Tell whether a list is too short only because its items were refused."""
    where = error["loc"]
    return error["type"] == "too_short" and any(d["loc"][: len(where)] == where for d in details if d is not error)


def of_validation(failure: ValidationError) -> Problem:
    """Return the problem of a document that is JSON but not what is asked for."""
    details = failure.errors(include_url=False)
    errors = [_field_error(error) for error in details if not _is_echo(error, details)]
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return Problem(422, f"{first.field}: {first.reason}{more}", errors)


def of_id(name: str, value: str) -> Problem:
    """Return the problem of a name in the path that is outside the grammar of ids."""
    reason = "an id is 1 to 64 of a-z, 0-9, _ and -, and begins with a letter or digit"
    return Problem(422, f"{name}: {reason}", [FieldError(name, value, reason)])


def demand_utf8(name: str, value: str) -> None:
    """Raise Problem 422 for a name in the path that was not UTF-8: servers decode what is none as U+FFFD."""
    if "\ufffd" in value:
        raise Problem(422, f"{name}: is not UTF-8", [FieldError(name, value, "is not UTF-8")])


def of_feeds(failure: FeedsError, *, path: Iterable[str], batch: bool) -> Problem:
    """Return the problem of what the system of record refused.

    What the path names is 404 or 410 where it is not there; what a body names is 422, for the path was right.
    """
    if isinstance(failure, RecordUnavailable):
        return Problem(503, str(failure), headers={"Retry-After": "1"})
    if isinstance(failure, Refused):
        name = f"commands[{failure.index}].{failure.field}" if batch else failure.field
        error = FieldError(name, failure.value, failure.reason)
        return Problem(_status(failure, failure.field in path), f"{name}: {failure.reason}", [error])
    return Problem(422 if isinstance(failure, InvalidId) else 500, str(failure))


def of_redis(failure: Exception) -> Problem:
    """Return the problem of a Redis that does not answer."""
    said = str(failure) or type(failure).__name__
    detail = f"Redis does not answer ({said}): ask again later; no change that was accepted is lost"
    return Problem(503, detail, headers={"Retry-After": "1"})


def of_refusing(refusing: Refusing) -> Problem:
    """Return the problem of a write that is not taken now, though it is right."""
    seconds = max(1, math.ceil(refusing.until_ms / 1000 - time.time()))
    return Problem(503, refusing.reason, headers={"Retry-After": str(seconds)})


def _status(failure: Refused, in_path: bool) -> int:
    if isinstance(failure, Conflict):
        return 409
    if isinstance(failure, NotFound) and in_path:
        return 404
    return 410 if isinstance(failure, Gone) and in_path else 422
