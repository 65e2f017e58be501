"""Covering: what a parked change is about is read from the system of record again, and dropped as wide as it may show.

It does less than the change would have: copies, lists and timelines go, and are read again when somebody asks. So
where one of its steps fails too, the others are done nevertheless.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterable

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.blame import Fault, fault_of, told
from feeds.change import Covered
from feeds.latest import Latest
from feeds.parts import POSTS, USERS, Parts, chunks
from feeds.readers import Readers
from feeds.timeline import Timelines
from feeds.truth import Truth

log = logging.getLogger(__name__)


class Covering:
    """Covers parked changes."""

    def __init__(self, redis: Redis, truth: Truth, readers: Readers, timelines: Timelines, latest: Latest) -> None:
        self._redis = redis
        self._truth = truth
        self._readers = readers
        self._timelines = timelines
        self._latest = latest

    async def cover(self, change: Covered, parts: Parts) -> None:
        """Drop what a parked change may have left out of date, and report what shows it."""
        posts = list((await self._truth.record.posts(change.posts)).values())
        authors = dict.fromkeys((*change.authors, *change.profiles))
        found = (await self._truth.record.users(list(authors))).values()
        sources = dict.fromkeys([*(user.num for user in found), *change.tags, *(t for p in posts for t in p.tag_nums)])
        people = [*change.users, *change.profiles]
        steps: dict[str, Callable[[], Awaitable[None]]] = {
            "drop copies": lambda: self._truth.copies.drop(_copies(change.posts, people)),
            "drop entries": lambda: self._truth.copies.drop({keys.chunk(keys.chunk_of(post.num)) for post in posts}),
            "forget lists": lambda: self._forget_lists(sources),
            "drop timelines": lambda: self._drop_timelines(people),
        }
        if change.posts or change.tags:
            steps["drop readers' timelines"] = lambda: self._drop_readers(sources)
        for name, step in steps.items():
            await _as_far_as_can_be(change.change, name, step)
        renamed = [user.id for user in found if user.id in change.profiles and user.version > 1]
        topics = dict.fromkeys(tag for post in posts for tag in post.tags)
        await self._report(change, list(authors), renamed, topics, parts)

    async def _report(
        self, change: Covered, authors: list[str], renamed: list[str], topics: Iterable[str], parts: Parts
    ) -> None:
        for users in chunks((*change.users, *change.profiles), USERS):
            await parts.report(users=users)
        for ids in chunks(change.posts, POSTS):
            await parts.report(posts=ids)
        for author in renamed:
            await parts.report_posts_of(self._truth.record, author)
        for some in chunks(authors, POSTS):
            await parts.report(authors=some)
        parts.gained((), topics, overflow=True)

    async def _forget_lists(self, sources: Collection[int]) -> None:
        await self._latest.drop(sources)
        lists: list[scripts.Command] = [("UNLINK", keys.followers(num), keys.joined(num)) for num in sources]
        await scripts.execute(self._redis, lists)

    async def _drop_readers(self, sources: Iterable[int]) -> None:
        """Drop the timelines of all who draw from these sources: those of pulled ones have nothing of them."""
        pulled = (await self._truth.record.pulled()).sources
        pushed = [num for num in sources if num not in pulled or pulled[num].state != "pull"]
        await self._drop_timelines(await self._truth.record.followers_of_sources(pushed))

    async def _drop_timelines(self, users: Iterable[str]) -> None:
        for some in chunks(users, USERS):
            await self._timelines.drop(await self._readers.active(some))


def _copies(posts: Iterable[str], people: Iterable[str]) -> list[str]:
    return [*map(keys.post, posts), *(key for user in people for key in (keys.user(user), keys.sources(user)))]


async def _as_far_as_can_be(change: str, name: str, step: Callable[[], Awaitable[None]]) -> None:
    """Do a step; where it fails by its own fault, say so and go on."""
    try:
        await step()
    except Exception as error:
        if fault_of(error) is not Fault.CHANGE:
            raise
        log.error("Change %s is parked, and to %s for it fails: %s", change, name, told(error))
