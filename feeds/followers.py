"""Follower lists: for each source the active users who draw from it and do not mute it, kept in Redis for a day.

A list is a line ``R<generation>`` and then ids, one a line, with an empty line between shards; while it is built it is
``B<token>``. It may name somebody who left or is not active: the push passes over them, the bake disposes. It must not
lack anybody who has a timeline. So whoever is to have one, or draws from a source more, *enters* the lists that exist,
after the system of record says so and before the timeline is created or dropped; and a list that is built reads the
system of record after it exists.
"""

import asyncio
import random
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from weakref import WeakValueDictionary

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.ids import SHARDS, shard_of
from feeds.record import Record

PAGE = 5000
KEEP_S = 86_400
SMALL_BYTES = 16_384
"""Bytes of a list of about 1,000 users: up to there one is looked through, and forgotten where somebody left."""

MOST_JOINED = 1000
"""Users who may join a list, or an eighth of it if that is more; then it is built again."""

LAG_MS = 2 * 3_600_000
"""The system of record knows of activity once an hour: it may lag behind Redis by two."""

ENTERED = 256


class Followers:
    """The follower lists in Redis, built from the system of record where they are missing or old."""

    def __init__(self, redis: Redis, record: Record) -> None:
        self._redis = redis
        self._record = record
        self._building: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def sections(self, sources: Sequence[int]) -> dict[int, list[bytes]]:
        """Return who draws from each source, as sections: ids of one shard, joined by newlines.

        They have everybody who has had a timeline, and drawn from the source, since before this was asked.
        """
        commands = self.reads(sources)
        return await self.taken(sources, await scripts.execute(self._redis, commands))

    def reads(self, sources: Sequence[int]) -> list[scripts.Command]:
        """Return the commands that read lists, in this order; ``taken`` makes sections of their replies."""
        lists = (scripts.call(scripts.LIST, (keys.followers(s), keys.joined(s))) for s in sources)
        return [("GET", keys.LISTS), *lists]

    async def taken(self, sources: Sequence[int], replies: Sequence[object]) -> dict[int, list[bytes]]:
        """Return the sections of lists that were read; build those that are missing or old."""
        found: dict[int, list[bytes]] = {}
        for source, reply in zip(sources, replies[1:], strict=True):
            sections = _sections(reply, replies[0])  # type: ignore[arg-type]  # as list.lua answers
            found[source] = await self._built(source) if sections is None else sections
        return found

    async def enter(self, draws: Mapping[str, Iterable[int]]) -> None:
        """Note in the lists that exist that users draw from these sources: user → sources."""
        enters = [enter for user, sources in draws.items() for enter in _enters(user, sources)]
        for start in range(0, len(enters), ENTERED):
            await scripts.execute(self._redis, enters[start : start + ENTERED])

    async def forget(self, sources: Iterable[int]) -> None:
        """Forget the lists of sources that somebody left; large ones stay as they are until they are a day old."""
        names = [(keys.followers(source), keys.joined(source)) for source in sources]
        await scripts.execute(self._redis, [scripts.call(scripts.LIST_FORGET, pair, SMALL_BYTES) for pair in names])

    async def forget_all(self) -> None:
        """Let every list count as old."""
        await scripts.execute(self._redis, [("INCR", keys.LISTS)])

    async def _built(self, source: int) -> list[bytes]:
        """Build a list, once at a time in this process: who waited reads what was built."""
        async with self._building.setdefault(source, asyncio.Lock()):
            replies = await scripts.execute(self._redis, self.reads([source]))
            if (sections := _sections(replies[1], replies[0])) is not None:
                return sections
            return await self._build(source, replies[0] or b"0")

    async def _build(self, source: int, generation: bytes) -> list[bytes]:
        token, names = secrets.token_hex(8), (keys.followers(source), keys.joined(source))
        begin = scripts.call(scripts.LIST_BEGIN, names, token)
        _, cutoff = await scripts.execute(self._redis, [begin, ("GET", keys.CUTOFF)])
        sections = _lines(await self._read(source, max(1, int(cutoff or 0) - LAG_MS)))
        value = b"R%s\n%s\n" % (generation, b"\n\n".join(sections))
        keep_s = round(KEEP_S * random.uniform(0.8, 1.0))  # those built together are not all built again together
        await scripts.execute(self._redis, [scripts.call(scripts.LIST_INSTALL, names, token, value, keep_s)])
        return sections

    async def _read(self, source: int, since_ms: int) -> Mapping[int, list[str]]:
        by_shard: dict[int, list[str]] = {}
        after = ""
        while page := await self._record.followers(source, after=after, limit=PAGE, active_since_ms=since_ms):
            for user in page:
                by_shard.setdefault(shard_of(user), []).append(user)
            after = page[-1]
            await asyncio.sleep(0)  # a large list holds up nobody else
            if len(page) < PAGE:
                break
        return by_shard


def _enters(user: str, sources: Iterable[int]) -> Iterator[scripts.Command]:
    """Yield the commands that enter a user, one for the sources of each shard."""
    by_shard: dict[int, list[str]] = {}
    for source in sources:
        by_shard.setdefault(source % SHARDS, []).extend((keys.followers(source), keys.joined(source)))
    for pairs in by_shard.values():
        yield scripts.call(scripts.LIST_ENTER, pairs, user, SMALL_BYTES)


def _lines(by_shard: Mapping[int, Iterable[str]]) -> list[bytes]:
    return ["\n".join(users).encode() for users in by_shard.values()]


def _sections(reply: tuple[bytes | None, list[bytes]], generation: bytes | None) -> list[bytes] | None:
    """Return the sections of a list; None where it is missing, being built, or old."""
    value, joined = reply
    if value is None or not value.startswith(b"R"):
        return None
    header, _, body = value.partition(b"\n")
    if header[1:] != (generation or b"0") or len(joined) > max(MOST_JOINED, body.count(b"\n") // 8):
        return None
    by_shard: dict[int, list[str]] = {}
    for user in map(bytes.decode, joined):
        by_shard.setdefault(shard_of(user), []).append(user)
    return [section for section in body.rstrip(b"\n").split(b"\n\n") if section] + _lines(by_shard)
