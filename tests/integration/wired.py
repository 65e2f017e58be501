"""A house whose connections compare epochs as they open, as those of `edgebake serve` and `edgebake work` do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from redis.asyncio import ConnectionPool, Redis

from edgebake.epochs import Epochs
from edgebake.wiring import packed
from feeds.record import Record
from tests.integration.ground import EDGE, MINUTE_MS
from tests.integration.house import House


def wired(url: str, epochs: Epochs) -> Redis:
    """Return a client that is its own process: what it knows of epochs is in ``epochs``."""
    pool: ConnectionPool = ConnectionPool.from_url(url, protocol=2, socket_timeout=None)
    pool.connection_class = packed(pool.connection_class, epochs.compare)
    return Redis.from_pool(pool)


def epochs_of(record: Record) -> Epochs:
    """Return what a process that begins knows of epochs."""
    return Epochs(record, edges=[EDGE], unsure_ms=MINUTE_MS)


@asynccontextmanager
async def wired_house(url: str, file: Path) -> AsyncIterator[House]:
    """Open a house over a Redis and a SQLite file that has the tables."""
    record = await Record.open(f"sqlite:///{file}")
    epochs = epochs_of(record)
    redis = wired(url, epochs)
    try:
        yield House(redis, record, file, compare=epochs.compare)
    finally:
        await redis.aclose()
        await record.close()
