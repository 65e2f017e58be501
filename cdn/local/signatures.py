"""Who may read: a behaviour with trusted key groups answers signed requests only, and checks them before anything else.

Nothing of a signature goes into a cache key or to the origin, so private answers are shared and collapsed like others.
"""

import time
from collections.abc import Mapping

from cdn.distribution import Behavior
from cdn.local.asgi import Scope
from cdn.local.config import Clock
from cdn.signing import Denial, PublicKey, Request, check, split

KeyGroups = Mapping[str, Mapping[str, PublicKey]]
"""The keys of each trusted key group, by their ids."""


class Signatures:
    """Checks requests against the key groups of their behaviour. A group that is not known has no keys."""

    def __init__(self, groups: KeyGroups, clock: Clock = time.time) -> None:
        """``clock``: seconds of Unix time."""
        self._groups = groups
        self._clock = clock

    def check(self, behavior: Behavior, scope: Scope) -> Denial | None:
        """Tell why a request is refused, None where it may pass."""
        if not behavior.key_groups:
            return None
        keys = {name: key for group in behavior.key_groups for name, key in self._groups.get(group, {}).items()}
        return check(_request(scope), keys, self._clock())


def _request(scope: Scope) -> Request:
    query, parameters = split(scope["query_string"].decode("latin-1"))
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "")
    url = f"{scope['scheme']}://{host}{scope['raw_path'].decode('latin-1')}" + (f"?{query}" if query else "")
    client = scope.get("client") or ("", 0)
    return Request(url, client[0], parameters, _cookies(scope))


def _cookies(scope: Scope) -> dict[str, str]:
    """Return a request's cookies. Of two with one name the first counts: a browser sends the closer path's first."""
    cookies: dict[str, str] = {}
    for name, header in scope["headers"]:
        if name == b"cookie":
            for part in header.decode("latin-1").split(";"):
                key, _, value = part.strip().partition("=")
                cookies.setdefault(key, value.strip('"'))
    return cookies
