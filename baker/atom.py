"""Atom (RFC 4287), paged as RFC 5005 §3 says."""

from markupsafe import escape

from baker import clean
from baker.card import Card, Page, in_format
from baker.moment import rfc3339

CONTENT_TYPE = "application/atom+xml; charset=utf-8"
_END = "</feed>\n"


def _xml(value: str) -> str:
    return str(escape(clean.text(value)))


class Atom:
    """Writes Atom; ``cleaned`` cleans HTML and ``public_url`` begins every URL of ours."""

    def __init__(self, public_url: str, cleaned: clean.Cleaner) -> None:
        self._public_url = public_url
        self._base = _xml(public_url)
        self._cleaned = cleaned

    def entry(self, card: Card) -> bytes:
        """Return the entry of a post."""
        permalink = f"{self._base}/post/{card.post}"
        url = clean.web_url(card.url)
        return "".join(
            (
                f"<entry><id>{permalink}</id><title>{_xml(card.title)}</title>",
                f'<link rel="alternate" href="{_xml(url) if url else permalink}"/>',
                f"<published>{rfc3339(card.published_ms)}</published>",
                f"<updated>{rfc3339(max(card.published_ms, card.edited_ms))}</updated>",
                self._author(card.author, card.author_name),
                *(f'<category term="{_xml(tag)}"/>' for tag in card.tags),
                self._content(card),
                "</entry>\n",
            )
        ).encode()

    def head(self, page: Page, title: str) -> bytes:
        """Return what comes before the entries. All pages of a feed have one id (RFC 5005 §3)."""
        first, here = (self._base + in_format(path, "atom") for path in (page.root, page.path))
        author = "" if page.kind == "explore" else self._author(page.user, page.user_name)
        lines = [
            '<?xml version="1.0" encoding="utf-8"?>\n',
            f'<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{_xml(page.language)}">\n',
            f"<id>{first}</id><title>{_xml(title)}</title>",
            f"<subtitle>{_xml(page.about)}</subtitle>" if page.about else "",
            f"<updated>{rfc3339(page.updated_ms)}</updated>{author}",
            f'<link rel="self" type="application/atom+xml" href="{here}"/>',
            f'<link rel="alternate" type="text/html" href="{self._base}{page.path}"/>',
            "" if page.first else f'<link rel="first" type="application/atom+xml" href="{first}"/>',
        ]
        if page.next_path is not None:
            older = f"{self._base}{in_format(page.next_path, 'atom')}"
            lines.append(f'<link rel="next" type="application/atom+xml" href="{older}"/>')
        return ("".join(lines) + "\n").encode()

    def tail(self) -> bytes:
        """Return what comes after the entries."""
        return _END.encode()

    def _author(self, user: str, name: str) -> str:
        return f"<author><name>{_xml(name) or user}</name><uri>{self._base}/author/{user}</uri></author>"

    def _content(self, card: Card) -> str:
        if not card.content:
            return ""  # RFC 4287 §4.1.2: an alternate link stands for it
        if card.content_type == "html":
            return f'<content type="html">{_xml(self._cleaned(card.content))}</content>'
        return f'<content type="text">{_xml(card.content)}</content>'
