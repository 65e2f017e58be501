"""The atomic operations on what feeds keep in Redis: one Lua file each, called by its digest."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from math import inf
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoScriptError, ResponseError

TEXTS: dict[str, str] = {}
"""Every script's text, by its digest."""

TRIP_S = 10.0
"""Seconds after which a trip fails with TimeoutError."""

Command = tuple[Any, ...]
"""One Redis command as its words: ``("GET", key)``."""


def _read(name: str) -> str:
    text = files("feeds").joinpath("lua", f"{name}.lua").read_text(encoding="utf-8")
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    TEXTS[digest] = text
    return digest


READ = _read("read")
RELAY = _read("relay")
PROGRESS = _read("progress")
LIVE = _read("live")
RAISE = _read("raise")
PUT = _read("put")
ENTRY = _read("entry")
FLOOR = _read("floor")
PUSH = _read("push")
DROP = _read("drop")
CREATE = _read("create")
INSTALL = _read("install")
STATES = _read("states")
FORGET_FRESH = _read("forget_fresh")
TASTE = _read("taste")
TOUCH = _read("touch")
GUEST = _read("guest")
RETIRE = _read("retire")
EXPIRE = _read("expire")
ORPHANS = _read("orphans")
LIST = _read("list")
LIST_BEGIN = _read("list_begin")
LIST_INSTALL = _read("list_install")
LIST_ENTER = _read("list_enter")
LIST_FORGET = _read("list_forget")
LATEST_BEGIN = _read("latest_begin")
LATEST_INSTALL = _read("latest_install")
LATEST_PUSH = _read("latest_push")
SEEN = _read("seen")
ITEMS = _read("items")


def call(script: str, keys: Sequence[str], *arguments: object) -> Command:
    """Return the command that runs a script."""
    return ("EVALSHA", script, len(keys), *keys, *arguments)


async def execute(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """Send commands in one round trip, in order; give Redis the scripts where it has forgotten them.

    Every script may run twice, so the whole trip is sent again then. Raises what redis-py raises.
    """
    if not commands:
        return []
    try:
        return await _send(redis, commands)
    except NoScriptError:
        await _send(redis, [("SCRIPT", "LOAD", text) for text in TEXTS.values()])
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
        finally:
            await pool.release(connection)
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise reply
    return replies


async def _reply(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response(timeout=inf)  # the trip has a time-out, each reply needs none
    except ResponseError as error:
        return error
