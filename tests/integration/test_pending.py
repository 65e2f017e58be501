"""The pending set: a batch is minted once, and a tag leaves it only with a batch that covers all that was merged."""

import pytest
from redis.exceptions import ResponseError

from cdn.ledger import ALL_SHARDS
from cdn.pending import CallBudget, PendingSet, Waiting
from tests.integration.ground import Ground


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


async def test_one_call_an_interval_whoever_calls(ground: Ground) -> None:
    budgets = [CallBudget(ground.redis, "account", 60_000) for _ in range(2)]
    assert await budgets[0].spend() == 0
    assert 59_000 < await budgets[1].spend() <= 60_000
    assert await CallBudget(ground.redis, "another", 60_000).spend() == 0


async def test_a_clock_that_went_back_does_not_stop_the_calls(ground: Ground) -> None:
    await ground.redis.set("calls:account", 99_999_999_999_999)
    assert await CallBudget(ground.redis, "account", 60_000).spend() == 0
