"""Reading through: from the system of record into Redis, as far as the floors allow.

Fan-out and the baker both use it. What is returned is the truth as it was read, written back or not; the fence
decides whether an answer made from it may leave.
"""

from collections.abc import Mapping, Sequence

from redis.asyncio import Redis

from feeds import catalogue, copies, scripts
from feeds.catalogue import Catalogue
from feeds.copies import Copies
from feeds.model import Epoch, Post, Pulled, Site, Sources, User
from feeds.record import Record


class Truth:
    """The system of record, read through into copies and catalogue."""

    def __init__(self, redis: Redis, record: Record) -> None:
        self.record = record
        self.copies = Copies(redis)
        self.catalogue = Catalogue(redis, record)
        self._redis = redis

    async def posts(self, ids: Sequence[str]) -> dict[str, Post]:
        """Read posts and write their copies and entries; unknown ones are left out."""
        seen = await self.copies.look()
        found = await self.record.posts(ids)
        written = copies.writes(map(copies.of_post, found.values()), seen)
        written += catalogue.writes((post.entry for post in found.values()), seen)
        await scripts.execute(self._redis, written)
        return found

    async def users(self, ids: Sequence[str], *, keep: bool = True) -> dict[str, User]:
        """Read users and, if they are to be kept, write their copies; unknown ones are left out."""
        seen = await self.copies.look()
        found = await self.record.users(ids)
        if keep:
            await self.copies.put(map(copies.of_user, found.values()), seen)
        return found

    async def sources(self, user: str, *, keep: bool = True) -> Sources:
        """Read what a user's feed draws from and, if it is to be kept, write its copy."""
        return (await self.sources_of([user], keep=keep))[user]

    async def sources_of(self, users: Sequence[str], *, keep: bool = True) -> dict[str, Sources]:
        """Read what users' feeds draw from and, if that is to be kept, write its copies."""
        seen = await self.copies.look()
        found = await self.record.sources_of(users)
        if keep:
            await self.copies.put(map(copies.of_sources, found.values()), seen)
        return found

    async def site(self) -> Site:
        """Read the site and write its copy."""
        seen = await self.copies.look()
        found = await self.record.site()
        await self.copies.put([copies.of_site(found)], seen)
        return found

    async def epoch(self) -> Epoch:
        """Read the ranking epoch and write its copy."""
        seen = await self.copies.look()
        found = await self.record.epoch()
        await self.copies.put([copies.of_epoch(found)], seen)
        return found

    async def pulled(self) -> Mapping[int, tuple[str, str]]:
        """Read the sources that are pulled, or about to be or not, and write their copy: number → name and state."""
        seen = await self.copies.look()
        found: Pulled = await self.record.pulled()
        copy = copies.of_pulled(found)
        await self.copies.put([copy], seen)
        return copies.read_pulled(copy.body)
