"""bench replay: reads and changes replayed on a clock that the bench sets, through edge locations and a shield.

What decides is the product's own: what the local edge keeps and serves, fence, ledger, pending set, plan, drain loop;
time, the network between the tiers and the bakes are simulated. Every answer that a viewer gets is checked.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from random import Random

from baker.freshness import Freshness
from bench.origin import Crowd, Desk, Origin, Press, Stage, key_of, on_the_clock
from bench.realdata import Changes, Read, ceiling, changes_of, crowd_of, one_feed, sequences, zipf
from bench.report import Report, Say, machine, rounded
from bench.tiers import Cdn, Events
from bench.timed import Clock, timed
from bench.viewers import Viewers, Why
from bench.world import valkey
from cdn.local.objects import Object
from cdn.local.results import Result
from edgebake.settings import Settings

SEED = 11
READS, CHANGES = 1_800_000, 250
OWNID = 0.9988
"""The share of hits that OwnID reports, of 1.8 million weekly requests for one file."""

AIM_HITS = 0.999
AIM_POINTS = 1.0
LOCATIONS = (0.5, 0.3, 0.2)
"""The locations' shares of the reads."""

EVERY = (7200, 1000, 100)
"""Reads for each change: OwnID's ratio, and more changes."""

TTL_S, LONG_S = Freshness().ttl, 3600
"""How long edges keep a feed: by default, and as long as a policy of theirs allows."""

A_SECOND = 10.0
"""Reads a second of a sequence that has no times of its own."""

REAL = (50.0, 20)
"""Reads a second, and reads a change, of the changes of real data."""

ITEM_USD = 0.005
SETTLE_S = 10.0


@dataclass(slots=True)
class Play:
    """A replay: who follows whom, reads and changes by their time, and the tiers before the origin."""

    crowd: Crowd
    reads: Iterable[Read]
    changes: Changes
    locations: Sequence[float] = (1.0,)
    shield: bool = False
    ttl: int = TTL_S

    @property
    def freshness(self) -> Freshness:
        """How long edges keep a feed: the defaults, but for ``ttl``."""
        return Freshness(self.ttl, tiers=2 if self.shield else 1)


@dataclass(slots=True)
class Outcome:
    """What came of a replay. ``needless``: of the objects that items dropped, those that showed all there was."""

    viewers: Viewers
    bakes: int = 0
    late: int = 0
    calls: int = 0
    first: int = 0
    taps: int = 0
    most: int = 0
    dropped: int = 0
    needless: int = 0
    seconds: float = 0.0

    def drop(self, press: Press, dropped: Object) -> None:
        """Note what an item dropped."""
        self.dropped += 1
        self.needless += dropped.body == b"%d" % press.shows.get(dropped.key.path[6:], 0)


def run(data: Path, *, full: bool, say: Say) -> Report:
    """Replay."""
    report = Report("replay", machine())
    with valkey() as settings:
        asyncio.run(_Run(settings, report, data, say).replay(full=full))
    return report


class _Run:
    """The replays."""

    def __init__(self, settings: Settings, report: Report, data: Path, say: Say) -> None:
        self._settings = settings
        self._report = report
        self._data = data
        self._say = say

    async def replay(self, *, full: bool) -> None:
        """Replay all."""
        await self._feed(1.0 if full else 0.1)
        crowd = crowd_of(self._data)
        for title, sequence in sequences(self._data, crowd, self._say).items():
            for every in EVERY if full else EVERY[1:2]:
                await self._sequence(title, crowd, sequence, every)
            if full:
                await self._sequence(title, crowd, sequence, EVERY[0], LONG_S)
        await self._real(crowd, 10_000 if full else 300)

    async def _feed(self, share: float) -> None:
        reads, changes = round(READS * share), round(CHANGES * share)
        self._say(f"one feed: {reads:,} reads, {changes} changes, three locations and a shield")
        crowd, at, made = one_feed(reads, changes, share)
        outcome = await played(self._settings, Play(crowd, at, made, LOCATIONS, shield=True))
        _one_feed(self._report, outcome, reads, changes)

    async def _sequence(self, title: str, crowd: Crowd, sequence: Sequence[str], every: int, ttl: int = TTL_S) -> None:
        title = f"{title}, {every:,} reads a change" + (f", kept for {ttl:,} s" if ttl != TTL_S else "")
        self._say(f"{title}: {len(sequence):,} reads")
        made = changes_of(self._data, crowd, len(sequence) // every, every / A_SECOND)
        at = ((number / A_SECOND, user) for number, user in enumerate(sequence))
        outcome = await played(self._settings, Play(crowd, at, made, ttl=ttl))
        _sequence(self._report, title, sequence, outcome)

    async def _real(self, crowd: Crowd, count: int) -> None:
        self._say(f"{count:,} changes of the real data")
        a_second, a_change = REAL
        users = zipf(sorted(crowd.follows), count * a_change, SEED)
        at = ((number / a_second, user) for number, user in enumerate(users))
        made = changes_of(self._data, crowd, count, a_change / a_second, edits=0.1)
        outcome = await played(self._settings, Play(crowd, at, made, LOCATIONS, shield=True))
        _real(self._report, crowd, made, outcome)


async def played(settings: Settings, play: Play) -> Outcome:
    """Replay reads and changes, and go on until every change is live."""
    draw = Random(SEED)
    async with staged(settings, play) as stage:
        outcome = Outcome(Viewers(stage.press))
        origin = Origin(stage)
        cdn = Cdn(stage.clock, stage.events, draw, origin.ask, locations=len(play.locations), shield=play.shield)
        desk = Desk(stage, cdn)
        for tier in cdn.tiers:
            tier.objects.on_drop = partial(outcome.drop, stage.press)
        for at, change in play.changes:
            stage.events.after(at, partial(desk.make, change))
        await _read_all(stage, cdn, play, outcome.viewers)
        await _finish(stage, desk)
        outcome.seconds = stage.clock.now
        outcome.bakes, outcome.late = origin.bakes, origin.late
        outcome.calls, outcome.most = desk.edge.calls, desk.edge.most
        outcome.first, outcome.taps = desk.purse.first, desk.purse.taps
    return outcome


@asynccontextmanager
async def staged(settings: Settings, play: Play) -> AsyncIterator[Stage]:
    """Set the stage: an empty Valkey, a clock, nothing to happen yet."""
    clock = Clock()
    on_the_clock(clock)
    async with timed(settings.redis_url.reveal(), clock) as redis:
        yield Stage(redis, clock, Events(clock), Press(play.crowd), play.freshness)


async def _read_all(stage: Stage, cdn: Cdn, play: Play, viewers: Viewers) -> None:
    """Read through the locations, each in its share, and let happen what is due meanwhile."""
    clock, events = stage.clock, stage.events
    begun, draw, bounds = clock.now, Random(SEED), list(accumulate(play.locations))
    for seconds, user in play.reads:
        if events.due <= begun + seconds:
            await events.until(begun + seconds)
        clock.now = begun + seconds
        chance = draw.random() * bounds[-1]
        location = next(number for number, bound in enumerate(bounds) if chance <= bound)
        cdn.locations[location].ask(key_of(user), viewers.asks(location, user))


async def _finish(stage: Stage, desk: Desk) -> None:
    """Let the changes that are left become live. Raises RuntimeError where nothing would bring that about."""
    while desk.notes:
        if stage.events.due == float("inf"):
            raise RuntimeError(f"{len(desk.notes)} changes are not live, and nothing is due")
        await stage.events.until(stage.events.due)
    await stage.events.until(stage.clock.now + SETTLE_S)


def _one_feed(report: Report, outcome: Outcome, reads: int, changes: int) -> None:
    viewers = outcome.viewers
    report.figures["one feed"] = {"reads": reads, "changes": changes, **_served(outcome), "OwnID's hits": OWNID}
    report.at_least("one feed: hits as AWS counts them", viewers.hits_aws, AIM_HITS)
    report.below("one feed: reads past the bound", viewers.old, 1)


def _sequence(report: Report, title: str, sequence: Sequence[str], outcome: Outcome) -> None:
    viewers, never = outcome.viewers, ceiling(sequence)
    below_never, below_told = ((best - viewers.by_edge) * 100 for best in (never, viewers.by_one_told))
    report.figures[title] = {
        "never told": rounded(never),
        "points below": rounded(below_never),
        "points below told": rounded(below_told),
        **_served(outcome),
    }
    report.below(f"{title}: points below an infinite cache that is never told", below_never, AIM_POINTS)
    report.below(f"{title}: points below one that is told each change", below_told, AIM_POINTS)
    report.below(f"{title}: reads past the bound", viewers.old, 1)


def _real(report: Report, crowd: Crowd, changes: Changes, outcome: Outcome) -> None:
    followers = [sum(1 for _ in crowd.readers(int(change.split()[1]))) for _, change in changes if change[0] == "p"]
    count, items = len(changes), outcome.first + outcome.taps
    report.figures["real data"] = {
        "changes": count,
        **_served(outcome),
        "items a change": rounded(items / count),
        "one path a follower": sum(followers),
        "USD": rounded(items * ITEM_USD),
        "most items in progress": outcome.most,
    }
    report.below("real data: reads past the bound", outcome.viewers.old, 1)
    report.below("real data: most items in progress at once", outcome.most, 3001)


def _served(outcome: Outcome) -> dict[str, float]:
    viewers = outcome.viewers
    return {
        "told": rounded(viewers.by_one_told),
        "served by the edge": round(viewers.by_edge, 5),
        "hits, AWS's way": round(viewers.hits_aws, 5),
        "revalidated": viewers.results[Result.REFRESH_HIT],
        "misses": viewers.results[Result.MISS],
        **{f"{why}": viewers.misses[why] for why in Why},
        "bakes": outcome.bakes,
        "late": outcome.late,
        "old after live": viewers.old,
        "calls": outcome.calls,
        "first items": outcome.first,
        "second taps": outcome.taps,
        "dropped": outcome.dropped,
        "needlessly": outcome.needless,
    }
