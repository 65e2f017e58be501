"""Invalidation by bare pub/sub: ``PUBLISH edgebake:invalidate '{"scope":"user","user":"ada","id":"deploy-42"}'``.

A message is an event like those of the API: it enters the outbox and goes on from there. Until then it is at most
once, as pub/sub is: what must not be lost goes through the API.
"""

import asyncio
import logging

from pydantic import ValidationError
from redis.asyncio import Redis

from feeds import keys, metrics
from feeds.command import Invalidate
from feeds.errors import FeedsError
from feeds.record import Record
from feeds.stream import hold, let_go

LEASE_S = 3.0
MAX_MESSAGE = 4096

log = logging.getLogger(__name__)


class Listener:
    """Listens on the channel; of many, the one that holds the lease acts."""

    def __init__(self, redis: Redis, record: Record) -> None:
        self._redis = redis
        self._record = record
        self._lease = redis.lock(keys.LISTENER_LEASE, timeout=LEASE_S, thread_local=False)
        self._ours = False

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until ``stop`` is set."""
        async with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(keys.INVALIDATE)
            while not stop.is_set():
                self._ours = await hold(self._lease)
                message = await pubsub.get_message(timeout=LEASE_S / 3)
                if message is not None and self._ours:
                    await self.take(message["data"])
        await let_go(self._lease)

    async def take(self, data: bytes) -> str | None:
        """Turn a message into a change and return its id; drop one that is malformed, with the reason in the log."""
        try:
            if len(data) > MAX_MESSAGE:
                raise ValueError(f"has {len(data)} bytes, at most {MAX_MESSAGE} are read")
            command = Invalidate.model_validate_json(data)
            (outcome,) = await self._record.apply([command])
        except ValidationError as error:
            reasons = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'message'}: {e['msg']}" for e in error.errors())
            log.warning("Dropped a message on %s, %r: %s", keys.INVALIDATE, data[:200], reasons)
        except (ValueError, FeedsError) as error:
            log.warning("Dropped a message on %s, %r: %s", keys.INVALIDATE, data[:200], error)
        else:
            return outcome.change
        metrics.DROPPED.inc()
        return None
