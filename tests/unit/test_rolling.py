"""A roll's pace: the next shard goes when the origin has shown that it bears the last one."""

import pytest

from cdn.load import Headroom
from invalidator.rolling import EASY_MS, LOOK_MS, PATIENT, SLOW, Roll, wait_ms

NOW = 1_000_000
INTERVAL = 5_000


def room(*, wide: bool = True, bakes_ms: float = 10.0, at_ms: int = NOW, known: bool = True) -> Headroom:
    """Return what bakers report."""
    return Headroom(wide, bakes_ms, known, at_ms)


@pytest.mark.parametrize(
    ("ago_ms", "headroom", "waits_ms"),
    [
        (5_000, room(), 0),
        (4_000, room(), 1_000),  # the shortest interval
        (5_000, room(wide=False), LOOK_MS),  # the origin is busy
        (5_000, room(at_ms=NOW - 5_000), LOOK_MS),  # the report is from before the last shard was dropped
        (600_000, room(wide=False), LOOK_MS),  # it may take as long as it takes
        (5_000, room(bakes_ms=EASY_MS), 0),
        (5_000, room(bakes_ms=EASY_MS + 1), LOOK_MS),  # bakes are slow: what was dropped is to come back first
        (PATIENT * INTERVAL, room(bakes_ms=EASY_MS + 1), 0),  # bakes are always slow
        (5_000, room(known=False, wide=False), (SLOW - 1) * INTERVAL),  # nobody knows: slowly
        (SLOW * INTERVAL, room(known=False, wide=False), 0),
    ],
)
def test_the_next_shard_waits(ago_ms: int, headroom: Headroom, waits_ms: int) -> None:
    assert wait_ms(NOW, NOW - ago_ms, headroom, INTERVAL) == waits_ms


def test_a_shard_that_is_reached_is_not_left() -> None:
    roll = Roll("c1", "a", NOW).reached(0, 7, NOW).reached(1, 9, NOW + 5)
    assert roll.left == tuple(range(2, 64))
    assert (roll.counts, roll.last_ms) == ({0: 7, 1: 9}, NOW + 5)


def test_a_roll_goes_back_to_what_redis_forgot() -> None:
    roll = Roll("c", "a", 0, left=(2,), counts={0: 2**32 + 1, 1: 7})
    assert roll.since(2**32) == Roll("c", "a", 0, left=(1, 2), counts={0: 2**32 + 1})
    assert roll.since(0) is roll
