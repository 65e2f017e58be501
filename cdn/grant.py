"""What a signature grants: CloudFront's policy statement (Developer Guide, private-content-creating-signed-url-*).

A policy says what may be read, until when and from where. A custom one is sent along; a canned one is made anew of the
URL that is asked for, so it has no room for anything but the end.
"""

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, ip_address
from typing import Any

PARAMETERS = frozenset(("Policy", "Expires", "Signature", "Key-Pair-Id", "Hash-Algorithm"))
"""Query parameters that CloudFront takes for a signature's; they reach neither a cache key nor an origin."""
COOKIE = "CloudFront-"
"""What the same names begin with as cookies."""
TO_URL = bytes.maketrans(b"+=/", b"-_~")
FROM_URL = bytes.maketrans(b"-_~", b"+=/")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a policy allows: ``resource`` is a URL in which ``*`` and ``?`` stand for anything, None for every URL.

    ``until`` and ``since`` are seconds of Unix time. ``address``: an IPv4 address or network.
    """

    resource: str | None
    until: int
    since: int | None = None
    address: str | None = None

    @property
    def policy(self) -> bytes:
        """The policy's bytes: compact, its parts in the order in which CloudFront makes a canned one anew."""
        condition: dict[str, Any] = {"DateLessThan": {"AWS:EpochTime": self.until}}
        if self.address is not None:
            condition["IpAddress"] = {"AWS:SourceIp": str(_network(self.address))}
        if self.since is not None:
            condition["DateGreaterThan"] = {"AWS:EpochTime": self.since}
        resource = {} if self.resource is None else {"Resource": self.resource}
        return json.dumps({"Statement": [{**resource, "Condition": condition}]}, separators=(",", ":")).encode()

    def allows(self, url: str, address: str, now: float) -> bool:
        """Tell whether a request for ``url`` from ``address`` is within the policy."""
        if not (self.since or 0) <= now < self.until:
            return False
        if self.address is not None and not _is_within(address, self.address):
            return False
        return self.resource is None or _pattern(self.resource).fullmatch(url) is not None


def encode(data: bytes) -> str:
    """Return CloudFront's base64: ``+``, ``=`` and ``/`` become ``-``, ``_`` and ``~``."""
    return b64encode(data).translate(TO_URL).decode()


def decode(text: str) -> bytes | None:
    """Return what CloudFront's base64 stands for, None where it is none."""
    try:
        return b64decode(text.encode("ascii").translate(FROM_URL), validate=True)
    except (NotBase64, UnicodeEncodeError):
        return None


def read_policy(policy: bytes) -> Grant | None:
    """Read a custom policy: one statement, ending at some time, with no condition but CloudFront's; else None."""
    try:
        (statement,) = json.loads(policy)["Statement"]
        condition = dict(statement["Condition"])
        until = _time(condition.pop("DateLessThan"))
        since = _time(condition.pop("DateGreaterThan")) if "DateGreaterThan" in condition else None
        address = str(_network(condition.pop("IpAddress")["AWS:SourceIp"])) if "IpAddress" in condition else None
        resource = statement.get("Resource")
        is_text = isinstance(resource, str) or "Resource" not in statement  # null is nobody's wish for everything
        if condition or not is_text:
            return None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None
    return Grant(resource, until, since, address)


def _network(text: str) -> IPv4Network:
    if not isinstance(text, str):
        raise TypeError("an address that is no text")  # a number would be read as one
    return IPv4Network(text, strict=False)


def _is_within(address: str, network: str) -> bool:
    """Tell whether an address is in an IPv4 network; one of IPv6 never is."""
    try:
        viewer = ip_address(address)
    except ValueError:
        return False
    return viewer.version == 4 and viewer in _network(network)


def _time(node: Any) -> int:
    moment = node["AWS:EpochTime"]
    if not isinstance(moment, int) or isinstance(moment, bool):
        raise TypeError("a time in quotation marks, or with a fraction")
    return moment


_parts = re.compile(r"\*+|\?|[^*?]+").findall


@lru_cache(maxsize=1_024)
def _pattern(resource: str) -> re.Pattern[str]:
    """Return a resource as a regular expression; a run of stars is one."""
    parts = (".*" if part.startswith("*") else "." if part == "?" else re.escape(part) for part in _parts(resource))
    return re.compile("".join(parts), re.DOTALL)
