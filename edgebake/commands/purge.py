"""`edgebake purge`: what is old leaves Redis now; `work` does the same on a schedule."""

import asyncio
from typing import TYPE_CHECKING

import typer

from edgebake.commands.options import loaded
from edgebake.settings import Settings

if TYPE_CHECKING:
    from feeds.purge import Purged


def purge(ctx: typer.Context) -> None:
    """Remove from Redis what is old: inactive users' timelines, old posts. The system of record keeps all."""
    from edgebake.running import with_redis

    print(f"removed {asyncio.run(_purge(with_redis(loaded(ctx))))}")


async def _purge(settings: Settings) -> "Purged":
    from edgebake.apps import activity
    from edgebake.wiring import opened_record, opened_redis
    from feeds.purge import Purge

    async with opened_record(settings) as record, opened_redis(settings, record) as redis:
        return await Purge(redis, activity(settings, record, redis), post_days=settings.post_days).purge()
