"""How many follow each source, counted in the transactions that change it, and the line that a count crosses.

Counts are written last in a transaction, by source number: two that count each other's followers never wait crosswise.
"""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects import postgresql, sqlite

from feeds.database import is_postgresql
from feeds.many import table_of, tally_of
from feeds.schema import audiences, users
from feeds.writes import crossings
from feeds.writes.unit import Unit


async def settle_counts(unit: Unit) -> None:
    """Write by how much the transaction changed the followers of sources, and note which crossed the pull line."""
    authors = {author: count for author, count in unit.authors.items() if count}
    if authors:
        each = tally_of(unit.conn, authors)
        numbered = each.join(users, users.c.id == each.c.key)
        await _add(unit, select(users.c.num, each.c.value).select_from(numbered).order_by(users.c.num))
        await crossings.cross(unit, select(users.c.num).select_from(numbered))
    tags = [(tag, count) for tag, count in sorted(unit.tags.items()) if count]
    if tags:
        await _add(unit, table_of(unit.conn, tags, int, int))
        await crossings.cross(unit, table_of(unit.conn, tags, int))


async def _add(unit: Unit, moved: Select[Any]) -> None:
    make = postgresql.insert if is_postgresql(unit.conn) else sqlite.insert
    statement = make(audiences).from_select(["source", "followers"], moved)
    statement = statement.on_conflict_do_update(
        index_elements=["source"], set_={"followers": audiences.c.followers + statement.excluded.followers}
    )
    await unit.conn.execute(statement)
