"""Reading through: from the system of record into Redis, as far as the floors allow.

Fan-out and the baker both use it. What is returned is the truth as it was read, written back or not; the fence
decides whether an answer made from it may leave. What was read before a drop is read again, or an older copy would
stay that the drop was not about.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import inf
from typing import TypeVar

from redis.asyncio import Redis

from feeds import catalogue, copies, scripts
from feeds.catalogue import Catalogue
from feeds.copies import TOO_LATE, Copies, Seen
from feeds.model import Epoch, Post, Pulled, Site, Sources, User
from feeds.record import Record

T = TypeVar("T")


class Truth:
    """The system of record, read through into copies and catalogue."""

    def __init__(self, redis: Redis, record: Record) -> None:
        self.record = record
        self.copies = Copies(redis)
        self.catalogue = Catalogue(redis, record)
        self._redis = redis

    async def posts(self, ids: Sequence[str]) -> dict[str, Post]:
        """Read posts and write their copies and entries; unknown ones are left out."""

        def writes(found: Mapping[str, Post], seen: Seen) -> list[scripts.Command]:
            entries = catalogue.writes((post.entry for post in found.values()), seen)
            return copies.writes(map(copies.of_post, found.values()), seen) + entries

        return await self._through(lambda: self.record.posts(ids), writes)

    async def users(self, ids: Sequence[str], *, keep: bool = True, reads: float = inf) -> dict[str, User]:
        """Read users and, if they are to be kept, write their copies; unknown ones are left out.

        ``reads``: how often at the most; then what drops came between has no copy, which is right where it had none.
        """

        def writes(found: Mapping[str, User], seen: Seen) -> list[scripts.Command]:
            return copies.writes(map(copies.of_user, found.values()), seen)

        return await self._through(lambda: self.record.users(ids), writes, keep=keep, reads=reads)

    async def sources(self, user: str, *, keep: bool = True) -> Sources:
        """Read what a user's feed draws from and, if it is to be kept, write its copy."""
        return (await self.sources_of([user], keep=keep))[user]

    async def sources_of(self, users: Sequence[str], *, keep: bool = True, reads: float = inf) -> dict[str, Sources]:
        """Read what users' feeds draw from and, if that is to be kept, write its copies; ``reads`` as of users."""

        def writes(found: Mapping[str, Sources], seen: Seen) -> list[scripts.Command]:
            return copies.writes(map(copies.of_sources, found.values()), seen)

        return await self._through(lambda: self.record.sources_of(users), writes, keep=keep, reads=reads)

    async def site(self) -> Site:
        """Read the site and write its copy."""
        return await self._through(self.record.site, lambda site, seen: copies.writes([copies.of_site(site)], seen))

    async def epoch(self) -> Epoch:
        """Read the ranking epoch and write its copy."""
        return await self._through(self.record.epoch, lambda epoch, seen: copies.writes([copies.of_epoch(epoch)], seen))

    async def pulled(self) -> Mapping[int, tuple[str, str]]:
        """Read the sources that are pulled, or about to be or not, and write their copy: number → name and state."""

        def writes(found: Pulled, seen: Seen) -> list[scripts.Command]:
            return copies.writes([copies.of_pulled(found)], seen)

        found = await self._through(self.record.pulled, writes)
        return {source: (pulled.name, pulled.state) for source, pulled in found.sources.items()}

    async def _through(
        self,
        read: Callable[[], Awaitable[T]],
        writes: Callable[[T, Seen], list[scripts.Command]],
        *,
        keep: bool = True,
        reads: float = inf,
    ) -> T:
        """Read the truth and write it, as often as a drop comes between, and ``reads`` times at the most."""
        while True:
            seen = await self.copies.look()
            found = await read()
            reads -= 1
            if not keep or TOO_LATE not in await scripts.execute(self._redis, writes(found, seen)) or reads <= 0:
                return found
