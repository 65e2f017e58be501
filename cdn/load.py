"""The load of the origin: what bakers report of theirs, and whether there is headroom for something wide.

A dropped cache tag costs bakes. Who drops many at once, and was asked by nobody to, looks here first; and who drops
shard by shard takes its pace from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from cdn import clock, keys, scripts

EASY_SHARE = 1 / 2
"""There is headroom while at most so many of the bakes that are made at once were under way at any moment. How many are
is their rate times the time of one (Little's law), so it rises with either, whether it is the baker, Redis or the
system of record that is slow; and nobody waits for a turn yet."""

FORGOTTEN_MS = 15_000
"""A baker whose last report has not held for so long is gone: who cannot reach Redis bakes nothing either. Until then
it may be one that is too loaded to report, so its load is unknown."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one baker says of the last seconds.

    ``baking``: the most bakes that were under way or waited for their turn at any moment, of ``capacity`` that are made
    at once. 99 of 100 who asked for a bake had it after ``wait_ms``. ``shed`` asked and got none.
    """

    baking: int = 0
    wait_ms: float = 0.0
    shed: int = 0
    capacity: int = 0

    @property
    def easy(self) -> bool:
        """Tell whether this baker has headroom."""
        return not self.shed and self.baking <= self.capacity * EASY_SHARE


@dataclass(frozen=True, slots=True)
class Reported:
    """A report, when it was made and until when it holds, in milliseconds of Redis' clock."""

    at_ms: int
    until_ms: int
    report: Report


@dataclass(frozen=True, slots=True)
class Headroom:
    """Whether the origin has headroom for something ``wide``, and the longest of its bakers' waits.

    Not ``known``: nobody reports, or somebody stopped; then it is not ``wide`` either. What was sent before ``at_ms``
    (of Redis' clock, the oldest report) is in all reports; the load of what was sent later is not.
    """

    wide: bool
    wait_ms: float
    known: bool
    at_ms: int = 0


def headroom(reports: Sequence[Reported], now_ms: int) -> Headroom:
    """Decide by all reports: each baker has to have headroom, for nobody knows whom the edge will ask."""
    there = [each for each in reports if each.until_ms + FORGOTTEN_MS >= now_ms]
    known = bool(there) and all(each.until_ms >= now_ms for each in there)
    return Headroom(
        wide=known and all(each.report.easy for each in there),
        wait_ms=max((each.report.wait_ms for each in there), default=0.0),
        known=known,
        at_ms=min((each.at_ms for each in there), default=0),
    )


class Load:
    """The reports of all bakers, in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def report(self, baker: str, report: Report, holds_ms: int) -> None:
        """Say how loaded a baker is, and for how long that holds unless it says something else."""
        words = f"{report.baking} {report.wait_ms:.1f} {report.shed} {report.capacity}"
        call = scripts.call(scripts.REPORT, (keys.ORIGIN_LOAD,), baker, holds_ms, FORGOTTEN_MS, words)
        await scripts.execute(self._redis, [call])

    async def leave(self, baker: str) -> None:
        """Take back what a baker reported, for it ends."""
        await scripts.execute(self._redis, [("HDEL", keys.ORIGIN_LOAD, baker)])

    async def headroom(self) -> Headroom:
        """Return what the bakers' reports come to. Raises what redis-py raises."""
        time, replied = await scripts.execute(self._redis, [clock.TIME, ("HGETALL", keys.ORIGIN_LOAD)])
        return headroom([_read(value) for value in scripts.fields(replied).values()], clock.read_ms(*time))


def _read(value: bytes) -> Reported:
    at_ms, until_ms, baking, wait_ms, shed, capacity = value.split()
    return Reported(int(at_ms), int(until_ms), Report(int(baking), float(wait_ms), int(shed), int(capacity)))
