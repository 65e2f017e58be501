"""The plan: what goes next, what is tapped again, what is forgotten, and why the rest waits."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from cdn.edge import Batch
from cdn.pending import Flag, Minted, ShardState, Waiting
from invalidator.plan import GLOBAL_EVERY_MS, Limits, Plan, View, Why, in_progress, next_tap_ms, plan

NOW = 10_000_000
PLAIN = Flag(0)
LIMITS = Limits(max_items=3000, forgotten_ms=340_000, transit_ms=6_000, complete_ms=25_000)
TIERS = replace(LIMITS, tap_all=True)


def wait(tag: str, flags: Flag = PLAIN, *, age_ms: int = 0, count: int = 1) -> Waiting:
    """Return an entry that waits: recorded so long ago, under a count."""
    return Waiting(tag, count, count, NOW - age_ms, flags)


def shard(*entries: str | Waiting) -> ShardState:
    """Return a shard in which these wait, oldest first."""
    waiting = tuple(
        entry if isinstance(entry, Waiting) else wait(entry, count=count) for count, entry in enumerate(entries, 1)
    )
    return ShardState(len(entries), 0, 0, len(entries), waiting)


def view(*shards: ShardState, batches: Sequence[Minted] = (), money: int | None = None, wide: bool = False) -> View:
    """Return a view of these shards, numbered from 0."""
    return View(NOW, dict(enumerate(shards)), batches, wide, money)


def sent(name: str, *tags: str, taps: Sequence[str] = (), covers: Sequence[str] = (), age_ms: int = 0) -> Minted:
    """Return a batch that was accepted so long ago and is not complete."""
    return Minted(Batch(name, tags), (0,), f"I-{name}", tuple(taps), tuple(covers), NOW - age_ms)


def done(name: str, *tags: str, taps: Sequence[str], accepted_ago: int = 60_000, done_ago: int = 0) -> Minted:
    """Return a batch that is complete and waits for its second tap."""
    return Minted(Batch(name, tags), (0,), f"I-{name}", tuple(taps), (), NOW - accepted_ago, NOW - done_ago)


def covered(number: int) -> list[Waiting]:
    """Return so many leftover readers."""
    return [wait(f"u-{n}", Flag.COVERED) for n in range(number)]


def tags_of(planned: Plan) -> set[str]:
    """Return the tags of all entries that a plan takes."""
    return {entry.tag for entries in planned.waiting.values() for entry in entries}


def test_nothing_waits_and_nothing_is_planned() -> None:
    assert plan(view(shard(), shard()), LIMITS) == Plan()


def test_a_tag_that_waits_in_many_shards_is_one_item_and_takes_all_its_entries() -> None:
    planned = plan(view(*(shard("p-1") for _ in range(64))), LIMITS)
    assert planned.tags == ("p-1",)
    assert len(planned.waiting) == 64


def test_a_shard_whose_tags_are_not_chosen_is_not_claimed() -> None:
    planned = plan(view(shard("p-1"), shard("p-2")), replace(LIMITS, max_items=1))
    assert planned.tags == ("p-1",)
    assert list(planned.waiting) == [0]
    assert planned.left == {"p-2": Why.QUOTA}


def test_the_oldest_of_every_shard_go_before_the_second_oldest_of_any() -> None:
    planned = plan(view(shard("u-a1", "u-a2"), shard("u-b1", "u-b2")), replace(LIMITS, max_items=2))
    assert planned.tags == ("u-a1", "u-b1")


def test_g_goes_alone_and_takes_along_whatever_waits() -> None:
    planned = plan(view(shard("p-1", "g"), shard("u-ada"), shard()), LIMITS)
    assert planned.tags == ("g",)
    assert tags_of(planned) == {"p-1", "g", "u-ada"}


def test_a_full_quota_plans_nothing_not_even_g() -> None:
    full = sent("a", *(f"p-{number}" for number in range(3000)))
    planned = plan(view(shard("g", "p-1"), batches=[full]), LIMITS)
    assert planned.tags == ()
    assert planned.left == {"g": Why.QUOTA, "p-1": Why.QUOTA}


def test_what_is_in_progress_leaves_less_room_and_what_is_complete_leaves_it() -> None:
    open_ = [sent("a", *(f"p-{n}" for n in range(2698))), done("b", "p-x", taps=["p-x"], accepted_ago=10)]
    assert in_progress(open_) == 2698
    assert plan(view(shard("p-1", "p-2", "p-3"), batches=open_), LIMITS).tags == ("p-1", "p-2")


def test_a_tenth_of_the_quota_is_left_to_what_is_urgent() -> None:
    storm = sent("a", *(f"u-{n}" for n in range(2700)))
    planned = plan(view(shard("p-1", wait("p-2", Flag.URGENT)), batches=[storm]), LIMITS)
    assert planned.tags == ("p-2",)
    assert planned.left == {"p-1": Why.QUOTA}
    taps = done("b", "p-3", taps=["p-3"])
    assert plan(view(shard("p-1"), batches=[storm, taps]), LIMITS).left == {"p-1": Why.TAPS}
    assert plan(view(shard("p-1", "g"), batches=[storm, taps]), LIMITS).tags == ("g",)


class TestUrgent:
    """Deletions and privacy."""

    def test_it_goes_before_what_waited_longer(self) -> None:
        planned = plan(view(shard("p-1", "p-2", wait("p-3", Flag.URGENT))), replace(LIMITS, max_items=1))
        assert planned.tags == ("p-3",)

    def test_it_is_tapped_wherever_it_was(self) -> None:
        assert plan(view(shard(wait("p-3", Flag.URGENT, age_ms=100_000))), LIMITS).taps == ("p-3",)

    def test_it_goes_where_the_money_is_spent(self) -> None:
        planned = plan(view(shard("p-1", wait("p-3", Flag.URGENT)), money=0), LIMITS)
        assert planned.tags == ("p-3",)
        assert planned.left == {"p-1": Why.MONEY}

    def test_it_goes_where_nothing_from_before_can_be_left(self) -> None:
        planned = plan(view(shard(wait("p-3", Flag.URGENT, age_ms=900_000))), LIMITS)
        assert planned.tags == ("p-3",)
        assert not planned.released

    def test_nothing_else_goes_before_all_of_it_has_room(self) -> None:
        urgent = [wait(f"p-{n}", Flag.URGENT) for n in range(3)]
        planned = plan(view(shard(*urgent, "u-1")), replace(LIMITS, max_items=4))
        assert planned.tags == ("p-0", "p-1"), "two taps at once are as much as four items in progress can bear"
        assert planned.left == {"p-2": Why.QUOTA, "u-1": Why.QUOTA}


class TestSecondTap:
    """What was on its way, or at an inner tier, is dropped once more."""

    @pytest.mark.parametrize(
        ("flags", "age_ms", "tapped"),
        [
            (PLAIN, 0, False),  # no answer with this tag was on its way
            (Flag.TAP, 0, True),
            (Flag.TAP, 5_999, True),
            (Flag.TAP, 6_000, False),  # it has arrived by now, and the first item finds it
        ],
    )
    def test_it_is_needed_where_an_answer_may_be_on_its_way(self, flags: Flag, age_ms: int, tapped: bool) -> None:
        planned = plan(view(shard(wait("p-1", flags, age_ms=age_ms))), LIMITS)
        assert planned.taps == (("p-1",) if tapped else ())

    def test_every_item_is_tapped_at_an_edge_of_several_tiers(self) -> None:
        assert plan(view(shard("p-1", "u-1")), TIERS).taps == ("p-1", "u-1")

    def test_one_of_many_entries_is_enough(self) -> None:
        assert plan(view(shard("p-1"), shard(wait("p-1", Flag.TAP))), LIMITS).taps == ("p-1",)

    def test_it_goes_when_what_was_on_its_way_has_arrived(self) -> None:
        early = done("a", "p-1", taps=["p-1"], accepted_ago=5_999, done_ago=5_000)
        late = done("b", "p-2", taps=["p-2"], accepted_ago=6_000, done_ago=5_000)
        planned = plan(view(batches=[early, late]), LIMITS)
        assert (planned.tags, planned.first, planned.covers, planned.taps) == (("p-2",), 0, ("b",), ())
        assert next_tap_ms(view(batches=[early]), LIMITS) == 1

    def test_it_waits_for_completion(self) -> None:
        planned = plan(view(batches=[sent("a", "p-1", taps=["p-1"], age_ms=60_000)]), LIMITS)
        assert planned == Plan()
        assert next_tap_ms(view(batches=[sent("a", "p-1", taps=["p-1"])]), LIMITS) is None

    def test_it_shares_a_call_with_first_items(self) -> None:
        planned = plan(view(shard("u-1"), batches=[done("a", "p-1", taps=["p-1"])]), LIMITS)
        assert (planned.tags, planned.first, planned.covers) == (("u-1", "p-1"), 1, ("a",))

    def test_a_first_item_of_the_same_tag_is_its_second_tap(self) -> None:
        planned = plan(view(shard(wait("p-1", Flag.TAP)), batches=[done("a", "p-1", taps=["p-1"])]), LIMITS)
        assert (planned.tags, planned.first, planned.taps, planned.covers) == (("p-1",), 1, ("p-1",), ("a",))

    def test_g_is_every_second_tap_that_is_due(self) -> None:
        due = [done("a", "p-1", taps=["p-1"]), done("b", "p-2", taps=["p-2"])]
        planned = plan(view(shard("g"), batches=due), LIMITS)
        assert (planned.tags, planned.covers) == (("g",), ("a", "b"))

    def test_it_is_carried_once(self) -> None:
        carried = [done("a", "p-1", taps=["p-1"]), sent("b", "p-1", covers=["a"])]
        assert plan(view(batches=carried), LIMITS) == Plan()

    def test_one_that_finds_no_room_goes_before_new_items(self) -> None:
        large = done("a", "p-1", taps=[f"p-{n}" for n in range(1500)])
        busy = sent("b", *(f"u-{n}" for n in range(1600)))
        planned = plan(view(shard("u-1", wait("p-x", Flag.URGENT)), batches=[large, busy]), LIMITS)
        assert planned.tags == ("p-x",)
        assert planned.left == {"u-1": Why.TAPS}

    def test_a_batch_never_needs_more_of_them_than_half_the_quota(self) -> None:
        planned = plan(view(shard(*(f"u-{n}" for n in range(3000)))), TIERS)
        assert len(planned.taps) == len(planned.tags) == 1350

    def test_one_whose_horizon_has_passed_is_forgotten(self) -> None:
        planned = plan(view(batches=[done("a", "p-1", taps=["p-1"], accepted_ago=340_000)]), LIMITS)
        assert (planned.tags, planned.over) == ((), ("a",))

    def test_g_that_took_a_few_along_is_tapped_by_their_names(self) -> None:
        planned = plan(view(shard("g", wait("p-1", Flag.TAP), "u-1")), LIMITS)
        assert (planned.tags, planned.taps) == (("g",), ("p-1",))
        assert plan(view(shard(wait("g", Flag.TAP), wait("p-1", Flag.TAP))), LIMITS).taps == ("g",)
        assert plan(view(shard("g", wait("p-1", Flag.TAP))), TIERS).taps == ("g",)


class TestOverflow:
    """`o` in place of many leftover readers."""

    def test_a_few_are_named(self) -> None:
        planned = plan(view(shard(*covered(20)), wide=True), LIMITS)
        assert len(planned.tags) == 20
        assert planned.widened == ""

    def test_many_are_one_item(self) -> None:
        planned = plan(view(shard(*covered(21), "p-1"), wide=True), LIMITS)
        assert planned.tags == ("o", "p-1")
        assert planned.widened == "o"
        assert len(tags_of(planned)) == 22

    def test_without_headroom_they_are_named(self) -> None:
        assert len(plan(view(shard(*covered(21)), wide=False), LIMITS).tags) == 21

    def test_one_that_something_else_dropped_too_is_named(self) -> None:
        planned = plan(view(shard(*covered(21), "u-changed"), wide=True), LIMITS)
        assert planned.tags == ("o", "u-changed")

    def test_they_go_with_an_o_that_waits_anyway(self) -> None:
        planned = plan(view(shard(*covered(2), "o"), wide=False), LIMITS)
        assert planned.tags == ("o",)
        assert planned.widened == ""
        assert len(tags_of(planned)) == 3

    def test_where_the_money_is_short_of_naming_them_they_are_one_item(self) -> None:
        planned = plan(view(shard(*covered(5)), wide=True, money=4), LIMITS)
        assert (planned.tags, planned.widened) == (("o",), "o")
        assert len(plan(view(shard(*covered(5)), wide=True, money=5), LIMITS).tags) == 5
        assert len(plan(view(shard(*covered(5)), wide=False, money=4), LIMITS).tags) == 4

    def test_one_that_nobody_asked_for_waits_for_headroom_and_holds_up_nothing(self) -> None:
        waiting = shard(wait("o", Flag.PATIENT), "p-1", *covered(1))
        planned = plan(view(waiting, wide=False), LIMITS)
        assert set(planned.tags) == {"p-1", "u-0"}
        assert planned.left == {"o": Why.HEADROOM}
        assert set(plan(view(waiting, wide=True), LIMITS).tags) == {"o", "p-1"}
        assert plan(view(waiting, shard("g"), wide=False), LIMITS).tags == ("g",)

    def test_one_that_somebody_asked_for_too_does_not_wait(self) -> None:
        planned = plan(view(shard(wait("o", Flag.PATIENT)), shard("o"), wide=False), LIMITS)
        assert (planned.tags, len(planned.waiting)) == (("o",), 2)
        assert plan(view(shard(wait("o", Flag.PATIENT | Flag.URGENT))), LIMITS).tags == ("o",)

    def test_it_waits_no_longer_than_an_edge_remembers(self) -> None:
        planned = plan(view(shard(wait("o", Flag.PATIENT, age_ms=340_000))), LIMITS)
        assert planned.left == {}
        assert len(planned.released[0]) == 1

    def test_it_is_tapped_where_one_of_them_is(self) -> None:
        readers = [*covered(21), wait("u-recent", Flag.COVERED | Flag.TAP)]
        assert plan(view(shard(*readers), wide=True), LIMITS).taps == ("o",)


class TestBacklog:
    """`g` in place of what could not go out in time."""

    small = Limits(max_items=3, forgotten_ms=50_000, transit_ms=6_000, complete_ms=25_000, call_ms=25_000)
    late = tuple(f"u-{n}" for n in range(7))

    def test_what_can_go_out_in_time_is_named(self) -> None:
        assert plan(view(shard(*self.late[:6]), wide=True), self.small).tags == self.late[:3]

    @pytest.mark.parametrize(
        ("limits", "items"),
        [
            (small, 6),  # twice until edges forget, one call each time
            (replace(small, call_ms=5_000), 30),  # five calls, until the first is complete
            (replace(small, call_ms=5_000, tap_all=True), 14),  # of which half are second taps
            (replace(small, call_ms=1, max_in_progress=100), 180),  # what is left of the quota
            (replace(small, call_ms=60_000, forgotten_ms=1), 3),
        ],
    )
    def test_how_many_can_go_out_in_time(self, limits: Limits, items: int) -> None:
        assert limits.backlog == items

    def test_what_cannot_is_one_item(self) -> None:
        planned = plan(view(shard(*self.late), wide=True), self.small)
        assert (planned.tags, planned.widened) == (("g",), "g")
        assert tags_of(planned) == set(self.late)

    def test_without_headroom_it_goes_as_far_as_it_can_and_says_so(self) -> None:
        planned = plan(view(shard(*self.late), wide=False), self.small)
        assert planned.tags == self.late[:3]
        assert set(planned.left.values()) == {Why.HEADROOM}

    def test_it_does_so_once_in_ten_minutes(self) -> None:
        soon = replace(view(shard(*self.late), wide=True), global_ms=NOW - GLOBAL_EVERY_MS + 1)
        assert plan(soon, self.small).tags == self.late[:3]
        assert plan(replace(soon, global_ms=NOW - GLOBAL_EVERY_MS), self.small).tags == ("g",)

    def test_a_g_that_was_asked_for_needs_no_headroom_and_no_pause(self) -> None:
        asked = replace(view(shard("g"), wide=False), global_ms=NOW)
        assert plan(asked, self.small).tags == ("g",)


class TestMoney:
    """At the month's limit only deletions and privacy go."""

    def test_as_many_go_as_are_left_with_their_second_taps(self) -> None:
        planned = plan(view(shard("p-1", wait("p-2", Flag.TAP), "p-3"), money=2), LIMITS)
        assert planned.tags == ("p-1", "p-3")
        assert planned.left == {"p-2": Why.MONEY}

    def test_second_taps_were_counted_with_their_items_and_go(self) -> None:
        planned = plan(view(shard("p-2"), batches=[done("a", "p-1", taps=["p-1"])], money=1), LIMITS)
        assert planned.tags == ("p-1",)
        assert planned.left == {"p-2": Why.MONEY}

    def test_what_waits_for_money_is_released_at_its_horizon(self) -> None:
        planned = plan(view(shard(wait("p-1", age_ms=340_000), wait("p-2", age_ms=339_999)), money=0), LIMITS)
        assert planned.released == {0: (wait("p-1", age_ms=340_000),)}
        assert planned.left == {"p-2": Why.MONEY}
