"""Changes: what happened to a resource, as a closed set.

A change says *what* happened to *which* resource, never the data: whoever handles it reads the truth again,
so a change may arrive twice, late or out of order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never

import orjson

from feeds.errors import FeedsError


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
    """A user was erased, with these posts, and these users followed them or were blocked by them."""

    user: str
    posts: tuple[str, ...]
    followers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """A user's settings changed. ``privacy``: who may read their feed did.

    ``left`` are the numbers of sources that they follow and from now on mute.
    """

    user: str
    privacy: bool
    left: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class FollowsChanged:
    """What these users follow changed, or whom they block (a block changes two users).

    ``left`` are the numbers of sources that one of them no longer draws from.
    """

    users: tuple[str, ...]
    left: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PostScored:
    """Readers reacted to these posts so much that their counts and scores are new. Rank is soft: no feed is dropped."""

    posts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceCrossed:
    """A source is on its way over the pull line, up or down, or has arrived. ``name`` is an author's id or a tag."""

    source: int
    name: str
    is_tag: bool
    state: str


@dataclass(frozen=True, slots=True)
class Reranked:
    """A recalculation changed the feeds of these users, and of all users of these shards."""

    shards: tuple[int, ...]
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SiteChanged:
    """The site changed. ``rolling``: only its templates did, so that pages may follow shard by shard."""

    rolling: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """A chunk of an import was committed: these users, posts and authors are new or changed.

    ``users`` have new profiles, ``followers`` new follows, ``posts`` (by ``authors``, with ``tags``, as source numbers:
    those they had and those they have) are new or changed.
    """

    users: tuple[str, ...]
    followers: tuple[str, ...]
    posts: tuple[str, ...]
    authors: tuple[str, ...]
    tags: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Invalidated:
    """Somebody asks to forget what is cached: of one user, or (``user`` is None) of all.

    ``rolling``: edges are to forget it shard by shard, as fast as the origin can bear.
    """

    user: str | None
    rolling: bool = False


@dataclass(frozen=True, slots=True)
class Covered:
    """A change was parked: what it is about is read from the record again, and dropped as wide as it may show.

    ``profiles`` are users whose names show with their posts, ``tags`` source numbers. ``urgent``: the parked change
    takes something away from those who may have it.
    """

    change: str
    users: tuple[str, ...] = ()
    posts: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    tags: tuple[int, ...] = ()
    urgent: bool = False


class Undecodable(FeedsError):
    """A change is of a kind, or has fields, that this version does not know."""


Change = (
    PostPublished
    | PostEdited
    | PostWithdrawn
    | UserCreated
    | ProfileChanged
    | UserDeleted
    | SettingsChanged
    | FollowsChanged
    | PostScored
    | SourceCrossed
    | Reranked
    | SiteChanged
    | Imported
    | Invalidated
    | Covered
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
    "post-scored": PostScored,
    "source-crossed": SourceCrossed,
    "reranked": Reranked,
    "site-changed": SiteChanged,
    "imported": Imported,
    "invalidated": Invalidated,
    "covered": Covered,
}
_NAMES = {cls: name for name, cls in KINDS.items()}


def kind_of(change: Change) -> str:
    """Return the change's kind as the outbox, the API and the metrics spell it."""
    return _NAMES[type(change)]


def subject_of(change: Change) -> str:  # noqa: PLR0911  # one branch a kind
    """Return what the change is about, for people: ``post hn-1``, ``user ada``, ``site``."""
    match change:
        case PostPublished() | PostEdited() | PostWithdrawn():
            return f"post {change.post}"
        case UserCreated() | ProfileChanged() | UserDeleted() | SettingsChanged():
            return f"user {change.user}"
        case FollowsChanged():
            return "follows of " + ", ".join(change.users)
        case PostScored():
            return "posts " + ", ".join(change.posts) if len(change.posts) > 1 else f"post {change.posts[0]}"
        case SourceCrossed():
            return f"tag {change.name}" if change.is_tag else f"author {change.name}"
        case Reranked():
            return f"ranking of {len(change.shards)} shards and {len(change.users)} users"
        case SiteChanged():
            return "site"
        case Imported():
            return f"{len(change.users) + len(change.followers) + len(change.posts)} imported rows"
        case Invalidated():
            return "everything" if change.user is None else f"user {change.user}"
        case Covered():
            return f"what change {change.change} is about"
        case _:
            assert_never(change)


def encode(change: Change) -> bytes:
    """Return the change's fields as JSON; its kind travels beside them."""
    return orjson.dumps(change)


def decode(kind: str, body: bytes) -> Change:
    """Return the change that ``encode`` made. Raises Undecodable."""
    try:
        fields: dict[str, Any] = orjson.loads(body)
        make: Callable[..., Change] = KINDS[kind]
        return make(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})
    except KeyError:
        raise Undecodable(f"a change of kind {kind!r} is unknown to this version: a newer one may know it") from None
    except (orjson.JSONDecodeError, AttributeError, TypeError) as error:
        raise Undecodable(f"a change of kind {kind!r} has fields that this version does not know: {error}") from error
