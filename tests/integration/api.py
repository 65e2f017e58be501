"""The write API over a real system of record, and a client of it that bears the token."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from redis.asyncio import Redis

from edgebake import apps
from edgebake.settings import Settings
from feeds.jobs import Jobs
from feeds.progress import Progress
from feeds.record import Record
from feeds.visits import Visits
from publisher.app import create_app

TOKEN = "a-token-of-the-tests"
NOBODY = "redis://127.0.0.1:1"
"""Where no Redis is."""


@dataclass(frozen=True, slots=True)
class Api:
    """The API under test: what clients see, and what is behind it."""

    client: httpx.AsyncClient
    record: Record
    redis: Redis

    async def changes(self) -> int:
        """Return how many changes wait in the outbox."""
        return len(await self.record.outbox_take(10_000))


def progress_in_outbox(record: Record) -> Callable[[str], Awaitable[Progress | None]]:
    """Return progress as the outbox alone knows it: no worker has seen any change."""

    async def progress(change: str) -> Progress | None:
        row = await record.change(change)
        if row is None:
            return None
        return Progress(row.id, row.kind, row.subject, "accepted", {"accepted": row.accepted_ms})

    return progress


def behind(record: Record, redis: Redis) -> dict[str, Any]:
    """Return what the API works with besides the record, as ``serve`` puts it together but for progress."""
    active = apps.activity(Settings(), record, redis)
    visits = Visits(redis, record, active, days=Settings().active_days).note
    progress = progress_in_outbox(record)
    return {"token": TOKEN, "progress": progress, "activity": active.seen, "visits": visits, "jobs": Jobs(redis)}


@asynccontextmanager
async def open_api(url: str, valkey: str = NOBODY, **options: object) -> AsyncIterator[Api]:
    """Open a record and the API over it; ``options`` go to ``create_app``. Redis is nowhere unless its URL is given."""
    record = await Record.open(url, patience=0.2)
    redis = Redis.from_url(valkey, protocol=2)
    app = create_app(record, **{**behind(record, redis), **options})
    transport = httpx.ASGITransport(app)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
            yield Api(client, record, redis)
    finally:
        await redis.aclose()
        await record.close()
