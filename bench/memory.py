"""bench memory: what Redis holds of a million active users, part by part, written in the forms that feeds are kept in.

The quick run writes a few of the 64 shards of the same million, so that each key is as full as it would be, and
multiplies.
"""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

from redis import Redis

from baker.guard import Guard
from bench.contents import Contents, Part, answer
from bench.crowd import SEED, Crowd
from bench.report import Report, Say, machine, rounded
from bench.trips import TRIP, send, size_of
from bench.world import valkey
from cdn.fence import Fence
from edgebake.settings import Settings
from edgebake.wiring import opened_record, opened_redis
from feeds import keys
from feeds.ids import SHARDS

USERS = 1_000_000
QUICK_SHARDS = 3
FULL_SET = 127
"""Fresh posts of a user at the most."""
AIM_GIB = 4.0
LEDGER = "ledger: every feed at an edge"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a part takes in Redis."""

    size: int
    keys: int

    def since(self, before: Self) -> "Taken":
        """Return what was taken since then."""
        return Taken(self.size - before.size, self.keys - before.keys)


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    crowd = Crowd(USERS, SHARDS if full else QUICK_SHARDS)
    contents = Contents(crowd)
    say(f"{len(contents.users):,} users of {crowd.users:,}: {crowd.shards} of {SHARDS} shards")
    report = Report("memory", machine() | {"users": crowd.users, "shards written": crowd.shards})
    with valkey() as settings, Redis.from_url(settings.redis_url.reveal()) as redis:
        redis.config_set("appendonly", "no")  # its buffer would count as memory
        taken = {part.name: written(redis, part, say) for part in contents.parts()}
        say(LEDGER)
        before = used(redis)
        asyncio.run(register(settings, contents))
        taken[LEDGER] = used(redis).since(before)
        resident = _resident(redis)
        full_sets = _full_sets(redis, contents)
    compose(report, taken, crowd)
    report.figures["GiB more, had all as many fresh posts as they may"] = rounded(_gib(full_sets / crowd.share))
    report.figures["resident to used"] = resident
    return report


def compose(report: Report, taken: Mapping[str, Taken], crowd: Crowd) -> None:
    """Note bytes a user by part, and all of it in GiB, for the whole crowd."""
    total = Taken(sum(part.size for part in taken.values()), sum(part.keys for part in taken.values()))
    for part, of_part in [*taken.items(), ("all", total)]:
        whole = of_part.size / crowd.share
        report.figures[part] = {
            "bytes a user": rounded(whole / crowd.users),
            "keys a user": rounded(of_part.keys / crowd.share / crowd.users),
            "GiB": rounded(_gib(whole)),
        }
    report.below("GiB for a million active users", _gib(total.size / crowd.share), AIM_GIB)


def written(redis: Redis, part: Part, say: Say) -> Taken:
    """Write a part; return what Redis uses for it."""
    say(part.name)
    before = used(redis)
    send(redis, part.commands())
    return used(redis).since(before)


async def register(settings: Settings, contents: Contents) -> None:
    """Let an answer of each user's feed pass the fence: its tags are in the ledger then."""
    draw, users = random.Random(SEED), contents.users
    async with opened_record(settings) as record, opened_redis(settings, record) as redis:
        fence = Fence(redis, Guard())
        for start in range(0, len(users), TRIP):
            some = users[start : start + TRIP]
            await fence.passes([answer(user, contents.follows(num), draw) for num, user in some])
        async for key in redis.scan_iter("*:recent:*", 1000):
            await redis.unlink(key)  # what left in the last seconds is kept twice, and a million users need longer


def used(redis: Redis) -> Taken:
    """Return what Redis uses."""
    return Taken(_memory(redis)["used_memory"], int(redis.dbsize()))


def _resident(redis: Redis) -> float:
    memory = _memory(redis)
    return rounded(memory["used_memory_rss"] / memory["used_memory"])


def _memory(redis: Redis) -> dict[str, Any]:
    found: dict[str, Any] = redis.info("memory")
    return found


def _full_sets(redis: Redis, contents: Contents) -> int:
    """Return the bytes more that as many fresh posts as may be would take, from a sample."""
    sample = [user for _, user in contents.users[:TRIP]]
    sets = [keys.fresh(user) for user in sample]
    before = size_of(redis, sets)
    redis.delete(*sets)
    send(redis, islice(contents.fresh(FULL_SET), len(sample)))
    after = size_of(redis, sets)
    return (after - before) * len(contents.users) // len(sample)


def _gib(size: float) -> float:
    return size / 2**30
