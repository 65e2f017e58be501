"""Loops that outlive what they talk to: where Redis or the system of record does not answer, they begin again."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from redis.exceptions import RedisError

from feeds.errors import RecordUnavailable
from feeds.stream import came

FIRST_S = 0.1
LONGEST_S = 5.0
"""Seconds until a loop begins again: twice as many each time, until it has run for longer than that."""

Loop = Callable[[asyncio.Event], Coroutine[Any, Any, None]]

logger = logging.getLogger(__name__)


async def endured(run: Loop, stop: asyncio.Event) -> None:
    """Run a loop until ``stop`` is set. Whatever it had in hand is not acknowledged, and taken again."""
    clock, wait = asyncio.get_running_loop().time, FIRST_S
    while not stop.is_set():
        began = clock()
        try:
            await run(stop)
        except* (RedisError, RecordUnavailable, TimeoutError, OSError) as errors:
            wait = FIRST_S if clock() - began > LONGEST_S else wait
            logger.warning("%s begins again in %.1f s: %r", _name(run), wait, first_of(errors))
        await came(stop, wait)
        wait = min(LONGEST_S, 2 * wait)


def first_of(error: BaseException) -> BaseException:
    """Return what a group of errors began with."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _name(run: Loop) -> str:
    owner = getattr(run, "__self__", None)
    return "a loop" if owner is None else f"the {type(owner).__name__.lower()}"
