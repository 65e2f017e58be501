"""A distribution as values: which behaviour a path has, what a policy takes, how long an error is kept."""

import pytest

from cdn.distribution import (
    ALL,
    ERROR_TTL_S,
    NONE,
    Behavior,
    CachePolicy,
    Distribution,
    Keys,
    OriginRequestPolicy,
    ours,
)

POLICY = CachePolicy("p")


@pytest.mark.parametrize(
    ("pattern", "path", "is_match"),
    [
        ("/feed/*", "/feed/ada", True),
        ("/feed/*", "/feed/", True),  # zero characters
        ("/feed/*", "/feed", False),
        ("/feed/*", "/Feed/ada", False),  # case counts
        ("/feed/*", "/x/feed/ada", False),
        ("feed/*", "/feed/ada", True),  # the leading slash may be missing
        ("/a??.jpg", "/ant.jpg", True),
        ("/a??.jpg", "/ants.jpg", False),
        ("*.jpg", "/a/b.jpg", True),
        ("/a.b", "/aXb", False),
        ("*", "/", True),
    ],
)
def test_a_pattern_matches_as_cloudfronts_do(pattern: str, path: str, is_match: bool) -> None:
    assert Behavior(pattern, POLICY).matches(path) is is_match


def test_the_first_behaviour_that_matches_is_taken() -> None:
    behaviors = tuple(Behavior(pattern, POLICY) for pattern in ("/a/b*", "/a/*", "*"))
    distribution = Distribution("E1", None, behaviors, ())
    taken = [distribution.behavior_of(path).pattern for path in ("/a/bc", "/a/c", "/c")]
    assert taken == ["/a/b*", "/a/*", "*"]


@pytest.mark.parametrize(
    ("keys", "taken"),
    [
        (NONE, set[str]()),
        (Keys("whitelist", frozenset("a")), {"a"}),
        (Keys("allExcept", frozenset("a")), {"b"}),
        (ALL, {"a", "b"}),
    ],
)
def test_a_policy_takes_the_names_it_says(keys: Keys, taken: set[str]) -> None:
    assert {name for name in "ab" if keys.takes(name)} == taken


def test_cookies_are_forwarded_by_either_policy() -> None:
    plain = Behavior("*", POLICY)
    by_key = Behavior("*", CachePolicy("p", cookies=Keys("whitelist", frozenset("a"))))
    by_request = Behavior("*", POLICY, OriginRequestPolicy("r", cookies=ALL))
    assert [each.forwards_cookies for each in (plain, by_key, by_request)] == [False, True, True]


def test_an_error_is_kept_10_s_where_its_code_is_not_listed() -> None:
    distribution = Distribution("E1", None, (), (), {404: 0.0})
    assert (distribution.error_ttl(404), distribution.error_ttl(500)) == (0.0, ERROR_TTL_S)


def test_ours_guards_private_feeds_alone_and_lets_nothing_else_reach_the_origin() -> None:
    distribution = ours()
    assert {each.pattern for each in distribution.behaviors if each.key_groups} == {"/private/*"}
    assert {each.pattern for each in distribution.behaviors if each.function} == {"*"}
    assert not any(each.forwards_cookies for each in distribution.behaviors)
