"""bench rebuild: the first visit of somebody who comes back: made active, their timeline rebuilt, their feed baked.

Redis has the posts, as it has whatever was published in weeks, and nothing of the users. The baker is the one that
`edgebake serve` serves; it keeps no artifact.
"""

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import orjson
from redis import Redis

from bench.audiences import chunks
from bench.crowd import SEED, name
from bench.load import Generator, Load, request
from bench.report import Report, Say, machine, percentile, rounded
from bench.server import serving
from bench.world import options, read, valkey
from edgebake.secret import SecretUrl
from edgebake.settings import Settings
from edgebake.wiring import opened_record, opened_redis
from feeds import keys
from feeds.command import CreatePost, Follow, PutUser
from feeds.ids import SHARDS, shard_of
from feeds.truth import Truth
from tests.integration.postgresql import Cluster, programs

FOLLOWS = 500
BELOW_MS = 50.0
PAGE = 25
RATE = 20.0
"""First visits a second where they come at a constant rate."""
WARMED = 8
"""Users of each shard who come before anything is measured: the baker has seen all shards then, and most posts, as one
that has run for a while."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: ``visits`` one at a time, and as many at a constant rate."""

    authors: int
    posts: int
    visits: int


QUICK = Effort(authors=1_000, posts=20_000, visits=100)
FULL = Effort(authors=5_000, posts=150_000, visits=500)


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    effort = FULL if full else QUICK
    report = Report("rebuild", machine() | {"follows": FOLLOWS, "authors": effort.authors, "posts": effort.posts})
    with valkey() as settings:
        _measure(report, "SQLite", settings, effort, say)
    with postgresql(say) as url:
        if url:
            with valkey() as settings:
                there = replace(settings, database_url=SecretUrl(url))
                _measure(report, "PostgreSQL", there, effort, say)
    return report


def of_each_shard(count: int) -> list[str]:
    """Return so many users of each shard, one shard after the other, then again."""
    by_shard: dict[int, list[str]] = {shard: [] for shard in range(SHARDS)}
    for number in range(SHARDS * count * 4):
        by_shard[shard_of(name(number))].append(name(number))
    return [users[at] for at in range(count) for users in by_shard.values()]


@contextmanager
def postgresql(say: Say) -> Iterator[str]:
    """Start a PostgreSQL where one is installed, and remove it after; else the URL is empty."""
    folder = programs()
    if folder is None:
        say("PostgreSQL is not installed here")
        yield ""
        return
    cluster = Cluster(folder)
    cluster.start()
    try:
        yield cluster.create("bench")
    finally:
        cluster.stop()


def _measure(report: Report, database: str, settings: Settings, effort: Effort, say: Say) -> None:
    warmed = of_each_shard(WARMED)
    users = [*warmed, *(f"v{number}" for number in range(2 * effort.visits))]
    say(f"{database}: {effort.posts:,} posts, {len(users)} users who follow {FOLLOWS} each")
    asyncio.run(populated(settings, effort, users))
    with ExitStack() as stack:
        server = stack.enter_context(serving("baker", memory=0, **options(settings)))
        single, steady = users[len(warmed) : -effort.visits], users[-effort.visits :]
        for user in warmed:
            assert len(orjson.loads(read(server.port, _path(user)))["items"]) == PAGE, f"{user}'s page is not full"
        say(f"{database}: first visits")
        visits = {
            "first visits, one at a time": partial(_each_once, server.port, single),
            f"first visits, {RATE:g} a second": partial(_at_rate, server.port, steady),
            "second visits, one at a time": partial(_each_once, server.port, single),
            "third visits, one at a time": partial(_each_once, server.port, single),
        }
        for title, visit in visits.items():
            before = server.used()
            times = visit().latencies
            _note(report, f"{database}: {title}", times, server.used().since(before).cpu_s)
    _check(settings, users)


def _each_once(port: int, users: Sequence[str]) -> Load:
    with Generator(port, [request(_path(user)) for user in users], 1) as generator:
        return generator.each_once()


def _at_rate(port: int, users: Sequence[str]) -> Load:
    """Visit each user once. As many connections as users: each asks for its own first path."""
    with Generator(port, [request(_path(user)) for user in users], len(users)) as generator:
        return generator.at_rate(RATE, len(users) / RATE)


def _path(user: str) -> str:
    return f"/feed/{user}/feed.json"


def _check(settings: Settings, users: Sequence[str]) -> None:
    """See that each user has a timeline now. Raises AssertionError."""
    with Redis.from_url(settings.redis_url.reveal()) as redis:
        without = [user for user in users if not redis.hexists(keys.base(user), user)]
    assert not without, f"{len(without)} users have no timeline after their visit"


def _note(report: Report, visits: str, seconds: Sequence[float], cpu_s: float) -> None:
    times = [latency * 1000 for latency in seconds]
    report.figures[visits] = {
        "visits": len(times),
        "p50 ms": rounded(percentile(times, 0.5)),
        "p99 ms": rounded(percentile(times, 0.99)),
        "max ms": rounded(max(times)),
        "baker CPU ms": rounded(cpu_s / len(times) * 1000),
    }
    if "first" in visits:
        report.below(f"p99, {visits}, in ms", percentile(times, 0.99), BELOW_MS)


async def populated(settings: Settings, effort: Effort, users: Sequence[str]) -> None:
    """Write authors, posts and users into the system of record, and the posts into Redis."""
    draw = random.Random(SEED)
    authors = [f"w{number}" for number in range(effort.authors)]
    async with opened_record(settings) as record, opened_redis(settings, record) as redis:
        for some in chunks([*authors, *users]):
            await record.import_users([PutUser(user=user, name=f"Name of {user}") for user in some])
        posts = list(_posts(authors, effort.posts))
        for rows in chunks(posts):
            await record.import_posts(rows)
        follows = [(user, author) for user in users for author in draw.sample(authors, FOLLOWS)]
        for pairs in chunks(follows):
            await record.import_follows([Follow(user=user, author=author) for user, author in pairs])
        truth = Truth(redis, record)
        for rows in chunks(posts, 500):
            await truth.posts([post.post or "" for post in rows])
        await truth.users(authors)


def _posts(authors: Sequence[str], count: int) -> Iterator[CreatePost]:
    """Yield posts, newest last, a minute apart."""
    now = datetime.now(UTC)
    for number in range(count):
        yield CreatePost(
            post=f"b{number}",
            author=authors[number * 7919 % len(authors)],
            title=f"A title of the usual length, which is about this: {number}",
            url=f"https://example.org/articles/{number}/",
            published=now - timedelta(minutes=count - number),
        )
