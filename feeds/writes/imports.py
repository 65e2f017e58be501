"""Chunks of an import: each is one transaction under one change, and a row that is refused does not stop the others.

The rows of a chunk are folded over what is there in memory, by the same decisions as single commands, and written in
bulk. A chunk runs alone (``locks.hold_everything``), so what it read stays true until it writes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from sqlalchemy import or_, select
from sqlalchemy.dialects import postgresql, sqlite

from feeds.change import Imported
from feeds.command import CreatePost, Follow, PutUser
from feeds.database import is_postgresql
from feeds.errors import Conflict, Gone, NotFound, Refused
from feeds.ids import fresh_id
from feeds.model import Post, UserState
from feeds.queries import find_posts, pieces
from feeds.schema import applied, blocks, follows, users
from feeds.writes import locks
from feeds.writes.outcome import ImportOutcome
from feeds.writes.posts import change_between, created, write_posts
from feeds.writes.unit import Unit
from feeds.writes.users import bump_follows, new_user

Row = TypeVar("Row", PutUser, CreatePost, Follow)


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
    await unit.put(users, list(changed.values()))
    return await _end(unit, chunk, Imported(users=tuple(changed), followers=(), posts=(), authors=()))


async def import_posts(unit: Unit, rows: Sequence[CreatePost]) -> ImportOutcome:
    """Create posts or replace them."""
    rows = [row if row.post else row.model_copy(update={"post": fresh_id("p", unit.now_ms)}) for row in rows]
    chunk = await _begin(unit, rows, lambda row: f"post {row.post}")
    authors = await _user_states(unit, [row.author for row in rows])
    befores = await find_posts(unit.conn, list({str(row.post) for row in rows}))
    afters: dict[str, Post] = {}
    for index, row in enumerate(rows):
        if not chunk.is_newer(f"post {row.post}", row.version):
            continue
        try:
            _refuse_absent(authors, "author", row.author)
            before = afters.get(str(row.post)) or befores.get(str(row.post))
            after = created(row, before, unit.now_ms, upsert=True)
        except Refused as refused:
            chunk.refused.append((index, str(refused)))
            continue
        chunk.advance(f"post {row.post}", row.version)
        if after != before:
            afters[after.id] = after
    return await _write_posts(unit, chunk, befores, afters)


async def import_follows(unit: Unit, rows: Sequence[Follow]) -> ImportOutcome:
    """Add follows."""
    chunk = await _begin(unit, rows, lambda row: f"follow {row.user} {row.author}")
    named = list({row.user for row in rows} | {row.author for row in rows})
    states = await _user_states(unit, named)
    blocked = await _blocked_pairs(unit, named)
    pairs: dict[tuple[str, str], None] = {}
    for index, row in enumerate(rows):
        subject = f"follow {row.user} {row.author}"
        if not chunk.is_newer(subject, row.version):
            continue
        try:
            _refuse_follow(states, blocked, row)
        except Refused as refused:
            chunk.refused.append((index, str(refused)))
            continue
        chunk.advance(subject, row.version)
        pairs[row.user, row.author] = None
    followers = await _insert_follows(unit, list(pairs))
    await bump_follows(unit, followers)
    return await _end(unit, chunk, Imported(users=(), followers=tuple(followers), posts=(), authors=()))


async def _begin(unit: Unit, rows: Sequence[Row], subject: Callable[[Row], str]) -> _Chunk:
    await locks.hold_everything(unit.conn)
    subjects = [subject(row) for row in rows if row.version is not None]
    versions: dict[str, int] = {}
    for piece in pieces(subjects):
        query = select(applied.c.subject, applied.c.version).where(applied.c.subject.in_(piece))
        versions |= {row.subject: row.version for row in await unit.conn.execute(query)}
    return _Chunk(versions)


async def _end(unit: Unit, chunk: _Chunk, imported: Imported) -> ImportOutcome:
    await unit.put(applied, [{"subject": subject, "version": v} for subject, v in chunk.advanced.items()])
    is_something = imported.users or imported.followers or imported.posts
    return ImportOutcome(unit.note(imported) if is_something else None, chunk.refused)


async def _write_posts(unit: Unit, chunk: _Chunk, befores: dict[str, Post], afters: dict[str, Post]) -> ImportOutcome:
    raised = []
    for post in afters.values():
        before = befores.get(post.id)
        raised.append(replace(post, version=before.version + 1 if before else 1))
    await write_posts(unit, befores, raised)
    shown = [post for post in raised if change_between(befores.get(post.id), post)]
    authors = dict.fromkeys(post.author for post in shown)
    imported = Imported(users=(), followers=(), posts=tuple(post.id for post in shown), authors=tuple(authors))
    return await _end(unit, chunk, imported)


async def _insert_follows(unit: Unit, pairs: list[tuple[str, str]]) -> list[str]:
    if not pairs:
        return []
    make = postgresql.insert if is_postgresql(unit.conn) else sqlite.insert
    statement = make(follows).on_conflict_do_nothing(index_elements=["user", "author"]).returning(follows.c.user)
    rows = [{"user": user, "author": author} for user, author in pairs]
    return sorted(set((await unit.conn.execute(statement, rows)).scalars()))


async def _user_rows(unit: Unit, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for piece in pieces(ids):
        for row in await unit.conn.execute(select(users).where(users.c.id.in_(piece))):
            found[row.id] = dict(row._mapping)
    return found


async def _user_states(unit: Unit, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in pieces(list(set(ids))):
        query = select(users.c.id, users.c.state).where(users.c.id.in_(piece))
        found |= {row.id: row.state for row in await unit.conn.execute(query)}
    return found


async def _blocked_pairs(unit: Unit, ids: Sequence[str]) -> set[tuple[str, str]]:
    if await unit.conn.scalar(select(blocks.c.user).limit(1)) is None:
        return set()
    pairs: set[tuple[str, str]] = set()
    for piece in pieces(ids):
        query = select(blocks.c.user, blocks.c.blocked).where(
            or_(blocks.c.user.in_(piece), blocks.c.blocked.in_(piece))
        )
        pairs |= {(row.user, row.blocked) for row in await unit.conn.execute(query)}
    return pairs


def _with_profile(before: dict[str, Any], row: PutUser) -> dict[str, Any]:
    raised = {"version": before["version"] + 1, "profile_version": before["profile_version"] + 1}
    return before | {"state": UserState.LIVE.value, "name": row.name, "about": row.about} | raised


def _refuse_absent(states: dict[str, str], named: str, user: str) -> None:
    if user not in states:
        raise NotFound(named, user, "there is no such user")
    if states[user] == UserState.DELETED:
        raise Gone(named, user, "this user was deleted")


def _refuse_follow(states: dict[str, str], blocked: set[tuple[str, str]], row: Follow) -> None:
    if row.user == row.author:
        raise Refused("author", row.author, "a user does not follow themselves; their own posts are a setting")
    _refuse_absent(states, "user", row.user)
    _refuse_absent(states, "author", row.author)
    if (row.user, row.author) in blocked or (row.author, row.user) in blocked:
        raise Conflict("author", row.author, f"{row.user!r} and {row.author!r} cannot follow each other: a block")
