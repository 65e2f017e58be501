"""The ledger's side of a change: record tags in the fence, and make pending those that an edge may hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from redis.asyncio import Redis

from cdn import keys, scripts
from cdn.fence import TRANSIT_MS
from cdn.pending import Flag
from cdn.tags import GLOBAL

STEP = 100
"""Living users of each shard that a step of the trim looks at."""

LOG = 20_000
"""Tags that a shard's log keeps; a bake noted before the oldest of them is baked again."""

ALL_SHARDS = range(keys.SHARDS)


@dataclass(frozen=True, slots=True)
class Readers:
    """Users of one shard, joined by newlines, whose feeds gained a post by any of these sources (their numbers).

    Their own tags are not recorded in the fence: each is pending where a living answer carries none of the sources.
    So the tags of the sources have to be recorded in the same call, as guards at least.
    """

    sources: tuple[int, ...]
    users: str


@dataclass(slots=True)
class Tags:
    """What one shard has to know of changes: ``dropped`` tags, and ``guards`` that only the fence checks.

    ``readers`` are those whose own tags are dropped where no source's tag reaches them.
    """

    dropped: dict[str, Flag] = field(default_factory=dict)
    guards: set[str] = field(default_factory=set)
    readers: list[Readers] = field(default_factory=list)

    def drop(self, tag: str, flags: Flag = Flag.PLAIN) -> None:
        """Add a tag, or what else is demanded of it."""
        before = self.dropped.get(tag)
        self.dropped[tag] = flags if before is None else before.merged(flags)


@dataclass(frozen=True, slots=True)
class Recorded:
    """The count that tags were recorded under in a shard, and how many of them an edge may hold."""

    count: int
    pending: int


class Ledger:
    """Which answers may still be at the edges, and what is recorded against them.

    ``transit_ms`` is the longest way of an answer to an edge: what left within it needs a second tap.
    """

    def __init__(self, redis: Redis, edges: Sequence[str], transit_ms: int = TRANSIT_MS) -> None:
        self._redis = redis
        self._edges = tuple(edges)
        self._transit_ms = transit_ms
        self._swept = dict.fromkeys(ALL_SHARDS, "0")

    async def record(self, tags: Mapping[int, Tags]) -> dict[int, Recorded]:
        """Record tags by shard, one script each, in one trip; return what came of it by shard.

        Shards may share one and the same ``Tags``: it is put into words once.
        """
        shards = [shard for shard, need in tags.items() if need.dropped or need.guards or need.readers]
        words = {id(need): _words(need) for need in {id(tags[shard]): tags[shard] for shard in shards}.values()}
        calls = [self._record(shard, words[id(tags[shard])]) for shard in shards]
        replies = await scripts.execute(self._redis, calls)
        return {
            shard: Recorded(int(count), int(pending)) for shard, (count, pending) in zip(shards, replies, strict=True)
        }

    async def trim(self) -> int:
        """Take a step through the living users of each shard; return how many it removed, whose answers are over."""
        steps = [scripts.call(scripts.TRIM, keys.fence(shard)[4:5], self._swept[shard], STEP) for shard in ALL_SHARDS]
        replies = await scripts.execute(self._redis, steps)
        self._swept = {shard: cursor.decode() for shard, (cursor, _) in zip(ALL_SHARDS, replies, strict=True)}
        return sum(removed for _, removed in replies)

    def _record(self, shard: int, words: bytes) -> scripts.Command:
        pending = [key for edge in self._edges for key in keys.pending(shard, edge)[:3]]
        return scripts.call(scripts.RECORD, (*keys.fence(shard), *pending), LOG, self._transit_ms, words)


def _words(tags: Tags) -> bytes:
    """Return tags as the script takes them.

    ``g`` and ``s-`` come first, for they clear the ledger, and the others need not be pending; but the urgent before
    them, for these do not wait with them.
    """
    wide = sorted((tag for tag in tags.dropped if tag == GLOBAL or tag.startswith("s-")), key=lambda tag: tag != GLOBAL)
    by_flags: dict[Flag, list[str]] = {}
    for tag in dict.fromkeys([*wide, *tags.dropped]):
        by_flags.setdefault(tags.dropped[tag], []).append(tag)
    groups = sorted(by_flags.items(), key=lambda group: Flag.URGENT not in group[0])
    dropped = [word for flags, listed in groups for word in (flags, listed)]
    readers = [word for each in tags.readers for word in ([str(source) for source in each.sources], each.users)]
    return orjson.dumps([sorted(tags.guards), dropped, readers])
