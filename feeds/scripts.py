"""The atomic operations on copies, timelines and progress: one Lua file each, called by its digest."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

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


PUT = _read("put")
DROP = _read("drop")
PUSH = _read("push")
BEGIN = _read("begin")
INSTALL = _read("install")
READ = _read("read")
PROGRESS = _read("progress")
RAISE = _read("raise")


def call(script: str, keys: Sequence[str], *arguments: object) -> Command:
    """Return the command that runs a script."""
    return ("EVALSHA", script, len(keys), *keys, *arguments)


async def execute(redis: Redis, commands: Sequence[Command], texts: Mapping[str, str] = TEXTS) -> list[Any]:
    """Send commands in one round trip, in order; give Redis the scripts where it has forgotten them.

    Every script may run twice, so the whole trip is sent again then. Raises what redis-py raises.
    """
    try:
        return await _send(redis, commands)
    except NoScriptError:
        await _send(redis, [("SCRIPT", "LOAD", text) for text in texts.values()])
        return await _send(redis, commands)


async def _send(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    async with asyncio.timeout(TRIP_S), redis.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        return await pipe.execute()
