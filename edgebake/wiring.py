"""The long-lived things that processes share the making of: the system of record, Redis, the edge's driver."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from edgebake.errors import CommandError
from edgebake.hosts import marked
from edgebake.settings import Settings

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from feeds.record import Record

CONNECTIONS = 64
"""Connections to Redis a process; who needs one more waits for it."""
REDIS_TIMEOUT_S = 10.0
"""Longer than any blocking read (1 s), shorter than anybody's patience."""


@asynccontextmanager
async def opened_record(settings: Settings, *, migrate: bool = True) -> AsyncIterator["Record"]:
    """Open the system of record; where it is a file, only on one host. Raises ForeignHost and RecordUnavailable."""
    from feeds.record import Record

    file = settings.sqlite_file
    async with marked(file) if file else nullcontext():
        record = await Record.open(settings.record_url, migrate=migrate)
        try:
            yield record
        finally:
            await record.close()


@asynccontextmanager
async def opened_redis(settings: Settings) -> AsyncIterator["Redis"]:
    """Open a pool to Redis, and see that somebody answers. Raises CommandError."""
    from redis.asyncio import BlockingConnectionPool, Redis
    from redis.exceptions import RedisError

    url = settings.redis_url
    if not url:
        raise CommandError("EDGEBAKE_REDIS_URL is not set: set it, or use `edgebake up`, which embeds a Valkey.")
    pool = BlockingConnectionPool.from_url(
        url.reveal(),
        max_connections=CONNECTIONS,
        timeout=REDIS_TIMEOUT_S,
        socket_timeout=REDIS_TIMEOUT_S,
        protocol=2,  # redis-py 8 would speak RESP3, in which the same reply (ZRANGE WITHSCORES) has another shape
    )
    redis = Redis.from_pool(pool)
    try:
        try:
            await redis.ping()
        except RedisError as error:
            raise CommandError(f"EDGEBAKE_REDIS_URL is {str(url)!r}: nobody answers there: {error}") from error
        yield redis
    finally:
        await redis.aclose()


def consumer() -> str:
    """Return a name for this process among the readers of a stream."""
    return f"{socket.gethostname()}-{os.getpid()}"
