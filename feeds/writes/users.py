"""Writes to users: profile, settings, deletion."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update

from feeds.change import FollowsChanged, ProfileChanged, SettingsChanged, UserCreated, UserDeleted
from feeds.command import DeleteUser, PutSettings, PutUser, RenameUser
from feeds.errors import NotFound
from feeds.many import among
from feeds.model import Settings, User, UserState
from feeds.queries import find_users
from feeds.schema import mutes, users
from feeds.sources import find_sources
from feeds.writes import reactions
from feeds.writes.erasure import erase_posts, erase_ties
from feeds.writes.live import live_user
from feeds.writes.outcome import Outcome
from feeds.writes.tags import numbers_of
from feeds.writes.unit import Unit

DEFAULTS = Settings()


def setting_columns(settings: Settings) -> dict[str, Any]:
    """Return the settings that are columns of ``users``; what is muted has a table of its own."""
    return {
        "language": settings.language,
        "page_size": settings.page_size,
        "feed_order": settings.order,
        "feed_visibility": settings.feed_visibility,
    }


def new_user(user: str, name: str, about: str) -> dict[str, Any]:
    """Return the row of a user who was never there."""
    profile = {"id": user, "state": UserState.LIVE.value, "name": name, "about": about}
    return profile | setting_columns(DEFAULTS) | {"version": 1, "profile_version": 1, "follows_version": 1}


async def put_user(unit: Unit, command: PutUser) -> Outcome:
    """Create a user, also one who was deleted, or replace their profile."""
    before = (await find_users(unit.conn, [command.user])).get(command.user)
    if before is None:
        await unit.conn.execute(insert(users), [new_user(command.user, command.name, command.about)])
        await remember_mutes(unit, [command.user])
        return Outcome("accepted", unit.note(UserCreated(command.user)), command.user, 1)
    if before.state is UserState.DELETED:
        version = await _write(unit, command.user, state="live", name=command.name, about=command.about)
        return Outcome("accepted", unit.note(UserCreated(command.user)), command.user, version)
    return await _put_profile(unit, before, command.name, command.about)


async def rename_user(unit: Unit, command: RenameUser) -> Outcome:
    """Change a live user's name."""
    before = await live_user(unit, command.user, "user")
    return await _put_profile(unit, before, command.name, before.about)


async def put_settings(unit: Unit, command: PutSettings) -> Outcome:
    """Replace a live user's settings; what is muted is kept sorted, each once."""
    before = await live_user(unit, command.user, "user")
    wanted = Settings(
        language=command.language,
        muted_authors=tuple(sorted(set(command.muted_authors))),
        muted_tags=tuple(sorted(set(command.muted_tags))),
        page_size=command.page_size,
        order=command.order,
        feed_visibility=command.feed_visibility,
    )
    if wanted == before.settings:
        return Outcome("unchanged", None, before.id, before.version)
    left = await _newly_muted(unit, before, wanted)
    await _replace_mutes(unit, before.id, wanted)
    version = await _write(unit, before.id, profile=False, **setting_columns(wanted))
    privacy = wanted.feed_visibility != before.settings.feed_visibility
    return Outcome("accepted", unit.note(SettingsChanged(before.id, privacy, left)), before.id, version)


async def delete_user(unit: Unit, command: DeleteUser) -> Outcome:
    """Erase a user and all that is theirs; the ids and versions stay, so that no copy comes back."""
    user = command.user
    before = (await find_users(unit.conn, [user])).get(user)
    if before is None and command.version is None:
        raise NotFound("user", user, "there is no such user")
    if before is None or before.state is UserState.DELETED:
        return Outcome("unchanged", None, user, before.version if before else 0)
    erased = await erase_posts(unit, before)
    others = await erase_ties(unit, before)
    await reactions.take_back(unit, user)
    await bump_follows(unit, [user, *others])
    version = await _write(unit, user, state="deleted", name="", about="", **setting_columns(DEFAULTS))
    return Outcome("accepted", unit.note(UserDeleted(user, tuple(erased), tuple(others))), user, version)


async def remember_mutes(unit: Unit, created: Sequence[str]) -> None:
    """Let those who muted an id before there was a user of it know its number."""
    query = select(mutes.c.user).where(mutes.c.kind == "author", among(unit.conn, mutes.c.value, created))
    muters = sorted(set((await unit.conn.execute(query)).scalars()))
    if muters:
        await bump_follows(unit, muters)
        unit.note(FollowsChanged(tuple(muters)))


async def bump_follows(unit: Unit, ids: Sequence[str]) -> None:
    """Raise the version of these users' follows."""
    statement = update(users).where(among(unit.conn, users.c.id, ids))
    await unit.conn.execute(statement.values(follows_version=users.c.follows_version + 1))


async def _put_profile(unit: Unit, before: User, name: str, about: str) -> Outcome:
    if (name, about) == (before.name, before.about):
        return Outcome("unchanged", None, before.id, before.version)
    version = await _write(unit, before.id, name=name, about=about)
    return Outcome("accepted", unit.note(ProfileChanged(before.id)), before.id, version)


async def _write(unit: Unit, user: str, *, profile: bool = True, **values: Any) -> int:
    if profile:
        values["profile_version"] = users.c.profile_version + 1
    statement = update(users).where(users.c.id == user).values(version=users.c.version + 1, **values)
    version: int = (await unit.conn.execute(statement.returning(users.c.version))).scalar_one()
    return version


async def _newly_muted(unit: Unit, before: User, wanted: Settings) -> tuple[int, ...]:
    """Return the numbers of the sources that a user follows and did not mute until now; muted tags are numbered."""
    if not wanted.muted_authors and not wanted.muted_tags:
        return ()
    drawn = (await find_sources(unit.conn, [before.id]))[before.id]
    authors = select(users.c.num).where(among(unit.conn, users.c.id, wanted.muted_authors))
    muted = {*(await unit.conn.execute(authors)).scalars(), *(await numbers_of(unit, wanted.muted_tags)).values()}
    followed = {*drawn.authors, *drawn.tags} - {*drawn.muted_authors, *drawn.muted_tags}
    return tuple(sorted(followed & muted))


async def _replace_mutes(unit: Unit, user: str, settings: Settings) -> None:
    await unit.conn.execute(delete(mutes).where(mutes.c.user == user))
    rows = [{"user": user, "kind": "author", "value": author} for author in settings.muted_authors]
    rows += [{"user": user, "kind": "tag", "value": tag} for tag in settings.muted_tags]
    if rows:
        await unit.conn.execute(insert(mutes), rows)
