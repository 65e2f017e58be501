"""How many follow each source, counted in the transactions that change it, and the line that a count crosses.

Counts are written last in a transaction, by source number: two that count each other's followers never wait crosswise.
"""

from collections.abc import Mapping

from sqlalchemy.dialects import postgresql, sqlite

from feeds.database import is_postgresql
from feeds.many import table_of
from feeds.schema import audiences
from feeds.writes import crossings
from feeds.writes.unit import Unit


async def settle_counts(unit: Unit) -> None:
    """Write by how much the transaction changed the followers of sources, and note who crossed the pull line."""
    moved = {source: count for source, count in sorted(unit.followers.items()) if count}
    if moved:
        counts = await _add(unit, moved)
        wrong = [source for source, followers in counts.items() if _may_cross(unit, followers, moved[source])]
        await crossings.cross(unit, wrong)


async def _add(unit: Unit, moved: Mapping[int, int]) -> dict[int, int]:
    """Return how many follow these sources now."""
    make = postgresql.insert if is_postgresql(unit.conn) else sqlite.insert
    statement = make(audiences).from_select(["source", "followers"], table_of(unit.conn, moved.items(), int, int))
    statement = statement.on_conflict_do_update(
        index_elements=["source"], set_={"followers": audiences.c.followers + statement.excluded.followers}
    )
    rows = await unit.conn.execute(statement.returning(audiences.c.source, audiences.c.followers))
    return {row.source: row.followers for row in rows}


def _may_cross(unit: Unit, followers: int, moved: int) -> bool:
    line = unit.limits.pull_followers
    return followers >= line if moved > 0 else followers < crossings.LOWER * line
