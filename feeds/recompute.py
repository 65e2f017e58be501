"""The full recalculation: a new ranking epoch, what users were shown and reacted to, and every timeline anew.

In this order: the epoch and the tastes; the fan-out log's number, and only then posts and sources (so each timeline
has every post up to that number, and what is pushed meanwhile stays beside it); then the shards, over the cores.
A job notes each shard that is done: whoever resumes it takes a new number and goes on with the others. Of two
recalculations at once the one with the higher number wins, user by user.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from redis.asyncio import Redis

from feeds import keys, metrics, packing, scripts, standings
from feeds.activity import drawn
from feeds.followers import Followers
from feeds.ids import shard_of
from feeds.jobs import Held, Jobs
from feeds.lognumbers import LogNumbers
from feeds.mapper import Ranked, Shard
from feeds.model import Epoch
from feeds.progress import now_ms
from feeds.ranking import Order, Weights
from feeds.rankshard import Options
from feeds.record import Record
from feeds.shards import OpenPool, Pool, at_once, open_pool, prepare, read_catalogue
from feeds.tastes import Tastes
from feeds.timeline import CAP, CLOSED
from feeds.truth import Truth

KIND = "recompute"
Rerank = Literal["ttl", "shards", "items"]
DAY_MS = 86_400_000
REACTED_MARGIN_MS = 60_000
"""A reaction is committed this much after its time, at the most."""
PAGE = 5000
CREATED = 500
READ = 1000
FREE_ITEMS = 1000
ITEM_DOLLARS = 0.005
"""What CloudFront takes for an item, beyond those of a month that are free."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How feeds are ranked and whose. ``order`` is that of users who chose none; ``rerank`` what edges are told."""

    cap: int = CAP
    own_posts: bool = True
    order: Order = "newest"
    weights: Weights = field(default_factory=Weights)
    active_days: int = 30
    post_days: int = 3650
    rerank: Rerank = "ttl"
    processes: int | None = None


def nobody(_: str) -> None:
    """Tell nobody."""


class Recompute:
    """Full recalculations. ``redis_url`` is where the processes that rank find Redis."""

    def __init__(self, redis: Redis, redis_url: str, record: Record, limits: Limits) -> None:
        self._redis = redis
        self._redis_url = redis_url
        self._record = record
        self._numbers = LogNumbers(redis, record)
        self._limits = limits
        self._jobs = Jobs(redis)
        self._truth = Truth(redis, record)
        self._tastes = Tastes(redis)
        self.open_pool: OpenPool = open_pool
        """Opens what ranks shards."""
        self.say: Callable[[str], None] = nobody
        """Is told what a person may want to know."""
        self.on_shard: Callable[[int, int], None] = lambda done, total: None
        """Is told how many shards of how many are done."""

    async def run(self, held: Held, stop: asyncio.Event) -> bool:
        """Do what is left of a job, and end it; False where it, or this process, was told to stop before that."""
        job, users = held.job, held.job.params.get("users", "active")

        def stopped() -> bool:
            return stop.is_set() or held.stop.is_set()

        epoch = await self._epoch(held)
        if isinstance(users, str):
            await self._activate(users, stopped)
        await self._taste(stopped)
        if stopped():
            return False
        by_shard: Mapping[int, list[str] | None] = (
            dict.fromkeys(keys.ALL_SHARDS) if isinstance(users, str) else _by_shard(users)
        )
        await self._jobs.progress(job.id, total=len(by_shard))
        posts, shard = await self._inputs(epoch)
        todo = [shard._replace(shard=n, users=by_shard[n]) for n in sorted(by_shard) if n not in job.parts]
        if not await self._map(held, posts, todo, stopped):
            return False
        await self._tell_edges(users, sorted(by_shard))
        if isinstance(users, str):
            await self._raise(keys.REACTED, (job.started_ms or job.created_ms) - REACTED_MARGIN_MS)
        await self._jobs.finish(job.id, "done")
        return True

    async def _epoch(self, held: Held) -> Epoch:
        """Begin a ranking epoch, once for a job; one that is resumed goes on with the current one."""
        if "epoch" not in held.job.notes:
            means = await self._record.averages(now_ms() - self._limits.active_days * DAY_MS)
            begun = await self._record.begin_epoch(means)
            await self._jobs.note(held.job.id, epoch=begun.number)
        return await self._truth.epoch()

    async def _activate(self, chosen: str, stopped: Callable[[], bool]) -> None:
        """Create the timelines that are missing: those of all users, made active, or of those who are."""
        now = now_ms()
        if chosen == "all":
            await self._record.activate_all(now)
            await Followers(self._redis, self._record).forget_all()  # lists built from here on have everybody
        since_ms, after = now - self._limits.active_days * DAY_MS, ""
        while not stopped():
            if chosen == "all":
                wanted = users = await self._record.all_users(after=after, limit=PAGE)
            else:
                users = await self._record.active_users(since_ms=since_ms, after=after, limit=PAGE)
                wanted = await self._absent(users)
                await self._enter(wanted)
            if not users:
                return
            for start in range(0, len(wanted), CREATED):
                await self._create(wanted[start : start + CREATED], now)
            after = users[-1]

    async def _enter(self, users: Sequence[str]) -> None:
        """Let users enter the follower lists that exist, before they have a timeline (``activity``)."""
        followers = Followers(self._redis, self._record)
        for start in range(0, len(users), CREATED):
            found = await self._record.sources_of(users[start : start + CREATED])
            await followers.enter({user: drawn(sources) for user, sources in found.items()})

    async def _absent(self, users: Sequence[str]) -> list[str]:
        """Return those users of whom Redis does not know that they are active."""
        by_shard = _by_shard(users)
        asked = [("ZMSCORE", keys.active(shard), *named) for shard, named in by_shard.items()]
        absent: list[str] = []
        for named, scores in zip(by_shard.values(), await scripts.execute(self._redis, asked), strict=True):
            absent += [user for user, score in zip(named, scores, strict=True) if score is None]
        return absent

    async def _create(self, users: Sequence[str], now: int) -> None:
        """Create timelines as ``Timelines.create`` does, for many."""
        active = [("ZADD", keys.active(shard_of(user)), "GT", now, user) for user in users]
        create = [
            scripts.call(scripts.CREATE, (keys.base(user), keys.active(shard_of(user))), user, CLOSED) for user in users
        ]
        created = (await scripts.execute(self._redis, [*active, *create]))[len(active) :]
        if not any(created):
            return
        number = await self._numbers.take()
        open_ = [
            scripts.call(scripts.CREATE, (keys.base(user), keys.active(shard_of(user))), user, CLOSED, number)
            for user, new in zip(users, created, strict=True)
            if new
        ]
        await scripts.execute(self._redis, open_)

    async def _taste(self, stopped: Callable[[], bool]) -> None:
        """Bring tastes up to date: what was shown, shard by shard, and whose posts were reacted to."""
        for shard in keys.ALL_SHARDS:
            if not stopped():
                await self._tastes.show(shard)
        (since,) = await scripts.execute(self._redis, [("GET", keys.REACTED)])
        after = ""
        while users := await self._record.reacted_since(int(since or 0), after=after, limit=PAGE):
            found = await self._record.reactions_of(users, since_ms=0)
            await self._tastes.react({user: found.get(user, {}) for user in users})
            after = users[-1]

    async def _inputs(self, epoch: Epoch) -> tuple[bytes, Shard]:
        """Read the log number, and then the posts; return them, and what all shards have in common."""
        prepare()
        (log_number,) = await scripts.execute(self._redis, [("GET", keys.LOG)])
        snapshot = int(log_number or 0)
        # A day less than the purge leaves, so that it takes nothing away from below.
        since_ms = now_ms() - (self._limits.post_days - 1) * DAY_MS
        nums = await self._truth.catalogue.fill(since_ms)
        found_in_redis = await read_catalogue(self._redis, nums[-1] if nums else 0)
        entries = {num: found_in_redis[num] for num in nums if num in found_in_redis}
        if missing := [num for num in nums if num not in entries]:
            found = await self._truth.catalogue.get(missing)
            entries |= {num: packing.pack_entry(entry, 0) for num, entry in found.items()}
        options = Options(
            snapshot=snapshot,
            cap=self._limits.cap,
            candidates=2 * self._limits.cap,
            own_posts=self._limits.own_posts,
            pulled=await self._not_pushed(),
            floor_ms=since_ms if await self._record.is_older(since_ms) else None,
            weights=self._limits.weights,
        )
        posts = await asyncio.to_thread(standings.pack, entries, epoch, self._limits.weights)
        return posts, Shard(0, None, snapshot, self._limits.order, options.pack())

    async def _not_pushed(self) -> list[int]:
        """Return the sources that are pulled alone. Read after the log number."""
        states = (await self._record.pulled()).sources
        return [source for source, pulled in states.items() if pulled.state == "pull"]

    async def _map(self, held: Held, posts: bytes, todo: Sequence[Shard], stopped: Callable[[], bool]) -> bool:
        """Rank shards, one a process at a time; False where they were told to stop before all were done."""
        processes = min(self._limits.processes or at_once(), max(1, len(todo)))
        total = held.job.done + len(todo)
        left = len(todo)
        waiting = iter(todo)
        self.on_shard(total - left, total)

        async def work(pool: Pool) -> None:
            nonlocal left
            for shard in waiting:
                if stopped():
                    return
                ranked = await self._rank(pool, shard)
                await self._jobs.progress(held.job.id, shard.shard, timelines=ranked.installed, newer=ranked.newer)
                metrics.RECOMPUTED.inc(ranked.installed)
                left -= 1
                self.on_shard(total - left, total)

        async with self.open_pool(self._redis_url, posts, processes) as pool, asyncio.TaskGroup() as group:
            for _ in range(processes):
                group.create_task(work(pool))
        return left == 0

    async def _rank(self, pool: Pool, shard: Shard) -> Ranked:
        """Rank a shard, and then those of its users whose copies were missing."""
        ranked = await pool.rank(shard)
        if not ranked.missing:
            return ranked
        users = ranked.missing
        for start in range(0, len(users), READ):
            some = users[start : start + READ]
            await self._truth.sources_of(some)
            await self._truth.users(some)
        again = await pool.rank(shard._replace(users=users))
        return ranked._replace(missing=()).plus(again)

    async def _tell_edges(self, users: str | Sequence[str], shards: Sequence[int]) -> None:
        """Say that feeds changed, where that is wished; first, what it will take."""
        match self._limits.rerank:
            case "ttl":
                return
            case "shards" if isinstance(users, str):
                self._price(len(shards))
                await self._record.rerank(shards, ())
            case _:
                named = [user async for user in self._everybody()] if isinstance(users, str) else users
                self._price(len(named))
                for start in range(0, len(named), PAGE):
                    await self._record.rerank((), named[start : start + PAGE])

    def _price(self, items: int) -> None:
        dollars = max(0, items - FREE_ITEMS) * ITEM_DOLLARS
        self.say(f"this recalculation drops feeds at the edges: {items:,} items at the most, ${dollars:,.2f}")

    async def _everybody(self) -> AsyncIterator[str]:
        """Yield everybody who has a timeline."""
        for shard in keys.ALL_SHARDS:
            (found,) = await scripts.execute(self._redis, [("ZRANGE", keys.active(shard), 0, -1)])
            for user in found:
                yield user.decode()

    async def _raise(self, key: str, least: int) -> None:
        await scripts.execute(self._redis, [scripts.call(scripts.RAISE, (key,), least)])


def _by_shard(users: Sequence[str]) -> dict[int, list[str]]:
    by_shard: defaultdict[int, list[str]] = defaultdict(list)
    for user in users:
        by_shard[shard_of(user)].append(user)
    return dict(by_shard)
