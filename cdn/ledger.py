"""The ledger's side of a change: record tags in the fence, and make pending those that an edge may hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from redis.asyncio import Redis

from cdn import keys, scripts

LOG = 20_000
"""Tags that a shard's log keeps; a bake noted before the oldest of them is baked again."""

ALL_SHARDS = range(keys.SHARDS)


@dataclass(slots=True)
class Tags:
    """What one shard has to know of changes: ``dropped`` tags, and ``guards`` that only the fence checks."""

    dropped: set[str] = field(default_factory=set)
    guards: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The count that tags were recorded under in a shard, and how many of them an edge may hold."""

    count: int
    pending: int


class Ledger:
    """Which answers may still be at the edges, and what is recorded against them."""

    def __init__(self, redis: Redis, edges: Sequence[str]) -> None:
        self._redis = redis
        self._edges = tuple(edges)

    async def record(self, tags: Mapping[int, Tags]) -> dict[int, Recorded]:
        """Record tags by shard, one script each, in one trip; return what came of it by shard."""
        shards = [shard for shard, of_shard in tags.items() if of_shard.dropped or of_shard.guards]
        replies = await scripts.execute(self._redis, [self._record(shard, tags[shard]) for shard in shards])
        return {
            shard: Recorded(int(count), int(pending)) for shard, (count, pending) in zip(shards, replies, strict=True)
        }

    def _record(self, shard: int, tags: Tags) -> scripts.Command:
        pending = [key for edge in self._edges for key in keys.pending(shard, edge)[:2]]
        guards: Iterable[str] = sorted(tags.guards)
        return scripts.call(
            scripts.RECORD, (*keys.fence(shard), *pending), LOG, len(tags.guards), *guards, *sorted(tags.dropped)
        )
