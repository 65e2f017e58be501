"""Activity: who has a timeline. Active users do; guests are baked without one, and nothing is kept of them.

A user becomes active in this order: the system of record notes it, Redis does, they enter the follower lists, their
timeline is created; only then is it read (interleaving 5b). A guest is registered before the bake reads the truth;
fan-out reads the guests after a post is in the truth. So the post is in the bake, or the guest is told.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from feeds import keys, scripts
from feeds.errors import RecordUnavailable
from feeds.followers import Followers
from feeds.ids import bucket_of, shard_of
from feeds.model import Sources, UserState
from feeds.progress import now_ms
from feeds.record import Record
from feeds.tick import Tick
from feeds.timeline import Timelines

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EVERYBODY = 2**53 - 1
RETIRED = 200
"""Users who are retired in one step."""
NOTED = 500
BEGIN_S = 30.0
"""Longer than a write waits for its turn."""
MOST_HOURS = 200_000

log = logging.getLogger(__name__)


class Activity:
    """Who is active and who a guest. ``days`` without activity end it; bakes make ``per_hour`` users active an hour.

    ``linger_ms`` is how long an answer may be at an edge or in a baker's memory, with a margin.
    """

    def __init__(
        self,
        redis: Redis,
        record: Record,
        followers: Followers,
        timelines: Timelines,
        *,
        days: int,
        per_hour: int,
        linger_ms: int,
    ) -> None:
        self._redis = redis
        self._record = record
        self._followers = followers
        self._timelines = timelines
        self._days = days
        self._per_hour = per_hour
        self._linger_ms = linger_ms
        self._hours: dict[str, int] = {}
        self._viewed: list[str] = []
        self._noting: asyncio.Task[None] | None = None
        self._begins: Tick[tuple[str, bytes | None], None] = Tick(self._begin_all, trip_s=BEGIN_S)

    async def seen(self, user: str) -> bool:
        """Note that a user is active: they have a timeline from now on. False where there is no such user."""
        (before,) = await scripts.execute(self._redis, [("ZSCORE", keys.active(shard_of(user)), user)])
        if before is None:
            known = await self._record.user(user)
            if known is None or known.state is UserState.DELETED:
                return False
        await self._begin(user, before)
        return True

    async def visited(self, at_ms: Mapping[str, int]) -> dict[str, int]:
        """Note that users who are there were active at some time in the past, as a log tells it.

        Later wins, and nobody is active in the future. Return when each was active before, 0 for never.
        """
        now = now_ms()
        by_hour: dict[int, list[str]] = defaultdict(list)
        for user, ms in at_ms.items():
            by_hour[min(ms, now) // HOUR_MS].append(user)
        for users in by_hour.values():  # the record is exact to the hour
            await self._record.activate(users, min(now, max(at_ms[user] for user in users)))
        return await self._touch(list(at_ms), at_ms)

    async def admit(self, user: str) -> bool:
        """Let a user who is there be baked: True where they are active now, False where they are a guest.

        Bakes count as activity up to the ceiling. Asked before the bake reads the truth.
        """
        base, active = ("HEXISTS", keys.base(user), user), ("ZSCORE", keys.active(shard_of(user)), user)
        exists, before = await scripts.execute(self._redis, [base, active])
        if exists:
            if self._per_hour and now_ms() - float(before or 0) > HOUR_MS:
                await self._begin(user, before)
            return True
        if await self._has_room():
            await self._begin(user, before)
            return True
        await self._guests([user])
        return False

    def viewed(self, user: str) -> None:
        """Note soon that a user who has a timeline was baked: once an hour, and nobody waits for it."""
        hour = now_ms() // HOUR_MS
        if not self._per_hour or self._hours.get(user) == hour:
            return
        if len(self._hours) >= MOST_HOURS:
            self._hours.clear()
        self._hours[user] = hour
        self._viewed.append(user)
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._note())

    async def close(self) -> None:
        """Wait for what is being noted."""
        if self._noting is not None:
            await asyncio.wait([self._noting])

    async def purge(self) -> int:
        """Retire who was not active for too long: guests for as long as an answer may be somewhere. Return how many.

        Follower lists leave out who was not active since the cutoff, so it is raised last: whoever is still to be
        retired has a timeline, and is neither in such a list nor a guest (a purge may be killed in the middle).
        """
        now = now_ms()
        cutoff = now - self._days * DAY_MS
        await scripts.execute(self._redis, [("ZREMRANGEBYSCORE", keys.GUESTS, "-inf", now - self._linger_ms)])
        retired = sum([await self._retire(shard, cutoff) for shard in keys.ALL_SHARDS])
        await scripts.execute(self._redis, [scripts.call(scripts.RAISE, (keys.CUTOFF,), cutoff)])
        return retired

    async def erase(self, user: str) -> None:
        """Take away all that is kept of a user who is gone."""
        await scripts.execute(self._redis, [_retire([user], EVERYBODY), ("ZREM", keys.GUESTS, user)])

    async def guests(self) -> int:
        """Return how many guests there are."""
        return int((await scripts.execute(self._redis, [("ZCARD", keys.GUESTS)]))[0])

    async def _note(self) -> None:
        while self._viewed:
            users, self._viewed = self._viewed[:NOTED], self._viewed[NOTED:]
            try:
                await self._record.activate(users, now_ms())
                await self._touch(users)
            except (RedisError, TimeoutError, RecordUnavailable) as error:  # said, and noted with the next hour
                log.warning("The activity of %d users was not noted: %s", len(users), error)

    async def _begin(self, user: str, before_ms: bytes | None) -> None:
        """Note that a user who is there is active: in the record once an hour, and then in Redis."""
        await self._begins.ask((user, before_ms))

    async def _begin_all(self, asked: list[tuple[str, bytes | None]]) -> list[None]:
        """Note it of all who are asked for in a turn of the loop: in the record by one transaction."""
        now = now_ms()
        new = [user for user, before_ms in asked if now // HOUR_MS > int(float(before_ms or 0)) // HOUR_MS]
        await self._record.activate(list(dict.fromkeys(new)), now)
        await self._touch(list(dict.fromkeys(user for user, _ in asked)))
        return [None] * len(asked)

    async def _touch(self, users: Sequence[str], at_ms: Mapping[str, int] | None = None) -> dict[str, int]:
        """Note in Redis that users are active of whom the record knows; let those have a timeline who have none.

        One whose activity was over, and whom no purge has retired yet, may lack in a list that was built meanwhile:
        they enter the lists and begin anew. Return when each was active before, 0 for never.
        """
        times = {} if at_ms is None else {user: (at_ms[user],) for user in users}
        touches = [
            scripts.call(scripts.TOUCH, (keys.active(shard_of(user)), keys.base(user)), user, *times.get(user, ()))
            for user in users
        ]
        *replies, cutoff = await scripts.execute(self._redis, [*touches, ("GET", keys.CUTOFF)])
        were = dict(zip(users, replies, strict=True))
        begun = [user for user, (before, exists) in were.items() if not exists or before < int(cutoff or 0)]
        await self._anew(begun, [user for user in begun if were[user][1]])
        return {user: int(before) for user, (before, _) in were.items()}

    async def _anew(self, users: Sequence[str], had: Sequence[str]) -> None:
        """Let users who are active begin: in lists first, then timelines; those that some ``had`` are dropped."""
        if not users:
            return
        found = await self._record.sources_of(users)
        await self._followers.enter({user: drawn(found[user]) for user in users})
        for user in users:
            await self._timelines.create(user)
        await self._timelines.drop(had)

    async def _has_room(self) -> bool:
        """Take one of this hour's activations, where bakes may activate at all."""
        if not self._per_hour:
            return False
        key = keys.activations(now_ms() // HOUR_MS)
        taken, _ = await scripts.execute(self._redis, [("INCR", key), ("EXPIRE", key, 7200)])
        return int(taken) <= self._per_hour

    async def _guests(self, users: Sequence[str]) -> None:
        register = scripts.call(scripts.GUEST, (keys.GUESTS,), self._linger_ms, *users)
        await scripts.execute(self._redis, [register])

    async def _retire(self, shard: int, cutoff: int) -> int:
        retired = 0
        while True:
            old = ("ZRANGEBYSCORE", keys.active(shard), "-inf", f"({cutoff}", "LIMIT", 0, RETIRED)
            (found,) = await scripts.execute(self._redis, [old])
            if not found:
                return retired
            users = [user.decode() for user in found]
            await self._guests(users)
            retired += sum(await scripts.execute(self._redis, [_retire(users, cutoff)]))


def drawn(sources: Sources) -> list[int]:
    """Return the sources that a user draws from: followed and not muted."""
    authors, tags = set(sources.authors), set(sources.tags)
    return sorted(authors - set(sources.muted_authors)) + sorted(tags - set(sources.muted_tags))


def _retire(users: Sequence[str], before_ms: int) -> scripts.Command:
    """Return the command that retires users of one shard who were not active since."""
    words = [word for user in users for word in (user, f"{bucket_of(user):02x}")]
    shard = shard_of(users[0])
    return scripts.call(scripts.RETIRE, (keys.active(shard), keys.floor(shard)), before_ms, *words)
