"""Tastes: what ranking knows of a user: whose posts they reacted to, what they were shown. A recalculation writes them.

Each is written only if it is as it was read, so a recalculation that is killed and begun again counts nothing twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TypeVar

from redis.asyncio import Redis

from feeds import keys, packing, scripts
from feeds.ids import shard_of
from feeds.model import Taste
from feeds.ranking import MOST_SHOWN

T = TypeVar("T")

A_TRIP = 500
MOST_KEPT = 256
"""Posts that a taste keeps as shown: the newest, by number."""
TRIES = 3
"""Two recalculations at once may refuse each other's tastes; what is refused so often is left to the next one."""


class Tastes:
    """The tastes in Redis."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def show(self, shard: int) -> int:
        """Count the first pages that a shard's users were shown since the last recalculation; return of how many."""
        (reply,) = await scripts.execute(self._redis, [("HGETALL", keys.seen(shard))])
        pages = {user.decode(): page for user, page in scripts.fields(reply).items()}
        refused = [await self._refused(dict(some), {}) for some in _portions(pages)]
        return len(pages) - sum(map(len, refused))

    async def react(self, reactions: Mapping[str, Mapping[int, int]]) -> int:
        """Note how often users reacted to whose posts, in place of what was noted; return of how many users."""
        left: Mapping[str, Mapping[int, int]] = reactions
        for _ in range(TRIES):
            left = {user: left[user] for some in _portions(left) for user in await self._refused({}, dict(some))}
        return len(reactions) - len(left)

    async def _refused(self, pages: Mapping[str, bytes], reactions: Mapping[str, Mapping[int, int]]) -> list[str]:
        """Write the tastes of these users; return those whose was refused."""
        users = [*pages, *reactions]
        before = await scripts.execute(self._redis, [("HGET", keys.taste(user), user) for user in users])
        calls = [_put(user, old, pages.get(user), reactions.get(user)) for user, old in zip(users, before, strict=True)]
        written = await scripts.execute(self._redis, calls)
        return [user for user, done in zip(users, written, strict=True) if not done]


def shown(taste: Taste, page: Sequence[int]) -> Taste:
    """Return a taste with one more recalculation that found these posts shown."""
    counts = dict(taste.shown)
    for num in dict.fromkeys(page):
        counts[num] = min(counts.get(num, 0) + 1, MOST_SHOWN)
    return Taste(taste.authors, {num: counts[num] for num in sorted(counts)[-MOST_KEPT:]})


def _put(user: str, old: bytes | None, page: bytes | None, reactions: Mapping[int, int] | None) -> scripts.Command:
    taste = packing.read_taste(old)
    if page is not None:
        taste = shown(taste, packing.unpacked(page))
    if reactions is not None:
        taste = Taste(dict(reactions), taste.shown)
    words = (user, old or b"", b"-" if page is None else page, packing.pack_taste(taste))
    return scripts.call(scripts.TASTE, (keys.taste(user), keys.seen(shard_of(user))), *words)


def _portions(users: Mapping[str, T]) -> Iterator[list[tuple[str, T]]]:
    """Yield users with what belongs to each, so many a trip."""
    waiting = iter(users.items())
    while some := list(islice(waiting, A_TRIP)):
        yield some
