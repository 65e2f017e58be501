"""The ledger: only what an edge may hold is made pending, and that once."""

import time

import pytest

from cdn import keys
from cdn.fence import TRANSIT_MS, Fence, Leaving
from cdn.ledger import ALL_SHARDS, Ledger, Tags
from cdn.pending import Flag, PendingSet
from tests.integration.ground import MINUTE_MS, Ground, Unwatched

BUCKET_S = 64
BEGIN_MS = 1_800_000_000_000


async def test_a_tag_that_no_living_answer_carries_makes_nothing_pending(ground: Ground) -> None:
    await ground.leave(5, "u-ada")
    assert await ground.recorded("u-bob", shards=[5]) == {5: 0}
    assert await ground.waiting() == {}


async def test_a_tag_that_left_is_pending_in_its_shard_alone(ground: Ground) -> None:
    await ground.leave(5, "p-1")
    made = await ground.recorded("p-1")
    assert [shard for shard, pending in made.items() if pending] == [5]
    assert await ground.waiting() == {"p-1": [5]}


async def test_a_tag_is_taken_out_of_the_ledger_once(ground: Ground) -> None:
    await ground.leave(5, "p-1")
    assert [await ground.recorded("p-1", shards=[5]) for _ in range(2)] == [{5: 1}, {5: 0}]


async def test_a_tag_in_answers_of_several_lives_is_taken_out_of_all(ground: Ground) -> None:
    for horizon_ms in (1, 5 * MINUTE_MS, 60 * MINUTE_MS):
        await ground.leave(5, "p-1", horizon_ms=horizon_ms)
    assert [await ground.recorded("p-1", shards=[5]) for _ in range(2)] == [{5: 1}, {5: 0}]


async def test_an_answer_that_leaves_after_a_record_is_pending_with_the_next_one(ground: Ground) -> None:
    await ground.leave(5, "p-1")
    await ground.recorded("p-1", shards=[5])
    await ground.leave(5, "p-1")
    assert await ground.recorded("p-1", shards=[5]) == {5: 1}


async def listed(ground: Ground) -> list[int]:
    """Return the buckets that a shard's ledger has."""
    span = await ground.redis.get("{05}:ledger:span")
    assert isinstance(span, bytes)
    return list(map(int, span.split()[1:]))


@pytest.mark.parametrize("lateness", [1, 40, 5000])
async def test_what_an_edge_can_no_longer_hold_makes_nothing_pending(ground: Ground, lateness: int) -> None:
    """The server's clock decides: its time is far beyond the bucket, whatever the span still names."""
    over = int(time.time()) // BUCKET_S - lateness
    await ground.redis.sadd(f"{{05}}:ledger:{over}", "p-1")
    await ground.redis.set("{05}:ledger:span", f"0 {over}")
    assert await ground.recorded("p-1", shards=[5]) == {5: 0}


async def test_buckets_that_are_over_go_away_with_the_next_answer(ground: Ground) -> None:
    over = int(time.time()) // BUCKET_S - 2
    await ground.redis.sadd(f"{{05}}:ledger:{over}", "p-1")
    await ground.redis.set("{05}:ledger:span", f"0 {over}")
    await ground.leave(5, "p-2")
    assert not await ground.redis.exists(f"{{05}}:ledger:{over}")
    (bucket,) = await listed(ground)
    assert over < bucket


async def test_a_span_that_ended_long_ago_begins_anew_with_the_next_answer(ground: Ground) -> None:
    await ground.redis.set("{05}:ledger:span", "0 100 103")
    await ground.leave(5, "p-1")
    assert await ground.recorded("p-1", shards=[5]) == {5: 1}


async def test_an_answer_is_kept_for_its_life_and_the_way_to_the_edge(ground: Ground) -> None:
    await ground.at(BEGIN_MS)
    await ground.leave(5, "p-1", horizon_ms=10 * MINUTE_MS)
    await ground.at(BEGIN_MS + 10 * MINUTE_MS + TRANSIT_MS)
    assert await ground.recorded("p-1", shards=[5]) == {5: 1}
    await ground.leave(5, "p-1", horizon_ms=10 * MINUTE_MS)
    await ground.at(BEGIN_MS + 20 * MINUTE_MS + 2 * TRANSIT_MS + BUCKET_S * 1000)
    assert await ground.recorded("p-1", shards=[5]) == {5: 0}


@pytest.mark.parametrize(("days", "most"), [(1, 110), (7, 160), (365, 250)])
async def test_the_longer_answers_live_the_wider_are_their_buckets(ground: Ground, days: int, most: int) -> None:
    life_ms = days * 86_400_000
    for step in range(500):
        await ground.at(BEGIN_MS + step * life_ms // 500)
        await ground.leave(5, f"p-{step}", horizon_ms=life_ms)
    assert len(await listed(ground)) < most
    await ground.at(BEGIN_MS + life_ms)
    assert await ground.recorded("p-0", "p-250", "p-499", shards=[5]) == {5: 3}
    await ground.leave(5, "p-1", horizon_ms=life_ms)
    await ground.at(BEGIN_MS + 2 * life_ms + life_ms // 8)
    assert await ground.recorded("p-1", shards=[5]) == {5: 0}, "a sixteenth too long, and no more"


async def test_g_clears_what_it_covers(ground: Ground) -> None:
    await ground.leave(5, "g", "u-ada", "p-1")
    await ground.leave(5, "g", "u-bob", horizon_ms=10 * MINUTE_MS)
    await ground.leave(6, "g", "u-eve")
    made = await ground.recorded("g", "u-ada", shards=[5])
    assert made == {5: 1}
    assert await ground.recorded("u-ada", "u-bob", "p-1", shards=[5]) == {5: 0}
    assert await ground.recorded("u-eve", shards=[6]) == {6: 1}


async def test_a_shard_tag_clears_its_shard(ground: Ground) -> None:
    await ground.leave(5, "s-05", "u-ada")
    await ground.recorded("s-05")
    assert await ground.waiting() == {"s-05": [5]}
    assert await ground.recorded("u-ada", shards=[5]) == {5: 0}


async def test_an_answer_that_leaves_after_g_is_in_the_ledger_again(ground: Ground) -> None:
    await ground.leave(5, "g", "u-ada")
    await ground.recorded("g", shards=[5])
    await ground.leave(5, "g", "u-ada")
    assert await ground.recorded("u-ada", shards=[5]) == {5: 1}


async def test_a_reader_whose_answer_carries_a_source_is_reached_by_its_tag(ground: Ground) -> None:
    await ground.leave(5, "u-ada", "o", carried=(1, 2))
    assert await ground.gained(5, (2, 7), "ada") == 0


async def test_a_reader_whose_answer_carries_none_of_the_sources_is_left_over_once(ground: Ground) -> None:
    await ground.leave(5, "u-ada", "o", carried=(1, 12))
    assert [await ground.gained(5, (2,), "bob", "ada") for _ in range(2)] == [1, 0]
    assert (await ground.entries(5))["u-ada"].flags == Flag.COVERED | Flag.TAP
    await ground.leave(5, "u-ada", "o", carried=(1, 12))
    assert await ground.gained(5, (2,), "ada") == 1


async def test_a_reader_whose_sources_all_found_room_is_never_left_over(ground: Ground) -> None:
    await ground.leave(5, "u-ada")
    assert await ground.gained(5, (2,), "ada", "bob") == 0


async def test_every_living_answer_counts_where_one_lacks_a_source(ground: Ground) -> None:
    await ground.leave(5, "u-ada", "o", carried=(1, 2, 3))
    await ground.leave(5, "u-ada", "o", carried=(2, 3, 4))
    await ground.leave(5, "u-ada")
    assert [await ground.gained(5, (source,), "ada") for source in (2, 3, 1)] == [0, 0, 1]


async def test_a_leftover_reader_who_is_dropped_for_more_is_not_covered_by_o(ground: Ground) -> None:
    await ground.leave(5, "u-ada", "o", carried=(1,))
    await ground.gained(5, (2,), "ada")
    assert await ground.recorded("u-ada", shards=[5]) == {5: 1}
    assert (await ground.entries(5))["u-ada"].flags == Flag.TAP


async def test_an_answer_that_carries_no_source_is_left_over_by_each(ground: Ground) -> None:
    await ground.leave(5, "u-ada", "o", carried=())
    assert await ground.gained(5, (2,), "ada") == 1


async def test_a_dropped_reader_is_no_longer_left_over(ground: Ground) -> None:
    await ground.leave(5, "u-ada", "o", carried=(1,))
    assert await ground.recorded("u-ada", shards=[5]) == {5: 1}
    assert await ground.gained(5, (2,), "ada") == 0


async def test_a_short_answer_shortens_the_life_of_no_other(ground: Ground) -> None:
    await ground.at(BEGIN_MS)
    await ground.leave(5, "u-ada", "o", carried=(1,), horizon_ms=10 * MINUTE_MS)
    await ground.leave(5, "u-ada", horizon_ms=1)
    await ground.at(BEGIN_MS + 10 * MINUTE_MS)
    assert await ground.gained(5, (2,), "ada") == 1
    assert (await ground.entries(5))["u-ada"].flags == Flag.COVERED


async def test_what_an_answer_lacked_that_is_over_is_forgotten(ground: Ground) -> None:
    await ground.at(BEGIN_MS)
    await ground.leave(5, "u-ada", "o", carried=(1,), horizon_ms=1)
    await ground.at(BEGIN_MS + MINUTE_MS)
    await ground.leave(5, "u-ada")
    assert await ground.gained(5, (2,), "ada") == 0


async def test_living_users_are_trimmed_step_by_step(ground: Ground) -> None:
    await ground.at(BEGIN_MS)
    lives = [(f"user{number}", 10 * MINUTE_MS if number % 3 == 0 else 1) for number in range(1500)]
    await ground.fence.passes([Leaving(5, 0, set(), [], horizon_ms, user) for user, horizon_ms in lives])
    await ground.at(BEGIN_MS + MINUTE_MS)
    steps = [await ground.ledger.trim() for _ in range(40)]
    assert (sum(steps), max(steps) < 500) == (1000, True)
    assert await ground.redis.hlen(keys.fence(5)[4]) == 500


async def test_a_deletion_makes_what_waits_already_urgent(ground: Ground) -> None:
    await ground.leave(5, "p-1")
    await ground.recorded("p-1", shards=[5])
    assert await ground.recorded("p-1", shards=[5], flags=Flag.URGENT) == {5: 0}
    entry = (await ground.entries(5))["p-1"]
    assert (entry.newest, entry.flags) == (1, Flag.TAP | Flag.URGENT)


@pytest.mark.parametrize("wide", ["g", "s-05"])
async def test_a_deletion_does_not_wait_with_what_cleared_the_ledger(ground: Ground, wide: str) -> None:
    await ground.leave(5, "g", "s-05", "p-1")
    await ground.recorded(wide, shards=[5])
    await ground.recorded("p-1", shards=[5], flags=Flag.URGENT)
    await ground.recorded("p-2", shards=[5])
    assert (await ground.entries(5)).keys() == {wide, "p-1"}


async def test_while_a_shard_is_unsure_whatever_is_dropped_waits(ground: Ground) -> None:
    await ground.at(BEGIN_MS)
    await ground.redis.set(keys.unsure(5), BEGIN_MS // 1000 + 60)
    await ground.recorded("p-1", shards=[5])
    assert await ground.gained(5, (2,), *(f"user{number}" for number in range(100))) == 1
    entries = await ground.entries(5)
    assert {tag: entry.flags for tag, entry in entries.items()} == {"p-1": Flag.TAP, "o": Flag.TAP}
    assert await ground.recorded("t-1", shards=[5]) == {5: 2}, "o too: readers may have been forgotten"
    await ground.at(BEGIN_MS + 61_000)
    assert await ground.recorded("p-2", shards=[5]) == {5: 0}


async def test_where_all_is_tapped_whatever_is_alive_while_answers_leave_is_recent(ground: Ground) -> None:
    await ground.at(BEGIN_MS)
    await ground.leave(5, "p-1", horizon_ms=10 * MINUTE_MS)
    await ground.at(BEGIN_MS + MINUTE_MS)
    ground.fence = Fence(ground.redis, Unwatched(), taps_all=True)
    await ground.leave(5, "p-2", "p-3", horizon_ms=10 * MINUTE_MS)
    await ground.recorded("p-1", "p-2", shards=[5])
    await ground.at(BEGIN_MS + 2 * MINUTE_MS)
    await ground.recorded("p-3", shards=[5])
    flags = {tag: entry.flags for tag, entry in (await ground.entries(5)).items()}
    assert flags == {"p-1": Flag.TAP, "p-2": Flag.TAP, "p-3": Flag.PLAIN}


@pytest.mark.parametrize("step_ms", [5000, 30_000, 3_600_000])
async def test_a_clock_that_steps_back_hides_nothing_that_left_lately(ground: Ground, step_ms: int) -> None:
    await ground.at(BEGIN_MS)
    await ground.leave(5, "p-1", "u-ada", "o", carried=(1,))
    await ground.at(BEGIN_MS - step_ms)
    await ground.recorded("p-1", shards=[5])
    await ground.gained(5, (2,), "ada")
    assert {entry.tag for entry in (await ground.entries(5)).values() if Flag.TAP in entry.flags} == {"p-1", "u-ada"}


async def test_a_clock_that_steps_back_hides_nothing_that_leaves_then(ground: Ground) -> None:
    await ground.at(BEGIN_MS)
    await ground.leave(5, "p-1")
    await ground.at(BEGIN_MS - 60 * MINUTE_MS)
    await ground.leave(5, "p-2")
    assert await ground.recorded("p-2", shards=[5]) == {5: 1}
    await ground.leave(5, "g", "p-3")
    await ground.recorded("g", shards=[5])
    assert await ground.recorded("p-1", "p-3", shards=[5]) == {5: 0}, "both were cleared"


async def test_every_edge_has_it_pending(ground: Ground) -> None:
    ledger = Ledger(ground.redis, ["main", "varnish"])
    await ground.leave(5, "p-1")
    await ledger.record({5: Tags(dropped={"p-1": Flag.PLAIN})})
    for edge in ("main", "varnish"):
        state = (await PendingSet(ground.redis, edge).read([5], 10))[5]
        assert [entry.tag for entry in state.waiting] == ["p-1"]


async def test_thousands_of_tags_are_recorded_at_once(ground: Ground) -> None:
    posts = [f"p-{number}" for number in range(9000)]
    await ground.leave(5, *posts)
    await ground.ledger.record(
        {5: Tags(dropped=dict.fromkeys(posts, Flag.PLAIN), guards={f"a-{number}" for number in range(9000)})}
    )
    state = (await ground.pending.read([5], 50_000))[5]
    assert (len(state.waiting), state.size) == (9000, 9000)


async def test_what_was_merged_keeps_its_oldest_count_and_its_newest(ground: Ground) -> None:
    for _ in range(3):
        await ground.leave(5, "p-1")
        await ground.recorded("p-1", shards=[5])
    (entry,) = (await ground.pending.read([5], 10))[5].waiting
    assert (entry.tag, entry.oldest, entry.newest) == ("p-1", 1, 3)


async def test_nothing_to_record_counts_nothing(ground: Ground) -> None:
    assert await ground.ledger.record({shard: Tags() for shard in ALL_SHARDS}) == {}
    assert await ground.redis.get(keys.count(5)) == b"0"
