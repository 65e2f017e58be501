"""Writes to when users were active: bookkeeping, which waits for no disk."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from feeds.database import is_postgresql
from feeds.many import among
from feeds.model import UserState
from feeds.schema import Number, activity, users
from feeds.writes.unit import Unit

EXACT_MS = 60 * 60 * 1000
"""An activity is written where the last one written is older: an hour is exact enough for days."""


async def activate(unit: Unit, ids: Sequence[str], now_ms: int) -> None:
    """Note that these users are active now; unknown and deleted ones are not."""
    await _raise(unit, _live(now_ms).where(among(unit.conn, users.c.id, ids)), now_ms)


async def activate_all(unit: Unit, now_ms: int) -> int:
    """Note that every live user is active now; return how many were not in the last hour."""
    return await _raise(unit, _live(now_ms), now_ms)


def _live(now_ms: int) -> Select[Any]:
    query = select(users.c.id, literal(now_ms, Number)).where(users.c.state == UserState.LIVE.value)
    return query.order_by(users.c.id)  # so that two at once lock rows in one order


async def _raise(unit: Unit, active: Select[Any], now_ms: int) -> int:
    make = postgresql.insert if is_postgresql(unit.conn) else sqlite.insert
    statement = make(activity).from_select(["user", "active_ms"], active)
    statement = statement.on_conflict_do_update(
        index_elements=["user"],
        set_={"active_ms": statement.excluded.active_ms},
        where=activity.c.active_ms <= now_ms - EXACT_MS,
    )
    return (await unit.conn.execute(statement)).rowcount
