"""What a bake reads from Redis: round trips, each shared by the bakes of a tick.

The first notes the shard's count before it reads anything else; then what is the same for all users; then user,
sources and timeline of one moment; then the post that gives an older page its place. Which sources are pulled is read
*before* the timelines: a source that is pulled no more was in every timeline before that was said. What these name is
read by further trips, where the process does not keep it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis.asyncio import Redis

from cdn import scripts as cdn_scripts
from cdn.fence import Fence
from feeds import keys, scripts
from feeds.ids import shard_of
from feeds.tick import Tick

TEXTS = {**scripts.TEXTS, **cdn_scripts.TEXTS}


class Ask(NamedTuple):
    """What a bake reads first. ``feed`` says whether with sources and timeline; ``user`` is "" for a post page."""

    subject: str
    user: str
    feed: bool
    post: str | None


@dataclass(slots=True)
class First:
    """What the first trip brings. Copies are as Redis holds them; ``generation`` says which of them count."""

    noted: int
    generation: bytes
    site: bytes | None
    ranking: bytes | None
    pulled: bytes | None
    user: bytes | None = None
    sources: bytes | None = None
    base: bytes | None = None
    fresh: Sequence[bytes] = ()
    taste: bytes | None = None
    post: bytes | None = None


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
        posts = [index for index, ask in enumerate(asks) if ask.post]
        places = [("GET", keys.post(asks[index].post or "")) for index in posts]
        shared = ("MGET", keys.SITE, keys.RANKING, keys.PULLED)
        replies = iter(await cdn_scripts.execute(self._redis, [*notes, shared, *reads, *places], TEXTS))
        counts = [self._fence.noted(shard, note, next(replies)) for shard, note in zip(by_shard, notes, strict=True)]
        site, ranking, pulled = next(replies)
        found: dict[int, First] = {}
        for noted, indices in zip(counts, by_shard.values(), strict=True):
            values = iter(next(replies))
            generation = next(values)
            for index in indices:
                first = found[index] = First(noted, generation, site, ranking, pulled)
                _take(first, asks[index], values)
        for index in posts:
            found[index].post = next(replies)
        return [found[index] for index in range(len(asks))]

    async def _copies(self, asked: list[Sequence[str]]) -> Sequence[Mapping[str, bytes | None]]:
        """Read copies by key. Each bake has those that it asks for and no others: it may know better of one by then."""
        names = list(dict.fromkeys(key for wanted in asked for key in wanted))
        values: list[bytes | None] = (await scripts.execute(self._redis, [("MGET", *names)]))[0]
        found = dict(zip(names, values, strict=True))
        return [found] if len(asked) == 1 else [{key: found[key] for key in wanted} for wanted in asked]


def _read(shard: int, asks: Sequence[Ask]) -> scripts.Command:
    names, words = [keys.generation(shard)], []
    for ask in asks:
        user = ask.user
        if user:
            names.append(keys.user(user))
            words.append(user if ask.feed else "")
        if user and ask.feed:
            names += (keys.sources(user), keys.base(user), keys.fresh(user), keys.taste(user))
    return scripts.call(scripts.READ, names, *words)


def _take(first: First, ask: Ask, values: Iterator[Any]) -> None:
    if ask.user:
        first.user = next(values)
    if ask.feed:
        first.sources, first.base, first.fresh, first.taste = next(values), next(values), next(values), next(values)
