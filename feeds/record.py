"""The system of record: SQLite in a file, or PostgreSQL by its URL."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from feeds import outbox, queries, sources
from feeds.command import Command, CreatePost, Follow, PutUser
from feeds.database import Database, connect
from feeds.migrations import check, migrate_tables
from feeds.model import Candidate, Follows, OrderKey, Post, Site, User
from feeds.outbox import ChangeRow, OutboxRow
from feeds.writes import dispatch, due, idempotency, imports
from feeds.writes.outcome import IdempotencyKey, ImportOutcome, Outcome
from feeds.writes.unit import Unit

__all__ = ["ChangeRow", "IdempotencyKey", "ImportOutcome", "OutboxRow", "Outcome", "Record"]

T = TypeVar("T")


def _nothing() -> None:
    """Nobody waits for a commit."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Record:
    """The truth. Each write is one transaction with the outbox rows of its changes."""

    def __init__(self, database: Database) -> None:
        self.on_commit: Callable[[], None] = _nothing
        """Called after each commit that added to the outbox, to wake the relay."""
        self.clock: Callable[[], int] = _now_ms
        """Returns the time in Unix milliseconds."""
        self._database = database

    @classmethod
    async def open(cls, url: str, *, migrate: bool = True, patience: float = 10.0) -> Record:
        """Open the record, and bring its tables up to date unless ``migrate`` is false.

        ``patience`` is how many seconds a write waits for its turn. Raises RecordUnavailable where the database does
        not answer or its tables are of another version, ValueError where the URL names no database that can be used.
        """
        database = connect(url, patience)
        try:
            await (migrate_tables(database) if migrate else check(database))
        except BaseException:
            await database.close()
            raise
        return cls(database)

    async def close(self) -> None:
        """Let go of all connections."""
        await self._database.close()

    async def apply(self, commands: Sequence[Command], *, key: IdempotencyKey | None = None) -> list[Outcome]:
        """Do all commands in one transaction, or, where one is Refused (its ``index`` says which), none.

        The same ``key`` again returns the outcomes of the first time and does nothing. Raises RecordUnavailable where
        the database gives no turn in time.
        """
        named = [dispatch.with_id(command, self.clock()) for command in commands]

        async def work(unit: Unit) -> list[Outcome]:
            if key is not None and (before := await idempotency.recall(unit, key)) is not None:
                return before
            outcomes = await dispatch.perform(unit, named)
            if key is not None:
                await idempotency.remember(unit, key, outcomes)
            return outcomes

        return await self._write(work)

    async def import_users(self, rows: Sequence[PutUser]) -> ImportOutcome:
        """Put a chunk of users, about 5,000 at most, under one change."""
        return await self._write(lambda unit: imports.import_users(unit, rows))

    async def import_posts(self, rows: Sequence[CreatePost]) -> ImportOutcome:
        """Create or replace a chunk of posts, about 5,000 at most, under one change."""
        return await self._write(lambda unit: imports.import_posts(unit, rows))

    async def import_follows(self, rows: Sequence[Follow]) -> ImportOutcome:
        """Add a chunk of follows, about 5,000 at most, under one change."""
        return await self._write(lambda unit: imports.import_follows(unit, rows))

    async def publish_due(self, now_ms: int, limit: int) -> tuple[int, int | None]:
        """Publish scheduled posts whose time has come; return how many, and when the next one is due."""
        published = 0
        next_ms = await self._read(due.next_due)
        if next_ms is not None and next_ms <= now_ms:
            published = await self._write(lambda unit: due.publish_due(unit, now_ms, limit))
            next_ms = await self._read(due.next_due)
        return published, next_ms

    async def user(self, user: str) -> User | None:
        """Return a user, also a deleted one."""
        return (await self.users([user])).get(user)

    async def users(self, ids: Sequence[str]) -> dict[str, User]:
        """Return those of the users that exist or did."""
        return await self._read(lambda conn: queries.find_users(conn, ids))

    async def follows(self, user: str) -> Follows:
        """Return whom a user follows; nobody, at version 0, for an unknown one."""
        return await self._read(lambda conn: queries.find_follows(conn, user))

    async def follows_versions(self, users: Sequence[str]) -> dict[str, int]:
        """Return the versions of these users' follows, without the follows."""
        return await self._read(lambda conn: queries.find_follows_versions(conn, users))

    async def post(self, post: str) -> Post | None:
        """Return a post in any state, also a tombstone."""
        return (await self.posts([post])).get(post)

    async def posts(self, ids: Sequence[str]) -> dict[str, Post]:
        """Return those of the posts that exist or did."""
        return await self._read(lambda conn: queries.find_posts(conn, ids))

    async def site(self) -> Site:
        """Return the site, or its defaults at version 0."""
        return await self._read(queries.find_site)

    async def followers(
        self, author: str, *, tags: Sequence[str] = (), after: str = "", limit: int = 5000
    ) -> list[str]:
        """Return who follows ``author`` and mutes neither them nor one of ``tags``, by id, above ``after``."""
        return await self._read(lambda conn: sources.followers(conn, author, tags, after, limit))

    async def followers_of(self, authors: Sequence[str]) -> list[str]:
        """Return everybody who follows one of ``authors``, muted or not, sorted, each once."""
        return await self._read(lambda conn: sources.followers_of(conn, authors))

    async def candidates(self, user: str, *, before: OrderKey | None, limit: int, own: bool) -> list[Candidate]:
        """Return the newest published posts for a user's feed, strictly below ``before``, muted ones left out."""
        return await self._read(lambda conn: sources.candidates(conn, user, before, limit, own))

    async def author_posts(self, author: str, *, before: OrderKey | None, limit: int) -> list[Candidate]:
        """Return an author's newest published posts, strictly below ``before``."""
        return await self._read(lambda conn: sources.author_posts(conn, author, before, limit))

    async def post_ids(self, author: str, *, after: str = "", limit: int = 1000, hidden: bool = False) -> list[str]:
        """Return the ids of an author's published posts (with ``hidden``: of all), sorted, above ``after``."""
        return await self._read(lambda conn: sources.post_ids(conn, author, after, limit, hidden=hidden))

    async def some_users(self, limit: int) -> list[str]:
        """Return live users who follow most authors that have posts: the ones worth reading in a demo."""
        return await self._read(lambda conn: sources.some_users(conn, limit))

    async def outbox_take(self, limit: int) -> list[OutboxRow]:
        """Return the changes not yet relayed, by row; never those above the last, for commits overtake each other."""
        return await self._read(lambda conn: outbox.take(conn, limit))

    async def outbox_relayed(self, rows: Sequence[int]) -> None:
        """Note that these rows are in the change stream."""
        if rows:
            await self._write(lambda unit: outbox.mark_relayed(unit.conn, rows, unit.now_ms), durable=False)

    async def outbox_live(self, live: Mapping[str, int]) -> None:
        """Note when changes became live, by change id."""
        if live:
            await self._write(lambda unit: outbox.mark_live(unit.conn, live), durable=False)

    async def outbox_prune(self, before_ms: int) -> int:
        """Forget the changes that were live before this; return how many."""
        return await self._write(lambda unit: outbox.prune(unit.conn, before_ms), durable=False)

    async def change(self, change: str) -> ChangeRow | None:
        """Return what the outbox knows of a change."""
        return await self._read(lambda conn: outbox.find(conn, change))

    async def _read(self, query: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._database.read() as conn:
            return await query(conn)

    async def _write(self, work: Callable[[Unit], Awaitable[T]], *, durable: bool = True) -> T:
        async def transaction(conn: AsyncConnection) -> tuple[T, bool]:
            unit = Unit(conn, self.clock())
            result = await work(unit)
            await unit.write_changes()
            return result, bool(unit.changes)

        result, has_changes = await self._database.write(transaction, durable=durable)
        if has_changes:
            self.on_commit()
        return result
