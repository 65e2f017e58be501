"""Which behaviour a path takes, and what is in the cache key."""

import pytest

from cdn.distribution import ALL, NONE, Behavior, CachePolicy, Distribution, Keys, ours
from cdn.local.objects import Key
from cdn.local.route import Route, Routes, normal_path

HEADERS = {b"accept-encoding": b"gzip, br", b"accept-language": b"de", b"cookie": b"b=2; a=1", b"host": b"example.com"}


def some(*names: str) -> Keys:
    return Keys("whitelist", frozenset(names))


def key(policy: CachePolicy, query: str = "", http: str = "1.1", groups: tuple[str, ...] = ()) -> Key:
    """Return the key of a request under a policy."""
    behavior = Behavior("*", policy, key_groups=groups)
    return Route(Distribution("E1", None, (behavior,), ()), behavior).key("/a", query, HEADERS, http)


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/feed/ada", "/feed/ada"),
        ("/feed/../api", "/api"),
        ("/feed/%2e%2E/api", "/api"),
        ("/feed/./ada", "/feed/ada"),
        ("/../../feed/", "/feed/"),
        ("/feed/ada/..", "/feed/"),
        ("/%66eed/ada", "/feed/ada"),
        ("/feed%2Fada", "/feed%2Fada"),  # a slash is not plain
        ("//feed/ada", "//feed/ada"),
    ],
)
def test_a_path_is_compared_in_its_normal_form(path: str, normal: str) -> None:
    assert normal_path(path) == normal
    routes = [Route(ours(), behavior) for behavior in ours().behaviors]
    expected = "/feed/*" if normal.startswith("/feed/") else "*"
    assert Routes(routes).of(path).behavior.pattern == expected


def test_the_path_alone_is_in_the_key_by_default_as_it_was_spelt() -> None:
    assert key(CachePolicy("p", gzip=False, brotli=False), "x=1") == Key("/a")


@pytest.mark.parametrize(
    ("queries", "taken"),
    [
        (NONE, "/a"),
        (ALL, "/a?b=2&a=1&A=3&b=4"),  # in the order and the case they came in
        (some("b"), "/a?b=2&b=4"),
        (Keys("allExcept", frozenset("b")), "/a?a=1&A=3"),
    ],
)
def test_the_query_strings_of_the_policy_are_in_the_key(queries: Keys, taken: str) -> None:
    assert key(CachePolicy("p", queries=queries), "b=2&a=1&A=3&b=4").path == taken


def test_headers_and_cookies_of_the_policy_are_in_the_key() -> None:
    made = key(CachePolicy("p", headers=some("accept-language"), cookies=some("a")))
    assert made.extra == ("accept-language: de", "a=1")


@pytest.mark.parametrize(
    ("policy", "encoding"),
    [
        (CachePolicy("p"), "br,gzip"),
        (CachePolicy("p", brotli=False), "gzip"),
        (CachePolicy("p", gzip=False), "br"),
        (CachePolicy("p", gzip=False, brotli=False), ""),
    ],
)
def test_accept_encoding_is_in_the_key_as_the_policy_enables(policy: CachePolicy, encoding: str) -> None:
    assert key(policy).encoding == encoding


def test_http_1_0_gets_nothing_encoded() -> None:
    assert key(CachePolicy("p"), http="1.0").encoding == ""


def test_accept_encoding_in_the_policys_own_list_is_a_header_like_any_other() -> None:
    made = key(CachePolicy("p", headers=some("accept-encoding")))
    assert (made.encoding, made.extra) == ("", ("accept-encoding: gzip, br",))


@pytest.mark.parametrize(("groups", "taken"), [((), "/a?Signature=x&a=1"), (("readers",), "/a?a=1")])
def test_a_signature_is_in_no_key_where_one_is_demanded(groups: tuple[str, ...], taken: str) -> None:
    assert key(CachePolicy("p", queries=ALL), "Signature=x&a=1", groups=groups).path == taken
