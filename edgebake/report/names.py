"""Names: to which feed a path of the log counts. All formats and pages of a feed are one."""

from baker.paths import parse
from cdn.logs.request import asked

_LONGEST = 80


def feed_of(path: bytes) -> str:
    """Return the feed, author or post page of a path as the log spells it; of others the first part, or all of it."""
    text = asked(path)
    if text.startswith("/static/"):
        return "/static"
    return page_of(text) or _shown(text)


def page_of(path: str) -> str:
    """Return the first page, in HTML, of what a path asks for; "" where it is no artifact of ours."""
    target = parse(path)
    return "" if target is None else target._replace(after=None, format="html").page


def _shown(text: str) -> str:
    """Return a path that anybody may have asked for so that a terminal shows it, and does nothing else."""
    return (text if text.isprintable() else ascii(text)[1:-1])[:_LONGEST]
