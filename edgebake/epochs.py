"""Epochs of Redis: what every connection does before any command goes over it.

It asks which Redis answers, and under which epoch that was written. Where something may have been forgotten, an epoch
is begun: its number is made in the system of record, all that Redis counts is raised, and the key is written last. A
process that dies on the way leaves the key as it was, so whoever connects next does all of it again. That, and why the
order of the other steps does not matter: docs/how-it-works.md, "A Redis that forgot".
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError

from cdn import epoch, scripts
from feeds import redis_epoch
from feeds import scripts as feeds_scripts
from feeds.errors import RecordUnavailable

if TYPE_CHECKING:
    from feeds.record import Record

logger = logging.getLogger(__name__)


class Epochs:
    """What a process knows of epochs. ``unsure_ms``: how long an edge may hold what the ledger has lost."""

    def __init__(self, record: "Record", *, edges: Sequence[str], unsure_ms: int) -> None:
        self._record = record
        self._edges = edges
        self._unsure_ms = unsure_ms
        self._known = 0

    async def compare(self, connection: AbstractConnection) -> None:
        """Begin an epoch where the Redis behind a new connection may have forgotten something.

        Raises ConnectionError, also where it is a replica or the system of record does not answer, and TimeoutError.
        """
        try:
            async with asyncio.timeout(scripts.TRIP_S):
                await self._compare(connection)
        except RecordUnavailable as error:
            raise ConnectionError(f"whether Redis forgot something cannot be known: {error}") from error

    async def _compare(self, connection: AbstractConnection) -> None:
        self._known = self._known or (await self._record.redis_epoch()).number
        while True:
            standing = epoch.read(await _ask(connection, epoch.QUESTIONS))
            if standing.is_replica:
                raise ConnectionError("this Redis is a replica: EDGEBAKE_REDIS_URL must lead to the primary")
            if standing.is_current and standing.number >= self._known:
                self._known = standing.number
                return
            await self._begin(connection, standing)

    async def _begin(self, connection: AbstractConnection, standing: epoch.Standing) -> None:
        """Make an epoch, unless somebody has made one since; either way it is to be compared again."""
        texts = (scripts.TEXTS[scripts.MAKING], scripts.TEXTS[scripts.RAISE], scripts.TEXTS[scripts.MADE])
        await _ask(
            connection, [("SCRIPT", "LOAD", text) for text in (*texts, feeds_scripts.TEXTS[feeds_scripts.RAISE])]
        )
        (token,) = await _ask(connection, [epoch.making(standing, secrets.token_hex(8))])
        if token is None:
            return
        begun = await self._record.next_redis_epoch(token.decode(), standing.number)
        await _ask(connection, [*self._raised(begun.number, standing), *redis_epoch.raised(begun.number, begun.log)])
        await _ask(connection, [epoch.made(begun.number, standing.ids, token.decode())])

    def _raised(self, number: int, standing: epoch.Standing) -> list[scripts.Command]:
        """Return what raises every shard. The first epoch of all has lost nothing."""
        if number == 1:
            return epoch.raised(number)
        is_gone = not (standing.is_whole and standing.number)
        logger.warning(
            "Redis may have forgotten %s: epoch %d begins.", "everything" if is_gone else "its last changes", number
        )
        return epoch.raised(number, edges=self._edges, unsure_ms=self._unsure_ms, is_gone=is_gone)


async def _ask(connection: AbstractConnection, commands: Sequence[scripts.Command]) -> list[Any]:
    """Send commands over this connection and no other. After an error it is of no use."""
    await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
    return [await connection.read_response() for _ in commands]
