"""What a page says, and what it should say: which posts, and the version of everything that it shows.

Every title and name in the simulation spells its own version, so a page's bytes tell of which data it was made.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from feeds.model import Post, PostState, UserState
from tests.simulation import editions
from tests.simulation.books import Data

PAGE = 25
_edition = re.compile(rb"edition-(\d+)").findall
_site = re.compile(rb"<title>.* Site (\d+)</title>").findall
_said = re.compile(rb"\b(title|name)-([a-z0-9]+)-(\d+)\b").findall


@dataclass(frozen=True, slots=True)
class Page:
    """A page: its status, the posts on it with their versions, and the versions of the profiles that it shows.

    Of HTML also the edition of its templates, and the version of the site's title.
    """

    status: int
    posts: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, int] = field(default_factory=dict)
    edition: int = 0
    site: int = 0


def title(post: str, version: int) -> str:
    """Return a post's title at a version."""
    return f"title-{post}-{version}"


def name(user: str, version: int) -> str:
    """Return a user's name at a version of the profile."""
    return f"name-{user}-{version}"


def site_title(version: int) -> str:
    """Return the title of the site at a version."""
    return f"Site {version}"


def read(status: int, body: bytes) -> Page:
    """Return what an answer says."""
    if status != 200:
        return Page(status)
    said = [(kind, subject.decode(), int(version)) for kind, subject, version in _said(body)]
    posts, names = ({s: v for k, s, v in said if k == kind} for kind in (b"title", b"name"))
    return Page(status, posts, names, _first(_edition(body)), _first(_site(body)))


def _first(found: list[bytes]) -> int:
    return int(found[0]) if found else 0


def expected(path: str, data: Data) -> Page:
    """Return what an answer for a path says if it is made of this data; its posts also where nobody may see them."""
    page = _expected(path, data)
    if page.status != 200 or "/feed." in path:
        return page
    edition, site = frame(data)
    return replace(page, edition=edition, site=site)


def frame(data: Data) -> tuple[int, int]:
    """Return which edition of the templates is current, and the version of the site's title."""
    return _edition_of(data.site.template_version), int(data.site.title.split()[-1])


@cache
def _edition_of(template_version: str) -> int:
    return next(n for n in range(editions.FIRST, editions.LAST + 1) if editions.version(n) == template_version)


def _expected(path: str, data: Data) -> Page:
    kind, subject = path.split("/")[1:3]
    if kind == "post":
        return _post(subject, data)
    user = data.users.get(subject)
    if user is None or user.state is UserState.DELETED:
        return Page(404 if user is None else 410)
    if kind == "author":
        return _page(200, data.of_source(user.num)[:PAGE], data, {subject: user.profile_version})
    posts, is_private = data.feed(subject, own=True), user.settings.feed_visibility == "private"
    return _page(200 if is_private is (kind == "private") else 404, posts[:PAGE], data, {subject: user.profile_version})


def _post(post: str, data: Data) -> Page:
    found = data.posts.get(post)
    if found is None:
        return Page(404)
    status = {PostState.PUBLISHED: 200, PostState.DELETED: 410}.get(found.state, 404)
    return _page(status, [found] if status == 200 else [], data, {})


def _page(status: int, posts: list[Post], data: Data, names: Mapping[str, int]) -> Page:
    by = {post.author: data.users[post.author].profile_version for post in posts}
    return Page(status, {post.id: post.version for post in posts}, {**by, **names})
