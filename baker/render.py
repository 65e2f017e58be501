"""The renderer: cards and pages to parts, in every format. Pure: no I/O after it was made, no clock."""

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import assert_never

from baker import atom, clean, html, jsonfeed
from baker.card import ENDINGS, Card, Format, Kind, Page
from baker.splice import Part, part, stored

__all__ = ["ENDINGS", "Card", "Format", "Page", "Renderer", "content_type", "missing_content_type"]

_COMMA = stored(b",")
_is_host = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?").fullmatch

_CONTENT_TYPES: dict[Format, str] = {
    "html": html.CONTENT_TYPE,
    "json": jsonfeed.CONTENT_TYPE,
    "atom": atom.CONTENT_TYPE,
}
_MISSING_CONTENT_TYPES: dict[Format, str] = {
    "html": html.CONTENT_TYPE,
    "json": "application/problem+json",
    "atom": "text/plain; charset=utf-8",
}


def content_type(format: Format) -> str:
    """Return the content type of an artifact."""
    return _CONTENT_TYPES[format]


def missing_content_type(format: Format) -> str:
    """Return the content type of what ``Renderer.missing`` returns."""
    return _MISSING_CONTENT_TYPES[format]


class Renderer:
    """Renders with the templates of ``folder``.

    ``public_url`` begins every absolute URL; ``image_hosts`` are those that posts may show images of, as ``host`` or
    ``host:port``. Raises ValueError for a host that is none.
    """

    def __init__(self, folder: Path, *, public_url: str, image_hosts: frozenset[str] = frozenset()) -> None:
        for host in image_hosts:
            if not _is_host(host):
                raise ValueError(f"image host is {host!r}: it must be a lower-case host name, perhaps with a port")
        public_url = public_url.rstrip("/")
        cleaned = clean.cleaner(image_hosts)
        self._html = html.Html(folder, public_url, image_hosts, cleaned)
        self._json = jsonfeed.JsonFeed(public_url, cleaned)
        self._atom = atom.Atom(public_url, cleaned)
        self._json_tail = stored(self._json.tail())
        self._atom_tail = stored(self._atom.tail())
        self._missing = lru_cache(maxsize=64)(self._make_missing)
        self.csp = self._html.csp
        self.version = template_version(folder)

    def fragment(self, format: Format, card: Card, language: str, *, full: bool = False) -> Part:
        """Return a post as a part: in a list, or (``full``) on its own page. Only HTML minds ``language``, ``full``."""
        match format:
            case "html":
                return part(self._html.card(card, language, full=full))
            case "json":
                return _after_comma(part(self._json.item(card)))
            case "atom":
                return part(self._atom.entry(card))
            case _:
                assert_never(format)

    def fragment_language(self, format: Format, language: str) -> str:
        """Return the language that a fragment is in where a user wishes for ``language``; "" for any."""
        return self._html.locales[language].language if format == "html" else ""

    def page(self, format: Format, page: Page, fragments: Sequence[Part]) -> list[Part]:
        """Return an artifact's parts: what comes before the fragments, they, and what comes after."""
        match format:
            case "html":
                return self._html.page(page, fragments)
            case "json":
                head = stored(self._json.head(page, self._html.title(page)))
                return [head, *_first_bare(fragments), self._json_tail]
            case "atom":
                head = stored(self._atom.head(page, self._html.title(page)))
                return [head, *fragments, self._atom_tail]
            case _:
                assert_never(format)

    def missing(self, status: int, format: Format, language: str, site_title: str) -> list[Part]:
        """Return the body of a 404, 410 or 503, in ``missing_content_type(format)``."""
        return list(self._missing(status, format, self._html.locales[language].language, site_title))

    def home(self, users: Sequence[tuple[str, str]], *, language: str = "en", site_title: str = "Edgebake") -> bytes:
        """Return the HTML of an edge's ``/``: a few feeds, as id and name."""
        return self._html.home(self._html.locales[language], site_title, users)

    def warm(self) -> None:
        """Render a page of each kind and format, so that the first reader does not wait for templates to compile."""
        card = Card("warm", "warm", "warm", "warm", None, "", "text", ("warm",), 0, 0, 1, 1, 1)
        kinds: tuple[Kind, ...] = ("feed", "author", "post", "explore")
        for kind, format in product(kinds, ENDINGS):
            page = Page(kind, "warm", "warm", "", "en", "", None, "/feed/warm", None, True, 0, False)
            self.page(format, page, [self.fragment(format, card, "en", full=kind == "post")])
        for status, format in product((404, 410, 503), ENDINGS):
            self.missing(status, format, "en", "")

    def _make_missing(self, status: int, format: Format, language: str, site_title: str) -> tuple[Part, ...]:
        locale = self._html.locales[language]
        match format:
            case "html":
                return (part(self._html.message(locale, site_title, status)),)
            case "json":
                return (part(jsonfeed.problem(status, locale.plain(f"title_{status}"))),)
            case "atom":
                return (part(f"{locale.plain(f'title_{status}')}\n".encode()),)
            case _:
                assert_never(format)


def _after_comma(item: Part) -> Part:
    """Return an item of a JSON list with the comma before it: one part to join where there would be two."""
    return Part(_COMMA.plain + item.plain, _COMMA.deflated + item.deflated, item.digest)


def _first_bare(items: Sequence[Part]) -> Sequence[Part]:
    """Return the items of a JSON list, the first without its comma."""
    if not items:
        return items
    plain, deflated, digest = items[0]
    return [Part(plain[len(_COMMA.plain) :], deflated[len(_COMMA.deflated) :], digest), *items[1:]]


def template_version(folder: Path) -> str:
    """Return the version of the templates: a hash over the names and bytes of all files in their folder."""
    state = hashlib.blake2b(digest_size=8)
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.suffix not in (".py", ".pyc"):
            name, content = file.relative_to(folder).as_posix().encode(), file.read_bytes()
            state.update(b"%d %s %d %s" % (len(name), name, len(content), content))
    return state.hexdigest()
