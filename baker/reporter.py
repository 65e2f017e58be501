"""The reporter: tells the others how loaded this baker is, once a second."""

import asyncio
import logging
import secrets
from contextlib import suppress

from redis.exceptions import RedisError

from baker.oven import Oven
from cdn.load import Load

EVERY_S = 1.0
HOLDS_MS = 3_000
"""How long a report holds; so long that one which is lost does not make the load unknown."""

log = logging.getLogger(__name__)


class Reporter:
    """Reports an oven's load, from ``begin`` until ``close``."""

    def __init__(self, load: Load, oven: Oven) -> None:
        self._load = load
        self._oven = oven
        self._baker = secrets.token_hex(8)
        self._running: asyncio.Task[None] | None = None
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
        """Report the load of the last seconds.

        It is reported where there is none, too: a roll waits for what each baker says after a shard was dropped.
        """
        self._tell()
        try:
            await self._load.report(self._baker, self._oven.report(), HOLDS_MS)
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
