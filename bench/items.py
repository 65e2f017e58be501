"""bench items: how many items a post costs where every feed is cached, by the followers of its author.

Who follows whom and who wrote what is real; nothing is baked. What each user's first page would carry is filled in by
the function that fills in a bake's, and registered by the fence's script. A post is recorded by tags, ledger and plan
as they are. For each it is checked that one of its items reaches every reader's page.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain
from pathlib import Path
from statistics import fmean

from redis.asyncio import Redis

from baker.drawn import Draws, filled
from baker.guard import Guard
from baker.table import Known
from bench.crowd import name
from bench.graph import World, demo, whole
from bench.report import Report, Say, machine, rounded
from bench.world import valkey
from cdn import keys, scripts, tags
from cdn.fence import Fence, Leaving
from cdn.ledger import ALL_SHARDS, Ledger
from cdn.pending import PendingSet, ShardState
from edgebake.settings import Settings
from edgebake.wiring import opened_record, opened_redis
from feeds.affected import Affected
from feeds.change import PostPublished, SettingsChanged
from feeds.ids import shard_of
from feeds.model import Sources
from invalidator.plan import Limits, Plan, View, plan
from invalidator.tagging import by_shard

PAGE = 25
LEVELS = (10, 100, 500, 2_500)
"""Followers of the authors that are measured."""
OF_EACH = 8
EDGE = "main"
HORIZON_MS = 660_000
LIMITS = Limits(max_items=3000, forgotten_ms=HORIZON_MS, transit_ms=6_200, complete_ms=25_000)
NO_OVERFLOW, OVERFLOW, AT_ONCE = 10**9, LIMITS.overflow_items, 1
"""How many leftover readers go by name: all; as many as by default; one, so that a post costs two items."""
CHANGES = 1000
AT_A_TIME = 500
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Page:
    """What an edge has of a user: the tags of their first page, and of which sources these are."""

    user: str
    tags: Sequence[str]
    carried: tuple[int, ...] | None

    @property
    def leaving(self) -> Leaving:
        """Return it as it leaves."""
        return Leaving(shard_of(self.user), 0, frozenset(), self.tags, HORIZON_MS, self.user, self.carried)


@dataclass(frozen=True, slots=True)
class Cost:
    """First items of a post, by how many leftover readers go by name. ``paths``: one for each reader's page."""

    followers: int
    paths: int
    items: Mapping[int, int]


class Graph:
    """Who reads whom, and every user's first page."""

    def __init__(self, world: World) -> None:
        self.followers: dict[int, list[int]] = {user: [] for user in range(1, world.users + 1)}
        for user, authors in enumerate(world.follows, 1):
            for author in authors:
                self.followers[author].append(user)
        self.posts = Counter(world.authors)
        self.pages: dict[int, Page] = dict(_pages(world))
        self.without_room: Counter[int] = Counter()
        """By author: readers whose page has no room for them."""
        for user, page in self.pages.items():
            if page.carried is not None:
                self.without_room.update({user, *world.follows[user - 1]}.difference(page.carried))

    def authors(self, followers: int, count: int) -> list[int]:
        """Return the authors whose followers are nearest to so many, give or take a fifth."""
        far = {author: abs(len(of_author) - followers) for author, of_author in self.followers.items()}
        return sorted((author for author in far if far[author] <= followers / 5), key=lambda one: (far[one], one))[
            :count
        ]

    def readers(self, author: int) -> list[int]:
        """Return who reads an author: the followers, and the author."""
        return [author, *self.followers[author]]


def _pages(world: World) -> Iterator[tuple[int, Page]]:
    """Yield every user's first page."""
    written: dict[int, list[int]] = {}
    known: dict[int, Known] = {}
    for post, author in enumerate(world.authors, 1):
        known[post] = Known(post, f"p{post}", post, author, frozenset(), post)
        written.setdefault(author, []).append(post)
    draws = Draws(own=True)
    for user, authors in enumerate(world.follows, 1):
        newest = nlargest(PAGE + 1, chain.from_iterable(written.get(one, ())[-PAGE - 1 :] for one in (user, *authors)))
        names = tuple(map(name, authors))
        drawn = draws.of(Sources(name(user), user, tuple(authors), (), (), (), (), 1, names))
        own = [tags.GLOBAL, tags.shard_tag(shard_of(name(user))), tags.user_tag(name(user))]
        own += [tags.post_tag(known[post].post) for post in newest]
        made = filled(own, drawn, (), [known[post] for post in newest])
        yield user, Page(name(user), made.tags, made.carried)


class Edge:
    """What is registered as being at an edge, and what posts drop of it."""

    def __init__(self, redis: Redis, graph: Graph) -> None:
        self._redis = redis
        self._graph = graph
        self._fence = Fence(redis, Guard())
        self._ledger = Ledger(redis, [EDGE])
        self._pending = PendingSet(redis, EDGE)

    async def register(self, users: Iterable[int]) -> None:
        """Let these users' pages leave."""
        pages = [self._graph.pages[user].leaving for user in users]
        for start in range(0, len(pages), AT_A_TIME):
            await self._fence.passes(pages[start : start + AT_A_TIME])

    async def publish(self, author: int) -> Cost:
        """Publish a post by an author; return what it costs, and let everything be as it was before.

        Raises AssertionError where a reader's page would stay that the items do not reach.
        """
        readers = self._graph.readers(author)
        users = [self._graph.pages[reader].user for reader in readers]
        change = PostPublished("new", name(author))
        await self.record([Affected("1", change, "1", 0, 1, users=tuple(users), sources=(author,), shared=True)])
        states = await self._pending.read(ALL_SHARDS, MOST)
        plans = {most: planned(states, most) for most in (NO_OVERFLOW, OVERFLOW, AT_ONCE)}
        for most, made in plans.items():
            stale = [reader for reader in readers if not reached(self._graph.pages[reader], made)]
            assert not stale, f"{len(stale)} pages of {len(readers)} are left at the edge, up to {most} by name"
        await self.forget()
        carrying = tags.author_tag(name(author))
        await self.register(reader for reader in readers if _is_touched(self._graph.pages[reader], carrying))
        return Cost(len(readers) - 1, len(readers), {most: made.first for most, made in plans.items()})

    async def record(self, parts: Sequence[Affected]) -> None:
        """Record parts of changes, as the recorder does."""
        await self._ledger.record(by_shard(parts))

    async def forget(self) -> None:
        """Forget what waits, as if it had been sent."""
        waiting = [key for shard in ALL_SHARDS for key in keys.pending(shard, EDGE)]
        await scripts.execute(self._redis, [("DEL", key) for key in waiting])

    async def items(self) -> int:
        """Return how many first items wait, and forget them."""
        made = planned(await self._pending.read(ALL_SHARDS, MOST), OVERFLOW)
        await self.forget()
        return made.first

    async def storm(self, user: int) -> int:
        """Change one user's settings a thousand times, read by somebody all the while; return the first items.

        The first change is sent at once. The others merge while the interval between two calls runs.
        """
        change = Affected("1", SettingsChanged(name(user), privacy=False), "1", 0, 1, shared=True)
        await self.record([change])
        sent = await self.items()
        for _ in range(CHANGES // 20):
            await self.register([user])
            await self.record([change] * 20)
        sent += await self.items()
        await self.register([user])
        return sent


def planned(states: Mapping[int, ShardState], overflow_items: int) -> Plan:
    """Return the plan for what waits, where the origin has headroom."""
    limits = Limits(LIMITS.max_items, HORIZON_MS, LIMITS.transit_ms, LIMITS.complete_ms, overflow_items=overflow_items)
    return plan(View(max(state.now_ms for state in states.values()), states, wide=True), limits)


def reached(page: Page, made: Plan) -> bool:
    """Tell whether a page is dropped by a plan's first items."""
    return not set(page.tags).isdisjoint(made.tags[: made.first])


def _is_touched(page: Page, author_tag: str) -> bool:
    return author_tag in page.tags or tags.OVERFLOW in page.tags


@asynccontextmanager
async def opened(settings: Settings, graph: Graph) -> AsyncIterator[Edge]:
    """Register every user's page in a Redis that holds nothing."""
    async with opened_record(settings) as record, opened_redis(settings, record) as redis:
        edge = Edge(redis, graph)
        await edge.register(graph.pages)
        yield edge


def run(data: Path, *, full: bool, say: Say) -> Report:
    """Measure."""
    world = whole(data) if full else None
    if full and world is None:
        say(f"{data} has not the whole data set (--data names the folder): the demo's slice it is")
    world = world or demo()
    say(f"filling in the first pages of {world.users:,} users")
    graph = Graph(world)
    named = {"users": world.users, "follows": sum(map(len, world.follows)), "posts": len(world.authors)}
    report = Report("items", machine() | named)
    full_pages = sum(page.carried is not None for page in graph.pages.values())
    report.figures["pages on which not all sources find room"] = full_pages
    with valkey() as settings:
        asyncio.run(_measure(settings, graph, report, say))
    return report


async def _measure(settings: Settings, graph: Graph, report: Report, say: Say) -> None:
    most = max(map(len, graph.followers.values()))
    async with opened(settings, graph) as edge:
        costs: list[Cost] = []
        for level in [level for level in LEVELS if level <= most] + [most]:
            say(f"posts by authors with {level} followers")
            of_level = [await edge.publish(author) for author in graph.authors(level, OF_EACH if level < most else 1)]
            report.figures[f"{level:,} followers"] = row(of_level)
            costs += of_level
        storm = await edge.storm(next(iter(graph.pages)))
        nobody = await _nobodys(edge)
    report.figures |= totals(graph)
    by_name = max(cost.items[AT_ONCE] for cost in costs)
    report.below("items of a post, where one reader goes by name", by_name, 3)
    report.below(f"items of {CHANGES:,} changes to one user", storm, 3)
    report.below("items of a change that concerns nothing cached", nobody, 1)


async def _nobodys(edge: Edge) -> int:
    """Return the items of changes that concern nothing that is cached."""
    stranger = "nobody-reads-this"
    for change in (SettingsChanged(stranger, privacy=False), PostPublished("unread", stranger)):
        await edge.record([Affected("1", change, "1", 0, 1, shared=True)])
    return await edge.items()


def row(costs: Collection[Cost]) -> dict[str, float]:
    """Return the means of what posts cost."""
    return {
        "followers": rounded(fmean(cost.followers for cost in costs)),
        "a path each": rounded(fmean(cost.paths for cost in costs)),
        "without o": rounded(fmean(cost.items[NO_OVERFLOW] for cost in costs)),
        f"o above {OVERFLOW}": rounded(fmean(cost.items[OVERFLOW] for cost in costs)),
        f"o above {AT_ONCE}": rounded(fmean(cost.items[AT_ONCE] for cost in costs)),
    }


def totals(graph: Graph) -> dict[str, int]:
    """Return the items of all posts, counted: each published once, every page cached."""
    left = {author: graph.without_room[author] for author in graph.posts}
    named = {author: len(graph.readers(author)) > left[author] for author in graph.posts}

    def all_of(most: int) -> int:
        return sum(
            posts * (named[author] + (left[author] if left[author] <= most else 1))
            for author, posts in graph.posts.items()
        )

    return {
        "all posts, a path each": sum(posts * len(graph.readers(author)) for author, posts in graph.posts.items()),
        "all posts, without o": all_of(NO_OVERFLOW),
        f"all posts, o above {OVERFLOW}": all_of(OVERFLOW),
        f"all posts, o above {AT_ONCE}": all_of(AT_ONCE),
        "all posts": sum(graph.posts.values()),
    }
