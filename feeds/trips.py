"""Trips: what many changes ask of Redis in one turn of the event loop goes there in one round trip."""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from feeds import scripts
from feeds.tick import Tick


class Trips:
    """Round trips that are shared. The commands of each who asks are done in their order."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self._tick: Tick[Sequence[scripts.Command], list[Any] | ResponseError] = Tick(self._send)

    async def execute(self, commands: Sequence[scripts.Command]) -> list[Any]:
        """Send commands and return every reply, as ``scripts.execute`` does."""
        found = await self._tick.ask(commands)
        if isinstance(found, ResponseError):
            raise found
        return found

    async def _send(self, asked: list[Sequence[scripts.Command]]) -> Sequence[list[Any] | ResponseError]:
        try:
            replies = iter(await scripts.execute(self.redis, [command for commands in asked for command in commands]))
        except ResponseError:
            return [await self._alone(commands) for commands in asked]
        return [[next(replies) for _ in commands] for commands in asked]

    async def _alone(self, commands: Sequence[scripts.Command]) -> list[Any] | ResponseError:
        """Send what one asks, again: where Redis refuses a command, it is not to fail the others."""
        try:
            return await scripts.execute(self.redis, commands)
        except ResponseError as error:
            return error
