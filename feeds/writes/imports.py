"""Chunks of an import: each is one transaction under one change, and a row that is refused does not stop the others.

The rows of a chunk are folded over what is there in memory, by the same decisions as single commands, and written in
bulk. A chunk runs alone (``locks.hold_everything``), so what it read stays true until it writes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import or_, select
from sqlalchemy.dialects import postgresql, sqlite

from feeds.change import Imported
from feeds.command import CreatePost, Follow, FollowTag, PutUser
from feeds.database import is_postgresql
from feeds.errors import Conflict, Gone, NotFound, Refused
from feeds.ids import fresh_id
from feeds.many import among, listed, table_of
from feeds.model import Post, UserState
from feeds.queries import find_posts
from feeds.schema import applied, blocks, follows, tag_follows, users
from feeds.writes import locks, reactions
from feeds.writes.follows import blocked_reason
from feeds.writes.outcome import ImportOutcome
from feeds.writes.posts import COUNTS, change_between, created, raised, write_posts
from feeds.writes.tags import numbers_of
from feeds.writes.unit import Unit
from feeds.writes.users import bump_follows, new_user, remember_mutes

Row = TypeVar("Row", PutUser, CreatePost, Follow, FollowTag)


@dataclass(slots=True)
class _Chunk:
    """What a chunk has come to so far: its refused rows and the source versions that it applies."""

    versions: dict[str, int]
    refused: list[tuple[int, str]] = field(default_factory=list)
    advanced: dict[str, int] = field(default_factory=dict)

    def is_newer(self, subject: str, version: int | None) -> bool:
        """Tell whether a row is above the last one applied to its subject."""
        return version is None or version > self.versions.get(subject, -1)

    def advance(self, subject: str, version: int | None) -> None:
        """Note that a row was applied."""
        if version is not None:
            self.versions[subject] = self.advanced[subject] = version


async def import_users(unit: Unit, rows: Sequence[PutUser]) -> ImportOutcome:
    """Create users or replace their profiles."""
    chunk = await _begin(unit, rows, lambda row: f"user {row.user}")
    found = await _user_rows(unit, [row.user for row in rows])
    changed: dict[str, dict[str, Any]] = {}
    for row in rows:
        subject = f"user {row.user}"
        if not chunk.is_newer(subject, row.version):
            continue
        chunk.advance(subject, row.version)
        before = changed.get(row.user) or found.get(row.user)
        if before is None:
            changed[row.user] = new_user(row.user, row.name, row.about)
        elif (before["state"], before["name"], before["about"]) != (UserState.LIVE, row.name, row.about):
            changed[row.user] = _with_profile(before, row)
    new = [user for user in changed if user not in found]
    await unit.add(users, [changed[user] for user in new])
    await remember_mutes(unit, new)
    await unit.revise(users, [row for user, row in changed.items() if user in found])
    return await _end(unit, chunk, Imported(users=tuple(changed), followers=(), posts=(), authors=()))


async def import_posts(unit: Unit, rows: Sequence[CreatePost]) -> ImportOutcome:
    """Create posts or replace them."""
    rows = [row if row.post else row.model_copy(update={"post": fresh_id("p", unit.now_ms)}) for row in rows]
    chunk = await _begin(unit, rows, lambda row: f"post {row.post}")
    nums, absent = await _authors(unit, {row.author for row in rows})
    befores = await find_posts(unit.conn, [str(row.post) for row in rows])
    afters: dict[str, Post] = {}
    for index, row in enumerate(rows):
        if not chunk.is_newer(f"post {row.post}", row.version):
            continue
        try:
            _refuse_absent(absent, "author", row.author)
            before = afters.get(str(row.post)) or befores.get(str(row.post))
            after = created(row, nums[row.author], before, unit.now_ms, upsert=True)
        except Refused as refused:
            chunk.refused.append((index, str(refused)))
            continue
        chunk.advance(f"post {row.post}", row.version)
        if after != before:
            afters[after.id] = after
    await _forget_replaced(unit, befores, [row for row in rows if row.post in afters])
    return await _write_posts(unit, chunk, befores, afters)


async def import_follows(unit: Unit, rows: Sequence[Follow]) -> ImportOutcome:
    """Add follows."""
    chunk = await _begin(unit, rows, lambda row: f"follow {row.user} {row.author}")
    named = {row.user for row in rows} | {row.author for row in rows}
    absent = await _absent(unit, named)
    blocked = await _blocked_pairs(unit, named)
    wanted: dict[tuple[str, str], None] = {}
    for index, row in enumerate(rows):
        subject = f"follow {row.user} {row.author}" if row.version is not None else ""
        if not chunk.is_newer(subject, row.version):
            continue
        try:
            _refuse_follow(absent, blocked, row)
        except Refused as refused:
            chunk.refused.append((index, str(refused)))
            continue
        chunk.advance(subject, row.version)
        wanted[row.user, row.author] = None
    made = await _insert_follows(unit, list(wanted))
    unit.authors.update(author for _, author in made)
    return await _end_follows(unit, chunk, {user for user, _ in made})


async def import_tag_follows(unit: Unit, rows: Sequence[FollowTag]) -> ImportOutcome:
    """Add follows of tags."""
    chunk = await _begin(unit, rows, lambda row: f"follow {row.user} #{row.tag}")
    absent = await _absent(unit, {row.user for row in rows})
    nums = await numbers_of(unit, {row.tag for row in rows})
    wanted: dict[tuple[str, int], None] = {}
    for index, row in enumerate(rows):
        subject = f"follow {row.user} #{row.tag}"
        if not chunk.is_newer(subject, row.version):
            continue
        try:
            _refuse_absent(absent, "user", row.user)
        except Refused as refused:
            chunk.refused.append((index, str(refused)))
            continue
        chunk.advance(subject, row.version)
        wanted[row.user, nums[row.tag]] = None
    made = await _insert_tag_follows(unit, list(wanted))
    unit.tags.update(source for _, source in made)
    return await _end_follows(unit, chunk, {user for user, _ in made})


async def _begin(unit: Unit, rows: Sequence[Row], subject: Callable[[Row], str]) -> _Chunk:
    await locks.hold_everything(unit.conn)
    subjects = [subject(row) for row in rows if row.version is not None]
    if not subjects:
        return _Chunk({})
    query = select(applied.c.subject, applied.c.version).where(among(unit.conn, applied.c.subject, subjects))
    return _Chunk({row.subject: row.version for row in await unit.conn.execute(query)})


async def _end(unit: Unit, chunk: _Chunk, imported: Imported) -> ImportOutcome:
    await unit.put(applied, [{"subject": subject, "version": v} for subject, v in chunk.advanced.items()])
    is_something = imported.users or imported.followers or imported.posts
    return ImportOutcome(unit.note(imported) if is_something else None, chunk.refused)


async def _write_posts(unit: Unit, chunk: _Chunk, befores: dict[str, Post], afters: dict[str, Post]) -> ImportOutcome:
    written = await write_posts(unit, befores, [raised(befores.get(post.id), post) for post in afters.values()])
    shown = [post for post in written if change_between(befores.get(post.id), post)]
    authors = dict.fromkeys(post.author for post in shown)
    tags = {tag for post in shown for tag in (*post.tag_nums, *_tags_before(befores, post))}
    ids = tuple(post.id for post in shown)
    imported = Imported(users=(), followers=(), posts=ids, authors=tuple(authors), tags=tuple(sorted(tags)))
    return await _end(unit, chunk, imported)


async def _forget_replaced(unit: Unit, befores: Mapping[str, Post], rows: Sequence[CreatePost]) -> None:
    for count in COUNTS:
        given = [befores[str(row.post)].num for row in rows if row.post in befores and count in row.model_fields_set]
        await reactions.forget(unit, given, [count])


def _tags_before(befores: Mapping[str, Post], post: Post) -> tuple[int, ...]:
    return befores[post.id].tag_nums if post.id in befores else ()


async def _end_follows(unit: Unit, chunk: _Chunk, followers: set[str]) -> ImportOutcome:
    named = tuple(sorted(followers))
    await bump_follows(unit, named)
    return await _end(unit, chunk, Imported(users=(), followers=named, posts=(), authors=()))


async def _insert_follows(unit: Unit, wanted: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Insert follows and return those that are new."""
    make = postgresql.insert if is_postgresql(unit.conn) else sqlite.insert
    statement = make(follows).from_select(["user", "author"], table_of(unit.conn, wanted, str, str))
    statement = statement.on_conflict_do_nothing(index_elements=["user", "author"])
    made = await unit.conn.execute(statement.returning(follows.c.user, follows.c.author))
    return [(user, author) for user, author in made]


async def _insert_tag_follows(unit: Unit, wanted: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Insert follows of tags and return those that are new."""
    make = postgresql.insert if is_postgresql(unit.conn) else sqlite.insert
    statement = make(tag_follows).from_select(["user", "tag"], table_of(unit.conn, wanted, str, int))
    statement = statement.on_conflict_do_nothing(index_elements=["user", "tag"])
    made = await unit.conn.execute(statement.returning(tag_follows.c.user, tag_follows.c.tag))
    return [(user, source) for user, source in made]


async def _user_rows(unit: Unit, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    query = select(users).where(among(unit.conn, users.c.id, ids))
    return {row.id: dict(row._mapping) for row in await unit.conn.execute(query)}


async def _absent(unit: Unit, ids: Iterable[str]) -> dict[str, UserState | None]:
    """Return those that are not live users: deleted ones, and None for ids that nobody ever had."""
    each = listed(unit.conn, set(ids))
    query = select(each.c.value, users.c.state).select_from(each.outerjoin(users, users.c.id == each.c.value))
    query = query.where(or_(users.c.id.is_(None), users.c.state != UserState.LIVE))
    return {row.value: row.state and UserState(row.state) for row in await unit.conn.execute(query)}


async def _authors(unit: Unit, ids: set[str]) -> tuple[dict[str, int], dict[str, UserState | None]]:
    """Return the numbers of users, and those of them that are not live, as ``_absent`` does."""
    query = select(users.c.id, users.c.num, users.c.state).where(among(unit.conn, users.c.id, ids))
    found = (await unit.conn.execute(query)).all()
    live = UserState.LIVE.value
    absent: dict[str, UserState | None] = {row.id: UserState(row.state) for row in found if row.state != live}
    nums = {row.id: row.num for row in found}
    return nums, absent | dict.fromkeys(ids - nums.keys())


async def _blocked_pairs(unit: Unit, ids: Iterable[str]) -> set[tuple[str, str]]:
    if await unit.conn.scalar(select(blocks.c.user).limit(1)) is None:
        return set()
    query = select(blocks.c.user, blocks.c.blocked).where(among(unit.conn, blocks.c.user, ids))
    return {(row.user, row.blocked) for row in await unit.conn.execute(query)}


def _with_profile(before: dict[str, Any], row: PutUser) -> dict[str, Any]:
    raised = {"version": before["version"] + 1, "profile_version": before["profile_version"] + 1}
    return before | {"state": UserState.LIVE.value, "name": row.name, "about": row.about} | raised


def _refuse_absent(absent: dict[str, UserState | None], named: str, user: str) -> None:
    if user not in absent:
        return
    if absent[user] is UserState.DELETED:
        raise Gone(named, user, "this user was deleted")
    raise NotFound(named, user, "there is no such user")


def _refuse_follow(absent: dict[str, UserState | None], blocked: set[tuple[str, str]], row: Follow) -> None:
    if row.user == row.author:
        raise Refused("author", row.author, "a user does not follow themselves; their own posts are a setting")
    _refuse_absent(absent, "user", row.user)
    _refuse_absent(absent, "author", row.author)
    if (row.user, row.author) in blocked or (row.author, row.user) in blocked:
        raise Conflict("author", row.author, blocked_reason(row.user, row.author))
