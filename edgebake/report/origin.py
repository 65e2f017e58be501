"""What the origin told: the events `bake` and `answer` in its log (``EDGEBAKE_EVENTS``), a JSON object a line.

Metrics count bakes too, but not of which object nor when; only these lines can be set beside an edge's log.
"""

import zlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import orjson

from cdn.logs.damage import Damage
from cdn.logs.files import LogFile, on_disk
from cdn.logs.reader import blocks
from edgebake.errors import CommandError

KINDS = (b"bake", b"answer")


class Told(NamedTuple):
    """An event: an answer that left the origin, or a bake where ``source`` is ""."""

    at: float
    path: str
    source: str = ""
    status: int = 200
    again: bool = False
    shown: tuple[str, ...] = ()
    """The posts of a ranked feed's first page that was baked."""


class Origin:
    """The events in files or folders. They are read as often as somebody asks: nothing is kept."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = paths
        self.damage = Damage()

    def span(self) -> tuple[float, float]:
        """Return when the first and the last event was. Raises CommandError where there is none."""
        first, last = float("inf"), float("-inf")
        for event in self.events():
            first, last = min(first, event.at), max(last, event.at)
        if last < first:
            names = ", ".join(f"'{path}'" for path in self._paths)
            raise CommandError(
                f"{names} holds no event `bake` or `answer`: let `edgebake serve` write them with EDGEBAKE_EVENTS=true "
                "and name the file to which its stderr goes."
            )
        return first, last

    def events(self) -> Iterator[Told]:
        """Yield the events; lines of other kinds, and of whatever else was running, are passed over."""
        self.damage = Damage()
        for path in self._paths:
            for file in on_disk(path):
                yield from self._of(file)

    def _of(self, file: LogFile) -> Iterator[Told]:
        number = 0
        try:
            for lines in blocks(file.plain()):
                for line in lines:
                    number += 1
                    if KINDS[0] in line or KINDS[1] in line:
                        yield from self._event(line, file.name, number)
        except (EOFError, zlib.error, OSError) as error:
            self.damage.file(file.name, f"cannot be read to its end: {error!r}")

    def _event(self, line: bytes, name: str, number: int) -> Iterator[Told]:
        """Yield the event of a line; what collects logs may put something before the object."""
        begin = line.find(b"{")
        try:
            found = orjson.loads(line[begin:]) if begin >= 0 else {}
            if isinstance(found, dict) and found.get("event") in ("bake", "answer"):
                yield _told(found)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            self.damage.line(name, number, f"is no event: {error}")


def _told(found: dict[str, object]) -> Told:
    at = datetime.fromisoformat(str(found["time"])).timestamp()
    source = str(found["source"]) if found["event"] == "answer" else ""
    status = found["status"]
    if not isinstance(status, int):
        raise TypeError(f"its status is {status!r}")
    shown = found.get("shown")
    posts = tuple(map(str, shown)) if isinstance(shown, list) else ()
    return Told(at, str(found["path"]), source, status, bool(found.get("again")), posts)
