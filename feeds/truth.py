"""Reading through: from the system of record into Redis, as far as the floors allow.

Fan-out and the baker both use it. What is returned is the truth as it was read, written back or not; the fence
decides whether an answer made from it may leave.
"""

from collections.abc import Sequence

from redis.asyncio import Redis

from feeds import copies, keys
from feeds.copies import Copies
from feeds.model import Follows, Post, Site, User
from feeds.record import Record


class Truth:
    """The system of record, read through into copies."""

    def __init__(self, redis: Redis, record: Record) -> None:
        self.record = record
        self.copies = Copies(redis)

    async def posts(self, ids: Sequence[str]) -> dict[str, Post]:
        """Read posts and write their copies; unknown ones are left out."""
        seen = await self.copies.look([keys.post(id_) for id_ in ids])
        found = await self.record.posts(ids)
        known = [(found[id_], before) for id_, before in zip(ids, seen, strict=True) if id_ in found]
        await self.copies.put([copies.of_post(post) for post, _ in known], [before for _, before in known])
        return found

    async def users(self, ids: Sequence[str]) -> dict[str, User]:
        """Read users and write their copies; unknown ones are left out."""
        seen = await self.copies.look([keys.user(id_) for id_ in ids])
        found = await self.record.users(ids)
        known = [(found[id_], before) for id_, before in zip(ids, seen, strict=True) if id_ in found]
        await self.copies.put([copies.of_user(user) for user, _ in known], [before for _, before in known])
        return found

    async def follows(self, user: str) -> Follows:
        """Read a user's follows and write their copy."""
        (seen,) = await self.copies.look([keys.follows(user)])
        found = await self.record.follows(user)
        await self.copies.put([copies.of_follows(found)], [seen])
        return found

    async def site(self) -> Site:
        """Read the site and write its copy."""
        (seen,) = await self.copies.look([keys.SITE])
        found = await self.record.site()
        await self.copies.put([copies.of_site(found)], [seen])
        return found
