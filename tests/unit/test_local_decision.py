"""CloudFront's caching rules: each row of its Expiration page that Edgebake relies on."""

from dataclasses import replace

import pytest

from cdn.cache_control import parse, seconds
from cdn.distribution import ALL, NONE, Behavior, CachePolicy, Distribution, Keys, OriginRequestPolicy
from cdn.local.config import LateAnswers
from cdn.local.decision import (
    Failed,
    FallBack,
    Fetch,
    Head,
    Held,
    Life,
    Pass,
    Renew,
    Rules,
    Serve,
    ServeAndRefresh,
    Store,
    Tell,
    keeps_late_answer,
    life_of,
    on_answer,
    on_request,
    rules_of,
)

NO_ERRORS = dict.fromkeys((404, 403, 410, 414, 416, 500, 502, 503), 0.0)
RULES = Rules(default_ttl=60.0, max_ttl=3_600.0, errors=NO_ERRORS)
LEAST = replace(RULES, min_ttl=30.0)
CLOUDFRONTS = replace(RULES, errors={})
HELD = Held(200, "s-maxage=10, stale-while-revalidate=5, stale-if-error=20", b'"1"', Life(0.0, 10.0, 15.0, 30.0))
UNHELD: Held | None = None
DOWN = Failed(502, "no connection")


def fresh_s(answer: Head, rules: Rules = RULES) -> float | None:
    """Return for how many seconds an answer is fresh, None where it is not kept."""
    life = life_of(answer, 1_000.0, rules)
    return None if life is None else life.fresh_until - 1_000.0


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Head(200, "s-maxage=10, max-age=99"), 10),  # the shared cache's own directive goes first
        (Head(200, "max-age=99"), 99),
        (Head(200, "S-MaxAge=10"), 10),
        (Head(200, "s-maxage=99999"), 3_600),  # never over the maximum
        (Head(200, "s-maxage=0"), 0),
        (Head(200, "s-maxage=ten"), 0),  # malformed is stale (RFC 9111 §4.2.1)
        (Head(200, "s-maxage=-1"), 0),
    ],
)
def test_with_minimum_0_the_smaller_of_what_is_asked_and_the_maximum_counts(answer: Head, seconds: float) -> None:
    assert fresh_s(answer) == seconds


@pytest.mark.parametrize("cache_control", ["", "public"])
def test_without_a_directive_the_default_ttl_counts(cache_control: str) -> None:
    assert fresh_s(Head(200, cache_control)) == 60
    assert fresh_s(Head(200, cache_control), replace(LEAST, default_ttl=5.0)) == 30


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Head(200, "", expires=20.0), 20),
        (Head(200, "", expires=0.0), 0),
        (Head(200, "", expires=99_999.0), 3_600),
        (Head(200, "max-age=10", expires=20.0), 10),
        (Head(404, "", expires=20.0), 20),
    ],
)
def test_expires_counts_where_no_directive_says_how_long(answer: Head, seconds: float) -> None:
    assert fresh_s(answer) == seconds


@pytest.mark.parametrize("directive", ["private", "no-store", "no-cache, s-maxage=99"])
def test_private_no_store_and_no_cache_are_not_kept_with_minimum_0(directive: str) -> None:
    assert fresh_s(Head(200, directive)) is None


@pytest.mark.parametrize("directive", ["private", "no-store", "no-cache", "s-maxage=5", "max-age=0"])
def test_a_minimum_above_0_overrides_even_private_and_no_store(directive: str) -> None:
    assert fresh_s(Head(200, directive), LEAST) == 30


@pytest.mark.parametrize(("status", "seconds"), [(301, 60), (302, 60), (307, None), (308, None)])
def test_307_and_308_are_kept_only_with_cache_control(status: int, seconds: float | None) -> None:
    assert fresh_s(Head(status, "")) == seconds
    assert fresh_s(Head(status, "max-age=5")) == 5


def test_with_maximum_0_nothing_is_kept() -> None:
    assert fresh_s(Head(200, "s-maxage=10"), replace(RULES, max_ttl=0.0)) is None


@pytest.mark.parametrize(
    ("answer", "rules", "seconds"),
    [
        (Head(404, "s-maxage=5"), RULES, 5),  # an artifact
        (Head(404, "s-maxage=99999"), RULES, 3_600),
        (Head(404, ""), RULES, None),
        (Head(503, ""), RULES, None),
        (Head(404, ""), CLOUDFRONTS, 10),
        (Head(404, "s-maxage=5"), CLOUDFRONTS, 10),  # the greater of the two
        (Head(404, "s-maxage=50"), CLOUDFRONTS, 50),
        (Head(404, "no-store"), CLOUDFRONTS, 10),  # CloudFront's default, which its users trip over
        (Head(500, ""), CLOUDFRONTS, 10),
    ],
)
def test_errors_are_kept_for_the_greater_of_what_is_asked_and_their_minimum(
    answer: Head, rules: Rules, seconds: float | None
) -> None:
    assert fresh_s(answer, rules) == seconds


@pytest.mark.parametrize("status", [400, 403, 405, 412, 415])
def test_other_errors_are_kept_only_where_the_origin_says_how_long(status: int) -> None:
    assert fresh_s(Head(status, ""), CLOUDFRONTS) is None
    assert fresh_s(Head(status, "max-age=50"), CLOUDFRONTS) == 50


@pytest.mark.parametrize("status", [401, 410, 416, 429, 505])
def test_errors_that_the_guide_does_not_list_are_never_kept(status: int) -> None:
    assert fresh_s(Head(status, "max-age=50"), CLOUDFRONTS) is None


def test_a_failed_connection_is_kept_as_a_5xx_is() -> None:
    assert on_answer(None, DOWN, 20.0, CLOUDFRONTS) == Tell(DOWN, Life(20.0, 30.0, 30.0, 30.0))


def test_vary_star_is_kept_and_never_fresh() -> None:
    answer = Head(200, "s-maxage=10", varies_always=True)
    assert fresh_s(answer) == 0
    assert fresh_s(answer, LEAST) == 30


def test_the_origins_age_is_taken_off() -> None:
    life = life_of(Head(200, "s-maxage=10", age=4.0), 1_000.0, RULES)
    assert life is not None
    assert (life.since, life.fresh_until) == (996.0, 1_006.0)
    assert fresh_s(Head(200, "s-maxage=10", age=11.0)) == 0


def test_both_stale_windows_end_at_the_maximum_ttl() -> None:
    asked = Head(200, "s-maxage=10, stale-while-revalidate=99999, stale-if-error=99999")
    assert life_of(asked, 0.0, replace(RULES, max_ttl=100.0)) == Life(0.0, 10.0, 100.0, 100.0)


@pytest.mark.parametrize("cache_control", ["s-maxage=10", "s-maxage=10, must-revalidate"])
def test_without_stale_if_error_an_expired_object_still_covers_for_the_origin(cache_control: str) -> None:
    assert life_of(Head(200, cache_control), 0.0, replace(RULES, max_ttl=100.0)) == Life(0.0, 10.0, 10.0, 100.0)


def test_an_expired_error_covers_for_nothing() -> None:
    assert life_of(Head(404, "s-maxage=10"), 0.0, RULES) == Life(0.0, 10.0, 10.0, 10.0)


def test_stale_if_error_0_ends_the_cover() -> None:
    rules = replace(RULES, max_ttl=100.0)
    assert life_of(Head(200, "s-maxage=10, stale-if-error=0"), 0.0, rules) == Life(0.0, 10.0, 10.0, 10.0)


def test_a_request_is_served_fresh_then_stale_then_fetched() -> None:
    assert on_request(HELD, 9.9) == Serve(HELD)
    assert on_request(HELD, 10.0) == ServeAndRefresh(HELD)
    assert on_request(HELD, 15.0) == Fetch()
    assert on_request(None, 0.0) == Fetch()


def test_a_new_answer_takes_the_place_of_the_old_one() -> None:
    answer = Head(200, "s-maxage=10")
    assert on_answer(HELD, answer, 20.0, RULES) == Store(answer, Life(20.0, 30.0, 30.0, 3_620.0))


def test_a_304_renews_what_is_held_with_its_own_directives() -> None:
    answer = Head(304, "s-maxage=7, stale-if-error=0")
    assert on_answer(HELD, answer, 20.0, RULES) == Renew(HELD, answer, Life(20.0, 27.0, 27.0, 27.0))


def test_a_304_without_directives_renews_with_those_of_the_object() -> None:
    answer = Head(304, "")
    assert on_answer(HELD, answer, 20.0, RULES) == Renew(HELD, answer, Life(20.0, 30.0, 35.0, 50.0))


def test_a_304_that_nobody_asked_for_is_passed_on() -> None:
    answer = Head(304, "s-maxage=9")
    assert on_answer(None, answer, 0.0, RULES) == Pass(answer, shared=False)


@pytest.mark.parametrize("answer", [DOWN, Head(500, ""), Head(503, "s-maxage=5")])
def test_an_origin_that_fails_is_covered_within_stale_if_error(answer: Head | Failed) -> None:
    assert on_answer(HELD, answer, 29.9, RULES) == FallBack(HELD, replace(HELD.life, quiet_until=29.9))


def test_an_origin_that_failed_is_left_alone_for_the_errors_minimum() -> None:
    decided: object = on_answer(HELD, DOWN, 20.0, CLOUDFRONTS)
    assert isinstance(decided, FallBack)
    covered = replace(HELD, life=decided.life)
    assert on_request(covered, 29.9) == Serve(covered)
    assert on_request(covered, 30.0) == Fetch()


def test_an_origin_that_fails_is_told_of_after_stale_if_error() -> None:
    assert on_answer(HELD, DOWN, 30.0, RULES) == Tell(DOWN)


def test_a_404_is_no_failure_to_cover() -> None:
    answer = Head(404, "s-maxage=5")
    assert isinstance(on_answer(HELD, answer, 20.0, RULES), Store)


def test_an_origin_is_left_alone_no_longer_than_what_is_stale_may_be_served() -> None:
    decided = on_answer(HELD, Head(503, ""), 25.0, CLOUDFRONTS)
    assert decided == FallBack(HELD, replace(HELD.life, quiet_until=30.0))


def is_shared(answer: Head, rules: Rules = RULES) -> bool:
    """Tell whether who waits for an answer that is the first gets it too."""
    decided = on_answer(UNHELD, answer, 0.0, rules)
    assert isinstance(decided, Pass | Store)
    return decided.shared


@pytest.mark.parametrize(
    "directive", ["private", "no-store", "no-cache", "max-age=0", "s-maxage=0", "max-age=0, s-maxage=5"]
)
@pytest.mark.parametrize("status", [200, 404, 503])
def test_with_minimum_0_these_directives_end_collapsing(directive: str, status: int) -> None:
    assert is_shared(Head(status, directive)) is False


@pytest.mark.parametrize("answer", [Head(200, ""), Head(503, ""), Head(200, "max-age=5, s-maxage=9")])
def test_whatever_else_is_shared_by_all_who_wait(answer: Head) -> None:
    assert is_shared(answer) is True


def test_with_a_minimum_above_0_all_is_shared() -> None:
    assert is_shared(Head(200, "private"), LEAST) is True


@pytest.mark.parametrize("cookies", [NONE, ALL], ids=["none", "all"])
def test_with_cookies_forwarded_nothing_collapses_or_is_revalidated(cookies: Keys) -> None:
    behavior = Behavior("*", CachePolicy("p"), OriginRequestPolicy("r", cookies=cookies))
    rules = rules_of(Distribution("E1", None, (behavior,), ()), behavior)
    assert (rules.collapses, rules.revalidates) == (cookies is NONE, cookies is NONE)


def test_with_caching_disabled_nothing_collapses() -> None:
    behavior = Behavior("*", CachePolicy("p", default_ttl=0.0, max_ttl=0.0))
    assert rules_of(Distribution("E1", None, (behavior,), ()), behavior).collapses is False


@pytest.mark.parametrize(
    ("policy", "began", "kept"),
    [(LateAnswers.STORED, 1.0, True), (LateAnswers.DROPPED, 1.0, False), (LateAnswers.DROPPED, 3.0, True)],
)
def test_an_answer_late_by_an_invalidation_is_kept_as_the_policy_says(
    policy: LateAnswers, began: float, kept: bool
) -> None:
    assert keeps_late_answer(began, 2.0, policy) is kept


def test_directives_are_read_without_regard_to_case_space_and_quotes() -> None:
    directives = parse(' Max-Age = "5" ,, NO-STORE')
    assert directives == {"max-age": "5", "no-store": ""}
    assert parse('private="a, max-age=7", max-age=1') == {"private": "a, max-age=7", "max-age": "1"}
    assert seconds(directives, "max-age") == 5.0
    assert seconds(directives, "s-maxage") is None
