"""Readers: what becomes of users who draw from other sources than before, or whom something else concerns."""

from collections.abc import Iterable, Sequence

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.activity import drawn
from feeds.followers import Followers
from feeds.ids import shard_of
from feeds.parts import chunks
from feeds.timeline import Timelines
from feeds.truth import Truth

AT_ONCE = 500


class Readers:
    """The users that fan-out has to do with."""

    def __init__(self, redis: Redis, truth: Truth, followers: Followers, timelines: Timelines) -> None:
        self._redis = redis
        self._truth = truth
        self._followers = followers
        self._timelines = timelines

    async def redraw(self, users: Iterable[str], left: Sequence[int] = ()) -> None:
        """Let these users draw from what the system of record says: they left the sources ``left``.

        In this order: copies, lists, timelines. So a publish that read the lists before has a lower log number than
        the drop, and the rebuild has its post (interleaving 6b). Whoever becomes active meanwhile reads the truth
        after that. Nothing is written for those who are not active.
        """
        for some in chunks(users, AT_ONCE):
            active = await self.active(some)
            away = set(some).difference(active)
            await self._truth.copies.drop(keys.sources(user) for user in away)
            found = await self._truth.sources_of(active)
            await self._followers.enter({user: drawn(sources) for user, sources in found.items()})
            await self._followers.forget(left)
            await self._timelines.drop(active)

    async def active(self, users: Sequence[str]) -> list[str]:
        """Return those of the users who are active."""
        by_shard: dict[int, list[str]] = {}
        for user in users:
            by_shard.setdefault(shard_of(user), []).append(user)
        asked: list[scripts.Command] = [("ZMSCORE", keys.active(shard), *some) for shard, some in by_shard.items()]
        found: list[str] = []
        for some, scores in zip(by_shard.values(), await scripts.execute(self._redis, asked), strict=True):
            found += [user for user, score in zip(some, scores, strict=True) if score is not None]
        return found
