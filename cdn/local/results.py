"""How the edge came by an answer: what ``X-Cache`` says, and one line a request in the log."""

import logging
from collections import deque
from enum import Enum
from typing import NamedTuple

from cdn.local.decision import CLIENT_ERROR

EVENTS = logging.getLogger("edgebake.events")


class Result(Enum):
    """``X-Cache``, as CloudFront words it."""

    HIT = "Hit"
    MISS = "Miss"
    REFRESH_HIT = "RefreshHit"
    ERROR = "Error"
    GENERATED = "FunctionGeneratedResponse"  # made at the edge, where CloudFront would run a function

    def __init__(self, word: str) -> None:
        self.x_cache = (b"x-cache", f"{word} from cloudfront".encode())
        self.event = "hit" if word == "Hit" else "miss"

    def for_followers(self) -> "Result":
        """Return what those get who waited for this answer: CloudFront logs a collapsed request as a hit."""
        return Result.ERROR if self is Result.ERROR else Result.HIT


def told(result: Result, status: int) -> Result:
    """Return what is said of an answer: of every error, from a cache or not, that it is one."""
    return Result.ERROR if status >= CLIENT_ERROR and result is not Result.GENERATED else result


class Entry(NamedTuple):
    """A request that the edge answered. ``result`` is how, also where ``X-Cache`` says Error: of a cached 404."""

    method: str
    path: str
    encoding: str
    status: int
    result: Result
    bytes: int
    ms: float


class Log:
    """The last requests, and an event for each."""

    def __init__(self, length: int) -> None:
        self.entries: deque[Entry] = deque(maxlen=length)

    def add(self, entry: Entry) -> None:
        """Keep an entry and tell whoever listens to events."""
        self.entries.append(entry)
        if EVENTS.isEnabledFor(logging.INFO):
            fields = {
                "path": entry.path,
                "ms": round(entry.ms, 2),
                "status": entry.status,
                "result": told(entry.result, entry.status).value,
            }
            EVENTS.info(entry.result.event, extra={"fields": fields})
