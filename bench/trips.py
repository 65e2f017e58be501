"""Many commands to Redis in few trips, for benches that fill it."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

from redis import Redis

TRIP = 500

Command = tuple[Any, ...]


def send(redis: Redis, commands: Iterable[Command], trip: int = TRIP) -> None:
    """Send commands, so many a trip. Raises the first error that Redis answers with."""
    waiting = iter(commands)
    while some := list(islice(waiting, trip)):
        pipeline = redis.pipeline(transaction=False)
        for command in some:
            pipeline.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py
        pipeline.execute()


def size_of(redis: Redis, keys: Iterable[str]) -> int:
    """Return the bytes that these keys take, to the last element."""
    return sum(redis.memory_usage(key, samples=0) or 0 for key in keys)
