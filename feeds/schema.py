"""The tables of the system of record.

| table | holds |
| --- | --- |
| users | profile, settings and the versions of a user; a deleted one keeps id and versions |
| mutes | the authors and tags that a user does not want to see |
| follows | who follows whom; both are live users |
| blocks | who blocks whom; it outlives the blocked, so that nobody returns by deleting themselves |
| posts | posts in any state; a deleted one keeps id, author, published time and version |
| post_tags | an index of posts by tag; the order in which tags are shown is in ``posts.tags`` |
| site | one row |
| applied | the source's own version last applied to each subject, there or not: the tombstones of out-of-order events |
| outbox | the changes |
| idempotency | outcomes of keyed requests, for 24 hours |

Ids compare by bytes everywhere, as Python compares them. Times are Unix milliseconds.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    literal_column,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

Id = String().with_variant(String(collation="C"), "postgresql")
"""An id, in byte order: PostgreSQL's default collation orders by language."""


def _id(name: str, **more: Any) -> Column[str]:
    return Column(name, Id, nullable=False, **more)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


users = Table(
    "users",
    metadata,
    _id("id", primary_key=True),
    _text("state"),
    _text("name"),
    _text("about"),
    _text("language"),
    Column("page_size", Integer, nullable=False),
    _text("feed_order"),
    _text("feed_visibility"),
    _number("version"),
    _number("profile_version"),
    _number("follows_version"),
)

mutes = Table(
    "mutes",
    metadata,
    _id("user"),
    _text("kind"),  # "author" or "tag"
    _id("value"),
    PrimaryKeyConstraint("user", "kind", "value"),
    sqlite_with_rowid=False,
)

follows = Table(
    "follows",
    metadata,
    _id("user"),
    _id("author"),
    PrimaryKeyConstraint("user", "author"),
    Index("ix_follows_author_user", "author", "user"),
    sqlite_with_rowid=False,
)

blocks = Table(
    "blocks",
    metadata,
    _id("user"),
    _id("blocked"),
    PrimaryKeyConstraint("user", "blocked"),
    sqlite_with_rowid=False,
)

posts = Table(
    "posts",
    metadata,
    _id("id", primary_key=True),
    _id("author"),
    _text("state"),
    _text("title"),
    Column("url", Text),
    _text("content"),
    _text("content_type"),
    _text("tags"),  # a JSON list
    _number("published_ms"),
    _number("edited_ms"),
    _number("likes"),
    _number("comments"),
    _number("views"),
    _number("version"),
)

is_published = posts.c.state == literal_column("'published'")
is_scheduled = posts.c.state == literal_column("'scheduled'")
"""Spelt as constants: a planner uses a partial index only where it can read the condition in the query."""

Index("ix_posts_author_newest", posts.c.author, posts.c.state, posts.c.published_ms, posts.c.id)
Index("ix_posts_due", posts.c.published_ms, sqlite_where=is_scheduled, postgresql_where=is_scheduled)

post_tags = Table(
    "post_tags",
    metadata,
    _id("post"),
    _id("tag"),
    PrimaryKeyConstraint("post", "tag"),
    Index("ix_post_tags_tag", "tag", "post"),
    sqlite_with_rowid=False,
)

site = Table(
    "site",
    metadata,
    _id("id", primary_key=True),  # "site"
    _text("title"),
    _text("language"),
    Column("home_page_url", Text),
    _text("template_version"),
    _number("version"),
)

applied = Table(
    "applied",
    metadata,
    _id("subject", primary_key=True),
    _number("version"),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    Column("row", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _id("id", unique=True),
    _text("kind"),
    _text("subject"),
    Column("body", LargeBinary, nullable=False),
    _number("accepted_ms"),
    Column("relayed_ms", BigInteger),
    Column("live_ms", BigInteger),
    sqlite_autoincrement=True,  # a pruned row's number is not given again
)

is_waiting = outbox.c.relayed_ms.is_(None)
is_live = outbox.c.live_ms.is_not(None)
Index("ix_outbox_waiting", outbox.c.row, sqlite_where=is_waiting, postgresql_where=is_waiting)
Index("ix_outbox_live", outbox.c.live_ms, sqlite_where=is_live, postgresql_where=is_live)

idempotency = Table(
    "idempotency",
    metadata,
    _id("key", primary_key=True),
    _text("digest"),
    Column("outcomes", LargeBinary, nullable=False),
    _number("made_ms"),
    Index("ix_idempotency_made_ms", "made_ms"),
)
