"""What the baker is compared with: three Starlette applications as a good developer would write them.

They are given what Edgebake has to find out: which posts a feed shows is in their memory, and a post's document in
Redis is ready to render (domain, date and counts as text). Nothing tells them when a page that a CDN holds is stale.
"""

import gzip
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from baker import clean
from baker.html import CONTENT_TYPE, Html
from baker.locales import Locale
from templates import FOLDER

PUBLIC_URL = "http://edge.test"
GZIP_LEVEL = 6
"""The level at which fragments are deflated too."""

Documents = Sequence[Mapping[str, Any]]
Fetch = Callable[[Sequence[str]], Awaitable[list[Any]]]


def post_key(post: str) -> str:
    """Return the key of a post's document."""
    return f"bench:post:{post}"


def feed_key(user: str) -> str:
    """Return the key of what a feed's page shows besides its posts, and which posts these are."""
    return f"bench:feed:{user}"


class Page:
    """The feed's page in compiled templates, rendered whole for each request."""

    def __init__(self, html: Html, locale: Locale) -> None:
        env = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._card = env.get_template("card.html")
        self._page = env.get_template("page.html")
        self.locale = locale
        self._shared = {"t": locale, "style": Markup(html.style)}  # noqa: S704  our file

    def render(self, feed: Mapping[str, Any], posts: Documents) -> bytes:
        """Return the page of a feed with these posts."""
        cards = Markup("".join(self._card.render(post, t=self.locale) for post in posts))  # noqa: S704  rendered
        return self._page.render(feed, cards=cards, empty=not posts, **self._shared).encode()


async def jinja(redis: Redis, users: Sequence[str], *, one_by_one: bool) -> Starlette:
    """Return an application that fetches a feed's posts, in one MGET or one by one, and renders its page."""
    documents: list[Any] = await redis.mget([feed_key(user) for user in users])
    feeds: dict[str, dict[str, Any]] = {user: orjson.loads(one) for user, one in zip(users, documents, strict=True)}
    page = make_page()
    fetch = _one_by_one(redis) if one_by_one else _one_mget(redis)

    async def feed(request: Request) -> Response:
        shown = feeds[request.path_params["user"]]
        posts = await fetch([post_key(post) for post in shown["posts"]])
        body = page.render(shown, [orjson.loads(post) for post in posts])
        headers = {"content-type": CONTENT_TYPE, "vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, GZIP_LEVEL, mtime=0)
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers)

    return Starlette(routes=[Route("/feed/{user}", feed)])


def make_page() -> Page:
    """Return the page with Edgebake's own style and texts."""
    html = Html(FOLDER, PUBLIC_URL, frozenset(), clean.cleaner(frozenset()))
    return Page(html, html.locales["en"])


def constant(sizes: Mapping[str, int]) -> Starlette:
    """Return an application that answers with constant bytes of a size, one path for each."""

    def of(size: int) -> Callable[[Request], Awaitable[Response]]:
        body = b"x" * size

        async def answer(_: Request) -> Response:
            return Response(body, media_type="application/octet-stream")

        return answer

    return Starlette(routes=[Route(f"/{name}", of(size)) for name, size in sizes.items()])


def _one_mget(redis: Redis) -> Fetch:
    async def fetch(keys: Sequence[str]) -> list[Any]:
        return await redis.mget(keys)

    return fetch


def _one_by_one(redis: Redis) -> Fetch:
    async def fetch(keys: Sequence[str]) -> list[Any]:
        return [await redis.get(key) for key in keys]

    return fetch
