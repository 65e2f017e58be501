"""The reporter: tells the others how loaded this baker is, once a second while it is."""

import asyncio
import logging
import secrets
from contextlib import suppress

from redis.exceptions import RedisError

from baker.oven import Oven
from cdn.load import Load, Report

EVERY_S = 1.0
IDLE_EVERY = 5
"""Reports that say the same while nothing is baked: one of so many is made."""
HOLDS_MS = 3_000
IDLE_HOLDS_MS = 3 * IDLE_EVERY * 1000
"""How long a report holds; so long that one which is lost does not make the load unknown."""

log = logging.getLogger(__name__)


class Reporter:
    """Reports an oven's load, from ``begin`` until ``close``."""

    def __init__(self, load: Load, oven: Oven) -> None:
        self._load = load
        self._oven = oven
        self._baker = secrets.token_hex(8)
        self._running: asyncio.Task[None] | None = None
        self._idle = 0
        self._told = 0

    def begin(self) -> None:
        """Begin to report."""
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End, and take back what was reported: who is gone has no load."""
        if self._running is None:
            return
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
        self._running = None
        with suppress(RedisError, OSError):  # then it is forgotten a little later
            await self._load.leave(self._baker)

    async def _run(self) -> None:
        while True:
            await self.report()
            await asyncio.sleep(EVERY_S)

    async def report(self) -> None:
        """Report the load of the last seconds; where there is none, and that is known, seldom."""
        self._tell()
        report = self._oven.report()
        idle = report == Report(capacity=report.capacity)
        self._idle = self._idle + 1 if idle else 0
        if idle and self._idle % IDLE_EVERY != 1:
            return
        try:
            await self._load.report(self._baker, report, IDLE_HOLDS_MS if idle else HOLDS_MS)
        except (RedisError, OSError) as error:
            log.warning("The load of this baker was not reported: %r", error)

    def _tell(self) -> None:
        """Log how many were shed since the last time: one line, however many."""
        shed, self._told = self._oven.shed_ever - self._told, self._oven.shed_ever
        if shed:
            log.warning(
                "%d requests asked for a bake and got none (%d bakes at once, %d may wait): more bakers are needed, or "
                "Redis or the system of record is slow.",
                shed,
                self._oven.bounds.at_once,
                self._oven.bounds.queue,
            )
