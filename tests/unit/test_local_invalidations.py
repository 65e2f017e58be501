"""Invalidations: references, quotas, rate, and what is due, with the clock in hand."""

from dataclasses import replace

import pytest

from cdn.local.config import CLOUDFRONT, INSTANT, Profile
from cdn.local.invalidations import REMEMBERED, Invalidations
from cdn.local.items import is_item, is_wildcard
from cdn.local.places import Place
from cdn.local.refusals import (
    BatchTooLarge,
    InvalidArgument,
    NoSuchInvalidation,
    Throttling,
    TooManyInvalidationsInProgress,
)

UNTHROTTLED = replace(CLOUDFRONT, calls_per_s=None)


class World:
    """An edge that notes what it is told to drop, and its clock."""

    def __init__(self, profile: Profile) -> None:
        self.now = 1_000.0
        self.dropped: list[str] = []
        place = Place("LOCAL1-C1", self.dropped.append, profile.effect_s, self.clock)
        self.invalidations = Invalidations(profile, [place], self.clock)

    def clock(self) -> float:
        return self.now

    def after(self, seconds: float) -> list[str]:
        self.now += seconds
        self.invalidations.settle()
        return self.dropped


def tags(count: int, prefix: str = "u") -> list[str]:
    return [f"#{prefix}-{n}" for n in range(count)]


def test_items_are_dropped_after_5_seconds_and_complete_after_25() -> None:
    world = World(CLOUDFRONT)
    taken = world.invalidations.create("a", ["#u-ada"])
    assert world.after(4.9) == []
    assert world.after(0.1) == ["#u-ada"]
    assert not world.invalidations.is_complete(taken)
    world.after(20.0)
    assert world.invalidations.is_complete(taken)
    assert world.dropped == ["#u-ada"]


def test_the_instant_profile_drops_and_completes_at_once() -> None:
    world = World(INSTANT)
    taken = world.invalidations.create("a", ["#u-ada"])
    assert world.dropped == ["#u-ada"]
    assert world.invalidations.is_complete(taken)
    assert world.invalidations.in_progress() == []


def test_the_same_batch_again_is_the_same_invalidation_and_drops_nothing() -> None:
    world = World(INSTANT)
    first = world.invalidations.create("a", ["#x", "#y"])
    assert world.invalidations.create("a", ["#y", "#x"]) is first
    assert world.dropped == ["#x", "#y"]


def test_the_same_reference_with_other_items_is_refused() -> None:
    world = World(INSTANT)
    world.invalidations.create("a", ["#x"])
    with pytest.raises(InvalidArgument, match="caller reference that was used"):
        world.invalidations.create("a", ["#y"])


def test_the_same_items_under_another_reference_are_another_invalidation() -> None:
    world = World(INSTANT)
    first = world.invalidations.create("a", ["#x"])
    assert world.invalidations.create("b", ["#x"]).id != first.id
    assert world.dropped == ["#x", "#x"]


def test_3000_items_in_progress_are_the_most_until_some_complete() -> None:
    world = World(UNTHROTTLED)
    world.invalidations.create("a", tags(2_000))
    with pytest.raises(TooManyInvalidationsInProgress):
        world.invalidations.create("b", tags(1_001))
    world.invalidations.create("c", tags(1_000))
    world.after(25.0)
    world.invalidations.create("b", tags(1_001))


def test_3001_items_are_never_taken() -> None:
    with pytest.raises(BatchTooLarge):
        World(INSTANT).invalidations.create("a", tags(3_001))


def test_wildcards_have_a_pool_of_15_of_their_own() -> None:
    world = World(UNTHROTTLED)
    world.invalidations.create("a", [f"/feed/{n}*" for n in range(15)])
    with pytest.raises(TooManyInvalidationsInProgress, match="wildcard"):
        world.invalidations.create("b", ["/*"])
    world.invalidations.create("c", tags(3_000))


def test_calls_over_the_rate_are_throttled_the_repeated_ones_too() -> None:
    world = World(CLOUDFRONT)
    for _ in range(CLOUDFRONT.call_burst):
        world.invalidations.create("a", ["#x"])
    with pytest.raises(Throttling, match="Rate exceeded"):
        world.invalidations.create("a", ["#x"])
    world.now += 2.0
    world.invalidations.create("a", ["#x"])


def test_a_refused_batch_leaves_its_reference_free() -> None:
    world = World(UNTHROTTLED)
    world.invalidations.create("a", tags(3_000))
    with pytest.raises(TooManyInvalidationsInProgress):
        world.invalidations.create("b", ["#x"])
    world.after(25.0)
    assert world.invalidations.create("b", ["#other"]).items == ("#other",)


@pytest.mark.parametrize(
    "item",
    ["#g", "#P:1", "/", "/*", "/feed/ada", "/feed/ada*", "/a%20b", "/a?b=c", "/feed/~ada", "#" + "x" * 256],
)
def test_what_cloudfront_takes_is_an_item(item: str) -> None:
    assert is_item(item)


@pytest.mark.parametrize(
    "item",
    ["", "g", "feed", "#", "#a,b", "#a b", "#caf\u00e9", "#" + "x" * 257, "/a*b", "/**", "/a b", "/caf\u00e9",
     "/" + "x" * 4_000],
)  # fmt: skip
def test_what_cloudfront_refuses_is_none(item: str) -> None:
    assert not is_item(item)
    with pytest.raises(InvalidArgument, match="invalid invalidation paths"):
        World(INSTANT).invalidations.create("a", ["#ok", item])


def test_only_a_path_that_ends_in_a_star_is_a_wildcard() -> None:
    assert [item for item in ("/*", "/a*", "/a", "#a*") if is_wildcard(item)] == ["/*", "/a*"]


def test_no_items_and_no_reference_are_refused() -> None:
    with pytest.raises(InvalidArgument):
        World(INSTANT).invalidations.create("a", [])
    with pytest.raises(InvalidArgument, match="CallerReference"):
        World(INSTANT).invalidations.create("", ["#x"])


def test_lists_are_newest_first_and_go_on_after_a_marker() -> None:
    world = World(INSTANT)
    ids = [world.invalidations.create(str(n), ["#x"]).id for n in range(5)][::-1]
    first = world.invalidations.page("", 2)
    assert ([each.id for each in first.invalidations], first.is_truncated) == (ids[:2], True)
    rest = world.invalidations.page(ids[1], 3)
    assert ([each.id for each in rest.invalidations], rest.is_truncated) == (ids[2:], False)


def test_an_unknown_marker_or_id_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="Marker"):
        World(INSTANT).invalidations.page("I0", 1)
    with pytest.raises(NoSuchInvalidation):
        World(INSTANT).invalidations.get("I0")


def test_the_oldest_completed_are_forgotten() -> None:
    world = World(INSTANT)
    first = world.invalidations.create("first", ["#x"])
    for n in range(REMEMBERED):
        world.invalidations.create(str(n), ["#x"])
    with pytest.raises(NoSuchInvalidation):
        world.invalidations.get(first.id)
    assert world.invalidations.create("first", ["#y"]).items == ("#y",)
