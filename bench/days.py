"""Who goes through a day: Edgebake and Stream-Framework, each with the feeds of the day before."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nlargest
from math import inf
from typing import Protocol

from redis.asyncio import Redis

from bench.audiences import chunks, now_ms
from bench.contenders import worker
from bench.crowd import name
from bench.social import KEPT, PAGE, Row, Story
from bench.streamframework.client import StreamFramework
from edgebake.settings import Settings
from feeds import copies, keys, packing, scripts
from feeds.catalogue import Catalogue
from feeds.change import PostPublished
from feeds.command import CreatePost, Follow, PutUser
from feeds.followers import Followers
from feeds.ids import shard_of
from feeds.model import Entry, Post
from feeds.record import Record

AT_ONCE = 16
"""Posts that our one worker handles at once."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a number of things took: all of them, and each."""

    seconds: float
    each: Sequence[float]


class System(Protocol):
    """One that goes through a day."""

    async def write(self, rows: Sequence[Row], rate: float | None = None) -> Took:
        """Publish posts, so many a second, or as fast as it goes.

        Each takes from when it was due until the last follower's feed has it.
        """

    async def read(self, pages: Sequence[tuple[int, int]]) -> Took:
        """Read pages of feeds, one after the other."""


class Framework:
    """Stream-Framework, in its own process."""

    def __init__(self, driver: StreamFramework) -> None:
        self._driver = driver

    def fill(self, story: Story) -> None:
        """Give it follows, and feeds of the day before."""
        followers = {author: [name(user) for user in users] for author, users in story.followers.items()}
        self._driver.ask("followers", lists=followers)
        for rows in chunks(story.before):
            self._driver.ask("insert", posts=rows)
        for user, rows in story.feeds.items():
            self._driver.ask("fill", user=name(user), posts=rows, users=[])

    async def write(self, rows: Sequence[Row], rate: float | None = None) -> Took:
        """Publish posts."""
        took = self._driver.ask("publish", posts=rows, rate=rate)
        return Took(took["seconds"], took["delays"])

    async def read(self, pages: Sequence[tuple[int, int]]) -> Took:
        """Read pages. Raises AssertionError where one is not full."""
        wanted = [(name(user), page * PAGE, (page + 1) * PAGE) for user, page in pages]
        took = self._driver.ask("read", pages=wanted)
        assert set(took["counts"]) == {PAGE}, "a page of Stream-Framework is not full"
        return Took(took["seconds"], took["latencies"])

    def first_page(self, user: int) -> list[int]:
        """Return the posts on a user's first page."""
        return list(self._driver.ask("feed", user=name(user))["posts"][:PAGE])


class Edgebake:
    """Ours: commit and fan-out, as API and worker do them, in this process; and timelines, read as the baker does."""

    def __init__(self, settings: Settings, record: Record, redis: Redis) -> None:
        self._fanout = worker(settings, record, redis)
        self._followers = Followers(redis, record)
        self._redis = redis
        self._record = record
        self._known: dict[int, Entry] = {}
        self._catalogue = Catalogue(redis, record)

    async def fill(self, story: Story) -> None:
        """Write users, follows and the posts of the day before into the system of record."""
        users = [name(user) for user in story.followers]
        for some in chunks(users):
            await self._record.import_users([PutUser(user=user, name=user) for user in some])
        follows = [(name(user), name(author)) for author, those in story.followers.items() for user in those]
        for pairs in chunks(follows):
            await self._record.import_follows([Follow(user=user, author=author) for user, author in pairs])
        for rows in chunks(story.before):
            await self._record.import_posts([_created(row) for row in rows])
        for some in chunks(users):
            await self._record.activate(some, now_ms())
        await self._fill_timelines(story)

    async def _fill_timelines(self, story: Story) -> None:
        """Make everybody active, with the timeline that a rebuild would have found, and have follower lists at hand."""
        known: dict[str, Post] = {}
        for rows in chunks(story.before):
            known |= await self._record.posts([_id(row) for row in rows])
        for feeds in chunks(list(story.feeds.items())):
            commands: list[scripts.Command] = []
            for user, rows in feeds:
                mark = rows[-1][2] if len(rows) == KEPT else -inf
                base = packing.pack_timeline("newest", 0, mark, [known[_id(row)].num for row in rows])
                commands.append(("ZADD", keys.active(shard_of(name(user))), now_ms(), name(user)))
                commands.append(("HSET", keys.base(name(user)), name(user), base))
            await scripts.execute(self._redis, commands)
        people = await self._record.users([name(user) for user in story.followers])
        await self._followers.sections([person.num for person in people.values()])

    async def commit(self, rows: Sequence[Row]) -> Took:
        """Commit posts to the system of record, each on its own, several at once."""
        return await self._all(rows, self._commit, None)

    async def fan_out(self, rows: Sequence[Row]) -> Took:
        """Fan posts out that are committed, several at once."""
        return await self._all(rows, self._fan_out, None)

    async def write(self, rows: Sequence[Row], rate: float | None = None) -> Took:
        """Commit posts and fan them out, several at once."""
        return await self._all(rows, self._write, rate)

    async def read(self, pages: Sequence[tuple[int, int]]) -> Took:
        """Read pages of timelines, and the posts on them from their copies."""
        begun = time.perf_counter()
        each = [await self._read(name(user), page) for user, page in pages]
        return Took(time.perf_counter() - begun, each)

    async def _all(self, rows: Sequence[Row], work: Callable[[Row], Awaitable[None]], rate: float | None) -> Took:
        room = asyncio.Semaphore(AT_ONCE)
        begun = time.perf_counter()

        async def one(row: Row, due: float) -> float:
            await asyncio.sleep(due - time.perf_counter())
            async with room:
                await work(row)
            return time.perf_counter() - due

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(row, begun + (at / rate if rate else 0))) for at, row in enumerate(rows)]
        return Took(time.perf_counter() - begun, [task.result() for task in tasks])

    async def _write(self, row: Row) -> None:
        await self._commit(row)
        await self._fan_out(row)

    async def _commit(self, row: Row) -> None:
        await self._record.apply([_created(row)])

    async def _fan_out(self, row: Row) -> None:
        await self._fanout.handle(f"bench-{row[1]}", PostPublished(_id(row), name(row[0])))

    async def _read(self, user: str, page: int) -> float:
        begun = time.perf_counter()
        reads: list[scripts.Command] = [("HGET", keys.base(user), user), ("LRANGE", keys.fresh(user), 0, -1)]
        base, fresh = await scripts.execute(self._redis, reads)
        nums = {*packing.read_timeline(base).nums, *packing.read_fresh(fresh)}
        if missing := [num for num in nums if num not in self._known]:
            self._known |= await self._catalogue.get(missing)
        best = nlargest((page + 1) * PAGE, (self._known[num] for num in nums), key=lambda entry: entry.key)
        shown = await self._posts([entry.post for entry in best[page * PAGE :]])
        took = time.perf_counter() - begun
        assert len(shown) == PAGE, f"page {page} of {user}'s timeline is not full"
        return took

    async def _posts(self, ids: Sequence[str]) -> list[Post]:
        (values,) = await scripts.execute(self._redis, [("MGET", *map(keys.post, ids))])
        return [copies.read_post(copies.body_of(value)) for value in values if value is not None]


def _id(row: Row) -> str:
    return f"b{row[1]}"


def _created(row: Row) -> CreatePost:
    published = datetime.fromtimestamp(row[2] / 1000, UTC)
    return CreatePost(post=_id(row), author=name(row[0]), title=f"Post {row[1]}", published=published)
