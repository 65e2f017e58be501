"""A connection to Redis of a process that has nothing else to do while it waits: commands in, replies out."""

from collections.abc import Iterable
from typing import Any, Self

from hiredis import pack_command
from redis import ConnectionPool
from redis.connection import ConnectionInterface
from redis.exceptions import NoScriptError, RedisError

from feeds import scripts

TIMEOUT_S = 30.0


class Wire:
    """One connection. redis-py's own pipelines take as long for a command as Redis does for a whole bucket."""

    def __init__(self, connection: ConnectionInterface) -> None:
        self._connection = connection

    @classmethod
    def opened(cls, redis_url: str) -> Self:
        """Return a connection that is made when it is first used."""
        pool: ConnectionPool = ConnectionPool.from_url(redis_url, protocol=2, socket_timeout=TIMEOUT_S)
        return cls(pool.make_connection())

    def send(self, commands: Iterable[scripts.Command]) -> list[Any]:
        """Send commands in one trip and return their replies; raise the first that is an error."""
        packed = [pack_command(command) for command in commands]
        self._connection.send_packed_command([b"".join(packed)])  # type: ignore[no-untyped-call]  # redis-py
        replies = [self._reply() for _ in packed]
        for reply in replies:
            _refuse(reply)
        return replies

    def transact(self, commands: Iterable[scripts.Command]) -> list[Any] | None:
        """Send a transaction; return its replies, or None where a key that was watched has changed."""
        replies: list[Any] | None = self.send([("MULTI",), *commands, ("EXEC",)])[-1]
        for reply in replies or ():
            _refuse(reply)
        return replies

    def load_scripts(self) -> None:
        """Give Redis the scripts, which it forgets when it starts again."""
        self.send([("SCRIPT", "LOAD", text) for text in scripts.TEXTS.values()])

    def close(self) -> None:
        """Close the connection; what it watched is watched no more. It opens again when it is used."""
        self._connection.disconnect()  # type: ignore[no-untyped-call]  # redis-py

    def _reply(self) -> Any:
        try:
            return self._connection.read_response()
        except NoScriptError as error:
            return error
        except RedisError as error:
            self.close()
            raise error


def _refuse(reply: object) -> None:
    if isinstance(reply, RedisError):
        raise reply
