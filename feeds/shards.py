"""The shards of a recalculation, mapped over the cores of this machine."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from multiprocessing import forkserver, get_context
from typing import Protocol

from redis.asyncio import Redis

from feeds import keys, mapper, packing, scripts
from feeds.mapper import Ranked, Shard

CHUNKS_A_TRIP = 64


async def read_catalogue(redis: Redis, newest: int) -> dict[int, bytes]:
    """Return the catalogue's entries, packed, up to a post number, without those of an older generation."""
    entries: dict[int, bytes] = {}
    chunks = range(keys.chunk_of(newest) + 1)
    for start in range(0, len(chunks), CHUNKS_A_TRIP):
        commands: list[scripts.Command] = []
        for name in map(keys.chunk, chunks[start : start + CHUNKS_A_TRIP]):
            commands += (("GET", keys.generation(keys.shard_in(name))), ("HGETALL", name))
        replies = await scripts.execute(redis, commands)
        for generation, reply in zip(replies[::2], replies[1::2], strict=True):
            current = int(generation or 0)
            found = scripts.fields(reply).items()
            entries |= {int(num): packed for num, packed in found if packing.generation_of(packed) >= current}
    return entries


def prepare() -> None:
    """Begin a process that imports what ranking needs, and from which those that rank are forked; return at once.

    A fork of this process would take its threads' locks with it.
    """
    forkserver.set_forkserver_preload(["feeds.mapper"])
    forkserver.ensure_running()


class Pool(Protocol):
    """What ranks shards."""

    async def rank(self, shard: Shard) -> Ranked:
        """Rank a shard and write its timelines."""


OpenPool = Callable[[str, bytes, int | None], AbstractAsyncContextManager[Pool]]
"""Opens what ranks these posts (``standings.pack``), over a Redis by its URL, so many shards at once."""


class Processes:
    """Processes that rank shards, a core each."""

    def __init__(self, executor: ProcessPoolExecutor) -> None:
        self._executor = executor

    async def rank(self, shard: Shard) -> Ranked:
        """Rank a shard in one of the processes."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, mapper.rank, shard)


@asynccontextmanager
async def open_pool(redis_url: str, posts: bytes, processes: int | None = None) -> AsyncIterator[Pool]:
    """Open processes that rank these posts (``standings.pack``). Left, it waits for the shards that have begun."""
    prepare()
    context = get_context("forkserver")
    executor = ProcessPoolExecutor(processes or at_once(), context, mapper.begin, (redis_url, posts))
    try:
        yield Processes(executor)
    finally:
        await asyncio.to_thread(executor.shutdown, cancel_futures=True)


def at_once() -> int:
    """Return how many processes rank: one more than the cores that we may use, for one of them waits for Redis."""
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
