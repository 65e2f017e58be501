"""Requests that may be sent twice: their outcomes are kept for 24 hours under the client's key."""

from dataclasses import asdict

import orjson
from sqlalchemy import delete, insert, select

from feeds.errors import Conflict
from feeds.schema import idempotency
from feeds.writes.locks import hold_name
from feeds.writes.outcome import IdempotencyKey, Outcome
from feeds.writes.unit import Unit

KEPT_MS = 24 * 60 * 60 * 1000


async def recall(unit: Unit, key: IdempotencyKey) -> list[Outcome] | None:
    """Return what came of the request before, or None. Raises Conflict where the key named another request."""
    await hold_name(unit.conn, f"key {key.key}")
    await unit.conn.execute(delete(idempotency).where(idempotency.c.made_ms <= unit.now_ms - KEPT_MS))
    row = (await unit.conn.execute(select(idempotency).where(idempotency.c.key == key.key))).one_or_none()
    if row is None:
        return None
    if row.digest != key.digest:
        raise Conflict("Idempotency-Key", key.key, "it named another request in the last 24 hours; take a new one")
    return [Outcome(**fields) for fields in orjson.loads(row.outcomes)]


async def remember(unit: Unit, key: IdempotencyKey, outcomes: list[Outcome]) -> None:
    """Keep what came of a request, in its transaction."""
    body = orjson.dumps([asdict(outcome) for outcome in outcomes])
    row = {"key": key.key, "digest": key.digest, "outcomes": body, "made_ms": unit.now_ms}
    await unit.conn.execute(insert(idempotency), [row])
