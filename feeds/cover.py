"""What covers a parked change: the change that drops what it may have left out of date."""

from typing import assert_never

import orjson

from feeds.change import (
    Change,
    Covered,
    FollowsChanged,
    Imported,
    Invalidated,
    PostEdited,
    PostPublished,
    PostScored,
    PostWithdrawn,
    ProfileChanged,
    Reranked,
    SettingsChanged,
    SiteChanged,
    SourceCrossed,
    Undecodable,
    UserCreated,
    UserDeleted,
    decode,
)
from feeds.ids import is_id

EVERYTHING = Invalidated(None, rolling=True)

_ONE = {"user": "users", "post": "posts", "author": "authors"}
_MANY = {"users": "users", "followers": "users", "posts": "posts", "authors": "authors"}


def cover_of(change_id: str, kind: str, body: bytes) -> Covered | Invalidated | None:
    """Return the change that covers one which always fails; None where nothing would, or nothing is out of date.

    One of an unknown kind is covered by the names in it; where there are none, by everything.
    """
    try:
        change = decode(kind, body)
    except Undecodable:
        return _guessed(change_id, body)
    return _cover(change_id, change)


def _cover(  # noqa: PLR0911, PLR0912  # one branch a kind
    change_id: str, change: Change
) -> Covered | Invalidated | None:
    match change:
        case PostPublished() | PostEdited():
            return Covered(change_id, posts=(change.post,), authors=(change.author,))
        case PostWithdrawn():
            return Covered(change_id, posts=(change.post,), authors=(change.author,), urgent=True)
        case UserCreated():
            return Covered(change_id, users=(change.user,))
        case SettingsChanged():
            return Covered(change_id, users=(change.user,), urgent=change.privacy)
        case ProfileChanged():
            return Covered(change_id, profiles=(change.user,))
        case UserDeleted():
            gone = (change.user,)
            return Covered(change_id, users=change.followers, posts=change.posts, profiles=gone, urgent=True)
        case FollowsChanged():
            return Covered(change_id, users=change.users)
        case PostScored():
            return Covered(change_id, posts=change.posts)
        case Imported():
            return _imported(change_id, change)
        case SiteChanged():
            return EVERYTHING
        case Invalidated():
            return None if change.user is None else Covered(change_id, profiles=(change.user,))
        case SourceCrossed() | Reranked() | Covered():
            return None
        case _:
            assert_never(change)


def _imported(change_id: str, change: Imported) -> Covered:
    return Covered(
        change_id,
        users=change.followers,
        posts=change.posts,
        authors=change.authors,
        profiles=change.users,
        tags=change.tags,
    )


def _guessed(change_id: str, body: bytes) -> Covered | Invalidated:
    found: dict[str, list[str]] = {"users": [], "posts": [], "authors": []}
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        fields = None
    for name, value in fields.items() if isinstance(fields, dict) else ():
        if name in _ONE and isinstance(value, str) and is_id(value):
            found[_ONE[name]].append(value)
        elif name in _MANY and isinstance(value, list):
            found[_MANY[name]] += [each for each in value if isinstance(each, str) and is_id(each)]
    if not any(found.values()):
        return EVERYTHING
    posts, authors = tuple(found["posts"]), tuple(found["authors"])
    return Covered(change_id, posts=posts, authors=authors, profiles=tuple(found["users"]), urgent=True)
