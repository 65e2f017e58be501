"""The atomic operations on the fence, the ledger and the pending set: one Lua file each, called by its digest."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from math import inf
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

from cdn.errors import RedisForgot

TEXTS: dict[str, str] = {}
"""Every script's text, by its digest."""

TRIP_S = 10.0
"""Seconds after which a trip fails with TimeoutError."""

FORGOTTEN = "FORGOTTEN"
"""How the errors begin with which a script says that Redis lost what this shard had."""

Command = tuple[Any, ...]
"""One Redis command as its words: ``("GET", key)``."""


def _read(name: str) -> str:
    text = files("cdn").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    TEXTS[digest] = text
    return digest


TAIL = _read("tail")
PASS = _read("pass")
RECORD = _read("record")
TRIM = _read("trim")
CLAIM = _read("claim")
FLY = _read("fly")
PENDING = _read("pending")
SPEND = _read("spend")
RAISE = _read("raise")
MAKING = _read("making")
MADE = _read("made")
REPORT = _read("report")


def call(script: str, keys: Sequence[str], *arguments: object) -> Command:
    """Return the command that runs a script."""
    return ("EVALSHA", script, len(keys), *keys, *arguments)


async def execute(redis: Redis, commands: Sequence[Command], texts: Mapping[str, str] = TEXTS) -> list[Any]:
    """Send commands in one round trip, in order; give Redis the scripts where it has forgotten them.

    Every script may run twice, so the whole trip is sent again then. Raises RedisForgot, and what redis-py raises.
    """
    try:
        return await _send(redis, commands)
    except NoScriptError:
        await _send(redis, [("SCRIPT", "LOAD", text) for text in texts.values()])
        return await _send(redis, commands)


def fields(reply: Mapping[bytes, bytes] | Sequence[bytes]) -> Mapping[bytes, bytes]:
    """Return a hash as HGETALL gives it: ``field, value, …`` in RESP2, a map in RESP3."""
    return reply if isinstance(reply, Mapping) else dict(zip(reply[::2], reply[1::2], strict=True))


async def _send(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """Send commands over one connection and read every reply, as Redis gives it; then raise the first that is an error.

    A pipeline of redis-py does more (a callback for each reply): a cold bake took some 40 µs longer with it.
    """
    pool = redis.connection_pool
    async with asyncio.timeout(TRIP_S):
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py
        try:
            await connection.send_packed_command(connection.pack_commands(commands))
            replies = [await _reply(connection) for _ in commands]
            errors = [reply for reply in replies if isinstance(reply, ResponseError)]
            if any(str(error).startswith(FORGOTTEN) for error in errors):
                await connection.disconnect()
                raise RedisForgot("Redis lost what it had: an epoch begins with the next connection")
        finally:
            await pool.release(connection)
    if errors:
        raise errors[0]
    return replies


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(timeout=inf)  # the trip has a time-out, each reply needs none
    except ResponseError as error:
        return error
