"""The system of record: SQLite in a file, or PostgreSQL by its URL."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from feeds import engagement, items, outbox, parked, people, proposals, pulled, queries, redis_epoch, sources, trace
from feeds.command import Command, CreatePost, Follow, FollowTag, PutUser
from feeds.database import Database, connect
from feeds.items import Items
from feeds.migrations import check, migrate_tables
from feeds.model import Entry, Epoch, Follows, OrderKey, Post, Pulled, Site, Sources, User
from feeds.outbox import ChangeRow, OutboxRow, ParkedRow
from feeds.redis_epoch import RedisEpoch
from feeds.writes import activity, audiences, crossings, dispatch, due, idempotency, imports, ranking
from feeds.writes.outcome import IdempotencyKey, ImportOutcome, Outcome
from feeds.writes.unit import Limits, Unit

__all__ = ["ChangeRow", "IdempotencyKey", "ImportOutcome", "OutboxRow", "Outcome", "ParkedRow", "Record"]

T = TypeVar("T")


def _nothing() -> None:
    """Nobody waits for a commit."""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class Record:
    """The truth. Each write is one transaction with the outbox rows of its changes."""

    def __init__(self, database: Database, *, pull_followers: int = 100_000, rescore: float = 0.1) -> None:
        self.on_commit: Callable[[], None] = _nothing
        """Called after each commit that added to the outbox, to wake the relay."""
        self.clock: Callable[[], int] = _now_ms
        """Returns the time in Unix milliseconds."""
        self._database = database
        self._limits = Limits(pull_followers, rescore)
        self._reconciled = False

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        migrate: bool = True,
        patience: float = 10.0,
        pull_followers: int = 100_000,
        rescore: float = 0.1,
    ) -> Record:
        """Open the record, and bring its tables up to date unless ``migrate`` is false.

        ``patience`` is how many seconds a write waits for its turn. A source with ``pull_followers`` or more is pulled.
        A post is scored anew when one of its counts (plus one) moved by the share ``rescore``. Raises RecordUnavailable
        where the database does not answer or its tables are of another version, ValueError where the URL names no
        database that can be used.
        """
        database = connect(url, patience)
        try:
            await (migrate_tables(database) if migrate else check(database))
        except BaseException:
            await database.close()
            raise
        return cls(database, pull_followers=pull_followers, rescore=rescore)

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

    async def import_tag_follows(self, rows: Sequence[FollowTag]) -> ImportOutcome:
        """Add a chunk of follows of tags, about 5,000 at most, under one change."""
        return await self._write(lambda unit: imports.import_tag_follows(unit, rows))

    async def cross_due(self, now_ms: int, linger_ms: int) -> int:
        """Pull alone the sources that have risen for longer than ``linger_ms``; return how many.

        The first call of a process looks for sources on the wrong side of the line too: the line may have been moved.
        """
        crossed = 0 if self._reconciled else await self._write(crossings.reconcile)
        self._reconciled = True
        found = await self.pulled()
        due = [num for num, source in found.sources.items() if crossings.is_due(source, now_ms - linger_ms)]
        if due:
            crossed += await self._write(lambda unit: crossings.pull(unit, due, now_ms - linger_ms))
        return crossed

    async def settle(self, source: int) -> None:
        """Push a falling source's posts alone; every timeline that draws from it was dropped since it fell."""
        await self._write(lambda unit: crossings.settle(unit, source))

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

    async def post(self, post: str) -> Post | None:
        """Return a post in any state, also a tombstone."""
        return (await self.posts([post])).get(post)

    async def posts(self, ids: Sequence[str]) -> dict[str, Post]:
        """Return those of the posts that exist or did."""
        return await self._read(lambda conn: queries.find_posts(conn, ids))

    async def site(self) -> Site:
        """Return the site, or its defaults at version 0."""
        return await self._read(queries.find_site)

    async def posts_by_num(self, nums: Sequence[int]) -> dict[int, Post]:
        """Return those of the posts of these numbers that exist or did."""
        return await self._read(lambda conn: queries.find_posts_by_num(conn, nums))

    async def sources(self, user: str) -> Sources:
        """Return what a user's feed draws from; number 0, version 0 and nothing for an unknown one."""
        return (await self.sources_of([user]))[user]

    async def sources_of(self, users: Sequence[str]) -> dict[str, Sources]:
        """Return what these users' feeds draw from, unknown ones included."""
        return await self._read(lambda conn: sources.find_sources(conn, users))

    async def followers(
        self, source: int, *, after: str = "", limit: int = 5000, active_since_ms: int | None = None
    ) -> list[str]:
        """Return who draws from ``source`` and does not mute it, by id, above ``after``; only the active if asked."""
        return await self._read(lambda conn: sources.followers(conn, source, after, limit, active_since_ms))

    async def followers_among(self, nums: Sequence[int], users: Sequence[str]) -> list[str]:
        """Return those of ``users`` that draw from one of these sources and do not mute it, sorted."""
        return await self._read(lambda conn: sources.followers_among(conn, nums, users))

    async def followers_of_sources(self, nums: Sequence[int]) -> list[str]:
        """Return everybody who follows one of these sources, muted or not, sorted, each once."""
        return await self._read(lambda conn: sources.followers_of_sources(conn, nums))

    async def proposals(
        self, user: str, *, before: OrderKey | None, limit: int, own: bool, without: Collection[int] = ()
    ) -> list[Entry]:
        """Return the newest published posts for a user's feed, strictly below ``before``, each once.

        Those by followed authors, with followed tags and, with ``own``, by the user; none that is muted or by a user
        who blocks this one or is blocked. The sources ``without`` are not drawn from: a post of theirs is there only
        where another source draws it.
        """
        return await self._read(lambda conn: proposals.proposals(conn, user, before, limit, own=own, without=without))

    async def latest(self, source: int, *, before: OrderKey | None, limit: int) -> list[Entry]:
        """Return a source's newest published posts, strictly below ``before``."""
        return await self._read(lambda conn: proposals.latest(conn, source, before, limit))

    async def newest(self, limit: int) -> list[Entry]:
        """Return the newest published posts of all."""
        return await self._read(lambda conn: proposals.newest(conn, limit))

    async def tag_source(self, tag: str) -> int | None:
        """Return a tag's source number, or None where nobody has used it."""
        return await self._read(lambda conn: proposals.tag_source(conn, tag))

    async def entries(self, *, since_ms: int, after: int, limit: int) -> list[Entry]:
        """Return the published posts not older than ``since_ms``, by number, above ``after``."""
        return await self._read(lambda conn: proposals.entries(conn, since_ms, after, limit))

    async def pulled(self) -> Pulled:
        """Return the sources that are pulled, or about to be or not."""
        return await self._read(pulled.find_pulled)

    async def all_users(self, *, after: str = "", limit: int = 5000) -> list[str]:
        """Return live users, by id, above ``after``."""
        return await self._read(lambda conn: people.all_users(conn, after, limit))

    async def active_users(self, *, since_ms: int, after: str = "", limit: int = 5000) -> list[str]:
        """Return the users who were active at ``since_ms`` or later, by id, above ``after``."""
        return await self._read(lambda conn: people.active_users(conn, since_ms, after, limit))

    async def activate(self, users: Sequence[str], now_ms: int) -> None:
        """Note that these users are active, to the hour; unknown and deleted ones are not."""
        if users:
            await self._write(lambda unit: activity.activate(unit, users, now_ms), durable=False)

    async def activate_all(self, now_ms: int) -> int:
        """Note that every live user is active; return how many were not in the last hour."""
        return await self._write(lambda unit: activity.activate_all(unit, now_ms), durable=False)

    async def averages(self, since_ms: int) -> Epoch:
        """Return the mean counts of the published posts not older than ``since_ms``, as epoch 0."""
        return await self._read(lambda conn: engagement.averages(conn, since_ms))

    async def is_older(self, ms: int) -> bool:
        """Tell whether there is a published post from before a moment."""
        return await self._read(lambda conn: engagement.is_older(conn, ms))

    async def epoch(self) -> Epoch:
        """Return the ranking epoch; number 0 before the first recalculation."""
        return await self._read(engagement.find_epoch)

    async def begin_epoch(self, means: Epoch) -> Epoch:
        """Freeze these averages as the next epoch, and return it."""
        return await self._write(lambda unit: ranking.begin_epoch(unit, means))

    async def rerank(self, shards: Sequence[int], users: Sequence[str]) -> str:
        """Say that a recalculation changed the feeds of these users, and of all of these shards; return the change."""
        return await self._write(lambda unit: ranking.rerank(unit, shards, users))

    async def reactions_of(self, users: Sequence[str], *, since_ms: int) -> dict[str, dict[int, int]]:
        """Return how often each of these users liked or commented on whose posts, by the author's number."""
        return await self._read(lambda conn: engagement.reactions_of(conn, users, since_ms))

    async def reacted_since(self, ms: int, *, after: str = "", limit: int = 5000) -> list[str]:
        """Return the users who liked or commented at ``ms`` or later, by id, above ``after``."""
        return await self._read(lambda conn: engagement.reacted_since(conn, ms, after, limit))

    async def post_ids(self, author: str, *, after: str = "", limit: int = 1000, hidden: bool = False) -> list[str]:
        """Return the ids of an author's published posts (with ``hidden``: of all), sorted, above ``after``."""
        return await self._read(lambda conn: sources.post_ids(conn, author, after, limit, hidden=hidden))

    async def some_users(self, limit: int) -> list[str]:
        """Return live users who follow most authors that have posts: the ones worth reading in a demo."""
        return await self._read(lambda conn: people.some_users(conn, limit))

    async def outbox_take(self, limit: int) -> list[OutboxRow]:
        """Return the changes not yet relayed, by row; never those above the last, for commits overtake each other."""
        return await self._read(lambda conn: outbox.take(conn, limit))

    async def outbox_relayed(self, rows: Sequence[int]) -> None:
        """Note that these rows are in the change stream."""
        if rows:
            await self._write(lambda unit: outbox.mark_relayed(unit.conn, rows, unit.now_ms), durable=False)

    async def outbox_live(self, live: Mapping[str, int], epoch: int | None = None) -> set[str]:
        """Note when changes became live, by change id; return those that are in the outbox, and live now.

        ``epoch``: that of Redis under which this was seen; none is live where the outbox was replayed for a later one.
        """
        if not live:
            return set()
        return await self._write(lambda unit: outbox.mark_live(unit.conn, live, epoch), durable=False)

    async def outbox_prune(self, before_ms: int) -> int:
        """Forget the changes that were live before this; return how many."""
        return await self._write(lambda unit: outbox.prune(unit.conn, before_ms), durable=False)

    async def redis_epoch(self) -> RedisEpoch:
        """Return the newest epoch of Redis; number 0 before the first."""
        return await self._read(redis_epoch.find)

    async def next_redis_epoch(self, token: str, known: int) -> RedisEpoch:
        """Return the epoch that is made for a loss, the same for all who name it by this ``token``.

        Its number is above ``known``, which Redis names, and above all that there were.
        """
        return await self._write(lambda unit: redis_epoch.begin(unit, token, known))

    async def reserve_log(self, number: int) -> int:
        """Return up to where log numbers are reserved, well above ``number``."""
        return await self._write(lambda unit: redis_epoch.reserve_log(unit, number))

    async def replay(self, epoch: int, *, margin_ms: int, kept_ms: int | None = None) -> int:
        """Let the relay take again, once an epoch, what Redis may have forgotten; return how many changes that are.

        What is not live, and what became so less than ``margin_ms`` before the newest did, or before ``kept_ms``, the
        moment up to which Redis has everything.
        """
        return await self._write(lambda unit: redis_epoch.replay(unit, epoch, margin_ms, kept_ms))

    async def change(self, change: str) -> ChangeRow | None:
        """Return what the outbox knows of a change."""
        return await self._read(lambda conn: outbox.find(conn, change))

    async def park(self, change: str, tries: int, error: str) -> bool:
        """Park a change that always fails, and cover what it is about.

        Returns False where it is parked already, or live, or there is no such change.
        """
        return await self._write(lambda unit: parked.park(unit, change, tries, error))

    async def parked(self, limit: int = 1000) -> list[ParkedRow]:
        """Return the parked changes, the longest parked first."""
        return await self._read(lambda conn: parked.find(conn, limit))

    async def parked_count(self) -> int:
        """Return how many changes are parked."""
        return await self._read(parked.count)

    async def retry(self, changes: Sequence[str] | None = None) -> list[str]:
        """Let these parked changes, or all, be relayed anew; return those that were parked."""
        retried = await self._write(lambda unit: parked.retry(unit, changes))
        self.on_commit()
        return retried

    async def cover_parked(self) -> bool:
        """Cover with everything, where a parked change waits for that; return whether it was due."""
        return await self._write(parked.cover_everything)

    async def drop_parked(self, change: str) -> bool:
        """Forget a parked change; return whether it was one."""
        return await self._write(lambda unit: parked.drop(unit, change))

    async def items(self, account: str) -> list[Items]:
        """Return how many items were counted for an AWS account, by month."""
        return await self._read(lambda conn: items.find(conn, account))

    async def raise_items(self, account: str, counted: Items) -> None:
        """Raise the count of a month to this one; one that is higher stays."""
        await self._write(lambda unit: items.raise_to(unit, account, counted))

    async def _read(self, query: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with self._database.read() as conn:
            return await query(conn)

    async def _write(self, work: Callable[[Unit], Awaitable[T]], *, durable: bool = True) -> T:
        began = trace.began()

        async def transaction(conn: AsyncConnection) -> tuple[T, list[dict[str, Any]]]:
            unit = Unit(conn, self.clock(), self._limits)
            result = await work(unit)
            await audiences.settle_counts(unit)
            await unit.write_changes()
            return result, unit.changes

        result, changes = await self._database.write(transaction, durable=durable)
        if changes:
            self.on_commit()
        for change in changes:
            trace.step("accept", change["id"], began, kind=change["kind"], subject=change["subject"])
        return result
