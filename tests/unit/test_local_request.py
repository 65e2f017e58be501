"""What of a viewer's request the origin gets."""

import pytest

from cdn.distribution import ALL, Behavior, CachePolicy, Distribution, Keys, OriginRequestPolicy
from cdn.local.asgi import Scope
from cdn.local.request import Request, headers_of
from cdn.local.route import Route

SENT = [
    (b"host", b"feeds.example"),
    (b"user-agent", b"Browser/1"),
    (b"accept", b"text/html"),
    (b"accept-encoding", b"gzip"),
    (b"cookie", b"a=1; b=2"),
    (b"cookie", b"c=3"),
    (b"if-none-match", b'"1"'),
    (b"authorization", b"Basic x"),
    (b"te", b"trailers"),
    (b"x-edge-location", b"X"),
    (b"x-forwarded-for", b"192.0.2.4"),
]


def forwarded(behavior: Behavior, sent: list[tuple[bytes, bytes]] = SENT, etag: bytes | None = None) -> dict[str, str]:
    """Return the headers that the origin gets, names in lower case."""
    request = asked(behavior, sent)._replace(etag=etag)
    return {name.lower(): value for name, value in request.forwarded()}


def asked(behavior: Behavior, sent: list[tuple[bytes, bytes]] = SENT, query: str = "x=1&y=2") -> Request:
    scope: Scope = {
        "method": "GET",
        "raw_path": b"/feed/ada",
        "query_string": query.encode(),
        "headers": sent,
        "client": ("192.0.2.2", 1),
    }
    route, headers = Route(Distribution("E1", None, (behavior,), ()), behavior), headers_of(scope)
    return Request(route.key("/feed/ada", query, headers), route, scope, headers, "id")


def test_by_default_the_origin_gets_nothing_of_the_viewers() -> None:
    assert forwarded(Behavior("*", CachePolicy("p"))) == {
        "accept-encoding": "gzip",
        "x-amz-cf-id": "id",
        "x-forwarded-for": "192.0.2.4, 192.0.2.2",
    }


def test_what_either_policy_takes_is_forwarded() -> None:
    cache = CachePolicy(
        "p", headers=Keys("whitelist", frozenset(["accept"])), cookies=Keys("whitelist", frozenset("a"))
    )
    extra = OriginRequestPolicy(
        "r", queries=Keys("whitelist", frozenset("y")), headers=Keys("whitelist", frozenset(["authorization"])),
        cookies=Keys("whitelist", frozenset("c")),
    )  # fmt: skip
    behavior = Behavior("*", cache, extra)
    told = forwarded(behavior)
    assert (told["accept"], told["authorization"], told["cookie"]) == ("text/html", "Basic x", "a=1; c=3")
    request = asked(behavior)
    assert request.target == "/feed/ada?y=2"
    assert request.key.path == "/feed/ada", "the key has the cache policy's alone"


def test_with_all_viewer_headers_what_belongs_to_one_connection_stays_behind() -> None:
    told = forwarded(Behavior("*", CachePolicy("p"), OriginRequestPolicy("r", headers=ALL)))
    assert told["user-agent"] == "Browser/1"
    assert told["if-none-match"] == '"1"'
    assert not {"te", "x-edge-location", "host", "cookie"} & set(told)


def test_the_edges_own_condition_goes_before_the_viewers() -> None:
    behavior = Behavior("*", CachePolicy("p"), OriginRequestPolicy("r", headers=ALL))
    assert forwarded(behavior, etag=b'"2"')["if-none-match"] == '"2"'


@pytest.mark.parametrize(
    ("accept_encoding", "policy", "told"),
    [
        (b"gzip, br", CachePolicy("p"), "br,gzip"),
        (b"gzip, br", CachePolicy("p", brotli=False), "gzip"),
        (b"deflate", CachePolicy("p"), "identity"),
        (None, CachePolicy("p"), None),
        (b"gzip", CachePolicy("p", gzip=False, brotli=False), None),
        (b"zstd", CachePolicy("p", headers=Keys("whitelist", frozenset(["accept-encoding"]))), "zstd"),
    ],
)
def test_accept_encoding_is_forwarded_as_it_is_normalised(
    accept_encoding: bytes | None, policy: CachePolicy, told: str | None
) -> None:
    sent = [(b"accept-encoding", accept_encoding)] if accept_encoding else []
    assert forwarded(Behavior("*", policy), sent).get("accept-encoding") == told
