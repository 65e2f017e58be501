"""Stream-Framework put together as its documentation says: a feed, a manager, tasks run in process.

``SHIPPED`` is what its users have: the pipeline that fan-out opens is never handed to the sorted sets, so each follower
costs a round trip. ``MENDED`` hands it over, and sends it where fan-out would have thrown it away. Runs in the
environment that ``environment`` makes; import ``shims`` first.
"""

import datetime
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import redis
from stream_framework.activity import Activity  # type: ignore[import-not-found]  # of the other environment
from stream_framework.feed_managers.base import FanoutPriority, Manager  # type: ignore[import-not-found]
from stream_framework.feeds.base import UserBaseFeed  # type: ignore[import-not-found]
from stream_framework.feeds.redis import RedisFeed  # type: ignore[import-not-found]
from stream_framework.storage.redis import connection  # type: ignore[import-not-found]
from stream_framework.storage.redis.timeline_storage import RedisTimelineStorage  # type: ignore[import-not-found]
from stream_framework.tasks import fanout_operation  # type: ignore[import-not-found]
from stream_framework.verbs.base import Add  # type: ignore[import-not-found]


class _MendedStorage(RedisTimelineStorage):  # type: ignore[misc]  # Any, where it is not installed
    @contextmanager
    def get_batch_interface(self) -> Iterator[Any]:
        """Open the pipeline, and send it at the end: redis-py resets one that is left unsent."""
        with super().get_batch_interface() as pipeline:
            yield pipeline
            pipeline.execute()

    def add_to_storage(self, key: str, activities: Any, batch_interface: Any = None) -> Any:
        """Add to the pipeline of the fan-out where there is one."""
        if batch_interface is None:
            return super().add_to_storage(key, activities)
        cache = self.get_cache(key)
        cache.redis = batch_interface
        return cache.add_many([(int(score), value) for score, value in activities.items()])


class _Shipped(RedisFeed):  # type: ignore[misc]
    key_format = "shipped:%(user_id)s"


class _Mended(_Shipped):
    key_format = "mended:%(user_id)s"
    timeline_storage_class = _MendedStorage


class _UserFeed(_Shipped, UserBaseFeed):  # type: ignore[misc]
    key_format = "user:%(user_id)s"
    max_length = UserBaseFeed.max_length


FEEDS: dict[str, type[_Shipped]] = {"shipped": _Shipped, "mended": _Mended}


class _InProcess:
    """A task that runs where it is asked for: no queue, and nothing pickled."""

    delay = staticmethod(fanout_operation)


class BenchManager(Manager):  # type: ignore[misc]
    """The manager that a user of the framework writes: where followers come from."""

    user_feed_class = _UserFeed

    def __init__(self, feed_class: type[_Shipped]) -> None:
        self.feed_classes = {"normal": feed_class}
        self.lists: dict[int, Sequence[Any]] = {}
        self.database: sqlite3.Connection | None = None
        self.query = ""

    def get_user_follower_ids(self, user_id: int) -> dict[str, Sequence[Any]]:
        """Return them from memory, or where a system of record was named, from there."""
        if self.database is None:
            return {FanoutPriority.HIGH: self.lists[user_id]}
        return {FanoutPriority.HIGH: [row[0] for row in self.database.execute(self.query, (user_id,))]}

    def get_fanout_task(self, priority: str | None = None, feed_class: Any = None) -> type[_InProcess]:
        """Return the task for a chunk of followers."""
        return _InProcess

    def feed(self, user: Any) -> Any:
        """Return a user's feed."""
        return self.feed_classes["normal"](user)


def opened(socket: str, kind: str, cap: int) -> BenchManager:
    """Return a manager on the Redis of that Unix socket; feeds are trimmed to ``cap`` now and then."""
    connected = redis.UnixDomainSocketConnection
    pool = redis.ConnectionPool(connection_class=connected, path=socket, db=0, decode_responses=True)
    connection.connection_pool = {"default": pool}
    feed_class = FEEDS[kind]
    feed_class.max_length = cap
    return BenchManager(feed_class)


def activity(author: int, post: int, at_ms: int) -> Any:
    """Return the activity of a post; the object's number is the post's."""
    return Activity(author, Add, post, time=datetime.datetime.utcfromtimestamp(at_ms / 1000))
