"""Directed scenes: moments whose cast and steps make one race possible. When things happen is drawn all the same.

A race needs two things to meet that seldom do: a copy that is gone, and a reader who read it before; an answer that is
nearly over, and a change. A scene brings both to the same second, and lets a trip be held up for as long.
"""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tests.simulation.edge import Whims
from tests.simulation.scenes import ALL, MEAN_S, Scene, moment
from tests.simulation.wire import Weather
from tests.simulation.writes import PEOPLE, Cast

CALM = Weather(MEAN_S, slow=0.0)
HTML = ("",)
JSON = ("/feed.json",)


def _times(random: Random, begin_s: float, gaps: Sequence[tuple[float, float]]) -> tuple[float, ...]:
    """Draw when somebody writes: first at ``begin_s``, then after gaps between two bounds each, in seconds."""
    times = [begin_s]
    for gap in gaps:
        times.append(times[-1] + random.uniform(*gap))
    return tuple(times)


def _with(scene: Scene, writes: tuple[float, ...], *kinds: str, after_s: float = 0.5) -> Scene:
    """Return the scene with these writes, and no faults."""
    return replace(scene, writes=writes, kinds=kinds, span_s=writes[-1] + after_s, again=0.0, faults=0.0)


def copies(random: Random) -> Scene:
    """Copies are dropped, read through, changed and dropped again, while bakers wait for the database (2a)."""
    writes = _times(random, 0.6, ((0.02, 0.1), (0.02, 0.2)))
    scene = _with(moment(random), writes, "forget", random.choice(("edit", "rename", "follow")), "forget")
    database = Weather(MEAN_S, slow=random.choice((0.1, 0.2)), slow_s=random.choice((0.5, 0.8)))
    whims = replace(_calm(scene.whims), takes_s=0.02)
    scene = replace(scene, bakers=2, early=2, around=5, within_s=0.3, asked=ALL, whims=whims, cast=_one(scene.cast))
    return replace(scene, fast=CALM, slow=CALM, database=database, records=CALM)


def horizon(random: Random) -> Scene:
    """A page is read, from the next tier just before it ends there, and changes when few edges have it any more."""
    first_s = random.uniform(0.1, 0.4)
    scene = _with(moment(random), (first_s + random.uniform(4, 10),), random.choice(("follow", "privacy")))
    fed = tuple(first_s + random.choice((0, random.uniform(2, 4.5))) for _ in range(random.choice((2, 2, 3))))
    return replace(scene, early=0, around=0, fed=fed, tiers=2, fast=CALM, slow=CALM, database=CALM)


def parts(random: Random) -> Scene:
    """A post goes to its readers one after the other, slowly, while the other worker is quick (7a).

    They read long before, and again and again while it does. Nothing else is read, or what left the origin a moment
    before would have the second tap drop all that is stale.
    """
    scene = _with(moment(random), (2.5,), "publish", after_s=2.5)
    before = [random.uniform(0.1, 0.6) for _ in range(6)]
    after = [2.5 + random.uniform(0, 2) for _ in range(20)]
    author = random.choice([user for user in PEOPLE if user not in scene.cast.readers])
    whims, cast = replace(_calm(scene.whims), takes_s=0.02), Cast((author,), scene.cast.readers)
    scene = replace(scene, early=0, fed=(*before, *after), around=0, forms=JSON, whims=whims, tiers=1, cast=cast)
    distant = (2.5 + random.uniform(0.03, 0.2), Weather(random.choice((0.05, 0.1, 0.2)), slow=0.0))
    scene = replace(scene, pace=replace(scene.pace, look_s=0.1))
    return replace(scene, workers=2, distant=distant, fast=CALM, slow=CALM, database=CALM)


def merged(random: Random) -> Scene:
    """A post is edited again while the edge drops it for the first time (3a)."""
    writes = _times(random, 0.5, ((0.02, 0.2), (0.02, 0.2)))
    scene = _with(moment(random), writes, random.choice(("edit", "edit", "rename")))
    whims = replace(_calm(scene.whims), takes_s=random.choice((0.02, 0.1, 0.3)))
    pace = replace(scene.pace, call_s=random.choice((0.1, 0.5)), poll_s=0.05)
    scene = replace(scene, early=0, fed=(0.2,), around=12, within_s=0.2, again=1.0, whims=whims, pace=pace, tiers=1)
    return replace(scene, forms=JSON, cast=_one(scene.cast), fast=CALM, slow=CALM, database=CALM)


def first_reads(random: Random) -> Scene:
    """What nobody has read yet is read while it changes, and trips are held up (1b, 1c)."""
    scene = _with(moment(random), _times(random, 0.5, ()), random.choice(("edit", "rename", "follow", "publish")))
    held, held_s = random.choice((0.1, 0.2, 0.3)), random.choice((0.05, 0.15))
    return replace(
        scene,
        early=0,
        around=8,
        within_s=0.1,
        fast=Weather(MEAN_S, slow=held, slow_s=held_s),
        slow=Weather(MEAN_S, slow=held, slow_s=held_s * random.choice((1, 3))),
    )


def editions(random: Random) -> Scene:
    """Templates are deployed while people read pages of HTML."""
    scene = _with(moment(random), (0.5,), after_s=random.uniform(0.5, 3))
    return replace(scene, bakers=2, stray=20, forms=HTML, sure=("deploys",), fast=CALM, slow=CALM)


def _calm(whims: Whims) -> Whims:
    """Return an edge that takes every call, and as many items as it gets."""
    return replace(whims, refused=0.0, unanswered=0.0, max_items=50)


def _one(cast: Cast) -> Cast:
    """Return the cast with one reader."""
    return Cast(cast.authors, cast.readers[:1])
