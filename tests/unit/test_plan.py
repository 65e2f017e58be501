"""The plan: which tags go next, and which waiting entries they cover."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from cdn.pending import ShardState, Waiting
from invalidator.plan import Limits, plan

LIMITS = Limits(max_items=3000)


def shard(*tags: str) -> ShardState:
    """Return a shard in which these tags wait, oldest first."""
    waiting = tuple(Waiting(tag, count, count) for count, tag in enumerate(tags, 1))
    return ShardState(len(tags), 0, 0, len(tags), waiting)


def test_nothing_waits_and_nothing_is_planned() -> None:
    assert plan({0: shard(), 1: shard()}, 0, LIMITS) is None


def test_a_tag_that_waits_in_many_shards_is_one_item_and_covers_all() -> None:
    planned = plan({number: shard("p-1") for number in range(64)}, 0, LIMITS)
    assert planned is not None
    assert planned.tags == ("p-1",)
    assert len(planned.waiting) == 64


def test_a_shard_whose_tags_are_not_chosen_is_not_claimed() -> None:
    planned = plan({0: shard("p-1"), 1: shard("p-2")}, 0, Limits(max_items=1))
    assert planned is not None
    assert planned.tags == ("p-1",)
    assert list(planned.waiting) == [0]


def test_g_goes_alone_and_takes_along_whatever_waits() -> None:
    planned = plan({0: shard("p-1", "g"), 1: shard("u-ada"), 2: shard()}, 0, LIMITS)
    assert planned is not None
    assert planned.tags == ("g",)
    assert {entry.tag for entries in planned.waiting.values() for entry in entries} == {"p-1", "g", "u-ada"}


def test_a_full_quota_plans_nothing_not_even_g() -> None:
    assert plan({0: shard("g", "p-1")}, 3000, LIMITS) is None


def test_what_is_in_progress_leaves_less_room() -> None:
    planned = plan({0: shard("p-1", "p-2", "p-3")}, 2998, LIMITS)
    assert planned is not None
    assert planned.tags == ("p-1", "p-2")


def test_the_oldest_of_every_shard_go_before_the_second_oldest_of_any() -> None:
    planned = plan({0: shard("u-a1", "u-a2"), 1: shard("u-b1", "u-b2")}, 0, Limits(max_items=2))
    assert planned is not None
    assert planned.tags == ("u-a1", "u-b1")


@given(
    st.dictionaries(st.integers(0, 63), st.lists(st.sampled_from(["p-1", "p-2", "u-a", "u-b", "g"]), unique=True)),
    st.integers(0, 6),
    st.integers(1, 6),
)
def test_a_plan_fits_and_claims_exactly_what_it_covers(
    tags: Mapping[int, list[str]], in_progress: int, max_items: int
) -> None:
    shards = {number: shard(*listed) for number, listed in tags.items()}
    planned = plan(shards, in_progress, Limits(max_items, max_in_progress=5))
    room = min(max_items, 5 - in_progress)
    if planned is None:
        assert room <= 0 or not any(tags.values())
        return
    assert 0 < len(planned.tags) == len(set(planned.tags)) <= room
    covered = {
        number: tuple(entry for entry in state.waiting if "g" in planned.tags or entry.tag in planned.tags)
        for number, state in shards.items()
    }
    assert planned.waiting == {number: entries for number, entries in covered.items() if entries}
