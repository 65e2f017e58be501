"""The page: HTML from Jinja2 templates, with one inline style and no script."""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from baker import clean
from baker.card import Card, Page
from baker.frame import CARDS, Frame, hole
from baker.locales import Locale, Locales
from baker.moment import rfc3339
from baker.splice import Part

CONTENT_TYPE = "text/html; charset=utf-8"
SHOWN_WHOLE = 700
"""Bytes of cleaned HTML that a list shows whole; of anything longer it shows an excerpt."""
EXCERPT = 320
"""Characters of an excerpt."""
TITLE = 80
"""Characters of an untitled post that stand for its title."""
_HUES = 8
_HOLES = ("user", "user_name", "initial", "hue", "about", "title", "json", "atom", "root", "url", "next_path")

_comment = re.compile(r"/\*.*?\*/", re.DOTALL)
_indent = re.compile(r"\s*\n\s*")


class Shape(NamedTuple):
    """What the template of a page decides by, and many pages share: one frame each."""

    language: str
    kind: str
    site_title: str
    home_page_url: str | None
    first: bool
    private: bool
    has_next: bool
    has_about: bool
    empty: bool


class Html:
    """Renders cards and pages from the templates of a folder."""

    def __init__(self, folder: Path, public_url: str, image_hosts: frozenset[str], cleaned: clean.Cleaner) -> None:
        self._public_url = public_url
        self._cleaned = cleaned
        self.locales = Locales(folder / "locales")
        self.style = _minified((folder / "style.css").read_text())
        self.csp = _policy(self.style, image_hosts)
        self._env = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._card = self._template("card.html")
        self._frame = lru_cache(maxsize=512)(self._make_frame)

    def card(self, card: Card, language: str, *, full: bool) -> bytes:
        """Return a post: ``full`` on its own page, else as an entry of a list."""
        locale = self.locales[language]
        title, body, clipped = self._shown(card, locale, full)
        url = clean.web_url(card.url)
        return self._card.render(
            t=locale,
            full=full,
            title=title,
            href=url or f"/post/{card.post}",
            domain=clean.domain(url) if url else "",
            author=card.author,
            author_name=clean.text(card.author_name) or card.author,
            initial=_initial(card.author_name),
            hue=_hue(card.author),
            datetime=rfc3339(card.published_ms),
            date=locale.date(card.published_ms),
            tags=[clean.text(tag) for tag in card.tags],
            counts=_counts(card, locale),
            body=Markup(body),  # noqa: S704  cleaned or escaped by `_shown`
            clipped=clipped,
        ).encode()

    def page(self, page: Page, cards: Sequence[Part]) -> list[Part]:
        """Return the page around its cards."""
        shape = Shape(
            language=self.locales[page.language].language,
            kind=page.kind,
            site_title=page.site_title,
            home_page_url=page.home_page_url,
            first=page.first,
            private=page.private,
            has_next=page.next_path is not None,
            has_about=bool(page.about),
            empty=not cards,
        )
        return self._frame(shape).fill(self._values(page), list(cards))

    def title(self, page: Page) -> str:
        """Return the page's title as plain text."""
        if page.kind == "post":
            return clean.line(page.title) or clean.line(page.user_name)
        locale = self.locales[page.language]
        if page.kind == "explore":
            tag = clean.line(page.user_name)
            return locale.plain("explore_tag", name=tag) if tag else locale.plain("explore")
        key = "feed_of" if page.kind == "feed" else "posts_by"
        return locale.plain(key, name=clean.line(page.user_name) or page.user)

    def message(self, locale: Locale, site_title: str, status: int) -> bytes:
        """Return the page of an answer that is an error."""
        return self._render("message.html", locale, site_title, status=status)

    def home(self, locale: Locale, site_title: str, users: Sequence[tuple[str, str]]) -> bytes:
        """Return the page that lists a few feeds."""
        named = [(user, clean.text(name) or user, _initial(name), _hue(user)) for user, name in users]
        return self._render("home.html", locale, site_title, users=named)

    def _template(self, name: str) -> Template:
        return self._env.get_template(name)

    def _render(self, template: str, locale: Locale, site_title: str, **values: object) -> bytes:
        shared = {"t": locale, "style": Markup(self.style), "site_title": clean.text(site_title)}  # noqa: S704  our file
        return self._template(template).render(**shared, **values).encode()

    def _make_frame(self, shape: Shape) -> Frame:
        decided = shape._asdict() | {"home_page_url": clean.web_url(shape.home_page_url)}
        del decided["language"], decided["site_title"]
        holes = {name: hole(name) for name in (*_HOLES, CARDS)}
        locale = self.locales[shape.language]
        return Frame(self._render("page.html", locale, shape.site_title, **decided, **holes).decode())

    def _values(self, page: Page) -> Mapping[str, bytes]:
        values = {
            "user": page.user,
            "user_name": clean.text(page.user_name) or page.user,
            "initial": _initial(page.user_name),
            "hue": str(_hue(page.user)),
            "title": self.title(page),
            "json": page.at("json"),
            "atom": page.at("atom"),
            "root": page.root,
            "url": f"{self._public_url}{page.path}",
            "next_path": page.next_path or "",
        }
        filled = {name: escape(value).encode() for name, value in values.items()}
        filled["about"] = clean.paragraphs(page.about).encode() if page.about else b""  # escaped there
        return filled

    def _shown(self, card: Card, locale: Locale, full: bool) -> tuple[str, str, bool]:
        """Return a card's title as text, its body as HTML, and whether that was cut."""
        body = self._body(card, top=2 if full else 3)
        title = clean.text(card.title).strip()
        if not title:  # the first words stand for it
            title = clean.excerpt(body, TITLE) or locale.plain("untitled")
            if title == clean.excerpt(body, len(body)):
                body = ""
        if full or len(body) <= SHOWN_WHOLE:
            return title, body, False
        return title, f"<p>{escape(clean.excerpt(body, EXCERPT))}</p>", True

    def _body(self, card: Card, top: int) -> str:
        if not card.content:
            return ""
        if card.content_type == "html":
            return clean.headings(self._cleaned(card.content), top)
        return clean.paragraphs(card.content)


def _counts(card: Card, locale: Locale) -> list[Markup]:
    numbers = {"likes": card.likes, "comments": card.comments, "views": card.views}
    return [locale.count(key, number) for key, number in numbers.items() if number]


def _initial(name: str) -> str:
    """Return what stands in an author's disc: a letter or a digit, or a dot."""
    first = next((character for character in name if character.isalnum()), "·")
    return first.upper()[:1]


def _hue(user: str) -> int:
    return hashlib.blake2b(user.encode(), digest_size=1).digest()[0] % _HUES


def _minified(style: str) -> str:
    return _indent.sub("\n", _comment.sub("", style)).strip()


def _policy(style: str, image_hosts: frozenset[str]) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src 'sha256-{digest}'",
            " ".join(("img-src data:", *sorted(image_hosts))),  # data: is the page's own icon
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
