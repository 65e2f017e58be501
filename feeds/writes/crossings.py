"""Sources that cross the pull line: push → rising → pull → falling → push.

*Rising*: bakes merge its posts already, fan-out pushes them still, for as long as an answer baked before may be at an
edge. *Falling*: fan-out pushes them again and drops the timelines that lack them, bakes merge them still.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from feeds.change import SourceCrossed
from feeds.database import is_postgresql
from feeds.many import among
from feeds.model import TAG, PulledSource
from feeds.pulled import PUSH, names_of
from feeds.schema import audiences, pulled
from feeds.writes.locks import hold_name
from feeds.writes.unit import Unit

LOWER = 0.9
"""A source falls when it has fewer than this share of the line: one that wavers around the line does not cross."""

_LOCK = "pulled"
"""Held by whoever changes a state, and taken last."""


def is_due(source: PulledSource, before_ms: int) -> bool:
    """Tell whether a source has risen for long enough to be pulled alone."""
    return source.state == "rising" and source.since_ms <= before_ms


async def cross(unit: Unit, sources: Select[Any]) -> int:
    """Note which of these sources, whose followers were just counted, are on the wrong side; return how many."""
    if not await _wrong(unit, sources):
        return 0
    await hold_name(unit.conn, _LOCK)
    states = await _wrong(unit, sources)
    await _put(unit, states)
    return len(states)


async def reconcile(unit: Unit) -> int:
    """Note all sources that are on the wrong side of the line, which may have been moved; return how many."""
    return await cross(unit, select(audiences.c.source))


async def pull(unit: Unit, sources: Collection[int], before_ms: int) -> int:
    """Pull those sources alone that rose at ``before_ms`` or earlier and still do; return how many."""
    await hold_name(unit.conn, _LOCK)
    due = and_(pulled.c.state == "rising", pulled.c.since_ms <= before_ms, among(unit.conn, pulled.c.source, sources))
    found = (await unit.conn.execute(select(pulled.c.source).where(due))).scalars().all()
    await _put(unit, dict.fromkeys(sorted(found), "pull"))
    return len(found)


async def settle(unit: Unit, source: int) -> None:
    """Push a source that falls; one that rose again meanwhile stays as it is."""
    await hold_name(unit.conn, _LOCK)
    state = await unit.conn.scalar(select(pulled.c.state).where(pulled.c.source == source))
    if state == "falling":
        await _put(unit, {source: PUSH})


async def _wrong(unit: Unit, sources: Select[Any]) -> dict[int, str]:
    """Return those sources that are on the wrong side of the line, and the states that they are to have."""
    line = unit.limits.pull_followers
    state = func.coalesce(pulled.c.state, PUSH)
    rises = and_(audiences.c.followers >= line, state.in_([PUSH, "falling"]))
    falls = and_(audiences.c.followers < LOWER * line, state.in_(["rising", "pull"]))
    joined = audiences.outerjoin(pulled, pulled.c.source == audiences.c.source)
    query = select(audiences.c.source, audiences.c.followers).select_from(joined)
    query = query.where(audiences.c.source.in_(sources), or_(rises, falls)).order_by(audiences.c.source)
    return {row.source: "rising" if row.followers >= line else "falling" for row in await unit.conn.execute(query)}


async def _put(unit: Unit, states: dict[int, str]) -> None:
    if not states:
        return
    last = await unit.conn.scalar(select(func.max(pulled.c.version))) or 0
    make = postgresql.insert if is_postgresql(unit.conn) else sqlite.insert
    statement = make(pulled)
    changed = {name: statement.excluded[name] for name in ("state", "since_ms", "version")}
    statement = statement.on_conflict_do_update(index_elements=["source"], set_=changed)
    common = {"since_ms": unit.now_ms, "version": last + 1}
    await unit.conn.execute(
        statement, [{"source": source, "state": state, **common} for source, state in states.items()]
    )
    names = await names_of(unit.conn, states)
    for source, state in states.items():
        unit.note(SourceCrossed(source, names[source], source >= TAG, state))
