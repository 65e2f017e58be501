"""Changes: what happened to a resource, as a closed set.

A change says *what* happened to *which* resource, never the data: whoever handles it reads the truth again,
so a change may arrive twice, late or out of order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import orjson


@dataclass(frozen=True, slots=True)
class PostPublished:
    """A post is in feeds that it was not in before: new, published again, or its time has come."""

    post: str
    author: str


@dataclass(frozen=True, slots=True)
class PostEdited:
    """A published post reads differently. ``moved``: its time or its tags changed, so its place in feeds may."""

    post: str
    author: str
    moved: bool


@dataclass(frozen=True, slots=True)
class PostWithdrawn:
    """A post left all feeds: unpublished, back to draft, or (``deleted``) gone for good."""

    post: str
    author: str
    deleted: bool


@dataclass(frozen=True, slots=True)
class UserCreated:
    """A user exists who did not before."""

    user: str


@dataclass(frozen=True, slots=True)
class ProfileChanged:
    """A user's name or description changed."""

    user: str


@dataclass(frozen=True, slots=True)
class UserDeleted:
    """A user was erased, with these posts, and these users followed them."""

    user: str
    posts: tuple[str, ...]
    followers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """A user's settings changed. ``privacy``: who may read their feed did."""

    user: str
    privacy: bool


@dataclass(frozen=True, slots=True)
class FollowsChanged:
    """These users' follows changed (a block changes two users')."""

    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteChanged:
    """The site changed."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A chunk of an import was committed: these users, posts and authors are new or changed.

    ``users`` have new profiles, ``followers`` new follows, ``posts`` (by ``authors``) are new or changed.
    """

    users: tuple[str, ...]
    followers: tuple[str, ...]
    posts: tuple[str, ...]
    authors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Invalidated:
    """Somebody asks to forget what is cached: of one user, or (``user`` is None) of all."""

    user: str | None


Change = (
    PostPublished
    | PostEdited
    | PostWithdrawn
    | UserCreated
    | ProfileChanged
    | UserDeleted
    | SettingsChanged
    | FollowsChanged
    | SiteChanged
    | Imported
    | Invalidated
)

KINDS: dict[str, type[Change]] = {
    "post-published": PostPublished,
    "post-edited": PostEdited,
    "post-withdrawn": PostWithdrawn,
    "user-created": UserCreated,
    "profile-changed": ProfileChanged,
    "user-deleted": UserDeleted,
    "settings-changed": SettingsChanged,
    "follows-changed": FollowsChanged,
    "site-changed": SiteChanged,
    "imported": Imported,
    "invalidated": Invalidated,
}
_NAMES = {cls: name for name, cls in KINDS.items()}


def kind_of(change: Change) -> str:
    """Return the change's kind as the outbox, the API and the metrics spell it."""
    return _NAMES[type(change)]


def subject_of(change: Change) -> str:
    """Return what the change is about, for people: ``post hn-1``, ``user ada``, ``site``."""
    match change:
        case PostPublished() | PostEdited() | PostWithdrawn():
            return f"post {change.post}"
        case UserCreated() | ProfileChanged() | UserDeleted() | SettingsChanged():
            return f"user {change.user}"
        case FollowsChanged():
            return "follows of " + ", ".join(change.users)
        case SiteChanged():
            return "site"
        case Imported():
            return f"{len(change.users) + len(change.followers) + len(change.posts)} imported rows"
        case Invalidated():
            return "everything" if change.user is None else f"user {change.user}"
        case _:
            assert_never(change)


def encode(change: Change) -> bytes:
    """Return the change's fields as JSON; its kind travels beside them."""
    return orjson.dumps(change)


def decode(kind: str, body: bytes) -> Change:
    """Return the change that ``encode`` made. Raises KeyError for a kind that this version does not know."""
    fields: dict[str, Any] = orjson.loads(body)
    make: Callable[..., Change] = KINDS[kind]
    return make(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})
