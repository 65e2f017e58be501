"""The tables of the system of record.

| table | holds |
| --- | --- |
| users | profile, settings and the versions of a user; a deleted one keeps number, id and versions |
| tags | the number of each tag that was ever on a post, followed or muted |
| mutes | the authors and tags that a user does not want to see |
| follows | who follows whom; both are live users |
| tag_follows | who follows which tag |
| blocks | who blocks whom; it outlives the blocked, so that nobody returns by deleting themselves |
| posts | posts in any state; a deleted one keeps number, id, author, published time and version |
| post_tags | an index of *published* posts by tag; the order in which tags are shown is in ``posts.tags`` |
| reactions | which reactions were counted, so that none is twice; an undone one stays |
| engagement | reactions to a post that its row does not show yet |
| audiences | how many follow a source |
| pulled | sources that are pulled, or were; one that is pushed again keeps its version |
| activity | when a user was last active |
| ranking | one row: the ranking epoch |
| site | one row |
| applied | the source's own version last applied to each subject, there or not: the tombstones of out-of-order events |
| items | how many items an AWS account was billed for in a month, first ones and second taps |
| redis_epoch | one row: the epoch of Redis, and up to where log numbers are reserved |
| outbox | the changes |
| idempotency | outcomes of keyed requests, for 24 hours |

Ids compare by bytes everywhere, as Python compares them. Times are Unix milliseconds. A *source number* is a user's
number, or a tag's with the bit ``model.TAG``. No row with a number is ever removed, so no number is given twice.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
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


Number = BigInteger().with_variant(Integer, "sqlite")
"""A number that a row may be found by: in SQLite the row's own."""


def _id(name: str, **more: Any) -> Column[str]:
    return Column(name, Id, nullable=False, **more)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _key(name: str, *, given: bool) -> Column[int]:
    """Return a primary key that the database numbers, unless it is ``given``."""
    return Column(name, Number, primary_key=True, autoincrement=not given)


users = Table(
    "users",
    metadata,
    _key("num", given=False),
    _id("id", unique=True),
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

tags = Table("tags", metadata, _key("num", given=False), _id("tag", unique=True))

mutes = Table(
    "mutes",
    metadata,
    _id("user"),
    _text("kind"),  # "author" or "tag"
    _id("value"),
    PrimaryKeyConstraint("user", "kind", "value"),
    Index("ix_mutes_value_kind", "value", "kind"),
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

tag_follows = Table(
    "tag_follows",
    metadata,
    _id("user"),
    _number("tag"),  # its source number
    PrimaryKeyConstraint("user", "tag"),
    Index("ix_tag_follows_tag_user", "tag", "user"),
    sqlite_with_rowid=False,
)

blocks = Table(
    "blocks",
    metadata,
    _id("user"),
    _id("blocked"),
    PrimaryKeyConstraint("user", "blocked"),
    Index("ix_blocks_blocked_user", "blocked", "user"),
    sqlite_with_rowid=False,
)

posts = Table(
    "posts",
    metadata,
    _key("num", given=False),
    _id("id", unique=True),
    _id("author"),
    _number("author_num"),
    _text("state"),
    _number("published_ms"),
    _number("edited_ms"),
    _number("likes"),
    _number("comments"),
    _number("views"),
    _number("version"),
    _text("tags"),  # a JSON list
    _text("tag_nums"),  # a JSON list of their source numbers
    _text("title"),
    Column("url", Text),
    _text("content_type"),
    _text("content"),  # last: what stands behind a long text is read slowly
)

is_published = posts.c.state == literal_column("'published'")
is_scheduled = posts.c.state == literal_column("'scheduled'")
"""Spelt as constants: a planner uses a partial index only where it can read the condition in the query."""

Index(
    "ix_posts_author_newest",
    *(posts.c.author_num, posts.c.state, posts.c.published_ms, posts.c.id),
    postgresql_include=["num"],  # SQLite has it there as it is
)
Index("ix_posts_newest", posts.c.published_ms, posts.c.id, sqlite_where=is_published, postgresql_where=is_published)
Index("ix_posts_due", posts.c.published_ms, sqlite_where=is_scheduled, postgresql_where=is_scheduled)

post_tags = Table(
    "post_tags",
    metadata,
    _number("tag"),  # its source number
    _number("published_ms"),
    _id("post"),
    _number("num"),
    _number("author"),
    PrimaryKeyConstraint("tag", "published_ms", "post"),
    Index("ix_post_tags_num_tag", "num", "tag"),
    sqlite_with_rowid=False,
)

reactions = Table(
    "reactions",
    metadata,
    _number("post"),
    Column("kind", SmallInteger, nullable=False),  # 0 like, 1 comment, 2 view
    _id("by"),  # "" for nobody known
    _id("id"),  # "" for the only one of its kind
    _number("made_ms"),
    Column("undone", SmallInteger, nullable=False),  # 1: it counts no longer, and never again
    PrimaryKeyConstraint("post", "kind", "by", "id"),
    sqlite_with_rowid=False,
)

is_by_somebody = reactions.c.by != literal_column("''")
Index(
    "ix_reactions_by", reactions.c.by, reactions.c.made_ms, sqlite_where=is_by_somebody, postgresql_where=is_by_somebody
)

engagement = Table(
    "engagement",
    metadata,
    _key("post", given=True),
    _number("likes"),
    _number("comments"),
    _number("views"),
)

audiences = Table("audiences", metadata, _key("source", given=True), _number("followers"))

pulled = Table(
    "pulled",
    metadata,
    _key("source", given=True),
    _text("state"),
    _number("since_ms"),
    _number("version"),
)

activity = Table(
    "activity",
    metadata,
    _id("user", primary_key=True),
    _number("active_ms"),
    sqlite_with_rowid=False,
)

ranking = Table(
    "ranking",
    metadata,
    _id("id", primary_key=True),  # "ranking"
    _number("number"),
    Column("likes", Float, nullable=False),
    Column("comments", Float, nullable=False),
    Column("views", Float, nullable=False),
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

items = Table(
    "items",
    metadata,
    _id("account"),
    _id("month"),  # "2026-11", UTC
    _number("first"),
    _number("taps"),
    _number("since_ms"),  # when the first of them was counted
    PrimaryKeyConstraint("account", "month"),
    sqlite_with_rowid=False,
)

redis_epoch = Table(
    "redis_epoch",
    metadata,
    _id("id", primary_key=True),  # "redis"
    _number("number"),
    _text("token"),
    _number("replayed"),
    _number("log"),
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
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("parked_ms", BigInteger),
    Column("error", Text),
    sqlite_autoincrement=True,  # a pruned row's number is not given again
)

is_waiting = outbox.c.relayed_ms.is_(None)
is_live = outbox.c.live_ms.is_not(None)
was_parked = outbox.c.parked_ms.is_not(None)
Index("ix_outbox_waiting", outbox.c.row, sqlite_where=is_waiting, postgresql_where=is_waiting)
Index("ix_outbox_live", outbox.c.live_ms, sqlite_where=is_live, postgresql_where=is_live)

Index("ix_outbox_parked", outbox.c.parked_ms, sqlite_where=was_parked, postgresql_where=was_parked)

is_parked = was_parked & outbox.c.live_ms.is_(None)
"""One that was relayed twice may be live after all."""

idempotency = Table(
    "idempotency",
    metadata,
    _id("key", primary_key=True),
    _text("digest"),
    Column("outcomes", LargeBinary, nullable=False),
    _number("made_ms"),
    Index("ix_idempotency_made_ms", "made_ms"),
)
