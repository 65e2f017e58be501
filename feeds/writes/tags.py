"""The numbers of tags, and the index of published posts by tag."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from feeds.database import is_postgresql
from feeds.many import among
from feeds.model import TAG, Post, PostState
from feeds.schema import post_tags, posts, tags
from feeds.writes.unit import Unit


async def known_numbers(unit: Unit, names: Iterable[str]) -> dict[str, int]:
    """Return the source numbers of those tags that have one."""
    wanted = sorted(set(names))
    if not wanted:
        return {}
    query = select(tags.c.tag, tags.c.num).where(among(unit.conn, tags.c.tag, wanted))
    return {row.tag: TAG | row.num for row in await unit.conn.execute(query)}


async def numbers_of(unit: Unit, names: Iterable[str]) -> dict[str, int]:
    """Return the source numbers of tags; one that nobody used before is given one."""
    wanted = set(names)
    known = await known_numbers(unit, wanted)
    if missing := sorted(wanted - known.keys()):
        make = postgresql.insert if is_postgresql(unit.conn) else sqlite.insert
        statement = make(tags).on_conflict_do_nothing(index_elements=["tag"])  # another transaction was faster
        await unit.conn.execute(statement, [{"tag": tag} for tag in missing])
        known |= await known_numbers(unit, missing)
    return known


async def index_posts(unit: Unit, befores: Mapping[str, Post], afters: Sequence[Post]) -> None:
    """Bring the index up to date with posts that were just written, whose ``tag_nums`` are right."""
    moved = [post for post in afters if _place(befores.get(post.id)) != _place(post)]
    stale = [{"one": befores[post.id].num} for post in moved if _place(befores.get(post.id))]
    if stale:
        await unit.conn.execute(delete(post_tags).where(post_tags.c.num == bindparam("one")), stale)
    placed = [post for post in moved if _place(post)]
    if not placed:
        return
    query = select(posts.c.id, posts.c.num).where(among(unit.conn, posts.c.id, [post.id for post in placed]))
    nums = {row.id: row.num for row in await unit.conn.execute(query)}
    rows = [
        {
            "tag": tag,
            "published_ms": post.published_ms,
            "post": post.id,
            "num": nums[post.id],
            "author": post.author_num,
        }
        for post in placed
        for tag in post.tag_nums
    ]
    await unit.conn.execute(insert(post_tags), rows)


def _place(post: Post | None) -> tuple[int, frozenset[str]] | None:
    """Return what the index says of a post; None where it has nothing to say."""
    if post is None or post.state is not PostState.PUBLISHED or not post.tags:
        return None
    return post.published_ms, frozenset(post.tags)
