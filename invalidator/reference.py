"""What the system of record says that a feed's first page shows: what the audit asks past its threshold."""

from collections.abc import Sequence

from feeds.model import Post, PostState, User, UserState
from feeds.record import Record
from invalidator.shown import Card, Page, plain

PAGE = 25


async def page_of(record: Record, user: str, shown: Page, *, order: str, own_posts: bool) -> Page:
    """Return the page of a user's feed as the record has it.

    Where the feed is ranked, the record cannot tell which posts its first page should show: then these are what the
    answer shows (``shown``), as far as they may be shown, each as the record has it.
    """
    found = (await record.users([user])).get(user)
    if found is None or found.state is UserState.DELETED:
        return Page(404 if found is None else 410)
    settings = found.settings
    if settings.feed_visibility == "private":
        return Page(404)
    ranked = (order if settings.order == "default" else settings.order) == "ranked"
    limit = 1000 if ranked else min(PAGE, settings.page_size)
    entries = await record.proposals(user, before=None, limit=limit, own=own_posts)
    wanted = [entry.post for entry in entries if not ranked or entry.post in shown.posts]
    posts = await record.posts(wanted)
    cards = await _cards(record, [posts[post] for post in wanted if post in posts])
    return Page(200, user, _name(found), cards, more=not ranked and len(entries) == limit)


async def _cards(record: Record, posts: Sequence[Post]) -> tuple[Card, ...]:
    published = [post for post in posts if post.state is PostState.PUBLISHED]
    authors = await record.users(list({post.author for post in published}))
    return tuple(_card(post, authors[post.author]) for post in published if post.author in authors)


def _card(post: Post, author: User) -> Card:
    published, edited = post.published_ms // 1000, max(post.published_ms, post.edited_ms) // 1000
    return Card(post.id, author.id, _name(author), plain(post.title), published, edited)


def _name(user: User) -> str:
    return plain(user.name or user.id)
