"""Loops begin again where Redis or the record fails, and end with everything else."""

import asyncio
from collections.abc import Sequence

import pytest
from redis.exceptions import ConnectionError

from edgebake.enduring import endured
from feeds.errors import RecordUnavailable


class Loop:
    """A loop that fails in these ways, one after the other, and then runs until it is stopped."""

    def __init__(self, *failures: Exception) -> None:
        self.failures: Sequence[Exception] = failures
        self.begun = 0
        self.running = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Fail, or run."""
        self.begun += 1
        if self.begun <= len(self.failures):
            raise self.failures[self.begun - 1]
        self.running.set()
        await stop.wait()


async def run_of(loop: Loop) -> None:
    """Run a loop until it runs, and stop it."""
    stop = asyncio.Event()
    running = asyncio.create_task(endured(loop.run, stop))
    await asyncio.wait([running, asyncio.create_task(loop.running.wait())], return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    await running


async def test_a_loop_that_fails_for_redis_or_the_record_begins_again() -> None:
    loop = Loop(ConnectionError("away"), RecordUnavailable("away"), ExceptionGroup("both", [TimeoutError()]))
    await run_of(loop)
    assert loop.begun == 4


async def test_a_mistake_ends_the_process() -> None:
    with pytest.raises(ValueError, match="a mistake"):
        await run_of(Loop(ValueError("a mistake")))


async def test_a_loop_that_is_stopped_is_not_begun_again() -> None:
    loop = Loop()
    await run_of(loop)
    assert loop.begun == 1
