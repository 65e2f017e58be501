"""Visits: who read their feed at an edge, and what it showed them, as the edge's logs tell it hours later.

Told twice, a visit changes nothing the second time: an activity is only ever moved forward, and what was shown counts
only with a visit that is later than whatever was known of the user.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from feeds import keys, scripts
from feeds.activity import DAY_MS, Activity
from feeds.ids import shard_of
from feeds.model import UserState
from feeds.packing import numbers
from feeds.progress import now_ms
from feeds.record import Record

MOST_SHOWN = 25
"""Posts of a page at the most."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A user read a page of their feed at a time (Unix milliseconds), which showed them posts, as far as is known."""

    user: str
    at_ms: int
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Noted:
    """What became of visits: users of whom the last visit was noted, those too long ago, and ids that are no user's."""

    noted: int
    old: int
    unknown: tuple[str, ...]


class Visits:
    """Notes visits. Those of more than ``days`` ago keep nobody active, and are not."""

    def __init__(self, redis: Redis, record: Record, activity: Activity, *, days: int) -> None:
        self._redis = redis
        self._record = record
        self._activity = activity
        self._days = days

    async def note(self, visits: Sequence[Visit]) -> Noted:
        """Note the last visit of each user."""
        last: dict[str, Visit] = {}
        for visit in sorted(visits, key=lambda visit: visit.at_ms):
            last[visit.user] = visit
        known = await self._record.users(list(last))
        unknown = tuple(user for user in last if user not in known or known[user].state is UserState.DELETED)
        oldest_ms = now_ms() - self._days * DAY_MS
        there = [visit for user, visit in last.items() if user not in unknown]
        noted = [visit for visit in there if visit.at_ms >= oldest_ms]
        before = await self._activity.visited({visit.user: visit.at_ms for visit in noted})
        await self._show([visit for visit in noted if visit.shown and visit.at_ms > before[visit.user]])
        return Noted(len(noted), len(there) - len(noted), unknown)

    async def _show(self, visits: Sequence[Visit]) -> None:
        """Note what was shown, for the next recalculation."""
        posts = await self._record.posts(list({post for visit in visits for post in visit.shown}))
        calls = []
        for visit in visits:
            nums = [posts[post].num for post in visit.shown if post in posts]
            if nums:
                words = (visit.user, numbers(nums))
                calls.append(scripts.call(scripts.SEEN, (keys.seen(shard_of(visit.user)),), *words))
        await scripts.execute(self._redis, calls)
