"""Cards and pages for the renderer's tests."""

from typing import Literal

from baker.card import Card, Page
from baker.render import Renderer
from templates import FOLDER

PUBLIC_URL = "https://feeds.example.org"
IMAGE_HOST = "images.example.org"

HOSTILE = "\"><script>alert(1)</script>' & \u202etxt.exe\u2028 \x00\x0b\x1b\ufffe ]]> {{ 7*7 }} </title></style>"
HOSTILE_HTML = (
    '<p onclick="alert(1)" style="color:red" class="x" id="main">Hello <b>there</b></p><script>alert(1)</script>'
    '<a href="javascript:alert(1)">one</a><a href="&#106;avascript:alert(1)">two</a><a href="//evil.example/">three</a>'
    '<a href="https://example.org/?a=1&amp;b=2" target="_top" onmouseover="x()">four</a>'
    '<img src="https://evil.example/pixel.gif" alt="a > b"><img src="data:image/svg+xml,<svg onload=alert(1)>">'
    f'<img src="https://{IMAGE_HOST}@evil.example/p.gif"><img src="https://{IMAGE_HOST}/ok.png" onerror="x()" alt="ok">'
    "<svg><script>alert(1)</script></svg><iframe src='https://evil.example/'></iframe><style>body{}</style>"
    "<form action='https://evil.example/'><input name=a></form>&#11;&#0;\x0b]]>"
)


def renderer() -> Renderer:
    """Return a renderer with the project's templates."""
    return Renderer(FOLDER, public_url=PUBLIC_URL, image_hosts=frozenset({IMAGE_HOST}))


def card(
    *,
    post: str = "hn-1",
    author: str = "grace",
    author_name: str = "Grace Hopper",
    title: str = "On compilers",
    url: str | None = None,
    content: str = "",
    content_type: str = "html",
    tags: tuple[str, ...] = (),
    published_ms: int = 1_604_685_051_000,
    edited_ms: int = 1_604_685_051_000,
    likes: int = 0,
    comments: int = 0,
    views: int = 0,
) -> Card:
    """Return a card; what is not said is plain."""
    return Card(
        post,
        author,
        author_name,
        title,
        url,
        content,
        content_type,
        tags,
        published_ms,
        edited_ms,
        likes,
        comments,
        views,
    )


def hostile_card() -> Card:
    """Return a card in which everything that a person writes is an attack."""
    return card(
        author_name=HOSTILE,
        title=HOSTILE,
        url='javascript:alert("1")',
        content=HOSTILE_HTML,
        tags=(HOSTILE, "plain"),
    )


def page(
    *,
    kind: Literal["feed", "author", "post"] = "feed",
    user: str = "ada",
    user_name: str = "Ada Lovelace",
    about: str = "",
    language: str = "en",
    path: str = "/feed/ada",
    next_path: str | None = None,
    private: bool = False,
    title: str = "",
) -> Page:
    """Return a page; what is not said is plain."""
    return Page(
        kind=kind,
        user=user,
        user_name=user_name,
        about=about,
        language=language,
        site_title="Edgebake",
        home_page_url=None,
        path=path,
        next_path=next_path,
        first="/after/" not in path,
        updated_ms=1_604_685_051_000,
        private=private,
        title=title,
    )
