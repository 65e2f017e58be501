"""The first tables.

A revision is frozen: it spells the tables out, for the schema module moves on.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None

ID = sa.String().with_variant(sa.String(collation="C"), "postgresql")

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    """Create everything."""
    _users()
    _follows()
    _posts()
    _reactions()
    _sources()
    _site_and_applied()
    _log()


def _users() -> None:
    op.create_table(
        "users",
        sa.Column("num", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("page_size", sa.Integer(), nullable=False),
        sa.Column("feed_order", sa.Text(), nullable=False),
        sa.Column("feed_visibility", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("profile_version", sa.BigInteger(), nullable=False),
        sa.Column("follows_version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("num", name=op.f("pk_users")),
        sa.UniqueConstraint("id", name=op.f("uq_users_id")),
    )
    op.create_table(
        "tags",
        sa.Column("num", NUMBER, autoincrement=True, nullable=False),
        sa.Column("tag", ID, nullable=False),
        sa.PrimaryKeyConstraint("num", name=op.f("pk_tags")),
        sa.UniqueConstraint("tag", name=op.f("uq_tags_tag")),
    )
    op.create_table(
        "mutes",
        sa.Column("user", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", ID, nullable=False),
        sa.PrimaryKeyConstraint("user", "kind", "value", name=op.f("pk_mutes")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_mutes_value_kind", "mutes", ["value", "kind"])


def _follows() -> None:
    op.create_table(
        "follows",
        sa.Column("user", ID, nullable=False),
        sa.Column("author", ID, nullable=False),
        sa.PrimaryKeyConstraint("user", "author", name=op.f("pk_follows")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_follows_author_user", "follows", ["author", "user"])
    op.create_table(
        "tag_follows",
        sa.Column("user", ID, nullable=False),
        sa.Column("tag", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user", "tag", name=op.f("pk_tag_follows")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tag_follows_tag_user", "tag_follows", ["tag", "user"])
    op.create_table(
        "blocks",
        sa.Column("user", ID, nullable=False),
        sa.Column("blocked", ID, nullable=False),
        sa.PrimaryKeyConstraint("user", "blocked", name=op.f("pk_blocks")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_blocks_blocked_user", "blocks", ["blocked", "user"])


def _posts() -> None:
    op.create_table(
        "posts",
        sa.Column("num", NUMBER, autoincrement=True, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("author", ID, nullable=False),
        sa.Column("author_num", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("published_ms", sa.BigInteger(), nullable=False),
        sa.Column("edited_ms", sa.BigInteger(), nullable=False),
        sa.Column("likes", sa.BigInteger(), nullable=False),
        sa.Column("comments", sa.BigInteger(), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("tag_nums", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("num", name=op.f("pk_posts")),
        sa.UniqueConstraint("id", name=op.f("uq_posts_id")),
    )
    newest = ["author_num", "state", "published_ms", "id"]
    op.create_index("ix_posts_author_newest", "posts", newest, postgresql_include=["num"])
    op.create_index("ix_posts_newest", "posts", ["published_ms", "id"], **_where("state = 'published'"))
    op.create_index(
        "ix_posts_due",
        "posts",
        ["published_ms"],
        **_where("state = 'scheduled'"),
    )
    op.create_table(
        "post_tags",
        sa.Column("tag", sa.BigInteger(), nullable=False),
        sa.Column("published_ms", sa.BigInteger(), nullable=False),
        sa.Column("post", ID, nullable=False),
        sa.Column("num", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tag", "published_ms", "post", name=op.f("pk_post_tags")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_post_tags_num_tag", "post_tags", ["num", "tag"])


def _reactions() -> None:
    op.create_table(
        "reactions",
        sa.Column("post", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("by", ID, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("undone", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("post", "kind", "by", "id", name=op.f("pk_reactions")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_reactions_by", "reactions", ["by", "made_ms"], **_where("\"by\" != ''"))
    op.create_table(
        "engagement",
        sa.Column("post", NUMBER, autoincrement=False, nullable=False),
        sa.Column("likes", sa.BigInteger(), nullable=False),
        sa.Column("comments", sa.BigInteger(), nullable=False),
        sa.Column("views", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("post", name=op.f("pk_engagement")),
    )
    op.create_table(
        "ranking",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("likes", sa.Float(), nullable=False),
        sa.Column("comments", sa.Float(), nullable=False),
        sa.Column("views", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ranking")),
    )


def _sources() -> None:
    op.create_table(
        "audiences",
        sa.Column("source", NUMBER, autoincrement=False, nullable=False),
        sa.Column("followers", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_audiences")),
    )
    op.create_table(
        "pulled",
        sa.Column("source", NUMBER, autoincrement=False, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_pulled")),
    )
    op.create_table(
        "activity",
        sa.Column("user", ID, nullable=False),
        sa.Column("active_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user", name=op.f("pk_activity")),
        sqlite_with_rowid=False,
    )


def _site_and_applied() -> None:
    op.create_table(
        "site",
        sa.Column("id", ID, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("home_page_url", sa.Text(), nullable=True),
        sa.Column("template_version", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_site")),
    )
    op.create_table(
        "applied",
        sa.Column("subject", ID, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_applied")),
        sqlite_with_rowid=False,
    )


def _log() -> None:
    op.create_table(
        "items",
        sa.Column("account", ID, nullable=False),
        sa.Column("month", ID, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("taps", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "month", name=op.f("pk_items")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "redis_epoch",
        sa.Column("id", ID, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("replayed", sa.BigInteger(), nullable=False),
        sa.Column("log", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redis_epoch")),
    )
    op.create_table(
        "outbox",
        sa.Column("row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_ms", sa.BigInteger(), nullable=False),
        sa.Column("relayed_ms", sa.BigInteger(), nullable=True),
        sa.Column("live_ms", sa.BigInteger(), nullable=True),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("parked_ms", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("row", name=op.f("pk_outbox")),
        sa.UniqueConstraint("id", name=op.f("uq_outbox_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_outbox_live",
        "outbox",
        ["live_ms"],
        **_where("live_ms IS NOT NULL"),
    )
    op.create_index(
        "ix_outbox_parked",
        "outbox",
        ["parked_ms"],
        **_where("parked_ms IS NOT NULL"),
    )
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["row"],
        **_where("relayed_ms IS NULL"),
    )
    op.create_table(
        "idempotency",
        sa.Column("key", ID, nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("outcomes", sa.LargeBinary(), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_made_ms", "idempotency", ["made_ms"])
