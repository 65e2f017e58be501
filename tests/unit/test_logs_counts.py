"""What is counted of a log: latencies within their error, feeds within their bound, stretches of time, AWS's hit %."""

from collections import Counter
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdn.logs import latency
from cdn.logs.popular import Popular
from cdn.logs.request import Outcome, Request
from cdn.logs.series import MOST, WIDTHS_S, Series
from cdn.logs.summary import Summary
from cdn.logs.tally import Tally, code_of


def request(second: int = 0, path: bytes = b"/feed/ada", outcome: Outcome = Outcome.HIT, status: int = 200) -> Request:
    """Return a request."""
    return Request(second, path, b"GET", status, outcome, b"-", 1000, b"0.010", b"-")


@given(st.lists(st.integers(0, 110_000), min_size=1), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_quantile_is_within_two_percent(times: list[int], share: float) -> None:
    counts = latency.empty()
    for ms in times:
        counts[latency.bin_of(b"%d.%03d" % divmod(ms, 1000))] += 1
    true = sorted(times)[ceil(len(times) * share) - 1]
    found = latency.quantile(counts, share)
    assert found is not None
    assert abs(found - true) <= true * latency.ERROR * 1.0001


def test_latencies_below_25_ms_are_exact() -> None:
    for ms in range(25):
        counts = latency.empty()
        counts[latency.bin_of(b"0.%03d" % ms)] += 1
        assert latency.quantile(counts, 0.5) == ms


@pytest.mark.parametrize("told", [b"-", b"", b"nan", b"inf", b"soon"])
def test_a_latency_that_is_not_told_counts_in_no_quantile(told: bytes) -> None:
    counts = latency.empty()
    counts[latency.bin_of(told)] += 5
    assert latency.quantile(counts, 0.5) is None
    counts[latency.bin_of(b"0.003")] += 1
    assert latency.quantile(counts, 0.99) == 3


def test_hits_are_counted_awss_way_and_refreshed_ones_apart() -> None:
    tally = Tally()
    for outcome, count in ((Outcome.HIT, 90), (Outcome.REFRESH_HIT, 6), (Outcome.MISS, 3), (Outcome.ERROR, 1)):
        for _ in range(count):
            tally.add(code_of(outcome, 200), 10, 0)
    assert (tally.hit_share, tally.served_share, tally.requests, tally.size) == (0.9, 0.96, 100, 1000)


def test_requests_of_which_nothing_is_told_are_in_no_share() -> None:
    tally = Tally()
    tally.add(code_of(Outcome.UNKNOWN, 200), 10, 0)
    assert (tally.hit_share, tally.served_share, tally.requests) == (None, None, 1)


@pytest.mark.parametrize(
    ("outcome", "status", "wrong"),
    [("HIT", 200, 0), ("HIT", 404, 1), ("ERROR", 502, 1), ("ERROR", 200, 1), ("MISS", 0, 1), ("HIT", 304, 0)],
)
def test_errors_are_4xx_5xx_and_what_did_not_arrive(outcome: str, status: int, wrong: int) -> None:
    tally = Tally()
    tally.add(code_of(Outcome[outcome], status), 1, 0)
    assert tally.errors == wrong
    assert tally.status(status // 100) == 1


@given(st.lists(st.integers(0, 60), max_size=400))
def test_of_too_many_feeds_each_says_how_many_requests_it_may_lack(asked: list[int]) -> None:
    feeds = Popular(lambda path: path.decode(), 5)
    for number in asked:
        feeds.of(b"%d" % number).add(0, 1, 0)
    true = Counter(str(number) for number in asked)
    assert len(feeds.tallies) <= 10
    for name, tally in feeds.tallies.items():
        assert true[name] - tally.lacks <= tally.requests <= true[name]
    if feeds.exact:
        assert {name: tally.requests for name, tally in feeds.tallies.items()} == true


def test_a_busy_feed_is_not_pushed_out_by_many_that_are_asked_for_once() -> None:
    feeds = Popular(lambda path: path.decode(), 10)
    for number in range(3000):
        feeds.of(b"busy").add(0, 1, 0)
        feeds.of(b"%d" % number).add(0, 1, 0)
    (name, tally), *_ = feeds.top(3)
    assert (name, tally.requests, tally.lacks) == ("busy", 3000, 0)
    assert not feeds.exact


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=900))
def test_a_long_time_has_wider_stretches_and_the_same_sum(seconds: list[int]) -> None:
    series = Series()
    for second in seconds:
        series.of(second).add(0, 1, 0)
    stretches = series.all()
    assert len(stretches) <= MOST
    assert series.total().requests == len(seconds)
    assert series.width_s in WIDTHS_S
    true = Counter(second // series.width_s * series.width_s for second in seconds)
    assert {begins: tally.requests for begins, tally in stretches} == true


def test_a_summary_says_the_same_in_sum_over_time_and_by_feed() -> None:
    summary = Summary(lambda path: path.decode(), feeds=2)
    for number in range(500):
        summary.add(request(number * 60, b"/%d" % number))
    assert summary.window == (0, 499 * 60)
    assert summary.total.requests == 500
    assert summary.total.size == 500_000
    assert not summary.feeds.exact
    assert Summary(str).window is None
