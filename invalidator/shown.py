"""What a feed's page shows, as far as the audit compares it: two answers with each other, or one with the record."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, assert_never

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
    UserCreated,
    UserDeleted,
)


class Card(NamedTuple):
    """A post as a page shows it. Names and titles without what cleaning may change; times in Unix seconds.

    ``digest`` is of all that is said of the post but its counts, which are soft; the record's card has none.
    """

    post: str
    author: str
    name: str
    title: str
    published_s: int
    edited_s: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A first page: its status, whose it is, their name, its cards, and whether there is an older one.

    ``head`` is of all that is said beside them; the record's page has none.
    """

    status: int
    user: str = ""
    name: str = ""
    cards: tuple[Card, ...] = ()
    more: bool = False
    head: str = ""

    @property
    def posts(self) -> frozenset[str]:
        """The posts that it shows."""
        return frozenset(card.post for card in self.cards)


def read(status: int, body: bytes) -> Page:
    """Return what an answer shows, a JSON feed where its status is 200. Raises ValueError where it is none."""
    if status != 200:
        return Page(status)
    try:
        feed = orjson.loads(body)
        author = feed["authors"][0]
        head = {name: value for name, value in feed.items() if name not in ("items", "next_url")}
        cards = tuple(map(_card, feed["items"]))
        return Page(status, last(author["url"]), plain(author["name"]), cards, "next_url" in feed, _digest(head))
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no feed of a user's: {error!r}") from error


def plain(text: str) -> str:
    """Return a text without what cleaning may take out of it or put in: its letters and digits."""
    return "".join(filter(str.isalnum, text))


def last(url: str) -> str:
    """Return the last part of a URL: an id."""
    return url.rpartition("/")[2]


def differ(change: Change, page: Page, other: Page, accepted_ms: int) -> bool:  # noqa: PLR0911  # one branch a kind
    """Tell whether two pages of one feed differ in what a change is about, which was accepted then (Unix ms).

    Order and counts never count: rank is soft. Where one page is the record's, only what that one says is compared.
    """
    page, other = _alike(page, other)
    match change:
        case PostPublished() | PostEdited() | PostWithdrawn():
            return _cards(page, [change.post]) != _cards(other, [change.post])
        case ProfileChanged():
            return page.status != other.status or _names_differ(page, other, [change.user])
        case UserDeleted():
            return page.status != other.status or _by(page, change.user) != _by(other, change.user)
        case UserCreated():
            return page.status != other.status
        case FollowsChanged() | SettingsChanged():
            span = range(max(_end(page), _end(other)), accepted_ms // 1000)
            return page.status != other.status or _within(page, span) != _within(other, span)
        case Imported():
            return _cards(page, change.posts) != _cards(other, change.posts) or _names_differ(page, other, change.users)
        case Covered():
            cards = _cards(page, change.posts) != _cards(other, change.posts)
            return cards or _names_differ(page, other, change.profiles)
        case SiteChanged() | Invalidated():
            return (page.status, page.head, frozenset(page.cards)) != (other.status, other.head, frozenset(other.cards))
        case PostScored() | SourceCrossed() | Reranked():
            return False
        case _:
            assert_never(change)


def _alike(page: Page, other: Page) -> tuple[Page, Page]:
    """Return two pages with what both know: the record tells no digests."""
    if (page.head and other.head) or page.status != 200 or other.status != 200:
        return page, other
    return _bare(page), _bare(other)


def _bare(page: Page) -> Page:
    return Page(page.status, page.user, page.name, tuple(card._replace(digest="") for card in page.cards), page.more)


def _cards(page: Page, posts: Iterable[str]) -> frozenset[Card]:
    wanted = set(posts)
    return frozenset(card for card in page.cards if card.post in wanted)


def _end(page: Page) -> int:
    """Return down to where a page says what there is: others' publishes move the end of one that is full."""
    return min((card.published_s for card in page.cards), default=0) if page.more else 0


def _within(page: Page, span: range) -> frozenset[str]:
    return frozenset(card.post for card in page.cards if card.published_s in span)


def _by(page: Page, author: str) -> frozenset[str]:
    return frozenset(card.post for card in page.cards if card.author == author)


def _names_differ(page: Page, other: Page, users: Iterable[str]) -> bool:
    """Tell whether anybody has two names; who is on one page alone has one."""
    mine, theirs = _names(page, set(users)), _names(other, set(users))
    return any(names != theirs[user] for user, names in mine.items() if user in theirs)


def _names(page: Page, users: set[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {page.user: {page.name}} if page.user in users else {}
    for card in page.cards:
        if card.author in users:
            found.setdefault(card.author, set()).add(card.name)
    return found


def _card(item: Mapping[str, Any]) -> Card:
    author = item["authors"][0]
    published = _seconds(item["date_published"])
    edited = _seconds(item["date_modified"]) if "date_modified" in item else published
    said = {name: value for name, value in item.items() if name != "_edgebake"}
    names = (last(item["id"]), last(author["url"]), plain(author["name"]), plain(item.get("title", "")))
    return Card(*names, published, edited, _digest(said))


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
