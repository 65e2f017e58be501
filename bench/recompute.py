"""`python -m bench recompute`: how long a full recalculation takes, from packed inputs in Redis to packed timelines.

The world is made up: users by shard, whom they follow by a power law, authors that are followed by another, posts that
those write who are followed most. It is written into the embedded Valkey in the forms that feeds are kept in.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from multiprocessing import active_children
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from bench.bulk import FOLLOWS as FOLLOWS_FILE
from bench.bulk import STORIES as STORIES_FILE
from bench.crowd import FOLLOWS, SEED, degrees, name
from bench.graph import World, whole
from bench.report import Report, Say, machine, rounded
from bench.trips import Command, send
from edgebake.valkey import EmbeddedValkey
from feeds import keys, packing, standings
from feeds.mapper import Ranked, Shard
from feeds.model import Entry, Epoch, Sources, Taste
from feeds.ranking import Weights
from feeds.rankshard import Options
from feeds.shards import at_once, open_pool, prepare, read_catalogue

POSTS = 150_000
AUTHORS = 20_000
DAYS = 30
NOW_MS = 1_790_000_000_000
LIKED, SHOWN = 5, 25
"""Authors whom a user with a taste reacted to, and posts that they were shown."""
SNAPSHOT = 1000
EPOCH = Epoch(1, 3.0, 1.0, 60.0)
SIZES = (10_000, 100_000, 1_000_000)
AIM_S = 10.0
AIM_LINEAR = 1.2
"""A user of the largest crowd may take so many times what a user of the next smaller one takes."""


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
        names = tuple(f"author-{author}" for author in follows)
        sources = Sources(user, AUTHORS + num, tuple(follows), (), (), (), (), 1, names)
        yield ("SET", keys.sources(user), b"L1.0.0123456789abcdef " + packing.pack_sources(sources))
        yield ("HSET", keys.base(user), user, b"R1 inf\n")
        if tastes:
            taste = Taste(dict.fromkeys(follows[:LIKED], 3), dict.fromkeys(shown[num % 499], 1))
            yield ("HSET", keys.taste(user), user, packing.pack_taste(taste))


@dataclass(frozen=True, slots=True)
class Run:
    """What one recalculation took: seconds on the clock, of our processes' CPU and of Redis's, and what Redis kept."""

    users: int
    wall_s: float
    catalogue_s: float
    our_s: float
    redis_s: float
    appended_mb: float
    rewrites: int

    def figures(self) -> dict[str, float]:
        """Return what is reported."""
        return {
            "seconds": rounded(self.wall_s),
            "µs a user": rounded(self.wall_s / self.users * 1e6),
            "of it catalogue, s": rounded(self.catalogue_s),
            "our CPU, s": rounded(self.our_s),
            "Redis's CPU, s": rounded(self.redis_s),
            "append-only file, MB": rounded(self.appended_mb),
            "written anew": self.rewrites,
        }


def run(data: Path, *, full: bool, say: Say) -> Report:
    """Measure."""
    report = Report("recompute", machine() | {"posts": POSTS, "follows of a user": FOLLOWS})
    medians = {size: _row(report, say, f"{size:,}", made_up(size)) for size in (SIZES if full else SIZES[:2])}
    largest, smaller = max(medians), sorted(medians)[-2]
    if full:
        _row(report, say, f"{largest:,} with tastes", made_up(largest), tastes=True)
        report.below("seconds, 1,000,000 users", medians[largest], AIM_S)
    if (world := whole(data)) is not None:
        _row(report, say, "Slashdot, Hacker News", world)
    else:
        say(f"{data} has no {FOLLOWS_FILE} or no {STORIES_FILE} (--data names the folder): without the real graph")
    ratio = medians[largest] / largest / (medians[smaller] / smaller)
    report.below(f"a user of {largest:,} to one of {smaller:,}", ratio, AIM_LINEAR)
    return report


def _row(report: Report, say: Say, title: str, world: World, *, tastes: bool = False) -> float:
    """Measure a world; return the median of its seconds."""
    runs = measure(world, say, tastes=tastes)
    ordered = sorted(runs, key=lambda one: one.wall_s)
    report.figures[f"{title}: first"] = runs[0].figures()
    report.figures[f"{title}: median"] = ordered[len(ordered) // 2].figures()
    return ordered[len(ordered) // 2].wall_s


async def recalculate(server: EmbeddedValkey, world: World) -> Run:
    """Rank everybody and write every timeline."""
    redis = AsyncRedis.from_url(server.url, protocol=2)
    (redis_s, kept_mb, rewrites), ours, began = await _used(redis), _our_s(), time.perf_counter()
    prepare()
    posts = standings.pack(await read_catalogue(redis, len(world.authors)), EPOCH, Weights())
    catalogue_s = time.perf_counter() - began
    options = Options(snapshot=SNAPSHOT).pack()
    async with open_pool(server.url, posts, at_once()) as pool:
        shards = (Shard(shard, None, SNAPSHOT, "newest", options) for shard in keys.ALL_SHARDS)
        ranked = reduce(Ranked.plus, await asyncio.gather(*map(pool.rank, shards)))
        our_s = _our_s() - ours
    wall_s = time.perf_counter() - began
    assert (ranked.installed, ranked.missing) == (world.users, ())
    redis_after_s, kept_after_mb, rewrites_after = await _used(redis)
    await redis.aclose()
    appended_mb = max(0.0, kept_after_mb - kept_mb)
    again = rewrites_after - rewrites
    return Run(world.users, wall_s, catalogue_s, our_s, redis_after_s - redis_s, appended_mb, again)


async def _used(redis: AsyncRedis) -> tuple[float, float, int]:
    """Return what Redis has used: seconds of CPU, megabytes of its append-only file, how often that was begun anew."""
    cpu, kept = await redis.info("cpu"), await redis.info("persistence")
    seconds = cpu["used_cpu_user"] + cpu["used_cpu_sys"]
    return seconds, kept["aof_current_size"] / 1e6, kept["aof_rewrites"] + kept["aof_rewrite_in_progress"]


def _our_s() -> float:
    """Return the CPU time of this process and those that rank for it."""
    return time.process_time() + sum(_process_s(child.pid) for child in active_children() if child.pid is not None)


def _process_s(pid: int) -> float:
    """Return the CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(world: World, say: Say, *, tastes: bool) -> list[Run]:
    """Return three runs over a world: the first writes timelines anew, the others over what is there."""
    with TemporaryDirectory(prefix="edgebake-bench-") as folder:
        server = EmbeddedValkey(Path(folder) / "valkey")
        server.start()
        try:
            redis = Redis.from_url(server.url, protocol=2)
            say(f"writing {world.users:,} users{' with tastes' if tastes else ''}")
            send(redis, catalogue(world))
            send(redis, users(world, tastes=tastes))
            return [_run(server, redis, world) for _ in range(3)]
        finally:
            server.stop()


def _run(server: EmbeddedValkey, redis: Redis, world: World) -> Run:
    while redis.info("persistence")["aof_rewrite_in_progress"]:  # what filling it, or the run before, has set off
        time.sleep(0.1)
    return asyncio.run(recalculate(server, world))
