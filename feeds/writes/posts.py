"""Writes to posts. What a command makes of a post is a pure function; storing it and naming the change is one more."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any, assert_never

import orjson

from feeds.change import PostEdited, PostPublished, PostWithdrawn
from feeds.command import CreatePost, DeletePost, EditPost, PublishPost, UnpublishPost, milliseconds
from feeds.errors import Conflict, Gone, NotFound
from feeds.model import Post, PostState
from feeds.queries import find_posts
from feeds.schema import posts
from feeds.writes import reactions
from feeds.writes.live import live_user
from feeds.writes.outcome import Outcome
from feeds.writes.tags import index_posts, numbers_of
from feeds.writes.unit import Unit

ERASED: dict[str, Any] = {
    "state": "deleted",
    "title": "",
    "url": None,
    "content": "",
    "content_type": "html",
    "tags": "[]",
    "tag_nums": "[]",
    "likes": 0,
    "comments": 0,
    "views": 0,
}
"""The columns that a tombstone does not keep."""

COUNTS = frozenset({"likes", "comments", "views"})
"""What readers do to a post: it is not edited by that."""

_FIELDS = tuple(field.name for field in fields(Post) if field.name != "num")


def created(command: CreatePost, author_num: int, before: Post | None, now_ms: int, *, upsert: bool = False) -> Post:
    """Return what ``command`` makes of a post, or ``before`` itself where that says the same.

    Counts that are not given stay. What is there is replaced where the command has a version (its caller saw that it is
    newer) or is an ``upsert``.
    """
    wanted = _wanted(command, author_num, before, now_ms)
    if before is None:
        return wanted
    if before.author != command.author:
        raise Conflict("author", command.author, f"post {before.id!r} is by {before.author!r} and stays so")
    if before.state is PostState.DELETED and command.version is None:
        raise Gone("post", before.id, "this post was deleted; only a newer version of the source creates it again")
    if replace(wanted, edited_ms=before.edited_ms) == before:
        return before
    if command.version is None and not upsert:
        raise Conflict("post", before.id, "there is another post of this id; edit that, or give a version")
    return wanted if _text(wanted) != _text(before) else replace(wanted, edited_ms=before.edited_ms)


def edited(command: EditPost, before: Post, now_ms: int) -> Post:
    """Return the post with the fields that were given."""
    given = command.model_fields_set - {"kind", "post", "version", "published", "tags"}
    values: dict[str, Any] = {name: getattr(command, name) for name in given}
    if "tags" in command.model_fields_set:
        values["tags"] = distinct(command.tags)
    after = replace(before, **values)
    if command.published is not None:
        after = _placed(after, command.published, now_ms)
    if set(values) - COUNTS and after != before:
        after = replace(after, edited_ms=now_ms)
    return after


def published(command: PublishPost, before: Post, now_ms: int) -> Post:
    """Return the post as published at the time given, else at the time it had, a draft now."""
    if command.published is not None:
        return _placed(before, command.published, now_ms, revive=True)
    at = now_ms if before.state is PostState.DRAFT else before.published_ms
    return replace(before, published_ms=at, state=state_at(at, now_ms))


def unpublished(before: Post) -> Post:
    """Return the post out of all feeds; a draft is in none."""
    return before if before.state is PostState.DRAFT else replace(before, state=PostState.UNPUBLISHED)


def deleted(before: Post) -> Post:
    """Return the post's tombstone."""
    gone = {**ERASED, "tags": (), "state": PostState.DELETED}
    return replace(before, **gone, edited_ms=before.published_ms)


def state_at(published_ms: int, now_ms: int) -> PostState:
    """Return whether a post of this time is in feeds already."""
    return PostState.PUBLISHED if published_ms <= now_ms else PostState.SCHEDULED


def change_between(before: Post | None, after: Post) -> PostPublished | PostEdited | PostWithdrawn | None:
    """Return the change that readers could see, or that a copy must hear of; None for work on a hidden post."""
    was = before is not None and before.state is PostState.PUBLISHED
    if after.state is PostState.DELETED:
        return PostWithdrawn(after.id, after.author, deleted=True)
    if after.state is not PostState.PUBLISHED:
        return PostWithdrawn(after.id, after.author, deleted=False) if was else None
    if before is None or not was:
        return PostPublished(after.id, after.author)
    moved = (before.published_ms, before.tags) != (after.published_ms, after.tags)
    return PostEdited(after.id, after.author, moved)


async def create_post(unit: Unit, command: CreatePost) -> Outcome:
    """Create a post, or replace it where the command's version says that it is newer."""
    author = await live_user(unit, command.author, "author")
    before = (await find_posts(unit.conn, [str(command.post)], lock=True)).get(str(command.post))
    after = created(command, author.num, before, unit.now_ms)
    if before is not None and after is not before:
        await reactions.forget(unit, [before.num], command.model_fields_set & COUNTS)
    return await _store(unit, before, after)


async def change_post(unit: Unit, command: EditPost | PublishPost | UnpublishPost) -> Outcome:
    """Change a post that is there."""
    before = (await find_posts(unit.conn, [command.post], lock=True)).get(command.post)
    if before is None:
        raise NotFound("post", command.post, "there is no such post")
    if before.state is PostState.DELETED:
        raise Gone("post", command.post, "this post was deleted")
    match command:
        case EditPost():
            after = edited(command, before, unit.now_ms)
            await reactions.forget(unit, [before.num], command.model_fields_set & COUNTS)
        case PublishPost():
            after = published(command, before, unit.now_ms)
        case UnpublishPost():
            after = unpublished(before)
        case _:
            assert_never(command)
    return await _store(unit, before, after)


async def delete_post(unit: Unit, command: DeletePost) -> Outcome:
    """Delete a post. With a version it may be unknown: the version is kept, and a late create is ignored."""
    before = (await find_posts(unit.conn, [command.post], lock=True)).get(command.post)
    if before is None and command.version is None:
        raise NotFound("post", command.post, "there is no such post")
    if before is None or before.state is PostState.DELETED:
        return Outcome("unchanged", None, command.post, before.version if before else 0)
    await reactions.erase(unit, [before.num])
    return await _store(unit, before, deleted(before))


def distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tags in their order, each once."""
    return tuple(dict.fromkeys(tags))


def post_row(post: Post) -> dict[str, Any]:
    """Return a post as its row, without its number."""
    row = {name: getattr(post, name) for name in _FIELDS}
    listed = {name: orjson.dumps(row[name]).decode() for name in ("tags", "tag_nums")}
    return row | listed | {"state": post.state.value}


def raised(before: Post | None, after: Post) -> Post:
    """Return a post that differs from ``before`` with the version above its; a new one is at 1 already."""
    return after if before is None else replace(after, version=before.version + 1)


async def write_posts(unit: Unit, befores: Mapping[str, Post], afters: Sequence[Post]) -> list[Post]:
    """Store posts and their index by tag; return them. ``befores`` has those of them that were there."""
    nums = await numbers_of(unit, {tag for post in afters for tag in post.tags})
    written = [_numbered(post, tuple(nums[tag] for tag in post.tags)) for post in afters]
    await unit.add(posts, [post_row(post) for post in written if post.id not in befores])
    await unit.revise(posts, [post_row(post) | {"num": befores[post.id].num} for post in written if post.id in befores])
    await index_posts(unit, befores, written)
    return written


def _numbered(post: Post, tag_nums: tuple[int, ...]) -> Post:
    return post if post.tag_nums == tag_nums else replace(post, tag_nums=tag_nums)


async def _store(unit: Unit, before: Post | None, after: Post) -> Outcome:
    if after == before:
        return Outcome("unchanged", None, after.id, after.version)
    after = raised(before, after)
    await write_posts(unit, {before.id: before} if before else {}, [after])
    change = change_between(before, after)
    return Outcome("accepted", unit.note(change) if change else None, after.id, after.version)


def _wanted(command: CreatePost, author_num: int, before: Post | None, now_ms: int) -> Post:
    there = before if before is not None and before.state is not PostState.DELETED else None
    at = there.published_ms if there else now_ms
    if command.published is not None:
        at = milliseconds(command.published)
    kept = {name: getattr(there, name) for name in COUNTS - command.model_fields_set} if there else {}
    return Post(
        id=str(command.post),
        author=command.author,
        title=command.title,
        url=command.url,
        content=command.content,
        content_type=command.content_type,
        tags=distinct(command.tags),
        published_ms=at,
        edited_ms=now_ms if there else at,
        state=PostState.DRAFT if command.draft else state_at(at, now_ms),
        likes=kept.get("likes", command.likes),
        comments=kept.get("comments", command.comments),
        views=kept.get("views", command.views),
        version=before.version if before is not None else 1,
        author_num=author_num,
    )


def _text(post: Post) -> tuple[object, ...]:
    return (post.state is PostState.DELETED, post.title, post.url, post.content, post.content_type, post.tags)


def _placed(post: Post, published: datetime, now_ms: int, *, revive: bool = False) -> Post:
    at = milliseconds(published)
    hidden = post.state in (PostState.DRAFT, PostState.UNPUBLISHED) and not revive
    return replace(post, published_ms=at, state=post.state if hidden else state_at(at, now_ms))
