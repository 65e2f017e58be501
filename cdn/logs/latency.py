"""Latency in memory that does not grow: a histogram whose buckets widen with what they hold (DDSketch, Masson and
others, VLDB 2019, section 2).

A quantile is off by at most 2% of itself, and exact below 25 ms, where a bucket holds one millisecond, as exact as logs
are.
"""

from array import array
from collections.abc import Iterable
from math import ceil, log
from typing import Final

ERROR: Final = 0.02
"""How far a quantile may be from the true one, as a share of it."""
MOST_MS: Final = 120_000
"""What is longer counts as this: CloudFront waits no longer for an origin."""

_GROWTH = (1 + ERROR) / (1 - ERROR)
_BINS = ceil(log(MOST_MS, _GROWTH)) + 2
NONE: Final = _BINS
"""The bin of what is not told."""
REMEMBERED = 50_000

_known: dict[bytes, int] = {}


def bin_of(seconds: bytes) -> int:
    """Return the bin of a time, as a log spells it: ``0.014``."""
    found = _known.get(seconds)
    if found is None:
        if len(_known) >= REMEMBERED:
            _known.clear()
        found = _known[seconds] = _bin(seconds)
    return found


def _bin(seconds: bytes) -> int:
    try:
        ms = round(float(seconds) * 1000)
    except (ValueError, OverflowError):
        return NONE
    if ms < 1:
        return 0
    return 1 + ceil(log(min(ms, MOST_MS), _GROWTH))


def empty() -> "array[int]":
    """Return the counts of a histogram that holds nothing."""
    return array("I", bytes(4 * (_BINS + 1)))


def quantile(counts: Iterable[int], share: float) -> float | None:
    """Return the milliseconds that ``share`` of the times do not exceed, None where there is none."""
    told = list(counts)[:NONE]
    wanted = max(1, ceil(sum(told) * share))
    reached = 0
    for place, count in enumerate(told):
        reached += count
        if reached >= wanted:
            return _middle(place)
    return None


def _middle(place: int) -> float:
    """Return what a bin stands for: the point that is as far, in shares, from its lower end as from its upper one."""
    if place == 0:
        return 0.0
    value = 2 * _GROWTH ** (place - 1) / (_GROWTH + 1)
    return float(round(value)) if value < 25 else value
