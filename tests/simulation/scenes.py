"""What a schedule is drawn to be: a moment of a few people, where every trip may be held up, or a long day of many.

Which it is says ``mix.py``; ``directed.py`` has moments that are made for one race each.

A race between a bake and a change needs one of them to wait, somewhere, for as long as all of the other takes. On a
day waiting is drawn evenly, and most of it hits what does not matter. In a moment there is only what could meet: one
author, two readers, a change or some of the same kind, reads around them; a trip takes milliseconds, and now and then
one is held up for longer than everything else together.
"""

from dataclasses import dataclass, field, replace
from random import Random

from tests.simulation.edge import Whims
from tests.simulation.wire import Weather
from tests.simulation.writes import PEOPLE, PULLED, Cast

CUT_S = 1.0
"""Seconds after which edges cut an answer of the origin off."""

ALL = 1000
"""Pages: all that there are."""

MEAN_S = 0.003
"""Seconds that a trip of a moment takes in the mean, in each direction."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How often is looked by loops that nobody woke, in seconds, and for how long a worker's entries are its own.

    ``call_s`` is the time between two calls of the edge's API, 0: drawn.
    """

    look_s: float = 1.0
    poll_s: float = 0.5
    block_ms: int = 1000
    lease_ms: int = 5000
    call_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What a schedule consists of.

    ``writes`` are when somebody writes, ``kinds`` what, in turn, where that is not drawn; ``again`` is the share of
    writes that are like the first one. ``early`` and ``stray`` reads come before the first write, and at any time; at
    the times of ``fed`` readers' feeds are read. ``around`` each write there are so many more of what it may change,
    and ``beside`` it so many of anything, the last ``within_s`` after it. ``forms`` are the formats that are read.
    ``faults`` is the share of schedules in which something breaks; ``sure`` names faults that come in any case. At the
    end, so many pages are ``asked`` of each baker, those first that were read last. ``records`` is the database as
    workers reach it, where that is another one. ``distant`` is a time from which on the first worker's way to Redis is
    another one, and which.
    """

    is_moment: bool
    cast: Cast
    workers: int
    bakers: int
    span_s: float
    writes: tuple[float, ...]
    early: int
    stray: int
    around: int
    within_s: float
    again: float
    faults: float
    fast: Weather
    slow: Weather
    database: Weather
    whims: Whims
    tiers: int
    pace: Pace = field(default_factory=Pace)
    kinds: tuple[str, ...] = ()
    beside: int = 0
    forms: tuple[str, ...] = ("", "/feed.json", "/feed.json", "/feed.atom")
    sure: tuple[str, ...] = ()
    asked: int = 4
    fed: tuple[float, ...] = ()
    records: Weather | None = None
    distant: tuple[float, Weather] | None = None


def day(random: Random) -> Scene:
    """Draw a day: everybody writes and reads, and everything is delayed alike."""
    workers, bakers = random.choice((1, 1, 2)), random.choice((1, 2, 2))
    span_s = random.uniform(2, 8)
    writes = tuple(random.uniform(0.5, span_s) for _ in range(random.randint(1, 7)))
    return Scene(
        is_moment=False,
        cast=Cast((*PEOPLE, PULLED), PEOPLE),
        workers=workers,
        bakers=bakers,
        span_s=span_s,
        writes=writes,
        early=0,
        stray=random.randint(5, 30),
        around=10,
        within_s=3.0,
        again=0.0,
        faults=0.8,
        fast=Weather(0.01, slow=0.08, slow_s=0.5),
        slow=Weather(0.04),
        database=Weather(0.01, slow=0.0),
        whims=_whims(random, takes_s=random.choice((0.1, 0.8)), slow_s=random.choice((0.0, 0.0, 4.0)), mean_s=0.05),
        tiers=random.choice((1, 2, 2)),
        asked=ALL,
    )


def rich(random: Random) -> Scene:
    """Draw a moment with twice as many reads: of anything beside a write, and of what it may change after it."""
    scene = moment(random)
    reads = random.choice((1, 2, 4))
    return replace(
        scene,
        early=random.choice((0, 1, 2, 3)),
        around=reads,
        beside=reads,
        within_s=random.choice((0.1, 0.3, 1.0)),
        asked=ALL,
    )


def moment(random: Random) -> Scene:
    """Draw a moment."""
    author, *readers = random.sample(PEOPLE, 3)
    author = random.choice((author, author, author, PULLED))
    begin_s = random.choice((0.3, 0.5, 2.0, 8.0))
    faults = random.choice((0.0, 0.0, 0.0, 1.0))
    writes = [begin_s]
    for _ in range(random.choice((0, 0, 1, 1, 2))):
        writes.append(writes[-1] + random.uniform(0.5, 1.5) * random.choice((0.0, 0.03, 0.1, 0.3, 1.0)))
    held, held_s = random.choice((0.03, 0.1, 0.2)), random.choice((0.05, 0.15, 0.3))
    return Scene(
        is_moment=True,
        cast=Cast((author,), tuple(readers)),
        workers=random.choice((1, 1, 1, 1, 2)),
        bakers=random.choice((1, 1, 2)),
        span_s=writes[-1] + 0.5,
        writes=tuple(writes),
        early=random.choice((0, 1, 1, 2)),
        stray=0,
        around=random.choice((2, 3, 4)),
        within_s=random.choice((0.1, 0.1, 0.3, 1.0)),
        again=0.7,
        faults=faults,
        fast=Weather(MEAN_S, slow=held, slow_s=held_s),
        slow=Weather(MEAN_S, slow=held, slow_s=held_s * random.choice((1, 3))),
        database=Weather(MEAN_S, slow=held, slow_s=held_s),
        whims=_whims(random, takes_s=random.choice((0.02, 0.2, 0.6)), slow_s=0.0, mean_s=2 * MEAN_S),
        tiers=random.choice((1, 1, 2)),
        pace=Pace(3.0, 0.3, 5000, 5000 if faults else 60_000),
    )


def _whims(random: Random, *, takes_s: float, slow_s: float, mean_s: float) -> Whims:
    return Whims(
        cut_s=CUT_S,
        takes_s=takes_s,
        slow_s=slow_s,
        mean_s=mean_s,
        refused=random.choice((0.0, 0.0, 0.3)),
        unanswered=random.choice((0.0, 0.0, 0.3)),
        max_items=random.choice((2, 50)),
    )
