"""What a deleted user takes with them: posts, follows, mutes, blocks."""

from sqlalchemy import delete, update

from feeds.many import among
from feeds.model import User
from feeds.schema import activity, blocks, follows, mutes, post_tags, posts, tag_follows
from feeds.writes import reactions
from feeds.writes.posts import ERASED
from feeds.writes.unit import Unit


async def erase_posts(unit: Unit, author: User) -> list[str]:
    """Make tombstones of a user's posts; return the ids of those that were none."""
    erase = update(posts).where(posts.c.author_num == author.num, posts.c.state != "deleted")
    erase = erase.values(**ERASED, edited_ms=posts.c.published_ms, version=posts.c.version + 1)
    erased = (await unit.conn.execute(erase.returning(posts.c.id, posts.c.num))).all()
    nums = [row.num for row in erased]
    await reactions.erase(unit, nums)
    await unit.conn.execute(delete(post_tags).where(among(unit.conn, post_tags.c.num, nums)))
    return sorted(row.id for row in erased)


async def erase_ties(unit: Unit, user: User) -> list[str]:
    """End all that ties a user to others; return whose sources are others by that, sorted.

    Blocks of the user by others stay, so that nobody comes around one by returning.
    """
    gone = delete(follows).where(follows.c.author == user.id).returning(follows.c.user)
    followers = (await unit.conn.execute(gone)).scalars().all()
    unit.authors[user.id] -= len(followers)
    await _leave(unit, user)
    blocked = delete(blocks).where(blocks.c.user == user.id).returning(blocks.c.blocked)
    freed = (await unit.conn.execute(blocked)).scalars().all()
    for table in (mutes, activity):
        await unit.conn.execute(delete(table).where(table.c.user == user.id))
    return sorted({*followers, *freed})


async def _leave(unit: Unit, user: User) -> None:
    followed = delete(follows).where(follows.c.user == user.id).returning(follows.c.author)
    unit.authors.subtract((await unit.conn.execute(followed)).scalars().all())
    tagged = delete(tag_follows).where(tag_follows.c.user == user.id).returning(tag_follows.c.tag)
    unit.tags.subtract((await unit.conn.execute(tagged)).scalars().all())
