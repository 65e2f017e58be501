"""The ground of the loop alone: fence, ledger and pending set over a Redis, one step at a time."""

from collections.abc import Iterable, Mapping

from redis.asyncio import Redis

from cdn import scripts
from cdn.fence import Fence, Leaving
from cdn.ledger import ALL_SHARDS, Ledger, Readers, Tags
from cdn.pending import Flag, PendingSet, Waiting
from tests.integration.connections import CLOCK

MINUTE_MS = 60_000
EDGE = "main"


class Unwatched:
    """Keeps nothing that the fence would have to take away."""

    def recorded(self, tag: str) -> None:
        """There is nothing to let go of."""

    def unsure(self) -> None:
        """There is nothing to let go of."""


class Ground:
    """Fence, ledger and pending set, as one process has them."""

    def __init__(self, redis: Redis, *edges: str) -> None:
        self.redis = redis
        self.fence = Fence(redis, Unwatched())
        self.ledger = Ledger(redis, edges or (EDGE,))
        self.pending = PendingSet(redis, EDGE)

    async def at(self, ms: int) -> None:
        """Let it be a time, in milliseconds."""
        set_clock = [("DEL", CLOCK), ("RPUSH", CLOCK, ms // 1000, ms % 1000 * 1000)]
        await scripts.execute(self.redis, set_clock)

    async def note(self, shard: int) -> int:
        """Note a shard's count, as a bake does before it reads anything."""
        command = self.fence.note(shard)
        (reply,) = await scripts.execute(self.redis, [command])
        return self.fence.noted(shard, command, reply)

    async def leave(
        self,
        shard: int,
        *tags: str,
        noted: int | None = None,
        horizon_ms: int = MINUTE_MS,
        carried: tuple[int, ...] | None = None,
    ) -> int | None:
        """Let an answer with these tags leave, under the path of the user that they name; its count where it passed."""
        noted = await self.note(shard) if noted is None else noted
        (user,) = [tag[2:] for tag in tags if tag.startswith("u-")] or [""]
        leaving = Leaving(shard, noted, set(tags), tags, horizon_ms, user, carried)
        return (await self.fence.passes([leaving]))[0]

    async def recorded(
        self, *tags: str, shards: Iterable[int] = ALL_SHARDS, flags: Flag = Flag.PLAIN
    ) -> Mapping[int, int]:
        """Record tags in shards; return how many of them that made pending."""
        found = await self.ledger.record({shard: Tags(dict.fromkeys(tags, flags)) for shard in shards})
        return {shard: result.pending for shard, result in found.items()}

    async def gained(self, shard: int, sources: tuple[int, ...], *users: str) -> int:
        """Record that readers gained a post by these sources; return how many that made pending."""
        found = await self.ledger.record({shard: Tags(readers=[Readers(sources, "\n".join(users))])})
        return found[shard].pending

    async def waiting(self) -> dict[str, list[int]]:
        """Return what waits to be sent: tags, and the shards they wait in."""
        waiting: dict[str, list[int]] = {}
        for shard, state in (await self.pending.read(ALL_SHARDS, 10_000)).items():
            for entry in state.waiting:
                waiting.setdefault(entry.tag, []).append(shard)
        return waiting

    async def entries(self, shard: int) -> dict[str, Waiting]:
        """Return what waits in a shard, by tag."""
        return {entry.tag: entry for entry in (await self.pending.read([shard], 10_000))[shard].waiting}
