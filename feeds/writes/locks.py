"""Which subjects a transaction holds, so that the writes of one subject come one after another.

SQLite has one writer at a time and needs none of this. On PostgreSQL each subject is an advisory lock of the
transaction; all that a batch needs are taken at its start, in one order, so that two batches never wait for each other.
A row cannot be locked before it is there, a name can.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import assert_never

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds.command import (
    Block,
    Command,
    CreatePost,
    DeletePost,
    DeleteUser,
    EditPost,
    Follow,
    FollowTag,
    Invalidate,
    PublishPost,
    PutSettings,
    PutSite,
    PutUser,
    React,
    RenameUser,
    Unblock,
    Unfollow,
    UnfollowTag,
    UnpublishPost,
)
from feeds.database import is_postgresql

Names = set[str]

_EVERYTHING = "everything"
"""Held by each batch beside others, and by a chunk of an import alone."""

_REACTORS = "reactors"
"""Held beside others by reactions, which name many users, and alone by whoever deletes a user."""

_ALONE = text("SELECT pg_advisory_xact_lock(:key)")
_BESIDE_OTHERS = text("SELECT pg_advisory_xact_lock_shared(:key)")


async def hold(conn: AsyncConnection, commands: Sequence[Command]) -> None:
    """Hold the subjects of a batch until its transaction ends."""
    if is_postgresql(conn):
        needs = [needed(command) for command in commands]
        alone = {name for written, _ in needs for name in written}
        beside = {name for _, named in needs for name in named} | {_EVERYTHING}
        await _take(conn, alone, beside)


async def hold_everything(conn: AsyncConnection) -> None:
    """Let no other write run until the transaction ends."""
    if is_postgresql(conn):
        await _take(conn, {_EVERYTHING}, set())


async def hold_name(conn: AsyncConnection, name: str) -> None:
    """Hold one name more; only ever before the subjects."""
    if is_postgresql(conn):
        await conn.execute(_ALONE, {"key": _key(name)})


def needed(command: Command) -> tuple[Names, Names]:  # noqa: PLR0911  # one branch a kind
    """Return the subjects that a command writes, and those that it only needs to stay as they are."""
    match command:
        case PutUser() | RenameUser() | PutSettings() | FollowTag() | UnfollowTag():
            return {f"user {command.user}"}, set()
        case DeleteUser():
            return {f"user {command.user}", _REACTORS}, set()
        case CreatePost():
            return {f"post {command.post}"}, {f"user {command.author}"}
        case EditPost() | PublishPost() | UnpublishPost() | DeletePost():
            return {f"post {command.post}"}, set()
        case React():
            return {f"post {command.post}"}, {_REACTORS}
        case Follow() | Unfollow():
            return {f"user {command.user}"}, {f"user {command.author}"}
        case Block() | Unblock():
            return {f"user {command.user}", f"user {command.blocked}"}, set()
        case PutSite():
            return {"site"}, set()
        case Invalidate():
            return ({f"change {command.id}"} if command.id else set()), set()
        case _:
            assert_never(command)


async def _take(conn: AsyncConnection, alone: Iterable[str], beside: Iterable[str]) -> None:
    statements = {_key(name): _BESIDE_OTHERS for name in beside} | {_key(name): _ALONE for name in alone}
    for key in sorted(statements):
        await conn.execute(statements[key], {"key": key})


def _key(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)
