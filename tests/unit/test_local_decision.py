"""CloudFront's caching rules: each row of its Expiration page that Edgebake relies on."""

import pytest

from cdn.local.cache_control import parse, seconds
from cdn.local.config import LateAnswers, TtlPolicy
from cdn.local.decision import (
    Failed,
    FallBack,
    Fetch,
    Head,
    Held,
    Life,
    Pass,
    Renew,
    Serve,
    ServeAndRefresh,
    Store,
    Tell,
    keeps_late_answer,
    life_of,
    on_answer,
    on_request,
)

TTL = TtlPolicy(default=60.0, max=3_600.0)
HELD = Held(200, "s-maxage=10, stale-while-revalidate=5, stale-if-error=20", b'"1"', Life(0.0, 10.0, 15.0, 30.0))
DOWN = Failed(502, "no connection")


@pytest.mark.parametrize(
    ("status", "cache_control", "ttl", "fresh_s"),
    [
        (200, "s-maxage=10, max-age=99", TTL, 10),  # the shared cache's own directive goes first
        (200, "max-age=99", TTL, 99),
        (200, "S-MaxAge=10", TTL, 10),
        (200, "s-maxage=99999", TTL, 3_600),  # never over the maximum
        (200, "", TTL, 60),  # the default where nothing is said
        (200, "public", TTL, 60),
        (200, "s-maxage=0", TTL, None),
        (200, "s-maxage=ten", TTL, None),  # malformed is stale (RFC 9111 §4.2.1)
        (200, "s-maxage=-1", TTL, None),
        (200, "no-store", TTL, None),
        (200, "private, max-age=99", TTL, None),
        (200, "no-cache, s-maxage=99", TTL, None),
        (200, "private", TtlPolicy(min=1.0), 1),  # a minimum overrides even private
        (200, "s-maxage=5", TtlPolicy(min=30.0), 30),
        (404, "s-maxage=5", TTL, 5),  # an artifact
        (410, "max-age=5", TTL, 5),
        (404, "", TTL, None),
        (503, "", TTL, None),
        (404, "", TtlPolicy(error_min=10.0), 10),
        (404, "no-store", TtlPolicy(error_min=10.0), 10),  # CloudFront's default, which its users trip over
        (404, "s-maxage=5", TtlPolicy(error_min=10.0), 10),
    ],
)
def test_an_answer_is_fresh_for_what_cloudfront_says(
    status: int, cache_control: str, ttl: TtlPolicy, fresh_s: float | None
) -> None:
    life = life_of(status, cache_control, 1_000.0, ttl)
    assert (life and life.fresh_until - 1_000.0) == fresh_s


def test_both_stale_windows_end_at_the_maximum_ttl() -> None:
    life = life_of(200, "s-maxage=10, stale-while-revalidate=99999, stale-if-error=99999", 0.0, TtlPolicy(max=100.0))
    assert life == Life(0.0, 10.0, 100.0, 100.0)


def test_without_stale_if_error_an_expired_object_still_covers_for_the_origin() -> None:
    assert life_of(200, "s-maxage=10", 0.0, TtlPolicy(max=100.0)) == Life(0.0, 10.0, 10.0, 100.0)


def test_stale_if_error_0_ends_the_cover() -> None:
    assert life_of(200, "s-maxage=10, stale-if-error=0", 0.0, TtlPolicy(max=100.0)) == Life(0.0, 10.0, 10.0, 10.0)


def test_a_request_is_served_fresh_then_stale_then_fetched() -> None:
    assert on_request(HELD, 9.9) == Serve(HELD)
    assert on_request(HELD, 10.0) == ServeAndRefresh(HELD)
    assert on_request(HELD, 15.0) == Fetch()
    assert on_request(None, 0.0) == Fetch()


def test_a_new_answer_takes_the_place_of_the_old_one() -> None:
    answer = Head(200, "s-maxage=10", whole=True)
    assert on_answer(HELD, answer, 20.0, TTL) == Store(answer, Life(20.0, 30.0, 30.0, 3_620.0))


def test_a_304_renews_what_is_held_with_its_own_directives() -> None:
    answer = Head(304, "s-maxage=7, stale-if-error=0", whole=True)
    assert on_answer(HELD, answer, 20.0, TTL) == Renew(HELD, answer, Life(20.0, 27.0, 27.0, 27.0))


def test_a_304_without_directives_renews_with_those_of_the_object() -> None:
    answer = Head(304, "", whole=True)
    assert on_answer(HELD, answer, 20.0, TTL) == Renew(HELD, answer, Life(20.0, 30.0, 35.0, 50.0))


def test_a_304_that_nobody_asked_for_is_passed_on() -> None:
    answer = Head(304, "s-maxage=9", whole=True)
    assert on_answer(None, answer, 0.0, TTL) == Pass(answer, shared=False)


@pytest.mark.parametrize("answer", [DOWN, Head(500, "", whole=True), Head(503, "s-maxage=5", whole=True)])
def test_an_origin_that_fails_is_covered_within_stale_if_error(answer: Head | Failed) -> None:
    assert on_answer(HELD, answer, 29.9, TTL) == FallBack(HELD)


def test_an_origin_that_fails_is_told_of_after_stale_if_error() -> None:
    assert on_answer(HELD, DOWN, 30.0, TTL) == Tell(DOWN)


def test_a_404_is_no_failure_to_cover() -> None:
    answer = Head(404, "s-maxage=5", whole=True)
    assert isinstance(on_answer(HELD, answer, 20.0, TTL), Store)


@pytest.mark.parametrize(
    ("answer", "shared"),
    [
        (Head(200, "private", whole=True), False),
        (Head(404, "", whole=True), False),
        (Head(503, "", whole=True), True),  # sending every waiter to an origin that fails would help nobody
        (Head(503, "no-store", whole=True), False),
        (Head(200, "s-maxage=9", whole=False), False),  # may be cut off
    ],
)
def test_what_is_not_kept_is_for_who_asked_and_errors_are_for_all(answer: Head, shared: bool) -> None:
    assert on_answer(None, answer, 0.0, TTL) == Pass(answer, shared)


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
    assert seconds(directives, "max-age") == 5.0
    assert seconds(directives, "s-maxage") is None
