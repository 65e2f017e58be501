"""Who fans out: Edgebake, Stream-Framework, and a pipeline as one would write it oneself. All on one Redis."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from bench.audiences import FOLLOWERS, OLD, Author, chunks, copied
from bench.streamframework.client import StreamFramework
from bench.trips import Command, send
from edgebake.apps import activity, timelines
from edgebake.settings import Settings
from feeds import keys, packing
from feeds.change import PostPublished
from feeds.command import CreatePost
from feeds.fanout import Fanout
from feeds.followers import Followers
from feeds.record import Record

PIPELINE_CAP = 127
"""Posts that a feed of the pipeline keeps: the most that Redis keeps as a listpack here, which suits it."""
PIPELINE_TRIP = 1000
FRAMEWORK_CAP = 100
"""Its own default."""


@dataclass(frozen=True, slots=True)
class Task:
    """One post of an author: its number among the bench's posts, and when it was published."""

    author: Author
    post: int
    at_ms: int

    @property
    def id(self) -> str:
        """The post's id."""
        return f"b{self.post}"


class Look(NamedTuple):
    """A command that looks for a post in a feed: ZSCORE (a sorted set has none twice), or all that was pushed."""

    command: Command
    num: int = 0

    def finds(self, reply: Any) -> bool:
        """Tell whether the post is there, and once."""
        if self.command[0] == "ZSCORE":
            return reply is not None
        return [int(pushed) & packing.MOST for pushed in reply].count(self.num) == 1


@dataclass(frozen=True, slots=True)
class Done:
    """What publishing took, and the look into each follower's feed that must find a post now."""

    seconds: float
    cpu_s: float
    looks: Sequence["Look"]


class Contender(Protocol):
    """One who fans out."""

    async def publish(self, tasks: Sequence[Task], *, cold: bool) -> Done:
        """Fan posts out, one after the other; ``cold``: the list of followers is read from the system of record."""


class Framework:
    """Stream-Framework, in its own process."""

    def __init__(self, driver: StreamFramework, prefix: str, file: Path) -> None:
        self._driver = driver
        self._prefix = prefix
        self._file = file

    def fill(self, authors: Sequence[Author], users: Sequence[str]) -> None:
        """Tell it who follows, and give each of these users a feed that is full."""
        self._driver.ask("followers", lists={author.number: author.followers for author in authors})
        posts = [(1, OLD + at, 1_600_000_000_000 + at) for at in range(FRAMEWORK_CAP)]
        self._driver.ask("insert", posts=posts)
        self._driver.ask("fill", user="filled", posts=posts, users=users)

    async def publish(self, tasks: Sequence[Task], *, cold: bool) -> Done:
        """Fan posts out."""
        self._driver.ask("record", file=str(self._file) if cold else None, query=FOLLOWERS)
        posts = [(task.author.number, task.post, task.at_ms) for task in tasks]
        took = self._driver.ask("publish", posts=posts)
        looks = [
            Look(("ZSCORE", f"{self._prefix}:{user}", member))
            for task, member in zip(tasks, took["members"], strict=True)
            for user in task.author.followers
        ]
        return Done(took["seconds"], took["cpu_s"], looks)


class Pipeline:
    """What one writes oneself: ZADD and trim for each follower, a thousand a trip."""

    def __init__(self, redis: Redis, file: Path) -> None:
        self._redis = redis
        self._database = sqlite3.connect(file)

    def fill(self, users: Sequence[str]) -> None:
        """Give each of these users a feed that is full."""
        entries = [(at, OLD + at) for at in range(PIPELINE_CAP)]
        send(self._redis, copied(entries, (f"plain:{user}" for user in users)))

    async def publish(self, tasks: Sequence[Task], *, cold: bool) -> Done:
        """Fan posts out."""
        begun, cpu = time.perf_counter(), time.process_time()
        for task in tasks:
            users = task.author.followers
            if cold:
                users = [user for (user,) in self._database.execute(FOLLOWERS, (task.author.number,))]
            for some in chunks(users, PIPELINE_TRIP):
                send(self._redis, _writes(task, some), 2 * PIPELINE_TRIP)
        took = time.perf_counter() - begun, time.process_time() - cpu
        return Done(*took, [Look(("ZSCORE", f"plain:{u}", task.post)) for task in tasks for u in task.author.followers])


def _writes(task: Task, users: Sequence[str]) -> Iterator[Command]:
    for user in users:
        key = f"plain:{user}"
        yield ("ZADD", key, task.at_ms, task.post)
        yield ("ZREMRANGEBYRANK", key, 0, -PIPELINE_CAP - 1)


def worker(settings: Settings, record: Record, redis: AsyncRedis) -> Fanout:
    """Return a fan-out worker as `work` puts it together."""
    made, who = timelines(settings, record, redis), activity(settings, record, redis)
    return Fanout(redis, record, made, who, own_posts=settings.own_posts, linger_ms=settings.linger_ms)


class Edgebake:
    """Ours: the change of a post that is committed, until its timelines are written and it is reported."""

    def __init__(self, settings: Settings, record: Record, redis: AsyncRedis) -> None:
        self._record = record
        self._fanout = worker(settings, record, redis)
        self._followers = Followers(redis, record)

    async def publish(self, tasks: Sequence[Task], *, cold: bool) -> Done:
        """Commit posts, then fan them out."""
        await self._record.apply([CreatePost(post=task.id, author=task.author.id, title=task.id) for task in tasks])
        posts = await self._record.posts([task.id for task in tasks])
        if cold:
            await self._followers.forget_all()
        begun, cpu = time.perf_counter(), time.process_time()
        for task in tasks:
            await self._fanout.handle(f"bench-{task.id}", PostPublished(task.id, task.author.id))
        took = time.perf_counter() - begun, time.process_time() - cpu
        return Done(
            *took,
            [
                Look(("LRANGE", keys.fresh(user), 0, -1), posts[task.id].num)
                for task in tasks
                for user in task.author.followers
            ],
        )
