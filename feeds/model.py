"""The resources a feed is baked from, as the system of record holds them. Times are Unix milliseconds.

Posts and users have numbers besides their ids, given once by the system of record: what Redis packs is made of them.
A *source number* is a user's number, or a tag's with the highest of 32 bits set (``TAG``).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, NamedTuple

TAG = 1 << 31
"""The bit that tells a tag's source number from an author's."""


class PostState(StrEnum):
    """Where a post is in its life. Only a PUBLISHED one is in feeds."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"  # its published time lies ahead
    PUBLISHED = "published"
    UNPUBLISHED = "unpublished"
    DELETED = "deleted"  # a tombstone: id, author, published time and version are kept


class UserState(StrEnum):
    """Whether a user is there. A deleted one is erased but for id and versions, and answers 410."""

    LIVE = "live"
    DELETED = "deleted"


class OrderKey(NamedTuple):
    """The place of a post in any feed: newest first, ties by id, both descending."""

    published_ms: int
    post: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How a user wants their feed."""

    language: str = "en"
    muted_authors: tuple[str, ...] = ()
    muted_tags: tuple[str, ...] = ()
    page_size: int = 25  # 1 to 25
    order: Literal["newest", "ranked", "default"] = "default"  # what the deployment shows
    feed_visibility: str = "public"  # or private: who may read the user's *feed*; posts are public


@dataclass(frozen=True, slots=True)
class User:
    """A user: profile and settings. ``version`` rises with each, ``profile_version`` with the profile.

    ``num`` is theirs for good; 0 before the record gave one.
    """

    id: str
    name: str
    about: str
    state: UserState
    settings: Settings
    version: int
    profile_version: int
    num: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Follows:
    """Whom a user follows and which tags, each sorted. ``version`` rises with each follow, unfollow and block."""

    user: str
    authors: tuple[str, ...]
    version: int
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Post:
    """A post. ``version`` rises with each write. ``content`` is as it was given: clean it before it is shown.

    Counts are those *shown and scored*; what readers did since is folded in when it is enough. ``tag_nums`` are source
    numbers in the order of ``tags``. Numbers follow from ids, so they do not compare; 0 before the record gave one.
    """

    id: str
    author: str
    title: str
    url: str | None
    content: str
    content_type: str  # "html" or "text"
    tags: tuple[str, ...]
    published_ms: int
    edited_ms: int
    state: PostState
    likes: int
    comments: int
    views: int
    version: int
    num: int = field(default=0, compare=False)
    author_num: int = field(default=0, compare=False)
    tag_nums: tuple[int, ...] = field(default=(), compare=False)

    @property
    def key(self) -> OrderKey:
        """The post's place in any feed."""
        return OrderKey(self.published_ms, self.id)

    @property
    def entry(self) -> "Entry":
        """What ranking knows of the post."""
        counts = (self.likes, self.comments, self.views)
        live = self.state is PostState.PUBLISHED
        return Entry(self.num, self.id, self.author_num, self.published_ms, *counts, self.tag_nums, live, self.version)


class Entry(NamedTuple):
    """What ranking knows of a post: a row of the catalogue. Authors and tags are source numbers.

    ``version`` is the post's; ``live`` tells whether it is published. Counts are those that its card shows.
    """

    num: int
    post: str
    author: int
    published_ms: int
    likes: int
    comments: int
    views: int
    tags: tuple[int, ...]
    live: bool
    version: int

    @property
    def key(self) -> OrderKey:
        """The post's place in a feed that is newest first."""
        return OrderKey(self.published_ms, self.post)


@dataclass(frozen=True, slots=True)
class Sources:
    """What a user's feed draws from and leaves out, as source numbers, each sorted.

    ``num`` is the user's own number. ``blocked`` are users who block this one or whom this one blocks. ``version``
    rises with each change of follows, mutes and blocks. ``names`` are the ids of the authors, then the tags, in the
    order of their numbers: who knows them can spell the sources' cache tags.
    """

    user: str
    num: int
    authors: tuple[int, ...]
    tags: tuple[int, ...]
    muted_authors: tuple[int, ...]
    muted_tags: tuple[int, ...]
    blocked: tuple[int, ...]
    version: int
    names: tuple[str, ...] = ()


class PulledSource(NamedTuple):
    """A source over the pull line, or on its way. ``name`` is the author's id or the tag.

    ``state``: *rising* is pulled and pushed, *pull* is pulled alone, *falling* is pulled and pushed again.
    """

    name: str
    is_tag: bool
    state: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """The sources, by number, whose posts a bake merges. ``version`` rises whenever one changes its state."""

    version: int
    sources: dict[int, PulledSource]


@dataclass(frozen=True, slots=True)
class Taste:
    """A user's own part of ranking, as the last recalculation froze it.

    ``authors``: source number → the user's reactions to their posts. ``shown``: post number → how many recalculations
    found it shown.
    """

    authors: dict[int, int]
    shown: dict[int, int]


@dataclass(frozen=True, slots=True)
class Epoch:
    """A ranking epoch: the platform's averages a post, frozen until a recalculation begins the next. 0 is the first."""

    number: int = 0
    likes: float = 0.0
    comments: float = 0.0
    views: float = 0.0


@dataclass(frozen=True, slots=True)
class Site:
    """What every page shows of the site. ``template_version`` names the templates that are current ("" for any)."""

    title: str = "Edgebake"
    language: str = "en"
    home_page_url: str | None = None
    template_version: str = ""
    version: int = 0
