"""What a bake reads from Redis: two round trips, each shared by the bakes of a tick.

The first notes the shard's count before it reads anything else: user, follows and timeline of one moment, then the
post that gives an older page its place, then the site. The second reads the copies that these name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from redis.asyncio import Redis

from baker.tick import Tick
from cdn import scripts as cdn_scripts
from cdn.fence import Fence
from feeds import keys, scripts
from feeds.ids import shard_of

FIRST_PAGE = 32
"""Timeline entries read for a first page: 26 are needed, the others make up for posts that are no longer shown."""

WHOLE = 1000

TEXTS = {**scripts.TEXTS, **cdn_scripts.TEXTS}


class Ask(NamedTuple):
    """What a bake reads first. ``which`` is None for a post page, which has no timeline."""

    subject: str
    which: keys.List | None
    entries: int
    post: str | None


@dataclass(slots=True)
class First:
    """What the first trip brings. Copies are as Redis holds them; ``generation`` says which of them count."""

    noted: int
    generation: bytes
    user: bytes | None
    follows: bytes | None
    mark: bytes | None
    entries: Sequence[bytes]
    post: bytes | None
    site: bytes | None


class Reads:
    """The round trips of all bakes of a process."""

    def __init__(self, redis: Redis, fence: Fence) -> None:
        self._redis = redis
        self._fence = fence
        self.first: Tick[Ask, First] = Tick(self._first)
        self.copies: Tick[Sequence[str], Mapping[str, bytes | None]] = Tick(self._copies)

    async def _first(self, asks: list[Ask]) -> list[First]:
        by_shard: dict[int, list[int]] = {}
        for index, ask in enumerate(asks):
            by_shard.setdefault(shard_of(ask.subject), []).append(index)
        notes = [self._fence.note(shard) for shard in by_shard]
        reads = [_read(shard, [asks[index] for index in indices]) for shard, indices in by_shard.items()]
        commands = [command for pair in zip(notes, reads, strict=True) for command in pair]
        posts = [index for index, ask in enumerate(asks) if ask.post]
        commands += [("GET", keys.post(asks[index].post or "")) for index in posts]
        commands.append(("GET", keys.SITE))
        replies = await scripts.execute(self._redis, commands, TEXTS)
        site = replies[-1]
        found: dict[int, First] = {}
        for at, (shard, indices) in enumerate(by_shard.items()):
            noted = self._fence.noted(shard, notes[at], replies[2 * at])
            read = replies[2 * at + 1]
            rows = iter(range(1, len(read), 4))
            for index in indices:
                start = next(rows) if asks[index].which else 0
                user, follows, mark, entries = read[start : start + 4] if start else (None, None, None, ())
                found[index] = First(noted, read[0], user, follows, mark, entries, None, site)
        for index, copy in zip(posts, replies[2 * len(by_shard) : -1], strict=True):
            found[index].post = copy
        return [found[index] for index in range(len(asks))]

    async def _copies(self, asked: list[Sequence[str]]) -> Sequence[Mapping[str, bytes | None]]:
        names = list(dict.fromkeys(key for wanted in asked for key in wanted))
        values: list[bytes | None] = (await scripts.execute(self._redis, [("MGET", *names)]))[0]
        found = dict(zip(names, values, strict=True))
        return [found] * len(asked)


def _read(shard: int, asks: Sequence[Ask]) -> scripts.Command:
    names, entries = [keys.generation(shard)], []
    for ask in asks:
        if ask.which is not None:
            names += (keys.user(ask.subject), keys.follows(ask.subject), keys.timeline(ask.which, ask.subject))
            entries.append(ask.entries)
    return scripts.call(scripts.READ, names, *entries)
