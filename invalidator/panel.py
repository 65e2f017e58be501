"""The panel: the feeds that the audit keeps at the edge, so that it has something old to find.

A feed that nobody read is at no edge: the audit's own read would bake it, and find every change, whatever the
invalidator does. So the panel's feeds are read all the time, like those of readers who come back.
"""

import random
import secrets
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from feeds import keys
from feeds.change import Change, PostEdited, PostPublished, PostWithdrawn
from feeds.model import UserState
from feeds.record import Record
from invalidator.audit import Answer, Face, concerns


class Panel:
    """So many feeds: at first of active users, later of those whom changes concern. Who was concerned last stays."""

    def __init__(self, redis: Redis, record: Record, size: int) -> None:
        self._redis = redis
        self._record = record
        self._size = size
        self._faces: OrderedDict[str, Face] = OrderedDict()

    def __len__(self) -> int:
        return len(self._faces)

    def __contains__(self, user: str) -> bool:
        return user in self._faces

    @property
    def users(self) -> list[str]:
        """Whose feeds are in the panel."""
        return list(self._faces)

    async def fill(self) -> None:
        """Take active users, drawn over the shards; where there are few, users who follow many."""
        users = [user for shard in keys.ALL_SHARDS for user in await self._drawn(shard)]
        random.shuffle(users)
        if len(users) < self._size:
            users += await self._record.some_users(self._size)
        for user in list(dict.fromkeys(users))[: self._size]:
            await self.take(user)

    async def take(self, user: str) -> None:
        """Take a user into the panel, in the place of who was not concerned for the longest; learn what they follow."""
        follows = await self._record.follows(user)
        known = self._faces.get(user, Face(user))
        self._faces[user] = replace(known, authors=frozenset(follows.authors), tags=frozenset(follows.tags))
        while len(self._faces) > self._size:
            self._faces.popitem(last=False)

    def saw(self, user: str, answer: Answer) -> None:
        """Note an answer of a user's feed."""
        if user in self._faces and answer.count is not None:
            self._faces[user] = replace(self._faces[user], answer=answer)

    def answer(self, user: str) -> Answer | None:
        """Return the last answer of a user's feed."""
        return self._faces[user].answer if user in self._faces else None

    def concerned(self, change: Change, topics: Sequence[str], limit: int) -> list[Face]:
        """Return some of the feeds that a change concerns, drawn by lot. ``topics`` are the tags of its post."""
        found = [face for face in self._faces.values() if concerns(change, face, topics)]
        chosen = random.sample(found, min(limit, len(found)))
        for face in chosen:
            self._faces.move_to_end(face.user)
        return chosen

    async def adopt(self, change: Change) -> str | None:
        """Take in somebody whom a change concerns that concerned nobody here, for the next of its kind; return who."""
        user = await self._somebody(change)
        if user is None or user in self._faces:
            return None
        found = (await self._record.users([user])).get(user)
        if found is None or found.state is not UserState.LIVE:
            return None
        await self.take(user)
        return user

    async def _somebody(self, change: Change) -> str | None:
        if isinstance(change, PostPublished | PostEdited | PostWithdrawn):
            return await self._follower(change.author)
        users: Iterable[str] = getattr(change, "users", None) or getattr(change, "followers", None) or ()
        return next(iter(users), None) or getattr(change, "user", None)

    async def _follower(self, author: str) -> str | None:
        """Return a follower of an author, drawn by lot."""
        found = (await self._record.users([author])).get(author)
        if found is None:
            return None
        after = await self._record.followers(found.num, after=secrets.token_hex(2), limit=1)
        return next(iter(after or await self._record.followers(found.num, limit=1)), None)

    async def topics(self, change: Change) -> Sequence[str]:
        """Return the tags of the post that a change is about."""
        if not isinstance(change, PostPublished | PostEdited):
            return ()
        post = (await self._record.posts([change.post])).get(change.post)
        return post.tags if post else ()

    async def _drawn(self, shard: int) -> list[str]:
        """Return active users of a shard: as many as its part of the panel, and some more."""
        count = self._size // len(keys.ALL_SHARDS) + 2
        found: Any = await self._redis.zrandmember(keys.active(shard), count)
        return [user.decode() for user in found or ()]
