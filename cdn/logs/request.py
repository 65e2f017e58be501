"""A request as a line of a log tells it, and what became of it at the edge."""

from enum import IntEnum
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from cdn.accesslog import NOTHING, DetailedType, ResultType


class Outcome(IntEnum):
    """How the edge answered, by ``x-edge-response-result-type``; a place in a list of counts."""

    HIT = 0
    REFRESH_HIT = 1
    MISS = 2
    ERROR = 3
    OTHER = 4
    """Redirects, answers of functions, and what newer logs may say."""
    UNKNOWN = 5
    """The line does not say: logs with 12 fields."""


_OUTCOMES: dict[str, Outcome] = {
    ResultType.HIT: Outcome.HIT,
    ResultType.REFRESH_HIT: Outcome.REFRESH_HIT,
    ResultType.MISS: Outcome.MISS,
    ResultType.ERROR: Outcome.ERROR,
    ResultType.LIMIT_EXCEEDED: Outcome.ERROR,
    ResultType.CAPACITY_EXCEEDED: Outcome.ERROR,
    NOTHING: Outcome.UNKNOWN,
}
SHIELD = DetailedType.ORIGIN_SHIELD_HIT.value.encode()
"""A detailed result: the origin's shield had it, and the origin was not asked."""


def outcome_of(result: bytes) -> Outcome:
    """Return the outcome that a log spells so."""
    return _OUTCOMES.get(result.decode("latin-1"), Outcome.OTHER)


class Request(NamedTuple):
    """A line of a log: ``second`` since 1970 (UTC) at which it was answered; texts as the log spells them."""

    second: int
    path: bytes
    method: bytes
    status: int
    outcome: Outcome
    detail: bytes
    size: int
    """Bytes to the viewer, headers included."""
    first_byte: bytes
    """Seconds until the first byte, as text, ``-`` where it is not told."""
    agent: bytes


def asked(path: bytes) -> str:
    """Return a path as it was asked for: the log percent-encodes it once more, ``%20`` as ``%2520``."""
    return unquote_to_bytes(path).decode("utf-8", "replace")
