"""Fan-out: a change becomes readable, then what it affects is reported, then the change is acknowledged.

In this order, so that a worker that dies anywhere loses nothing. A worker re-reads the truth and never trusts the
change for more than *which* resource it is about: changes come twice, late and out of order.
"""

from collections.abc import Sequence
from typing import assert_never

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.activity import Activity
from feeds.change import (
    Change,
    Covered,
    FollowsChanged,
    Imported,
    Invalidated,
    PostEdited,
    PostPublished,
    PostScored,
    PostWithdrawn,
    ProfileChanged,
    Reranked,
    SettingsChanged,
    SiteChanged,
    SourceCrossed,
    UserCreated,
    UserDeleted,
)
from feeds.covering import Covering
from feeds.delivery import Delivery, everybody
from feeds.followers import Followers
from feeds.forgetting import Forgetting
from feeds.imports import Imports
from feeds.latest import Latest
from feeds.model import Post, PostState, User
from feeds.parts import POSTS, Parts, chunks
from feeds.progress import now_ms
from feeds.readers import Readers
from feeds.record import Record
from feeds.tick import Tick
from feeds.timeline import Timelines
from feeds.trips import Trips
from feeds.truth import Truth


class Fanout:
    """Makes changes readable and reports whom they affect."""

    def __init__(
        self,
        redis: Redis,
        record: Record,
        timelines: Timelines,
        activity: Activity,
        *,
        own_posts: bool = True,
        linger_ms: int,
    ) -> None:
        self.record = record
        self._redis = redis
        self._truth = truth = Truth(redis, record)
        self._activity = activity
        self._timelines = timelines
        self._followers = followers = Followers(redis, record)
        self._latest = latest = Latest(redis, record)
        self._readers = Readers(redis, truth, followers, timelines)
        self._covering = Covering(redis, truth, self._readers, timelines, latest)
        self._imports = Imports(truth, self._readers, timelines, latest)
        self._forgetting = Forgetting(truth, followers, latest, timelines, own_posts=own_posts)
        self._trips = trips = Trips(redis)
        self._written: Tick[str, Post | None] = Tick(self._write)
        self._known: Tick[str, User | None] = Tick(self._write_users)
        self._redrawn: Tick[tuple[str, Sequence[int]], None] = Tick(self._redraw, at_once=1)
        self._delivery = Delivery(trips, truth, timelines, followers, latest, own_posts=own_posts, linger_ms=linger_ms)

    async def handle(self, change_id: str, change: Change) -> None:
        """Make a change readable and report all its parts. May be repeated."""
        parts = Parts(self._trips, change_id, change)
        match change:
            case PostPublished() | PostEdited() | PostWithdrawn() | PostScored():
                await self._posts(change, parts)
            case UserCreated() | SettingsChanged() | ProfileChanged() | UserDeleted():
                await self._user(change, parts)
            case FollowsChanged():
                await self._readers.redraw(change.users, change.left)
            case SourceCrossed():
                await self._cross(change.source)
            case SiteChanged():
                await self._truth.site()
            case Imported():
                await self._imports.take(change, parts)
            case Invalidated():
                await self._forgetting.forget(change, parts)
            case Covered():
                await self._covering.cover(change, parts)
            case Reranked():
                pass  # what it recalculated is there
            case _:
                assert_never(change)
        await parts.finish()

    async def _posts(self, change: PostPublished | PostEdited | PostWithdrawn | PostScored, parts: Parts) -> None:
        """Write copies and entries; deliver a post that is in feeds that it was not in before."""
        if isinstance(change, PostScored):
            for ids in chunks(change.posts, POSTS):
                await self._truth.posts(ids)
                await parts.report(guarded=ids)
            return
        post = await self._written.ask(change.post)
        stays = isinstance(change, PostWithdrawn) or (isinstance(change, PostEdited) and not change.moved)
        if post is not None and post.state is PostState.PUBLISHED and not stays:
            await self._delivery.deliver(post, parts)

    async def _write(self, ids: list[str]) -> list[Post | None]:
        """Write copies and entries of the posts that the changes of one turn of the loop are about."""
        found = await self._truth.posts(list(dict.fromkeys(ids)))
        return [found.get(id_) for id_ in ids]

    async def _user(self, change: UserCreated | SettingsChanged | ProfileChanged | UserDeleted, parts: Parts) -> None:
        user = await self._known.ask(change.user)
        if isinstance(change, ProfileChanged):
            await parts.report_posts_of(self._truth.record, change.user)
        elif isinstance(change, UserDeleted):
            await self._erase(change, [user.num] if user else [], parts)
        else:
            await self._redrawn.ask((change.user, change.left if isinstance(change, SettingsChanged) else ()))

    async def _write_users(self, ids: list[str]) -> list[User | None]:
        """Write copies of the users that the changes of one turn of the loop are about."""
        found = await self._truth.users(list(dict.fromkeys(ids)))
        return [found.get(id_) for id_ in ids]

    async def _redraw(self, asked: list[tuple[str, Sequence[int]]]) -> list[None]:
        """Redraw the users of whom the changes of one turn of the loop say so."""
        left = dict.fromkeys(source for _, sources in asked for source in sources)
        await self._readers.redraw(dict.fromkeys(user for user, _ in asked), list(left))
        return [None] * len(asked)

    async def _erase(self, change: UserDeleted, sources: list[int], parts: Parts) -> None:
        """Take away what is kept of a user, and the copies of whoever followed them."""
        for ids in chunks(change.posts, POSTS):
            await self._truth.posts(ids)
            await parts.report(posts=ids, authors=[change.user])
        await self._truth.copies.drop(keys.sources(follower) for follower in change.followers)
        await self._followers.forget(sources)
        await self._latest.drop(sources)
        await self._activity.erase(change.user)

    async def _cross(self, source: int) -> None:
        """Let bakes know which sources they merge; where one falls, have it in every timeline before they cease to.

        A rebuild reads the states after its log number, so those from after the drop draw from the source again.
        """
        pulled = await self._truth.pulled()
        state = pulled[source][1] if source in pulled else ""
        if state == "rising":
            await scripts.execute(self._redis, [("HSET", keys.RISING, source, now_ms())])
        elif state == "pull":
            await scripts.execute(self._redis, [("HSETNX", keys.RISING, source, now_ms())])
        else:
            await scripts.execute(self._redis, [("HDEL", keys.RISING, source)])
        if state == "falling":
            sections = (await self._followers.sections([source]))[source]
            await self._timelines.drop(everybody(sections))
            await self._truth.record.settle(source)
