"""The system of record: SQLite in a file, or PostgreSQL by its URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from feeds.command import Command, CreatePost, Follow, PutUser
from feeds.model import Candidate, Follows, OrderKey, Post, Site, User
from feeds.outbox import ChangeRow, OutboxRow
from feeds.writes.outcome import IdempotencyKey, ImportOutcome, Outcome

__all__ = ["ChangeRow", "IdempotencyKey", "ImportOutcome", "Outcome", "OutboxRow", "Record"]


class Record:
    """The truth. Each write is one transaction with the outbox rows of its changes."""

    on_commit: Callable[[], None]
    """Called after each commit that added to the outbox, to wake the relay."""

    clock: Callable[[], int]
    """Returns the time in Unix milliseconds."""

    @classmethod
    async def open(cls, url: str, *, migrate: bool = True, patience: float = 10.0) -> Record:
        """Open the record, and bring its tables up to date unless ``migrate`` is false."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go of all connections."""
        raise NotImplementedError

    async def apply(self, commands: Sequence[Command], *, key: IdempotencyKey | None = None) -> list[Outcome]:
        """Do all commands in one transaction, or, where one is Refused (its ``index`` says which), none."""
        raise NotImplementedError

    async def import_users(self, rows: Sequence[PutUser]) -> ImportOutcome:
        """Put a chunk of users, about 5,000 at most, under one change."""
        raise NotImplementedError

    async def import_posts(self, rows: Sequence[CreatePost]) -> ImportOutcome:
        """Create or replace a chunk of posts, about 5,000 at most, under one change."""
        raise NotImplementedError

    async def import_follows(self, rows: Sequence[Follow]) -> ImportOutcome:
        """Add a chunk of follows, about 5,000 at most, under one change."""
        raise NotImplementedError

    async def publish_due(self, now_ms: int, limit: int) -> tuple[int, int | None]:
        """Publish scheduled posts whose time has come; return how many, and when the next one is due."""
        raise NotImplementedError

    async def user(self, user: str) -> User | None:
        """Return a user, also a deleted one."""
        raise NotImplementedError

    async def users(self, ids: Sequence[str]) -> dict[str, User]:
        """Return those of the users that exist or did."""
        raise NotImplementedError

    async def follows(self, user: str) -> Follows:
        """Return whom a user follows; nobody, at version 0, for an unknown one."""
        raise NotImplementedError

    async def post(self, post: str) -> Post | None:
        """Return a post in any state, also a tombstone."""
        raise NotImplementedError

    async def posts(self, ids: Sequence[str]) -> dict[str, Post]:
        """Return those of the posts that exist or did."""
        raise NotImplementedError

    async def site(self) -> Site:
        """Return the site, or its defaults at version 0."""
        raise NotImplementedError

    async def followers(
        self, author: str, *, tags: Sequence[str] = (), after: str = "", limit: int = 5000
    ) -> list[str]:
        """Return who follows ``author`` and mutes neither them nor one of ``tags``, by id, above ``after``."""
        raise NotImplementedError

    async def candidates(self, user: str, *, before: OrderKey | None, limit: int, own: bool) -> list[Candidate]:
        """Return the newest published posts for a user's feed, strictly below ``before``, muted ones left out."""
        raise NotImplementedError

    async def author_posts(self, author: str, *, before: OrderKey | None, limit: int) -> list[Candidate]:
        """Return an author's newest published posts, strictly below ``before``."""
        raise NotImplementedError

    async def post_ids(self, author: str, *, after: str = "", limit: int = 1000) -> list[str]:
        """Return the ids of an author's published posts, sorted, above ``after``."""
        raise NotImplementedError

    async def some_users(self, limit: int) -> list[str]:
        """Return live users who follow most authors that have posts: the ones worth reading in a demo."""
        raise NotImplementedError

    async def outbox_take(self, limit: int) -> list[OutboxRow]:
        """Return the changes not yet relayed, by row; never those above the last, for commits overtake each other."""
        raise NotImplementedError

    async def outbox_relayed(self, rows: Sequence[int]) -> None:
        """Note that these rows are in the change stream."""
        raise NotImplementedError

    async def outbox_live(self, live: Mapping[str, int]) -> None:
        """Note when changes became live, by change id."""
        raise NotImplementedError

    async def outbox_prune(self, before_ms: int) -> int:
        """Forget the changes that were live before this; return how many."""
        raise NotImplementedError

    async def change(self, change: str) -> ChangeRow | None:
        """Return what the outbox knows of a change."""
        raise NotImplementedError
