"""An empty Valkey, as Edgebake finds one that it has been connected to: all shards in epoch 1."""

from collections.abc import Sequence
from typing import Any

import redis
from redis.asyncio import Redis

from cdn import epoch, scripts


def empty(url: str) -> None:
    """Empty the Valkey at a URL, forget its scripts, and begin epoch 1."""
    with redis.Redis.from_url(url, protocol=2) as client, client.pipeline(transaction=False) as trip:
        _send(trip, [("FLUSHALL",), *_loads(), ("INFO", "server", "replication")])
        info = trip.execute()[-1]
        _send(trip, [*_first_epoch(f"{info['run_id']} {info['master_replid']}"), ("SCRIPT FLUSH",)])
        trip.execute()


async def emptied(client: Redis) -> None:
    """Empty a client's Valkey, and begin epoch 1."""
    await client.flushall()
    info, *_ = await scripts.execute(client, epoch.QUESTIONS)
    await scripts.execute(client, _first_epoch(epoch.read([info, None, 0]).ids))


def _loads() -> list[scripts.Command]:
    return [("SCRIPT LOAD", scripts.TEXTS[digest]) for digest in (scripts.RAISE, scripts.MADE)]


def _first_epoch(ids: str) -> list[scripts.Command]:
    return [*epoch.raised(1), epoch.made(1, ids)]


def _send(trip: Any, commands: Sequence[scripts.Command]) -> None:
    for command in commands:
        trip.execute_command(*command)
