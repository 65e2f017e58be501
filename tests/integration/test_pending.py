"""The pending set: a batch is minted once, and a tag leaves it only with a batch that covers all that was merged."""

from contextlib import suppress
from itertools import count

import pytest
from redis.exceptions import ResponseError

from cdn.fence import TRANSIT_MS
from cdn.ledger import ALL_SHARDS
from cdn.pending import CallBudget, Flag, PendingSet, Waiting
from tests.emptied import emptied
from tests.integration.connections import Died, Mortal, connected
from tests.integration.ground import Ground

BEGIN_MS = 1_800_000_000_000


async def pend(ground: Ground, tag: str, *shards: int) -> None:
    """Let an answer with a tag leave from each shard, then record the tag there."""
    for shard in shards:
        await ground.leave(shard, tag)
    await ground.recorded(tag, shards=shards)


async def looked(ground: Ground, *shards: int) -> dict[int, tuple[Waiting, ...]]:
    """Return what the planner sees in shards."""
    return {shard: state.waiting for shard, state in (await ground.pending.read(shards, 100)).items()}


async def marks(ground: Ground, shard: int) -> tuple[int, int, int]:
    """Return a shard's count, and up to where all is sent and all is complete."""
    state = (await ground.pending.read([shard], 0))[shard]
    return state.count, state.sent, state.live


async def test_a_claimed_tag_no_longer_waits(ground: Ground) -> None:
    await pend(ground, "p-1", 5)
    await ground.pending.mint(["p-1"], await looked(ground, 5))
    assert await ground.waiting() == {}


async def test_a_merge_between_plan_and_claim_stays_unsent(ground: Ground) -> None:
    """Interleaving 3a: the batch may have been sent before what was merged became readable."""
    await pend(ground, "p-1", 5)
    seen = await looked(ground, 5)
    await pend(ground, "p-1", 5)
    await ground.pending.mint(["p-1"], seen)
    assert await ground.waiting() == {"p-1": [5]}
    assert await marks(ground, 5) == (2, 0, 0)


async def test_a_merge_after_the_claim_waits_for_itself_alone(ground: Ground) -> None:
    await pend(ground, "p-1", 5)
    minted = await ground.pending.mint(["p-1"], await looked(ground, 5))
    await pend(ground, "p-1", 5)
    await ground.pending.completed(await ground.pending.accepted(minted, "I1"))
    assert await ground.waiting() == {"p-1": [5]}
    assert await marks(ground, 5) == (2, 1, 1)


async def test_a_claim_takes_only_what_the_planner_saw(ground: Ground) -> None:
    await pend(ground, "p-1", 5)
    seen = await looked(ground, 5)
    await pend(ground, "p-2", 5)
    await ground.pending.mint(["p-1"], seen)
    assert await ground.waiting() == {"p-2": [5]}


async def test_a_batch_is_stored_before_it_is_claimed(ground: Ground) -> None:
    """A claim that fails (here its key holds something else) leaves the batch in the store."""
    await pend(ground, "p-1", 5)
    seen = await looked(ground, 5)
    await ground.redis.set("{05}:claimed:main", "no sorted set")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await ground.pending.mint(["p-1"], seen)
    (stored,) = await ground.pending.stored()
    assert (stored.batch.tags, stored.shards, stored.invalidation) == (("p-1",), (5,), None)


async def test_what_is_stored_is_read_back_as_it_was(ground: Ground) -> None:
    await pend(ground, "p-1", 5, 6)
    minted = await ground.pending.mint(["p-1", "u-ada"], await looked(ground, 5, 6))
    assert await ground.pending.stored() == [minted]
    flying = await ground.pending.accepted(minted, "I1")
    assert await PendingSet(ground.redis, "main").stored() == [flying]
    await ground.pending.completed(flying)
    assert await ground.pending.stored() == []


async def test_two_batches_of_the_same_items_have_two_ids(ground: Ground) -> None:
    ids = {(await ground.pending.mint(["p-1"], {})).batch.id for _ in range(2)}
    assert len(ids) == 2


async def test_the_marks_rise_with_acceptance_and_completion(ground: Ground) -> None:
    assert await marks(ground, 5) == (0, 0, 0)
    await pend(ground, "p-1", 5)
    assert await marks(ground, 5) == (1, 0, 0)
    minted = await ground.pending.mint(["p-1"], await looked(ground, 5))
    assert await marks(ground, 5) == (1, 0, 0)
    flying = await ground.pending.accepted(minted, "I1")
    assert await marks(ground, 5) == (1, 1, 0)
    await ground.pending.completed(flying)
    assert await marks(ground, 5) == (1, 1, 1)


async def test_a_record_that_made_nothing_pending_is_complete_at_once(ground: Ground) -> None:
    await ground.recorded("p-1", shards=[5])
    assert await marks(ground, 5) == (1, 1, 1)


async def test_an_older_batch_that_flies_holds_back_what_is_newer(ground: Ground) -> None:
    await pend(ground, "p-1", 5)
    first = await ground.pending.accepted(await ground.pending.mint(["p-1"], await looked(ground, 5)), "I1")
    await pend(ground, "p-2", 5)
    second = await ground.pending.accepted(await ground.pending.mint(["p-2"], await looked(ground, 5)), "I2")
    await ground.pending.completed(second)
    assert await marks(ground, 5) == (2, 2, 0)
    await ground.pending.completed(first)
    assert await marks(ground, 5) == (2, 2, 2)


async def test_a_batch_that_covers_several_counts_waits_for_the_oldest(ground: Ground) -> None:
    await pend(ground, "p-1", 5)
    await ground.recorded("p-9", shards=[5])
    await pend(ground, "p-2", 5)
    minted = await ground.pending.mint(["p-1", "p-2"], await looked(ground, 5))
    await ground.pending.accepted(minted, "I1")
    assert await marks(ground, 5) == (3, 3, 0)


async def test_accepting_or_completing_twice_changes_nothing(ground: Ground) -> None:
    await pend(ground, "p-1", 5)
    minted = await ground.pending.mint(["p-1"], await looked(ground, 5))
    for _ in range(2):
        flying = await ground.pending.accepted(minted, "I1")
    assert await marks(ground, 5) == (1, 1, 0)
    for _ in range(2):
        await ground.pending.completed(flying)
    assert await marks(ground, 5) == (1, 1, 1)


async def test_what_waits_is_given_oldest_first_and_no_more_than_asked_for(ground: Ground) -> None:
    for number in (3, 1, 2):
        await pend(ground, f"p-{number}", 5)
    state = (await ground.pending.read([5], 2))[5]
    assert [entry.tag for entry in state.waiting] == ["p-3", "p-1"]
    assert state.size == 3


async def test_a_large_claim_takes_all(ground: Ground) -> None:
    tags = [f"p-{number}" for number in range(3000)]
    await ground.leave(5, *tags)
    await ground.recorded(*tags, shards=[5])
    seen = {5: (await ground.pending.read([5], 3000))[5].waiting}
    await ground.pending.mint(tags, seen)
    assert await ground.waiting() == {}


async def test_shards_without_keys_are_at_their_beginning(ground: Ground) -> None:
    assert {(s.count, s.sent, s.live, s.size) for s in (await ground.pending.read(ALL_SHARDS, 9)).values()} == {
        (0, 0, 0, 0)
    }


async def test_what_left_within_the_transit_time_needs_a_second_tap(ground: Ground) -> None:
    await ground.at(BEGIN_MS)
    await ground.leave(5, "p-1")
    await ground.recorded("p-1", shards=[5])
    await ground.leave(5, "p-2")
    await ground.at(BEGIN_MS + TRANSIT_MS + 4000)
    await ground.recorded("p-2", shards=[5])
    entries = await ground.entries(5)
    assert {tag: entry.flags for tag, entry in entries.items()} == {"p-1": Flag.TAP, "p-2": Flag.PLAIN}


async def test_a_batch_that_awaits_its_tap_is_not_live(ground: Ground) -> None:
    await pend(ground, "p-1", 5)
    minted = await ground.pending.mint(["p-1", "p-9"], await looked(ground, 5), taps=["p-1"])
    awaits = await ground.pending.completed(await ground.pending.accepted(minted, "I1"))
    assert awaits is not None
    assert await ground.pending.stored() == [awaits]
    assert (awaits.taps, await marks(ground, 5)) == (("p-1",), (1, 1, 0))
    tapping = await ground.pending.mint(["p-1"], {}, covers=[awaits.batch.id])
    flying = await ground.pending.accepted(tapping, "I2")
    assert await marks(ground, 5) == (1, 1, 0)
    assert await ground.pending.completed(flying) is None
    assert (await ground.pending.stored(), await marks(ground, 5)) == ([], (1, 1, 1))


async def test_a_tap_goes_with_what_is_new_and_each_waits_for_its_own(ground: Ground) -> None:
    await pend(ground, "p-1", 5)
    first = await ground.pending.mint(["p-1"], await looked(ground, 5), taps=["p-1"])
    await ground.pending.completed(await ground.pending.accepted(first, "I1"))
    await pend(ground, "p-2", 5)
    tags = ["p-1", "p-2"]
    second = await ground.pending.mint(tags, await looked(ground, 5), taps=["p-2"], covers=[first.batch.id])
    awaits = await ground.pending.completed(await ground.pending.accepted(second, "I2"))
    assert await ground.pending.stored() == [awaits]
    assert await marks(ground, 5) == (2, 2, 1)


async def test_a_tap_is_due_when_all_that_was_on_its_way_has_arrived(ground: Ground) -> None:
    await ground.at(BEGIN_MS)
    flying = await ground.pending.accepted(await ground.pending.mint(["p-1"], {}, taps=["p-1"]), "I1")
    assert flying.tap_due_ms(TRANSIT_MS) == BEGIN_MS + TRANSIT_MS
    await ground.at(BEGIN_MS + 25_000)
    awaits = await ground.pending.completed(flying)
    assert awaits is not None
    assert awaits.tap_due_ms(TRANSIT_MS) == BEGIN_MS + 25_000


async def test_a_batch_that_the_edge_forgot_is_unsent_again(ground: Ground) -> None:
    minted = await ground.pending.mint(["p-1"], {}, taps=["p-1"])
    assert await ground.pending.unknown(await ground.pending.accepted(minted, "I1")) == minted
    assert await ground.pending.stored() == [minted]


async def test_what_is_released_waits_no_longer_unless_something_merged(ground: Ground) -> None:
    await pend(ground, "p-1", 5)
    await pend(ground, "p-2", 5)
    seen = await looked(ground, 5)
    await pend(ground, "p-2", 5)
    assert await ground.pending.release(seen) == 1
    assert await ground.waiting() == {"p-2": [5]}
    assert await marks(ground, 5) == (3, 1, 1)


async def test_what_is_urgent_is_seen_first_behind_however_many(ground: Ground) -> None:
    for number in range(5):
        await pend(ground, f"p-{number}", 5)
    await ground.leave(5, "p-9")
    await ground.recorded("p-9", shards=[5], flags=Flag.URGENT)
    seen = (await ground.pending.read([5], 2))[5]
    assert [entry.tag for entry in seen.waiting] == ["p-9", "p-0"]
    await ground.pending.mint(["p-9"], {5: seen.waiting[:1]})
    assert [entry.tag for entry in (await ground.pending.read([5], 2))[5].waiting] == ["p-0", "p-1"]


async def work(pending: PendingSet, told: list[str]) -> None:
    """Do what a drain loop does, until nothing is left to do; ``told`` are the tags that the edge was told."""
    while True:
        for minted in await pending.stored():
            flying = minted
            if minted.invalidation is None:
                told += minted.batch.tags
                flying = await pending.accepted(minted, f"I-{minted.batch.id}")
            if not flying.done_ms:
                await pending.completed(flying)
        due = await pending.stored()
        waiting = {shard: state.waiting for shard, state in (await pending.read([5, 6], 9)).items() if state.waiting}
        new = {entry.tag: entry.flags for entries in waiting.values() for entry in entries}
        if not due and not new:
            return
        tags = dict.fromkeys([*new, *(tag for minted in due for tag in minted.taps)])
        taps = [tag for tag, flags in new.items() if Flag.TAP in flags]
        await pending.mint(list(tags), waiting, taps=taps, covers=[minted.batch.id for minted in due])


async def test_a_loop_may_die_after_any_command(ground: Ground, valkey: str) -> None:
    """Whatever the next one finds, it tells the edge twice, and nothing is live before."""
    for commands in count():
        await emptied(ground.redis)
        ground = Ground(ground.redis)
        await pend(ground, "p-1", 5, 6)
        told: list[str] = []
        async with connected(valkey, Mortal) as mortal:
            Mortal.left = commands
            with suppress(Died):
                await work(PendingSet(mortal, "main"), told)
            died = Mortal.left == 0
            Mortal.left = None
        if not died:
            break
        for shard in (5, 6):
            _, sent, live = await marks(ground, shard)
            assert told.count("p-1") >= sent + live
        await work(ground.pending, told)
        assert told.count("p-1") >= 2
        assert {(await marks(ground, shard)) for shard in (5, 6)} == {(1, 1, 1)}
    assert told == ["p-1", "p-1"]
    assert commands > 20


async def test_one_call_an_interval_whoever_calls(ground: Ground) -> None:
    budgets = [CallBudget(ground.redis, "account", 60_000) for _ in range(2)]
    assert await budgets[0].spend() == 0
    assert 59_000 < await budgets[1].spend() <= 60_000
    assert await CallBudget(ground.redis, "another", 60_000).spend() == 0


async def test_a_clock_that_went_back_does_not_stop_the_calls(ground: Ground) -> None:
    await ground.redis.set("calls:account", 99_999_999_999_999)
    assert await CallBudget(ground.redis, "account", 60_000).spend() == 0
