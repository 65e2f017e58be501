"""Items of an invalidation: ``#tag``, ``/path`` or ``/path*``. Which are taken, and which are wildcards."""

from urllib.parse import quote

from cdn.local.objects import is_tag

MAX_PATH = 4_000


def is_item(item: str) -> bool:
    """Tell whether CloudFront takes an item.

    A path begins with a slash, has ``*`` only as its last character and no character that must be
    percent-encoded; one with ``~`` is taken, and never matches.
    """
    if item.startswith("#"):
        return is_tag(item[1:])
    body = item.removesuffix("*")
    return (
        item.startswith("/")
        and len(item) <= MAX_PATH
        and "*" not in body
        and quote(body, safe="/?&=%:@!$'()+,;~") == body
    )


def is_wildcard(item: str) -> bool:
    """Tell whether an item is a path with a wildcard; these have a quota of their own. A tag never is."""
    return item.startswith("/") and item.endswith("*")
