"""Timelines: an active user's candidate posts in Redis: a packed base, and what was pushed since (*fresh*).

A timeline proposes, the bake disposes: it looks each post up in the catalogue. So pushes commute, and nothing is ever
taken out. What keeps a post from being lost is the log number: fan-out takes one for each post, after its copy is
written and before it reads who follows; whoever computes a base reads the number first and the truth after it. So a
base has every post up to its number (its *snapshot*), and the fresh posts above it.
"""

from collections.abc import Collection, Iterable, Sequence
from math import inf

from redis.asyncio import Redis

from feeds import keys, packing, scripts
from feeds.ids import BUCKETS, shard_of
from feeds.lognumbers import NEXT, LogNumbers
from feeds.model import Entry, Epoch, Sources, Taste
from feeds.packing import Timeline
from feeds.ranking import Order, Weights, rank_ms
from feeds.record import Record

CAP = 200
"""Posts that a base keeps; a ranked one of twice as many candidates."""

MOST_FRESH = 127
"""Fresh posts of a user; with one more the timeline is dropped."""

PUSHED = 400
"""Users that one push serves: it keeps Redis for about a millisecond."""

PUSHES_A_TRIP = 4
BUCKETS_A_TRIP = 64

CLOSED = b"D9007199254740991 0\n"
"""A timeline that is being created and has no log number yet: nothing is installed in it. A drop leaves its number in
the place of the mark."""


class Timelines:
    """The timelines in Redis."""

    def __init__(
        self,
        redis: Redis,
        record: Record,
        *,
        cap: int = CAP,
        most_fresh: int = MOST_FRESH,
        own_posts: bool = True,
        weights: Weights | None = None,
    ) -> None:
        self.numbers = LogNumbers(redis, record)
        self._redis = redis
        self._record = record
        self._cap = cap
        self._most_fresh = most_fresh
        self._own_posts = own_posts
        self._weights = weights or Weights()

    async def push(self, num: int, log: int, sections: Iterable[bytes]) -> int:
        """Push a post to the active users in sections (ids of one shard, joined by newlines); return to how many."""
        commands = [command for _, command in self.pushes(num, log, sections)]
        pushed = 0
        for start in range(0, len(commands), PUSHES_A_TRIP):
            pushed += sum(await scripts.execute(self._redis, commands[start : start + PUSHES_A_TRIP]))
        return pushed

    def pushes(self, num: int, log: int, sections: Iterable[bytes]) -> list[tuple[bytes, scripts.Command]]:
        """Return the commands that push a post to the active users in sections, each with its piece of a section."""
        found = []
        for section in sections:
            active = keys.active(shard_of(section.partition(b"\n")[0].decode()))
            for users in pieces(section):
                call = scripts.call(
                    scripts.PUSH, (active,), packing.pack_fresh(num, log), log, self._most_fresh, users, CLOSED
                )
                found.append((users, call))
        return found

    async def create(self, user: str) -> None:
        """Create an active user's timeline, dropped, where there is none. They are in every follower list before."""
        names = (keys.base(user), keys.active(shard_of(user)))
        created = scripts.call(scripts.CREATE, names, user, CLOSED)
        _, number = await scripts.execute(self._redis, [created, NEXT])
        log = await self.numbers.reserved(number)
        await scripts.execute(self._redis, [scripts.call(scripts.CREATE, names, user, CLOSED, log)])

    async def rebuild(
        self, sources: Sources, order: Order, taste: Taste, epoch: Epoch, pulled: Collection[int]
    ) -> Timeline:
        """Compute the timeline of the sources' user from the system of record; install it where there is one.

        ``pulled`` are the sources that the caller merges. Those that are not pushed any more are left out here.
        """
        (log,) = await scripts.execute(self._redis, [("GET", keys.LOG)])
        without = await self._not_pushed(pulled) if pulled else ()
        found = await self._found(sources, order, without)
        timeline = self._chosen(found, sources, order, taste, epoch)._replace(snapshot=int(log or 0))
        packed = packing.pack_timeline(order, timeline.snapshot, timeline.mark, timeline.nums)
        words = (timeline.snapshot, sources.user, packed)
        install = scripts.call(scripts.INSTALL, (keys.base(sources.user),), *words)
        if await scripts.execute(self._redis, [install]) == [0]:
            await self._reopen(sources.user)
        return timeline

    async def propose(
        self, sources: Sources, order: Order, taste: Taste, epoch: Epoch, pulled: Collection[int]
    ) -> Timeline:
        """Compute a timeline as ``rebuild`` does, without the pulled sources, and keep nothing: for guests."""
        return self._chosen(await self._found(sources, order, pulled), sources, order, taste, epoch)

    async def drop(self, users: Iterable[str]) -> None:
        """Drop the timelines of users who have one; a rebuild that began before is refused."""
        by_bucket: dict[str, list[str]] = {}
        for user in users:
            by_bucket.setdefault(keys.base(user), []).append(user)
        if by_bucket:
            log = await self.numbers.take()
            await self._drop(
                [scripts.call(scripts.DROP, (base,), log, CLOSED, *named) for base, named in by_bucket.items()]
            )

    async def drop_all(self) -> None:
        """Drop every timeline there is."""
        log = await self.numbers.take()
        buckets = (keys.base_of(shard, bucket) for shard in keys.ALL_SHARDS for bucket in range(BUCKETS))
        await self._drop([scripts.call(scripts.DROP, (base,), log, CLOSED) for base in buckets])

    async def members(self, user: str) -> list[int]:
        """Return the posts that Redis proposes to a user, complete or not."""
        reads: list[scripts.Command] = [("HGET", keys.base(user), user), ("LRANGE", keys.fresh(user), 0, -1)]
        base, fresh = await scripts.execute(self._redis, reads)
        return [*packing.read_fresh(fresh), *(packing.read_timeline(base).nums if base else ())]

    async def _drop(self, drops: Sequence[scripts.Command]) -> None:
        for start in range(0, len(drops), BUCKETS_A_TRIP):
            await scripts.execute(self._redis, drops[start : start + BUCKETS_A_TRIP])

    async def _reopen(self, user: str) -> None:
        """Open a timeline that its creator left closed: it died between the two steps."""
        (there,) = await scripts.execute(self._redis, [("HGET", keys.base(user), user)])
        if there is not None and there.startswith(CLOSED[: CLOSED.index(b" ")]):
            await self.create(user)

    async def _not_pushed(self, pulled: Collection[int]) -> list[int]:
        """Return those of the pulled sources that are not pushed. Read after the log number (see ``fanout``)."""
        states = (await self._record.pulled()).sources
        return [source for source in pulled if source in states and states[source].state == "pull"]

    async def _found(self, sources: Sources, order: Order, without: Collection[int]) -> list[Entry]:
        limit = 2 * self._cap if order == "ranked" else self._cap + 1
        own = self._own_posts
        return await self._record.proposals(sources.user, before=None, limit=limit, own=own, without=without)

    def _chosen(self, found: Sequence[Entry], sources: Sources, order: Order, taste: Taste, epoch: Epoch) -> Timeline:
        """Return the best of the newest posts, complete above the newest that is left out."""
        if order == "ranked":
            weights, tags = self._weights, set(sources.tags)
            found = sorted(found, key=lambda e: (rank_ms(e, epoch, taste, tags, weights), e.post), reverse=True)
        mark = max((entry.published_ms for entry in found[self._cap :]), default=-inf)
        return Timeline(order, 0, mark, [entry.num for entry in found[: self._cap]])


def pieces(section: bytes, most: int = PUSHED) -> list[bytes]:
    """Return a section cut into pieces of about ``most`` users, without looking at each user."""
    size = len(section) * most // (section.count(b"\n") + 1)
    found, start = [], 0
    while len(section) - start > size and (cut := section.find(b"\n", start + size)) > 0:
        found.append(section[start:cut])
        start = cut + 1
    return [*found, section[start:]] if section[start:] else found
