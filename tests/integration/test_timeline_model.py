"""Timelines against the truth: whatever comes in which order, what they call complete is the top of the truth."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from feeds import keys
from feeds.model import Candidate, OrderKey, Post, PostState
from feeds.record import Record
from feeds.timeline import Timeline, Timelines

CAP = 4
POSTS = [f"p{number}" for number in range(7)]
USER = "ada"
KEY = keys.timeline("feed", USER)


def a_post(name: str, published_ms: int, state: PostState, version: int) -> Post:
    """Return a post of which only place, state and version matter."""
    return Post(name, "bob", "", None, "", "html", (), published_ms, 0, state, 0, 0, 0, version)


class Truth(Record):
    """A system of record in memory: a test decides when a rebuild reads it."""

    def __init__(self) -> None:
        self.held: dict[str, Post] = {}
        self.readings: asyncio.Queue[Reading] = asyncio.Queue()

    def write(self, name: str, score: int | None) -> None:
        """Publish or move a post; with None take it out."""
        version = self.held[name].version + 1 if name in self.held else 1
        state = PostState.UNPUBLISHED if score is None else PostState.PUBLISHED
        self.held[name] = a_post(name, score or 0, state, version)

    @property
    def top(self) -> list[Candidate]:
        """All published posts in the feed's order."""
        live = [post for post in self.held.values() if post.state is PostState.PUBLISHED]
        return sorted((Candidate(post.published_ms, post.id, post.author) for post in live), reverse=True)

    async def candidates(self, user: str, *, before: OrderKey | None, limit: int, own: bool) -> list[Candidate]:
        """Read when the test says so, and return when it says so."""
        reading = Reading()
        self.readings.put_nowait(reading)
        await reading.may_read.wait()
        found = self.top[:limit]
        reading.has_read.set()
        await reading.may_return.wait()
        return found


class Reading:
    """A rebuild's read of the truth."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()
        self.has_read = asyncio.Event()
        self.may_return = asyncio.Event()


@dataclass(frozen=True)
class Write:
    """The truth changes, and a worker hears of it: it writes ``now``, or takes its time."""

    post: str
    score: int | None
    now: bool


@dataclass(frozen=True)
class Do:
    """Somebody goes on: a worker reads or writes; a rebuild begins, reads or ends; or the timeline is dropped."""

    what: str
    which: int = 0


WRITES = st.builds(Write, st.sampled_from(POSTS), st.sampled_from([None, *range(1, 9)]), st.booleans())
WORK = st.builds(Do, st.sampled_from(["read", "push", "begin", "look", "end", "drop"]), st.integers(0, 3))
SCENES = st.tuples(st.sampled_from(["begin", "drop and begin"]), st.lists(st.one_of(WRITES, WORK), max_size=8))
"""What happens after a rebuild began, or was asked for though the timeline is there; at its end all finish."""


class World:
    """The truth, the timeline, the workers and the rebuilds that are under way."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.truth = Truth()
        self.timelines = Timelines(redis, self.truth, cap=CAP)
        self.heard: list[str] = []
        self.pushes: list[Post] = []
        self.rebuilds: list[tuple[asyncio.Task[Timeline], Reading]] = []

    async def do(self, step: Write | Do) -> None:
        """Take one step, if there is anything to do."""
        if isinstance(step, Write):
            self.truth.write(step.post, step.score)
            if step.now:
                await self.push(self.truth.held[step.post])
            else:
                self.heard.append(step.post)
        elif step.what == "drop":
            await self.timelines.drop({"feed": [USER]})
        elif step.what == "begin":
            await self.begin()
        elif step.what == "read" and self.heard:
            self.pushes.append(self.truth.held[self.heard.pop(step.which % len(self.heard))])
        elif step.what == "push" and self.pushes:
            await self.push(self.pushes.pop(step.which % len(self.pushes)))
        elif step.what == "look" and self.rebuilds:
            reading = self.rebuilds[step.which % len(self.rebuilds)][1]
            reading.may_read.set()
            await reading.has_read.wait()
        elif step.what == "end" and self.rebuilds:
            await self.end(step.which % len(self.rebuilds))

    async def begin(self) -> None:
        """Begin a rebuild, up to its read of the truth."""
        task = asyncio.create_task(self.timelines.rebuild("feed", USER))
        self.rebuilds.append((task, await self.truth.readings.get()))

    async def end(self, which: int) -> None:
        """Let a rebuild read, if it has not, and install."""
        task, reading = self.rebuilds.pop(which)
        reading.may_read.set()
        reading.may_return.set()
        await task

    async def push(self, post: Post) -> None:
        """Write a post as a worker does: what is refused is read again."""
        while not await self.timelines.push(post, {"feed": [USER]}, present=post.state is PostState.PUBLISHED):
            post = self.truth.held[post.id]

    @property
    def is_quiet(self) -> bool:
        """Tell whether everybody has finished."""
        return not (self.heard or self.pushes or self.rebuilds)

    async def settle(self) -> None:
        """Let everybody finish."""
        while not self.is_quiet:
            for what in ("read", "push", "end"):
                await self.do(Do(what))

    async def compare(self) -> float:
        """Compare what the timeline calls complete with the truth; return its mark."""
        mark = await self.redis.zscore(KEY, "!")
        found = await self.timelines.entries("feed", USER)
        if mark is None:
            assert found == []
            return inf
        assert mark == inf or len(found) <= CAP
        assert Timeline(found, mark).complete == [candidate for candidate in self.truth.top if candidate[0] > mark]
        return mark


async def play(url: str, scenes: Sequence[tuple[str, Sequence[Write | Do]]]) -> None:
    """Play scenes and compare after each; at the end a new timeline must reach down to its cap."""
    async with Redis.from_url(url) as redis:
        await redis.flushdb()
        world = World(redis)
        for score, post in enumerate(POSTS):
            await world.do(Write(post, score, now=True))
        for begin, steps in (*scenes, ("drop and begin", ())):
            for what in begin.split(" and "):
                await world.do(Do(what))
            for step in steps:
                await world.do(step)
            await world.settle()
            mark = await world.compare()
        top = world.truth.top
        assert mark == (top[CAP - 1][0] if len(top) >= CAP else -inf)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scenes=st.lists(SCENES, min_size=3, max_size=10))
def test_what_a_timeline_calls_complete_is_the_top_of_the_truth(
    valkey: str, scenes: Sequence[tuple[str, Sequence[Write | Do]]]
) -> None:
    asyncio.run(play(valkey, scenes))
