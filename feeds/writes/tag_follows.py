"""Writes to who follows which tag."""

from sqlalchemy import delete, insert, select

from feeds.change import FollowsChanged
from feeds.command import FollowTag, UnfollowTag
from feeds.errors import NotFound
from feeds.queries import find_users
from feeds.schema import tag_follows
from feeds.writes.follows import follows_version
from feeds.writes.live import live_user
from feeds.writes.outcome import Outcome
from feeds.writes.tags import known_numbers, numbers_of
from feeds.writes.unit import Unit
from feeds.writes.users import bump_follows


async def follow_tag(unit: Unit, command: FollowTag) -> Outcome:
    """Let a live user follow a tag, used or not."""
    user = command.user
    await live_user(unit, user, "user")
    source = (await numbers_of(unit, [command.tag]))[command.tag]
    query = select(tag_follows.c.user).where(tag_follows.c.user == user, tag_follows.c.tag == source)
    if await unit.conn.scalar(query) is not None:
        return Outcome("unchanged", None, user, await follows_version(unit, user))
    await unit.conn.execute(insert(tag_follows), [{"user": user, "tag": source}])
    unit.tags[source] += 1
    return await _changed(unit, FollowsChanged((user,)))


async def unfollow_tag(unit: Unit, command: UnfollowTag) -> Outcome:
    """End a follow of a tag. With a version it may be unknown: the version is kept, and a late follow is ignored."""
    user = command.user
    if command.version is None and not await find_users(unit.conn, [user]):
        raise NotFound("user", user, "there is no such user")
    source = (await known_numbers(unit, [command.tag])).get(command.tag)
    ended = delete(tag_follows).where(tag_follows.c.user == user, tag_follows.c.tag == source)
    if source is None or not (await unit.conn.execute(ended)).rowcount:
        return Outcome("unchanged", None, user, await follows_version(unit, user))
    unit.tags[source] -= 1
    return await _changed(unit, FollowsChanged((user,), (source,)))


async def _changed(unit: Unit, change: FollowsChanged) -> Outcome:
    (user,) = change.users
    await bump_follows(unit, [user])
    return Outcome("accepted", unit.note(change), user, await follows_version(unit, user))
