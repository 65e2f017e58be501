"""Who goes through a day: Edgebake and Stream-Framework, each with the feeds of the day before."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import nlargest
from typing import Protocol

from redis.asyncio import Redis

from bench.audiences import chunks
from bench.contenders import worker
from bench.crowd import name
from bench.social import PAGE, Row, Story
from bench.streamframework.client import StreamFramework
from edgebake.settings import Settings
from feeds import copies, keys, packing, scripts
from feeds.catalogue import Catalogue
from feeds.change import PostPublished
from feeds.command import CreatePost, Follow, PutUser
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

    async def write(self, rows: Sequence[Row], rate: float | None = None) -> Took:
        """Publish posts, several at once."""
        room = asyncio.Semaphore(AT_ONCE)
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._write(row, begun + at / rate if rate else None, room))
                for at, row in enumerate(rows)
            ]
        return Took(time.perf_counter() - begun, [task.result() for task in tasks])

    async def read(self, pages: Sequence[tuple[int, int]]) -> Took:
        """Read pages of timelines, and the posts on them from their copies."""
        begun = time.perf_counter()
        each = [await self._read(name(user), page) for user, page in pages]
        return Took(time.perf_counter() - begun, each)

    async def _write(self, row: Row, due: float | None, room: asyncio.Semaphore) -> float:
        await asyncio.sleep(0 if due is None else due - time.perf_counter())
        async with room:
            begun = time.perf_counter() if due is None else due
            await self._record.apply([_created(row)])
            await self._fanout.handle(f"bench-{row[1]}", PostPublished(_id(row), name(row[0])))
        return time.perf_counter() - begun

    async def _read(self, user: str, page: int) -> float:
        begun = time.perf_counter()
        reads: list[scripts.Command] = [("HGET", keys.base(user), user), ("ZRANGE", keys.fresh(user), 0, -1)]
        base, fresh = await scripts.execute(self._redis, reads)
        nums = {*packing.read_timeline(base).nums, *map(int, fresh)}
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
