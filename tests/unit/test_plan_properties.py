"""The plan, of whatever may wait: what holds of each batch, and that all goes in the end."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from cdn.pending import Flag, Minted, ShardState, Waiting
from invalidator.plan import GLOBAL_EVERY_MS, Limits, View, in_progress, plan
from tests.unit.test_plan import NOW, done, sent, shard, wait

# A world to plan in: some tags in some shards, with whatever flags and ages, batches on their way, and means.

TAGS = ["p-1", "p-2", "u-a", "u-b", "u-c", "g", "o", "a-x"]
FLAGS = st.sets(st.sampled_from(list(Flag))).map(lambda flags: Flag(sum(flags)))
AGES = st.sampled_from([0, 1_000, 7_000, 400_000])
NAMES = st.lists(st.sampled_from(TAGS), unique=True, max_size=3)


@st.composite
def shards(draw: st.DrawFn) -> Mapping[int, ShardState]:
    """Draw what waits. A user's tag waits in one shard, and only a user's is covered."""
    found = {}
    for number in range(draw(st.integers(0, 3))):
        tags = draw(st.lists(st.sampled_from([t for t in TAGS if t[:2] != "u-"] + [f"u-{number}"]), unique=True))
        flags = [draw(FLAGS) if tag[:2] == "u-" else draw(FLAGS) & ~Flag.COVERED for tag in tags]
        found[number] = shard(*(wait(tag, flag, age_ms=draw(AGES)) for tag, flag in zip(tags, flags, strict=True)))
    return found


@st.composite
def batches(draw: st.DrawFn) -> list[Minted]:
    """Draw batches: accepted, complete, with second taps or without."""
    found: list[Minted] = []
    for number in range(draw(st.integers(0, 3))):
        tags = draw(NAMES.filter(bool))
        taps = tags[: draw(st.integers(0, len(tags)))]
        made = done if draw(st.booleans()) else sent
        ago = draw(AGES)
        if made is sent:
            covers = [before.batch.id for before in found if before.done_ms and before.taps and draw(st.booleans())]
            found.append(sent(str(number), *tags, taps=taps, covers=covers, age_ms=ago))
        elif taps:
            found.append(done(str(number), *tags, taps=taps, accepted_ago=ago))
    return found


VIEWS = st.builds(
    View,
    st.just(NOW),
    shards(),
    batches(),
    st.booleans(),
    st.none() | st.integers(0, 6),
    st.sampled_from([0, NOW]),
)
SOME_LIMITS = st.builds(
    Limits,
    max_items=st.integers(1, 6),
    forgotten_ms=st.just(340_000),
    transit_ms=st.just(6_000),
    complete_ms=st.just(170_000),
    max_in_progress=st.integers(1, 8) | st.integers(20, 24),
    tap_all=st.booleans(),
    overflow_items=st.integers(0, 2),
)


def entries_of(view: View) -> set[tuple[int, Waiting]]:
    """Return all that waits, with its shard."""
    return {(number, entry) for number, state in view.shards.items() for entry in state.waiting}


def flat(entries: Mapping[int, Sequence[Waiting]]) -> list[tuple[int, Waiting]]:
    """Return entries with their shards."""
    return [(number, entry) for number, of_shard in entries.items() for entry in of_shard]


@given(VIEWS, SOME_LIMITS)
def test_a_batch_is_never_over_the_quota_nor_over_a_call(view: View, limits: Limits) -> None:
    planned = plan(view, limits)
    assert len(planned.tags) == len(set(planned.tags)) <= limits.max_items
    assert not planned.tags or in_progress(view.batches) + len(planned.tags) <= limits.max_in_progress
    assert set(planned.taps) <= {entry.tag for _, entry in flat(planned.waiting)} | set(planned.tags)
    assert len(planned.taps) <= max(1, min(limits.max_items, limits.max_in_progress) // 2)


@given(VIEWS, SOME_LIMITS)
def test_every_entry_is_taken_released_or_has_a_reason_to_wait(view: View, limits: Limits) -> None:
    planned = plan(view, limits)
    taken, released = flat(planned.waiting), flat(planned.released)
    left = {(number, entry) for number, entry in entries_of(view) if entry.tag in planned.left}
    assert len(taken) + len(released) == len({*taken, *released})
    assert {*taken, *released} | left == entries_of(view)
    assert not {*taken} & left


@given(VIEWS, SOME_LIMITS)
def test_whatever_is_taken_is_dropped_by_an_item(view: View, limits: Limits) -> None:
    planned = plan(view, limits)
    for _, entry in flat(planned.waiting):
        by_o = "o" in planned.tags and entry.flags & Flag.COVERED
        assert entry.tag in planned.tags or "g" in planned.tags or by_o


@given(VIEWS, SOME_LIMITS)
def test_nothing_urgent_waits_behind_anything_else(view: View, limits: Limits) -> None:
    planned = plan(view, limits)
    urgent = {entry.tag for _, entry in entries_of(view) if entry.flags & Flag.URGENT}
    if urgent & planned.left.keys():
        assert planned.covers == ()
        first = {entry.tag for _, entry in flat(planned.waiting)}
        assert first & urgent or not first
        assert all("g" in first or tag in urgent or "o" in planned.tags for tag in first)
    assert not any(entry.tag in urgent and entry.flags & Flag.URGENT for _, entry in flat(planned.released))


@given(VIEWS, SOME_LIMITS)
def test_g_takes_all_along(view: View, limits: Limits) -> None:
    planned = plan(view, limits)
    if "g" in planned.tags[: planned.first]:
        assert planned.tags == ("g",)
        assert planned.left == {}


@given(VIEWS, SOME_LIMITS)
def test_what_needs_a_second_tap_has_one(view: View, limits: Limits) -> None:
    planned = plan(view, limits)
    for _, entry in flat(planned.waiting):
        recent = bool(entry.flags & Flag.TAP) and entry.at_ms + limits.transit_ms > NOW
        if limits.tap_all or recent or entry.flags & Flag.URGENT:
            by_o = "o" in planned.taps and entry.flags & Flag.COVERED
            assert entry.tag in planned.taps or "g" in planned.taps or by_o


@given(VIEWS, SOME_LIMITS)
def test_a_batch_is_covered_whole_or_not(view: View, limits: Limits) -> None:
    planned = plan(view, limits)
    by_name = {batch.batch.id: batch for batch in view.batches}
    for name in planned.covers:
        assert by_name[name].done_ms
        assert "g" in planned.tags or set(by_name[name].taps) <= set(planned.tags)
    second = set(planned.tags[planned.first :])
    assert second <= {tag for name in planned.covers for tag in by_name[name].taps}


@given(VIEWS, SOME_LIMITS)
def test_the_planner_goes_wide_only_with_headroom(view: View, limits: Limits) -> None:
    planned = plan(view, limits)
    asked = {entry.tag for _, entry in flat(planned.waiting)} | {tag for batch in view.batches for tag in batch.taps}
    wide = {"g", "o"} & set(planned.tags) - asked
    assert set(planned.widened) <= wide
    assert not wide or view.wide
    if "g" in wide:
        assert view.global_ms + GLOBAL_EVERY_MS <= NOW


@given(VIEWS, SOME_LIMITS)
def test_where_the_money_is_spent_only_what_goes_first_goes(view: View, limits: Limits) -> None:
    planned = plan(replace(view, money=0), limits)
    taken = flat(planned.waiting)
    assert planned.widened != "g"
    if "g" not in planned.tags[: planned.first]:
        urgent = {entry.tag for _, entry in taken if entry.flags & Flag.URGENT}
        assert {entry.tag for _, entry in taken} <= urgent or "o" in planned.tags


@given(VIEWS, SOME_LIMITS, st.integers(0, 8))
def test_first_items_and_their_taps_are_paid_before_they_go(view: View, limits: Limits, money: int) -> None:
    planned = plan(replace(view, money=money), limits)
    if not any(entry.tag == "g" or entry.flags & Flag.URGENT for _, entry in flat(planned.waiting)):
        carried = {tag for batch in view.batches for tag in batch.taps}
        paid = [tag for tag in planned.tags[: planned.first] if tag not in carried]
        owed = sum(len(batch.taps) for batch in view.batches)
        assert len(paid) + len(planned.taps) + owed <= money or not (paid or planned.taps)


def completed(open_: Sequence[Minted], now_ms: int) -> list[Minted]:
    """Return the batches that are left when the edge has completed all: those that wait for their second taps."""
    carried = {name for batch in open_ if not batch.done_ms for name in batch.covers}
    return [
        batch if batch.done_ms else replace(batch, done_ms=now_ms)
        for batch in open_
        if batch.taps and batch.batch.id not in carried
    ]


@given(VIEWS, SOME_LIMITS)
def test_all_that_waits_goes_in_the_end_and_so_does_each_second_tap(view: View, limits: Limits) -> None:
    view, limits = replace(view, money=None, wide=True), replace(limits, forgotten_ms=10**9)
    assume(all(len(batch.taps) <= limits.max_taps for batch in view.batches))
    for number in range(200):
        planned = plan(view, limits)
        gone = {*flat(planned.waiting), *flat(planned.released)}
        left = {
            number: shard(*(entry for entry in state.waiting if (number, entry) not in gone))
            for number, state in view.shards.items()
        }
        open_ = [batch for batch in view.batches if batch.batch.id not in planned.over]
        if planned.tags:
            new = sent(f"new-{number}", *planned.tags, taps=planned.taps, covers=planned.covers)
            open_.append(replace(new, accepted_ms=view.now_ms))
        now_ms = view.now_ms + limits.transit_ms
        view = replace(view, now_ms=now_ms, shards=left, batches=completed(open_, now_ms))
        if not view.batches and not entries_of(view):
            return
    raise AssertionError(view)
