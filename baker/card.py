"""What an artifact shows: cards, one a post, and the page around them. Plain values, whatever they were read from."""

from dataclasses import dataclass
from typing import Literal

Format = Literal["html", "json", "atom"]

Kind = Literal["feed", "author", "post", "explore"]

ENDINGS: dict[Format, str] = {"html": "", "json": "/feed.json", "atom": "/feed.atom"}


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that one post shows. A fragment depends on this, its language and the templates, and nothing else."""

    post: str
    author: str
    author_name: str
    title: str
    url: str | None
    content: str
    content_type: str  # "html" or "text"
    tags: tuple[str, ...]
    published_ms: int
    edited_ms: int
    likes: int
    comments: int
    views: int


@dataclass(frozen=True, slots=True)
class Page:
    """Everything of a page that is not a post.

    ``path`` is that of the page's HTML, ``next_path`` that of the older page. ``updated_ms`` is the newest edit among
    its posts, or 0: a body holds no time of its own making. ``title`` is a post page's; ``user_name`` also the tag that
    is explored, or "".
    """

    kind: Kind
    user: str
    user_name: str
    about: str
    language: str
    site_title: str
    home_page_url: str | None
    path: str
    next_path: str | None
    first: bool
    updated_ms: int
    private: bool
    title: str = ""

    @property
    def root(self) -> str:
        """The path of the first page."""
        root, older, _ = self.path.rpartition("/after/")
        return self.path if not older else f"{root}/" if self.path.startswith("/private/") else root

    def at(self, format: Format) -> str:
        """Return the path of this page in a format."""
        return in_format(self.path, format)


def in_format(path: str, format: Format) -> str:
    """Return the path in a format of what is at ``path`` in HTML."""
    return path if format == "html" else path.removesuffix("/") + ENDINGS[format]
