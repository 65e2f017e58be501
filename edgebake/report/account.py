"""The account: from the misses of an edge's log to the bakes of the origin, with a reason for each difference.

``misses + every difference = bakes``, exactly: what an edge's log cannot tell stands in a line of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from cdn.logs.request import SHIELD, Outcome, Request, asked
from edgebake.report.names import page_of
from edgebake.report.objects import Objects
from edgebake.report.origin import Told
from edgebake.report.window import Window

MISSES, ANSWERS, BAKES = range(3)
"""Columns of an object's counts. Answers are those that a miss gets: neither 304 nor an error."""
NOT_MODIFIED, FIRST_ERROR = 304, 400


class Difference(NamedTuple):
    """So many bakes more (or fewer) than misses, and why."""

    bakes: int
    why: str


@dataclass(slots=True)
class Account:
    """Counts both sides, requests of the log and events of the origin, in one window."""

    window: Window
    objects: Objects = field(default_factory=lambda: Objects(3))
    misses: int = 0
    shield: int = 0
    outside: int = 0
    """Misses outside of the window."""
    answers: int = 0
    refreshed: int = 0
    errors: int = 0
    memory: int = 0
    unbaked: int = 0
    from_bakes: int = 0
    bakes: int = 0
    again: int = 0

    def request(self, request: Request) -> None:
        """Count a request of the log, where it is a miss of what is baked."""
        if request.outcome is not Outcome.MISS or not (name := _baked(request.path)):
            return
        if not self.window.holds(request.second):
            self.outside += 1
            return
        self.misses += 1
        if request.detail == SHIELD:
            self.shield += 1
        else:
            self.objects.add(name, MISSES)

    def told(self, event: Told) -> None:
        """Count an event of the origin."""
        if not self.window.holds(int(event.at)) or not page_of(event.path):
            return
        if event.source:
            self._answer(event)
        else:
            self.bakes += 1
            self.again += event.again
            self.objects.add(event.path, BAKES)

    def _answer(self, event: Told) -> None:
        self.memory += event.source == "memory"
        self.from_bakes += event.source == "bake"
        self.unbaked += event.source == "none"
        if event.status == NOT_MODIFIED:
            self.refreshed += 1
        elif event.status >= FIRST_ERROR:
            self.errors += 1
        else:
            self.answers += 1
            self.objects.add(event.path, ANSWERS)

    def differences(self) -> list[Difference]:
        """Return what lies between misses and bakes, line by line, without lines of nothing."""
        lines = self._by_answers() if self.answers + self.refreshed + self.errors else self._by_bakes()
        return [line for line in lines if line.bakes]

    def _by_answers(self) -> Iterator[Difference]:
        yield Difference(-self.shield, "the shield had it: the origin was not asked")
        more, fewer = self._unmatched()
        yield Difference(more, MORE)
        yield Difference(-fewer, FEWER)
        yield Difference(
            self.refreshed, "refreshed: asked with If-None-Match and unchanged (304), a RefreshHit in the log"
        )
        yield Difference(self.errors, "answered with an error, 404 for the most part: an Error in the log, no Miss")
        yield Difference(-self.memory, MEMORY)
        yield Difference(-self.unbaked, "refused with 503, nothing was baked")
        shared = self.from_bakes - (self.bakes - self.again)
        yield Difference(-max(0, shared), "asked for while the same was being baked: one bake for them all")
        yield Difference(max(0, -shared), "baked, but whoever asked had gone or was answered with what was baked last")
        yield Difference(self.again, "baked again: something changed while it was baked, so it did not pass the fence")

    def _by_bakes(self) -> Iterator[Difference]:
        yield Difference(-self.shield, "the shield had it: the origin was not asked")
        yield Difference(self.again, "baked again: something changed while it was baked, so it did not pass the fence")
        rest = self.bakes - self.again - self.misses + self.shield
        yield Difference(rest, "not explained: the origin's log has no `answer` events")

    def _unmatched(self) -> tuple[int, int]:
        """Return how many answers more than misses there were, and fewer; object by object where all are known."""
        if self.objects.share < 1:
            net = self.answers - (self.misses - self.shield)
            return max(0, net), max(0, -net)
        pairs = [(counts[ANSWERS], counts[MISSES]) for counts in self.objects.counts.values()]
        more = sum(max(0, answers - misses) for answers, misses in pairs)
        return more, sum(max(0, misses - answers) for answers, misses in pairs)

    def farthest(self, count: int) -> list[tuple[str, Mapping[str, int]]]:
        """Return the objects whose bakes differ most from their misses, those with most misses first."""
        ordered = sorted(
            self.objects.counts.items(),
            key=lambda item: (-abs(item[1][BAKES] - item[1][MISSES]), -item[1][MISSES], item[0]),
        )
        names = ("misses", "answers", "bakes")
        return [(name, dict(zip(names, counts, strict=True))) for name, counts in ordered[:count]]


MORE = (
    "asked of the origin, no Miss in the log: lines that come late (up to 24 h), refreshes in the background "
    "(stale-while-revalidate), an edge that tried again, requests past the edge"
)
FEWER = (
    "a Miss in the log, not asked of the origin: an inner cache had it (another location, a regional cache), or the "
    "events of a baker are missing"
)
MEMORY = (
    "from the baker's memory: another location or another encoding (gzip and identity are two misses and one bake), or "
    "asked for again"
)


@lru_cache(maxsize=50_000)
def _baked(path: bytes) -> str:
    """Return a path as it was asked for, "" where nothing is baked for it."""
    text = asked(path)
    return text if page_of(text) else ""
