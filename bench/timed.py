"""A real Valkey whose scripts take the time from a clock of the bench's own: a week of the ledger passes in a minute.

The scripts are the shipped ones but for ``redis.call("TIME")``, which becomes a look at two keys; every trip sets them
first.
"""

import hashlib
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import UnixDomainSocketConnection, parse_url

from cdn import keys, scripts

SECONDS, MICROSECONDS = "clock:s", "clock:us"
TIME = 'redis.call("TIME")'
LOOK = f'redis.call("MGET", "{SECONDS}", "{MICROSECONDS}")'
START_S = 1_600_000_000.0


class Clock:
    """Seconds that the bench sets. They never go back."""

    def __init__(self) -> None:
        self.now = START_S

    def __call__(self) -> float:
        return self.now


class Timed(UnixDomainSocketConnection):
    """A connection that brings the time along with every trip of scripts."""

    def __init__(self, clock: Clock, **settings: Any) -> None:
        super().__init__(**settings)
        self._clock = clock
        self._brought = False

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """Pack commands, the time first."""
        timed = [_timed(tuple(words)) for words in commands]
        self._brought = bool(timed)
        now = self._clock.now
        brings = ("MSET", SECONDS, int(now), MICROSECONDS, int(now % 1 * 1e6))
        packed: list[bytes] = super().pack_commands([brings, *timed] if timed else [])
        return packed

    async def read_response(self, *words: Any, **settings: Any) -> Any:
        """Return the next reply to what was asked."""
        if self._brought:
            self._brought = False
            await super().read_response(*words, **settings)
        return await super().read_response(*words, **settings)


def _timed(words: tuple[Any, ...]) -> tuple[Any, ...]:
    match words:
        case ("EVALSHA", digest, *rest):
            return ("EVALSHA", DIGESTS[digest], *rest)
        case ("SCRIPT LOAD", text) | ("SCRIPT", "LOAD", text):
            return ("SCRIPT", "LOAD", text.replace(TIME, LOOK))
        case ("TIME",):
            return ("MGET", SECONDS, MICROSECONDS)
    return words


def _digests(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the digest of each script as it is here, by its own."""
    return {
        digest: hashlib.sha1(text.replace(TIME, LOOK).encode(), usedforsecurity=False).hexdigest()
        for digest, text in texts.items()
    }


DIGESTS = _digests(scripts.TEXTS)


def _where(url: str) -> Mapping[str, Any]:
    return {name: value for name, value in parse_url(url).items() if name != "connection_class"}


@asynccontextmanager
async def timed(url: str, clock: Clock) -> AsyncIterator[Redis]:
    """Open the Valkey at a URL of a Unix socket, emptied and with all shards' counts at their beginning."""
    pool = ConnectionPool(connection_class=Timed, clock=clock, protocol=2, **_where(url))
    async with Redis.from_pool(pool) as redis:
        await redis.flushall()
        await redis.mset({keys.count(shard): 0 for shard in range(keys.SHARDS)})
        yield redis
