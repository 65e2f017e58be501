"""Writes to who follows and who blocks whom."""

from collections.abc import Sequence

from sqlalchemy import and_, delete, insert, or_, select

from feeds.change import FollowsChanged
from feeds.command import Block, Follow, Unblock, Unfollow
from feeds.errors import Conflict, NotFound, Refused
from feeds.queries import find_users
from feeds.schema import blocks, follows, users
from feeds.writes.live import live_user
from feeds.writes.outcome import Outcome
from feeds.writes.unit import Unit
from feeds.writes.users import bump_follows


async def follow(unit: Unit, command: Follow) -> Outcome:
    """Let one live user follow another, where neither blocks the other."""
    user, author = command.user, command.author
    if user == author:
        raise Refused("author", author, "a user does not follow themselves; their own posts are a setting")
    await live_user(unit, user, "user")
    await live_user(unit, author, "author")
    if await is_following(unit, user, author):
        return await _unchanged(unit, user)
    await _refuse_blocked(unit, user, author)
    await unit.conn.execute(insert(follows), [{"user": user, "author": author}])
    unit.authors[author] += 1
    return await _follows_changed(unit, user, [user])


async def unfollow(unit: Unit, command: Unfollow) -> Outcome:
    """End a follow. With a version it may be unknown: the version is kept, and a late follow is ignored."""
    if command.version is None:
        await _refuse_unknown(unit, {"user": command.user, "author": command.author})
    left = await _remove(unit, command.user, command.author)
    if not left:
        return await _unchanged(unit, command.user)
    return await _follows_changed(unit, command.user, [command.user], left)


async def block(unit: Unit, command: Block) -> Outcome:
    """End the follows between two users, both ways, and let none begin; neither sees the other by a tag."""
    user, blocked = command.user, command.blocked
    if user == blocked:
        raise Refused("blocked", blocked, "a user does not block themselves")
    await live_user(unit, user, "user")
    await live_user(unit, blocked, "blocked")
    if await _is_blocking(unit, user, blocked):
        return await _unchanged(unit, user)
    await unit.conn.execute(insert(blocks), [{"user": user, "blocked": blocked}])
    left = await _remove(unit, user, blocked) + await _remove(unit, blocked, user)
    return await _follows_changed(unit, user, [user, blocked], left)


async def unblock(unit: Unit, command: Unblock) -> Outcome:
    """Let follows begin again; those that the block ended stay ended."""
    if command.version is None:
        await _refuse_unknown(unit, {"user": command.user, "blocked": command.blocked})
    pair = and_(blocks.c.user == command.user, blocks.c.blocked == command.blocked)
    if not (await unit.conn.execute(delete(blocks).where(pair))).rowcount:
        return await _unchanged(unit, command.user)
    return await _follows_changed(unit, command.user, [command.user, command.blocked])


async def follows_version(unit: Unit, user: str) -> int:
    """Return the version of a user's follows, 0 for an unknown one."""
    return await unit.conn.scalar(select(users.c.follows_version).where(users.c.id == user)) or 0


async def is_following(unit: Unit, user: str, author: str) -> bool:
    """Tell whether one user follows another."""
    query = select(follows.c.user).where(follows.c.user == user, follows.c.author == author)
    return await unit.conn.scalar(query) is not None


def blocked_reason(user: str, author: str) -> str:
    """Return why two users cannot follow each other; not which of them blocks the other, for that is theirs."""
    return f"{user!r} and {author!r} cannot follow each other: one blocks the other"


async def _is_blocking(unit: Unit, user: str, blocked: str) -> bool:
    query = select(blocks.c.user).where(blocks.c.user == user, blocks.c.blocked == blocked)
    return await unit.conn.scalar(query) is not None


async def _refuse_blocked(unit: Unit, user: str, author: str) -> None:
    either_way = or_(
        and_(blocks.c.user == user, blocks.c.blocked == author), and_(blocks.c.user == author, blocks.c.blocked == user)
    )
    if await unit.conn.scalar(select(blocks.c.user).where(either_way).limit(1)) is not None:
        raise Conflict("author", author, blocked_reason(user, author))


async def _refuse_unknown(unit: Unit, named: dict[str, str]) -> None:
    found = await find_users(unit.conn, list(named.values()))
    for field, user in named.items():
        if user not in found:
            raise NotFound(field, user, "there is no such user")


async def _remove(unit: Unit, user: str, author: str) -> list[int]:
    """End a follow; return the number of the source that is left, if it was one."""
    pair = and_(follows.c.user == user, follows.c.author == author)
    if not (await unit.conn.execute(delete(follows).where(pair))).rowcount:
        return []
    unit.authors[author] -= 1
    return [(await unit.conn.execute(select(users.c.num).where(users.c.id == author))).scalar_one()]


async def _unchanged(unit: Unit, user: str) -> Outcome:
    return Outcome("unchanged", None, user, await follows_version(unit, user))


async def _follows_changed(unit: Unit, user: str, changed: list[str], left: Sequence[int] = ()) -> Outcome:
    await bump_follows(unit, changed)
    change = unit.note(FollowsChanged(tuple(sorted(changed)), tuple(left)))
    return Outcome("accepted", change, user, await follows_version(unit, user))
