"""What a page says, and what it should say: which posts, and the version of everything that it shows.

Every title and name in the simulation spells its own version, so a page's bytes tell of which data it was made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from feeds.model import Post, PostState, UserState
from tests.simulation.books import Data

PAGE = 25
_said = re.compile(rb"\b(title|name)-([a-z0-9]+)-(\d+)\b").findall


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its status, the posts on it with their versions, and the versions of the profiles that it shows."""

    status: int
    posts: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, int] = field(default_factory=dict)


def title(post: str, version: int) -> str:
    """Return a post's title at a version."""
    return f"title-{post}-{version}"


def name(user: str, version: int) -> str:
    """Return a user's name at a version of the profile."""
    return f"name-{user}-{version}"


def read(status: int, body: bytes) -> Page:
    """Return what an answer says."""
    if status != 200:
        return Page(status)
    said = [(kind, subject.decode(), int(version)) for kind, subject, version in _said(body)]
    posts, names = ({s: v for k, s, v in said if k == kind} for kind in (b"title", b"name"))
    return Page(status, posts, names)


def expected(path: str, data: Data) -> Page:
    """Return what an answer for a path says if it is made of this data; its posts also where nobody may see them."""
    kind, subject = path.split("/")[1:3]
    if kind == "post":
        return _post(subject, data)
    user = data.users.get(subject)
    if user is None or user.state is UserState.DELETED:
        return Page(404 if user is None else 410)
    posts = data.feed(subject, own=True) if kind == "feed" else data.of_source(user.num)
    private = kind == "feed" and user.settings.feed_visibility == "private"
    return _page(404 if private else 200, posts[:PAGE], data, {subject: user.profile_version})


def _post(post: str, data: Data) -> Page:
    found = data.posts.get(post)
    if found is None:
        return Page(404)
    status = {PostState.PUBLISHED: 200, PostState.DELETED: 410}.get(found.state, 404)
    return _page(status, [found] if status == 200 else [], data, {})


def _page(status: int, posts: list[Post], data: Data, names: Mapping[str, int]) -> Page:
    by = {post.author: data.users[post.author].profile_version for post in posts}
    return Page(status, {post.id: post.version for post in posts}, {**by, **names})
