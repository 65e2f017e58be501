"""A process that works until it is told to stop: by a signal, or, where `up` started it, by `up` being gone."""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable

from edgebake import log

READY = "ready"
"""The message by which a supervised process says that it serves."""
GO = b"go\n"
"""What `up` writes when the database is there; until then a process it started only imports."""

logger = logging.getLogger(__name__)


class Process:
    """This process, as its main coroutine sees it."""

    def __init__(self, *, supervised: bool) -> None:
        self.stop = asyncio.Event()
        self._supervised = supervised
        self._go = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        if supervised:
            os.set_blocking(0, False)
            loop.add_reader(0, self._on_stdin)

    async def may_begin(self) -> bool:
        """Wait until the process may open what it needs; return False where it shall stop instead."""
        if self._supervised:
            await self._go.wait()
        return not self.stop.is_set()

    def ready(self) -> None:
        """Say that the process serves."""
        logger.info(READY)

    def _on_signal(self, number: int) -> None:
        self._end()
        asyncio.get_running_loop().remove_signal_handler(number)  # a second one ends it without ceremony

    def _on_stdin(self) -> None:
        """`up` holds the other end of stdin and never closes it: at its end, `up` was killed."""
        read = os.read(0, 64)
        if read.startswith(GO):
            self._go.set()
        if not read:
            asyncio.get_running_loop().remove_reader(0)
            self._end()

    def _end(self) -> None:
        self.stop.set()
        self._go.set()


def run(main: Callable[[Process], Awaitable[None]], *, events: bool, supervised: bool) -> None:
    """Run a process's main coroutine on uvloop, with log lines on stderr."""
    import uvloop

    async def started() -> None:
        await main(Process(supervised=supervised))

    log.set_up(events=events)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(started())
