"""Connections to a Redis over which a test has time, and the end of a process, in hand."""

from collections.abc import Iterable
from hashlib import sha1
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import UnixDomainSocketConnection

from cdn import scripts

CLOCK = "clock"
"""Seconds and microseconds of the time that a test has set; without it, time is the server's."""

NOW = f'(redis.call("EXISTS", "{CLOCK}") == 1 and redis.call("LRANGE", "{CLOCK}", 0, 1) or redis.call("TIME"))'


def _clocked(text: str) -> str:
    return text.replace('redis.call("TIME")', NOW)


DIGESTS = {
    digest: sha1(_clocked(text).encode(), usedforsecurity=False).hexdigest() for digest, text in scripts.TEXTS.items()
}


class Clocked(UnixDomainSocketConnection):
    """A connection whose scripts ask the clock of a test for the time."""

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """Pack the shipped scripts, but for their TIME."""
        return super().pack_commands([_with_clock(tuple(command)) for command in commands])


def _with_clock(command: scripts.Command) -> scripts.Command:
    match command:
        case ("EVALSHA", digest, *words):
            return ("EVALSHA", DIGESTS.get(digest, digest), *words)
        case ("SCRIPT", "LOAD", text):
            return ("SCRIPT", "LOAD", _clocked(text))
        case ("TIME",):
            return ("EVAL", f"return {NOW}", 0)
        case _:
            return command


class Died(Exception):
    """A process died between two commands."""


class Mortal(Clocked):
    """A connection of a process that dies before it has sent all of its commands. Others do not notice."""

    left: int | None = None
    """Commands until then; None: it does not die."""

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> list[bytes]:
        """Pack as many commands as the process lives to send."""
        listed = list(commands)
        if Mortal.left is not None:
            self._owed = min(Mortal.left, len(listed))
            Mortal.left -= self._owed
            listed = listed[: self._owed]
        return super().pack_commands(listed)

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """Read the reply to a command that was sent; die at the first that was not."""
        owed = getattr(self, "_owed", None)
        if Mortal.left is not None and owed is not None:
            if owed == 0:
                raise Died
            self._owed -= 1
        return await super().read_response(*args, **kwargs)


def connected(url: str, kind: type[UnixDomainSocketConnection] = Clocked) -> Redis:
    """Return a client over connections of a kind, of the embedded Valkey at a URL."""
    path = url.removeprefix("unix://").partition("?")[0]
    return Redis.from_pool(ConnectionPool(connection_class=kind, path=path, protocol=2, socket_timeout=None))
