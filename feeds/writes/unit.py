"""One write transaction: what its commands share."""

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Insert, Table, Update, bindparam, insert, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.change import Change, encode, kind_of, subject_of
from feeds.database import is_postgresql
from feeds.ids import fresh_id
from feeds.schema import applied, outbox


@dataclass(frozen=True, slots=True)
class Limits:
    """From how many followers a source is pulled; the share by which a count moves until its post is scored anew."""

    pull_followers: int
    rescore: float


@dataclass(slots=True)
class Unit:
    """A write transaction: its connection, its time, and the changes that it commits with its data.

    ``authors`` (by id) and ``tags`` (by source number): by how many their followers became more. They are counted last.
    """

    conn: AsyncConnection
    now_ms: int
    limits: Limits
    authors: Counter[str] = field(default_factory=Counter)
    tags: Counter[int] = field(default_factory=Counter)
    changes: list[dict[str, Any]] = field(default_factory=list)

    def note(self, change: Change, change_id: str | None = None) -> str:
        """Add a change to the transaction and return its id."""
        made = change_id or fresh_id("c", self.now_ms)
        self.changes.append(
            {
                "id": made,
                "kind": kind_of(change),
                "subject": subject_of(change),
                "body": encode(change),
                "accepted_ms": self.now_ms,
            }
        )
        return made

    async def write_changes(self) -> None:
        """Put the changes into the outbox, in their order."""
        if self.changes:
            await self.conn.execute(insert(outbox), self.changes)

    async def advance(self, subject: str, version: int) -> bool:
        """Note that the source's ``version`` of a subject is applied; False where it is not above the last one."""
        make = postgresql_insert if is_postgresql(self.conn) else sqlite_insert
        statement = make(applied).values(subject=subject, version=version)
        statement = statement.on_conflict_do_update(
            index_elements=["subject"],
            set_={"version": statement.excluded.version},
            where=applied.c.version < statement.excluded.version,
        )
        return await self.conn.scalar(statement.returning(applied.c.version)) is not None

    async def add(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows, none of which is there."""
        if rows:
            await self.conn.execute(insert(table), rows)

    async def revise(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Write rows over those of the same ``num``."""
        if rows:
            await self.conn.execute(_revision(table, tuple(rows[0])), [{**row, "of_num": row["num"]} for row in rows])

    async def put(self, table: Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows, replacing those whose primary key is there."""
        if rows:
            await self.conn.execute(_placing(is_postgresql(self.conn), table, tuple(rows[0])), rows)


@cache  # to make a statement takes longer than to execute it for a row
def _revision(table: Table, names: tuple[str, ...]) -> Update:
    """Return the statement that writes these columns of the row of a number."""
    values: dict[str, Any] = {name: bindparam(name) for name in names if name != "num"}
    return update(table).where(table.c.num == bindparam("of_num")).values(values)


@cache
def _placing(postgresql: bool, table: Table, names: tuple[str, ...]) -> Insert:
    """Return the statement that inserts these columns of a row, or writes them over the one that is there."""
    statement = (postgresql_insert if postgresql else sqlite_insert)(table)
    keys = [column.name for column in table.primary_key]
    rest = {name: statement.excluded[name] for name in names if name not in keys}
    if rest:
        return statement.on_conflict_do_update(index_elements=keys, set_=rest)
    return statement.on_conflict_do_nothing(index_elements=keys)
