"""Places: each drops at its own pace, and an invalidation is in progress until the slowest has."""

from dataclasses import replace

import pytest

from cdn.local.config import CLOUDFRONT
from cdn.local.invalidations import Invalidations
from cdn.local.places import Place
from cdn.local.refusals import TooManyInvalidationsInProgress

PROFILE = replace(CLOUDFRONT, calls_per_s=None, complete_s=10.0)


class World:
    """Two places, one quick and one slow, what each dropped, and their clock."""

    def __init__(self, quick_s: float = 1.0, slow_s: float = 4.0) -> None:
        self.now = 1_000.0
        self.dropped: dict[str, list[str]] = {"FRA56-P1": [], "regional": []}
        self.quick = Place("FRA56-P1", self.dropped["FRA56-P1"].append, quick_s, self.clock)
        self.slow = Place("regional", self.dropped["regional"].append, slow_s, self.clock)
        self.invalidations = Invalidations(PROFILE, [self.quick, self.slow], self.clock)

    def clock(self) -> float:
        return self.now


def test_each_place_drops_at_its_own_time() -> None:
    world = World()
    world.invalidations.create("a", ["#x"])
    world.now += 1.0
    assert (world.quick.settle(), world.slow.settle()) == (1_001.0, float("-inf"))
    assert world.dropped == {"FRA56-P1": ["#x"], "regional": []}
    world.now += 3.0
    world.slow.settle()
    assert world.dropped == {"FRA56-P1": ["#x"], "regional": ["#x"]}


def test_an_invalidation_is_in_progress_until_the_slowest_place_has_it() -> None:
    world = World(slow_s=30.0)
    taken = world.invalidations.create("a", ["#x"])
    world.now += 29.9
    assert not world.invalidations.is_complete(taken)
    assert world.invalidations.in_progress() == [taken]
    world.now += 0.1
    assert world.invalidations.is_complete(taken)
    assert world.invalidations.in_progress() == []


def test_a_place_that_is_cut_off_keeps_it_in_progress_and_drops_when_it_is_back() -> None:
    world = World()
    world.quick.withheld = True
    taken = world.invalidations.create("a", ["#x"])
    world.now += 3_600.0
    assert not world.invalidations.is_complete(taken)
    world.invalidations.settle()
    assert world.dropped == {"FRA56-P1": [], "regional": ["#x"]}
    world.quick.withheld = False
    assert world.invalidations.is_complete(taken)
    assert world.dropped["FRA56-P1"] == ["#x"]


def test_what_a_cut_off_place_has_not_dropped_counts_against_the_quota() -> None:
    world = World()
    world.slow.withheld = True
    world.invalidations.create("a", [f"#x-{n}" for n in range(3_000)])
    world.now += 3_600.0
    with pytest.raises(TooManyInvalidationsInProgress):
        world.invalidations.create("b", ["#y"])
