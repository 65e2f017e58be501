"""Timelines: a user's candidate posts in Redis, newest first, and a mark of how far down they are complete.

A timeline proposes, the bake disposes: it checks follows, mutes and each post again. Fan-out never creates one; the
first bake that misses one rebuilds it. An author's own posts are kept in the same way.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.ids import shard_of
from feeds.model import Candidate, Post
from feeds.record import Record

CAP = 127
"""Posts a timeline keeps. With the mark that is 128 entries: up to there Redis keeps a sorted set as a listpack,
3.1 kB instead of 18 kB (``zset-max-listpack-entries``)."""

SCANNED = 1000
"""Keys that Redis looks at in one step of a scan."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Candidates in the feed's order. All that the sources have above ``mark`` milliseconds is among them."""

    candidates: Sequence[Candidate]
    mark: float

    @property
    def complete(self) -> Sequence[Candidate]:
        """Return the candidates above the mark."""
        return [candidate for candidate in self.candidates if candidate.published_ms > self.mark]


def parse(entries: Sequence[bytes]) -> list[Candidate]:
    """Return the candidates of ``member, score, …`` as Redis gives them, without the mark."""
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return [_candidate(member, score) for member, score in pairs if member != b"!"]


@lru_cache(maxsize=100_000)  # one post is in many timelines, under one score
def _candidate(member: bytes, score: bytes) -> Candidate:
    post, _, author = member.decode().partition(" ")
    return Candidate(int(score), post, author)


class Timelines:
    """The timelines in Redis."""

    def __init__(self, redis: Redis, record: Record, *, cap: int = CAP, own_posts: bool = True) -> None:
        self._redis = redis
        self._record = record
        self._cap = cap
        self._own_posts = own_posts

    async def push(self, post: Post, users: Mapping[keys.List, Sequence[str]], *, present: bool) -> bool:
        """Write a post into (or, not ``present``, take it out of) the timelines of these users that exist.

        Returns False where a newer version of the post was written already: read it again and push that.
        """
        score = post.published_ms if present else ""
        by_shard: dict[int, list[str]] = {}
        for which, names in users.items():
            for name in names:
                by_shard.setdefault(shard_of(name), []).append(keys.timeline(which, name))
        replies = await scripts.execute(
            self._redis,
            [
                scripts.call(
                    scripts.PUSH,
                    (keys.applied(shard), *timelines),
                    *(post.id, post.version, f"{post.id} {post.author}", score, self._cap),
                )
                for shard, timelines in by_shard.items()
            ],
        )
        return all(replies)

    async def drop(self, users: Mapping[keys.List, Sequence[str]]) -> None:
        """Drop timelines, so that the next bake rebuilds them; a rebuild that is under way is refused."""
        names = [(which, name) for which, listed in users.items() for name in listed]
        commands = [("DEL", keys.build(which, name), keys.timeline(which, name)) for which, name in names]
        await scripts.execute(self._redis, commands)

    async def rebuild(self, which: keys.List, user: str) -> Timeline:
        """Read a timeline's candidates from the system of record and merge them into Redis.

        In this order: it exists, the truth is read, it is installed. So nothing published meanwhile is lost.
        """
        token = uuid.uuid4().hex
        timeline, build = keys.timeline(which, user), keys.build(which, user)
        (begun,) = await scripts.execute(self._redis, [scripts.call(scripts.BEGIN, (timeline, build), token)])
        found = await self._read(which, user)
        whole = len(found) < self._cap
        mark = -inf if whole else found[-1].published_ms
        if begun:
            words = [word for c in found for word in (c.published_ms, f"{c.post} {c.author}")]
            floor = "-inf" if whole else found[-1].published_ms
            call = scripts.call(scripts.INSTALL, (timeline, build), token, floor, self._cap, *words)
            await scripts.execute(self._redis, [call])
        return Timeline(found, mark)

    async def entries(self, which: keys.List, user: str) -> list[Candidate]:
        """Return what Redis holds of a timeline, complete or not."""
        pairs: Any = await self._redis.zrange(keys.timeline(which, user), 0, -1, desc=True, withscores=True)
        return [_candidate(member, b"%.0f" % score) for member, score in pairs if member != b"!"]

    async def drop_all(self) -> None:
        """Drop every timeline there is; a rebuild that is under way finds its own gone and is refused."""
        for pattern in ("{*}:feed:*", "{*}:author:*"):
            found: list[bytes] = [key async for key in self._redis.scan_iter(pattern, count=SCANNED)]
            for start in range(0, len(found), SCANNED):
                await scripts.execute(self._redis, [("UNLINK", key) for key in found[start : start + SCANNED]])

    async def _read(self, which: keys.List, user: str) -> list[Candidate]:
        if which == "author":
            return await self._record.author_posts(user, before=None, limit=self._cap)
        return await self._record.candidates(user, before=None, limit=self._cap, own=self._own_posts)
