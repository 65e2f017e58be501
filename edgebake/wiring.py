"""The long-lived things that processes share the making of: the system of record, Redis, the edge's driver."""

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from edgebake.errors import CommandError
from edgebake.hosts import marked
from edgebake.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis
    from redis.asyncio.connection import AbstractConnection

    from feeds.recompute import Recompute
    from feeds.record import Record

EDGE = "main"
"""The edge's name in Redis. There is one in this version."""
CONNECTIONS = 64
"""Connections to Redis a process; who needs one more waits for it."""
REDIS_TIMEOUT_S = 10.0
"""Longer than any blocking read (1 s), shorter than anybody's patience."""
READ_BYTES = 262_144
"""What is read from Redis at once: the replies to a trip of many bakes."""


@asynccontextmanager
async def opened_record(settings: Settings, *, migrate: bool = True) -> AsyncIterator["Record"]:
    """Open the system of record; where it is a file, only on one host. Raises ForeignHost and RecordUnavailable."""
    from feeds.record import Record

    file = settings.sqlite_file
    async with marked(file) if file else nullcontext():
        record = await Record.open(
            settings.record_url,
            migrate=migrate,
            pull_followers=settings.pull_followers + 1,  # those above the line, not those on it
            rescore=settings.rescore,
        )
        try:
            yield record
        finally:
            await record.close()


@asynccontextmanager
async def opened_redis(settings: Settings, record: "Record", *, time_replies: bool = True) -> AsyncIterator["Redis"]:
    """Open a pool to Redis, and see that somebody answers. Raises CommandError.

    Every connection of it, as it opens, begins an epoch where Redis may have forgotten something (``epochs``).
    redis-py takes a time-out for each reply of a pipeline, which costs the baker more than the reply: it goes without
    (``time_replies``), for each of its trips has one (``feeds.scripts``).
    """
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.driver_info import DriverInfo
    from redis.exceptions import RedisError

    from edgebake.epochs import Epochs

    url = settings.redis_url
    if not url:
        raise CommandError("EDGEBAKE_REDIS_URL is not set: set it, or use `edgebake up`, which embeds a Valkey.")
    pool = BlockingConnectionPool.from_url(
        url.reveal(),
        max_connections=CONNECTIONS,
        timeout=REDIS_TIMEOUT_S,
        socket_timeout=REDIS_TIMEOUT_S if time_replies else None,
        socket_connect_timeout=REDIS_TIMEOUT_S,
        socket_read_size=READ_BYTES,
        driver_info=DriverInfo(),  # or each connection looks redis-py's version up in its files, for a millisecond
        protocol=2,  # redis-py 8 would speak RESP3, in which the same reply (ZRANGE WITHSCORES) has another shape
    )
    epochs = Epochs(record, edges=[EDGE], unsure_ms=settings.unsure_ms)
    pool.connection_class = packed(pool.connection_class, epochs.compare)
    redis = Redis.from_pool(pool)
    try:
        try:
            await redis.ping()
        except RedisError as error:
            raise CommandError(f"EDGEBAKE_REDIS_URL is {str(url)!r}: nobody answers there: {error}") from error
        yield redis
    finally:
        await redis.aclose()


def recomputation(settings: Settings, record: "Record", redis: "Redis") -> "Recompute":
    """Return what recalculates timelines."""
    from feeds.recompute import Limits, Recompute

    limits = Limits(
        cap=settings.timeline_cap,
        own_posts=settings.own_posts,
        order=settings.feed_order,
        weights=settings.weights,
        active_days=settings.active_days,
        post_days=settings.post_days,
        rerank=settings.rerank,
    )
    return Recompute(redis, settings.redis_url.reveal(), record, limits)


def packed(
    connection: type["AbstractConnection"], compare: Callable[["AbstractConnection"], Awaitable[None]]
) -> type["AbstractConnection"]:
    """Return a kind of connection that does ``compare`` first, leaves who is no primary, and packs with hiredis.

    redis-py packs so where it is not asynchronous; its own packing takes 11 µs where hiredis takes 2 (a script with 8
    words).
    """
    from redis.connection import HiredisRespSerializer
    from redis.exceptions import ReadOnlyError

    pack: Callable[..., list[bytes]] = HiredisRespSerializer().pack

    class Packed(connection):  # type: ignore[misc,valid-type]  # a class that is known when it runs
        compared: Any = None

        async def on_connect_check_health(self, check_health: bool = True) -> None:
            try:
                await super().on_connect_check_health(check_health)
                if self.compared is not self._writer:  # redis-py comes here twice where it is a Unix socket
                    await compare(self)
                    self.compared = self._writer
            except BaseException:
                await self.disconnect(nowait=True)  # or it would count as connected, and never be compared
                raise

        async def read_response(self, *words: Any, **options: Any) -> Any:
            try:
                return await super().read_response(*words, **options)
            except ReadOnlyError:
                await self.disconnect(nowait=True)  # this is no primary any more: the next one may be another server
                raise

        def pack_command(self, *words: Any) -> list[bytes]:
            return pack(*words)

        def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
            return [b"".join([part for words in commands for part in pack(*words)])]

    return Packed


def consumer() -> str:
    """Return a name for this process among the readers of a stream."""
    return f"{socket.gethostname()}-{os.getpid()}"
