"""Freshness: what the header promises, and how long the ledger has to remember it."""

import re

from hypothesis import given
from hypothesis import strategies as st

from baker.freshness import Freshness

SECONDS = st.integers(0, 100_000)


def test_the_header_says_the_three_windows() -> None:
    assert Freshness(300, 30, 60).header == b"s-maxage=300, stale-while-revalidate=30, stale-if-error=60"


def test_a_brief_answer_is_never_served_stale() -> None:
    assert Freshness().briefly(5).header == b"s-maxage=5, stale-while-revalidate=0, stale-if-error=0"


def test_the_horizon_is_the_life_and_the_longer_window_in_each_tier() -> None:
    assert Freshness(300, 30, 60, 3600, 2).horizon_ms == 720_000
    assert Freshness(300, 60, 30, 3600, 1).horizon_ms == 360_000


def test_the_policys_maximum_caps_the_horizon() -> None:
    assert Freshness(300, 30, 60, 100, 2).horizon_ms == 200_000


@given(ttl=SECONDS, swr=SECONDS, sie=SECONDS, most=SECONDS, tiers=st.integers(1, 3))
def test_no_edge_may_serve_an_answer_beyond_its_horizon(ttl: int, swr: int, sie: int, most: int, tiers: int) -> None:
    freshness = Freshness(ttl, swr, sie, most, tiers)
    said = [int(number) for number in re.findall(rb"=(\d+)", freshness.header)]
    for window in (0, said[1], said[2]):
        assert min(said[0] + window, most) * tiers * 1000 <= freshness.horizon_ms
    assert freshness.briefly(1).horizon_ms <= Freshness(1, swr, sie, most, tiers).horizon_ms
