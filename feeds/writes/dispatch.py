"""From a command to its write: its subject, its locks, its handler. Each of the three ends in ``assert_never``."""

from collections.abc import Sequence
from typing import assert_never

from sqlalchemy import select

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
from feeds.errors import Refused
from feeds.ids import fresh_id
from feeds.queries import find_site
from feeds.schema import posts, users
from feeds.writes import follows, locks, reactions, site, tag_follows
from feeds.writes import posts as post_writes
from feeds.writes import users as user_writes
from feeds.writes.outcome import Outcome
from feeds.writes.unit import Unit


def with_id(command: Command, now_ms: int) -> Command:
    """Return the command, a post to create with an id made for it where it has none."""
    if isinstance(command, CreatePost) and command.post is None:
        return command.model_copy(update={"post": fresh_id("p", now_ms)})
    return command


async def perform(unit: Unit, commands: Sequence[Command]) -> list[Outcome]:
    """Do the commands in their order. The first that is Refused ends it; its ``index`` says which."""
    await locks.hold(unit.conn, commands)
    outcomes = []
    for index, command in enumerate(commands):
        try:
            outcomes.append(await _perform(unit, command))
        except Refused as refused:
            refused.index = index
            raise
    return outcomes


def subject_of(command: Command) -> str | None:  # noqa: PLR0911  # one branch a subject
    """Return whose source versions a command's ``version`` belongs to; those that cannot be out of order have none."""
    match command:
        case PutUser() | RenameUser() | DeleteUser():
            return f"user {command.user}"
        case PutSettings():
            return f"settings {command.user}"
        case CreatePost() | EditPost() | PublishPost() | UnpublishPost() | DeletePost():
            return f"post {command.post}"
        case Follow() | Unfollow():
            return f"follow {command.user} {command.author}"
        case FollowTag() | UnfollowTag():
            return f"follow {command.user} #{command.tag}"
        case Block() | Unblock():
            return f"block {command.user} {command.blocked}"
        case PutSite():
            return "site"
        case React() | Invalidate():
            return None
        case _:
            assert_never(command)


async def _perform(unit: Unit, command: Command) -> Outcome:
    subject = subject_of(command)
    if subject and command.version is not None and not await unit.advance(subject, command.version):
        return await _ignored(unit, command)
    return await _handle(unit, command)


async def _handle(unit: Unit, command: Command) -> Outcome:  # noqa: PLR0911, PLR0912  # one branch a kind
    match command:
        case PutUser():
            return await user_writes.put_user(unit, command)
        case RenameUser():
            return await user_writes.rename_user(unit, command)
        case DeleteUser():
            return await user_writes.delete_user(unit, command)
        case PutSettings():
            return await user_writes.put_settings(unit, command)
        case CreatePost():
            return await post_writes.create_post(unit, command)
        case EditPost() | PublishPost() | UnpublishPost():
            return await post_writes.change_post(unit, command)
        case DeletePost():
            return await post_writes.delete_post(unit, command)
        case Follow():
            return await follows.follow(unit, command)
        case Unfollow():
            return await follows.unfollow(unit, command)
        case FollowTag():
            return await tag_follows.follow_tag(unit, command)
        case UnfollowTag():
            return await tag_follows.unfollow_tag(unit, command)
        case React():
            return await reactions.react(unit, command)
        case Block():
            return await follows.block(unit, command)
        case Unblock():
            return await follows.unblock(unit, command)
        case PutSite():
            return await site.put_site(unit, command)
        case Invalidate():
            return await site.invalidate(unit, command)
        case _:
            assert_never(command)


async def _ignored(unit: Unit, command: Command) -> Outcome:
    subject_id, version = await _as_it_is(unit, command)
    return Outcome("ignored", None, subject_id, version)


async def _as_it_is(unit: Unit, command: Command) -> tuple[str, int]:
    match command:
        case PutUser() | RenameUser() | DeleteUser() | PutSettings():
            query = select(users.c.version).where(users.c.id == command.user)
            return command.user, await unit.conn.scalar(query) or 0
        case CreatePost() | EditPost() | PublishPost() | UnpublishPost() | DeletePost() | React():
            query = select(posts.c.version).where(posts.c.id == command.post)
            return str(command.post), await unit.conn.scalar(query) or 0
        case Follow() | Unfollow() | FollowTag() | UnfollowTag() | Block() | Unblock():
            return command.user, await follows.follows_version(unit, command.user)
        case PutSite():
            return site.SUBJECT, (await find_site(unit.conn)).version
        case Invalidate():
            return command.user or "global", 0
        case _:
            assert_never(command)
