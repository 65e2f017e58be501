"""`python -m bench recompute`: how long a full recalculation takes, from packed inputs in Redis to packed timelines.

The world is made up: users by shard, whom they follow by a power law, authors that are followed by another, posts that
those write who are followed most. It is written into the embedded Valkey in the forms that feeds are kept in.
"""

import asyncio
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from bench.crowd import FOLLOWS, SEED, degrees, name
from bench.report import Say, rounded
from bench.trips import Command, send
from edgebake.valkey import EmbeddedValkey
from feeds import keys, packing, standings
from feeds.mapper import Ranked, Shard
from feeds.model import Entry, Epoch, Sources, Taste
from feeds.ranking import Weights
from feeds.rankshard import Options
from feeds.shards import open_pool, read_catalogue

POSTS = 150_000
AUTHORS = 20_000
DAYS = 30
NOW_MS = 1_790_000_000_000
LIKED, SHOWN = 5, 25
"""Authors whom a user with a taste reacted to, and posts that they were shown."""
SNAPSHOT = 1000
AIM_S = 10.0
AIM_LINEAR = 1.5
"""A user of the largest crowd may take so many times what a user of the smallest one that is measured takes."""


@dataclass(frozen=True, slots=True)
class World:
    """Who follows whom: each user's authors, by number; and who wrote each post, the oldest first."""

    follows: Sequence[Sequence[int]]
    authors: Sequence[int]

    @property
    def users(self) -> int:
        """How many users there are."""
        return len(self.follows)


def made_up(users: int) -> World:
    """Return a world of so many users."""
    chance = np.random.default_rng(SEED)
    sizes = np.array(degrees(users, FOLLOWS, 2_000))
    drawn = _popular(chance, int(sizes.sum()))
    ends = sizes.cumsum()
    follows = [np.unique(part).tolist() for part in np.split(drawn, ends[:-1])]
    return World(follows, _popular(chance, POSTS).tolist())


def _popular(chance: np.random.Generator, count: int) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Return authors by a law of Zipf: the first is drawn twice as often as the second."""
    return np.minimum(AUTHORS ** chance.random(count), AUTHORS).astype(np.int64)


def catalogue(world: World) -> Iterator[Command]:
    """Yield what writes the catalogue."""
    chance = np.random.default_rng(SEED)
    times = np.sort(NOW_MS - chance.integers(0, DAYS * 86_400_000, len(world.authors))).tolist()
    counts = (chance.pareto(1.2, (len(world.authors), 3)) * (3, 1, 60)).astype(int).tolist()
    chunks: dict[int, list[int | bytes]] = {}
    for num, (author, published_ms, (likes, comments, views)) in enumerate(
        zip(world.authors, times, counts, strict=True), start=1
    ):
        entry = Entry(num, f"p{num:07d}", author, published_ms, likes, comments, views, (), True, 1)
        chunks.setdefault(keys.chunk_of(num), []).extend((num, packing.pack_entry(entry, 0)))
    for chunk, words in chunks.items():
        yield ("HSET", keys.chunk(chunk), *words)


def users(world: World, *, tastes: bool) -> Iterator[Command]:
    """Yield what writes the users' sources, their dropped timelines and, if asked for, their tastes."""
    chance = np.random.default_rng(SEED)
    shown = chance.integers(1, len(world.authors), (499, SHOWN)).tolist()
    for num, follows in enumerate(world.follows, start=1):
        user = name(num)
        sources = Sources(user, AUTHORS + num, tuple(follows), (), (), (), (), 1)
        yield ("SET", keys.sources(user), b"L1.0.0123456789abcdef " + packing.pack_sources(sources))
        yield ("HSET", keys.base(user), user, b"R1 inf\n")
        if tastes:
            taste = Taste(dict.fromkeys(follows[:LIKED], 3), dict.fromkeys(shown[num % 499], 1))
            yield ("HSET", keys.taste(user), user, packing.pack_taste(taste))


@dataclass(frozen=True, slots=True)
class Run:
    """What one recalculation took, in seconds: on the clock, of Redis's core, of ours."""

    users: int
    wall_s: float
    redis_s: float
    our_s: float
    reading_s: float
    append_mb: float

    def figures(self) -> dict[str, float]:
        """Return what is reported."""
        return {
            "seconds": rounded(self.wall_s),
            "users/s": rounded(self.users / self.wall_s),
            "catalogue s": rounded(self.reading_s),
            "our CPU s": rounded(self.our_s),
            "Redis CPU s": rounded(self.redis_s),
            "both, a core": rounded((self.our_s + self.redis_s) / 2),
            "append-only MB": rounded(self.append_mb),
        }


async def recalculate(server: EmbeddedValkey, expected: int) -> Run:
    """Rank everybody and write every timeline."""
    redis = AsyncRedis.from_url(server.url, protocol=2)
    before, ours, began = await _redis_s(redis), _our_s(), time.perf_counter()
    posts = standings.pack(await read_catalogue(redis, POSTS), Epoch(1, 3.0, 1.0, 60.0), Weights())
    reading_s = time.perf_counter() - began
    options = Options(snapshot=SNAPSHOT).pack()
    done = Ranked(0, 0, ())
    async with open_pool(server.url, posts) as pool:
        shards = (Shard(shard, None, SNAPSHOT, "newest", options) for shard in keys.ALL_SHARDS)
        for ranked in await asyncio.gather(*map(pool.rank, shards)):
            done = done.plus(ranked)
    wall_s = time.perf_counter() - began
    assert (done.installed, done.missing) == (expected, ())
    redis_s, appended = await _redis_s(redis), 0.0
    await redis.aclose()
    return Run(expected, wall_s, redis_s - before, _our_s() - ours, reading_s, appended)


async def _redis_s(redis: AsyncRedis) -> float:
    found = await redis.info("cpu")
    return float(found["used_cpu_user"] + found["used_cpu_sys"])


def _our_s() -> float:
    """Return the CPU time of this process and those it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def measure(world: World, say: Say, *, tastes: bool) -> list[Run]:
    """Return two runs over a world: the first writes timelines anew, the second over what is there."""
    with TemporaryDirectory(prefix="edgebake-bench-") as folder:
        server = EmbeddedValkey(Path(folder) / "valkey")
        server.start()
        try:
            redis = Redis.from_url(server.url, protocol=2)
            say(f"writing {world.users:,} users")
            send(redis, catalogue(world))
            send(redis, users(world, tastes=tastes))
            _quiet(redis)
            return [asyncio.run(recalculate(server, world.users)) for _ in range(2)]
        finally:
            server.stop()


def _quiet(redis: Redis) -> None:
    """Wait until Redis has written its append-only file anew, which filling it has set off."""
    while redis.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.1)
