"""Untrusted text made safe to show: characters, URLs and HTML. Escaping is left to whoever writes the format."""

import html
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import nh3

Cleaner = Callable[[str], str]

# What XML 1.0 §2.2 does not allow, and DEL with the C1 controls that it discourages.
_illegal = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_bidi = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_space = re.compile(r"\s+")
_joined = re.compile(r"(?=</?(?:t[dhr]|d[dt]|div|section|article|caption|address)\b)", re.IGNORECASE)
"""Before tags that are taken out, and that part words where they are shown."""
_not_in_urls = re.compile(r"[\s\x00-\x1f\"<>\\^`{|}\u2028\u2029]")
_block_end = re.compile(r"</(?:p|li|h[1-6]|blockquote|pre|ul|ol|figure|figcaption)>|<br>")
# html5ever writes attributes as name="value" with quotes escaped, so this matches whole tags and nothing else.
_image = re.compile(r'<img(?: [a-z-]+="[^"]*")*>')
_heading = re.compile(r"<(/?)h([1-6])>")

_TAGS = {
    *("a", "abbr", "b", "blockquote", "br", "cite", "code", "del", "em", "figcaption", "figure", "hr", "i", "ins"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "kbd", "li", "mark", "ol", "p", "pre", "q", "s", "samp", "small", "strong"),
    *("sub", "sup", "ul", "var"),
}
_WITH_CONTENT = {"script", "style", "template", "iframe", "noscript", "object", "svg", "math", "textarea", "title"}
_LAZY = {"img": {"loading": "lazy", "decoding": "async", "referrerpolicy": "no-referrer"}}


def text(value: str) -> str:
    """Return ``value`` without the characters that XML, JSON or UTF-8 cannot hold."""
    return value if value.isprintable() else _illegal.sub("", value)


def line(value: str) -> str:
    """Return ``value`` on one line and without marks of direction, for places that cannot isolate them."""
    if not value.isprintable():
        value = _bidi.sub("", text(value))
    return _space.sub(" ", value).strip()


def web_url(value: str | None) -> str | None:
    """Return ``value`` where it is an ``http(s)`` URL with a host, else None."""
    if value is None or _not_in_urls.search(value):
        return None
    return text(value) if host(value) else None


def host(url: str) -> str:
    """Return the host of an ``http(s)`` URL as DNS spells it, with its port, or ``""``.

    Names in other scripts are shown in their ASCII form, so that none passes for another.
    """
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
        ascii_name = name if name.isascii() else name.encode("idna").decode()
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not name:
        return ""
    return f"{ascii_name}:{port}" if port else ascii_name


def domain(url: str) -> str:
    """Return the host of a URL as people say it: without ``www.``."""
    return host(url).removeprefix("www.")


def cleaner(image_hosts: frozenset[str]) -> Cleaner:
    """Return a function that cleans HTML: few tags, ``http(s)`` links that vouch for nothing, images of these hosts."""

    def attribute(tag: str, name: str, value: str) -> str | None:
        if name == "src":
            return value if host(value) in image_hosts else None
        return web_url(value) if name == "href" else value

    images = {"img": {"src", "alt"}} if image_hosts else {}
    tool = nh3.Cleaner(
        tags=_TAGS | set(images),
        clean_content_tags=_WITH_CONTENT,
        attributes={"a": {"href"}, **images},
        attribute_filter=attribute,
        link_rel="nofollow noopener noreferrer",
        url_schemes={"http", "https"},
        set_tag_attribute_values=_LAZY if image_hosts else None,
    )

    def clean(content: str) -> str:
        # Twice `text`: a character reference can bring back what was taken out.
        return _without_empty_images(text(tool.clean(_joined.sub(" ", text(content)))))

    return clean


def _without_empty_images(cleaned: str) -> str:
    return _image.sub(lambda found: found[0] if ' src="' in found[0] else "", cleaned)


def headings(cleaned: str, top: int) -> str:
    """Return cleaned HTML with its headings moved so that the highest is of level ``top``: the page has its own."""
    levels = [int(level) for _, level in _heading.findall(cleaned)]
    if not levels:
        return cleaned
    shift = top - min(levels)
    return _heading.sub(lambda found: f"<{found[1]}h{min(int(found[2]) + shift, 6)}>", cleaned)


def paragraphs(content: str) -> str:
    """Return plain text as HTML: escaped, a paragraph for each blank line, a break for each other."""
    blocks = re.split(r"\n[ \t]*\n\s*", text(content).replace("\r\n", "\n").replace("\r", "\n").strip())
    return "".join(f"<p>{html.escape(block).replace(chr(10), '<br>')}</p>" for block in blocks if block)


def excerpt(cleaned: str, limit: int) -> str:
    """Return the first ``limit`` characters or so of cleaned HTML as plain text, cut between words."""
    spaced = _block_end.sub(lambda found: found[0] + " ", cleaned)
    plain = _space.sub(" ", html.unescape(nh3.clean(spaced, tags=set()))).strip()
    if len(plain) <= limit:
        return plain
    cut = plain.rfind(" ", limit // 2, limit)
    return plain[: cut if cut > 0 else limit].rstrip(" ,;:.") + "…"
