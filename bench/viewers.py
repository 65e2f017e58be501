"""What viewers get in a replay: hits, misses and why, what was old; and what an infinite cache would make of it."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from bench.origin import LATE, Press
from bench.tiers import Reply
from cdn.local.objects import Object
from cdn.local.results import Result


class Why(StrEnum):
    """Why a location had to ask for what a viewer wanted."""

    FIRST = "first reads"
    CHANGED = "something new"
    SAME = "nothing new"
    """What came is what the location had before: it was dropped, or not kept, for nothing."""


Place = tuple[int, str]
"""A location, and whose feed."""


@dataclass(slots=True)
class Viewers:
    """Counts answers. ``told`` are the misses of a cache without bounds that hears of each change as it is made.

    No cache that is never old has fewer: it misses a feed's first read at a location, and the first after a change.
    """

    press: Press
    results: Counter[Result] = field(default_factory=Counter)
    misses: Counter[Why] = field(default_factory=Counter)
    old: int = 0
    told: int = 0
    _had: dict[Place, bytes] = field(default_factory=dict)
    _shown: dict[Place, int] = field(default_factory=dict)

    def asks(self, location: int, user: str) -> Reply:
        """Note that a viewer asks now; return what takes the answer."""
        place, shows = (location, user), self.press.shows.get(user, 0)
        self.told += self._shown.get(place) != shows
        self._shown[place] = shows
        return partial(self._got, place, self.press.live.get(user, 0))

    def _got(self, place: Place, live: int, got: Object, result: Result) -> None:
        """Note an answer; ``live``: the newest change of that feed that was live when it was asked for."""
        self.results[result] += 1
        if result is Result.MISS:
            self.misses[self._why(place, got.body)] += 1
        self._had[place] = got.body
        if live and got.body != LATE and int(got.body) < live:
            self.old += 1

    def _why(self, place: Place, body: bytes) -> Why:
        if (had := self._had.get(place)) is None:
            return Why.FIRST
        return Why.SAME if had == body else Why.CHANGED

    @property
    def reads(self) -> int:
        """All requests."""
        return self.results.total()

    @property
    def hits_aws(self) -> float:
        """The hit ratio as AWS reports it: of hits and misses; what was revalidated is neither."""
        hits, misses = self.results[Result.HIT], self.results[Result.MISS]
        return hits / (hits + misses)

    @property
    def by_edge(self) -> float:
        """The share of requests whose bytes the edge had: hits and those that were revalidated."""
        return (self.results[Result.HIT] + self.results[Result.REFRESH_HIT]) / self.reads

    @property
    def by_one_told(self) -> float:
        """The hits of that infinite cache."""
        return 1 - self.told / self.reads
