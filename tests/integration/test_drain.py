"""The drain loop: what is pending goes to the edge once, under one id, and changes are live when it is done."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from cdn.edge import Batch
from cdn.errors import EdgeBusy, EdgeDenied, InvalidationUnknown
from cdn.ledger import Ledger
from cdn.pending import Flag, Minted
from feeds import keys
from feeds.command import CreatePost, EditPost, Follow, Invalidate, PutUser
from feeds.ids import shard_of
from invalidator.drain import AT_ONCE, Patience
from invalidator.recorder import Recorder
from tests.integration.house import FORGOTTEN_MS, FakeEdge, House, until

ADA = shard_of("ada")
STATES = ("readable", "sent", "live")


async def settled(house: House, *commands: PutUser | Follow | CreatePost) -> None:
    """Apply commands and carry them through while nothing has left: no edge holds anything."""
    await house.loop(*commands)
    assert house.edge.calls == []


async def with_a_post(house: House) -> None:
    """Let ada have a post."""
    await settled(house, PutUser(user="ada", name="Ada"), CreatePost(post="p1", author="ada", title="One"))


def measured(until: str) -> float:
    """Return how many changes were measured when they were so far."""
    return REGISTRY.get_sample_value("edgebake_change_seconds_count", {"until": until}) or 0


async def test_a_change_that_nobody_depends_on_is_live_without_a_call(house: House) -> None:
    (change,) = await house.loop(PutUser(user="ada", name="Ada"))
    assert await house.state(change) == "live"
    assert house.edge.calls == []


async def test_a_change_goes_through_its_states_in_order(house: House) -> None:
    await with_a_post(house)
    house.edge.slow = True
    before = {until: measured(until) for until in STATES}
    await house.leave(ADA, "g", "u-ada", "p-p1")
    (outcome,) = await house.apply(EditPost(post="p1", title="Two"))
    change = outcome.change or ""
    assert await house.state(change) == "accepted"
    parts = await house.fan_out()
    assert await house.state(change) == "accepted"
    await house.recorder.record(parts)
    assert await house.state(change) == "readable"
    await house.step()
    assert await house.state(change) == "sent"
    await house.step()
    assert await house.state(change) == "sent"
    house.edge.unfinished.clear()
    await house.step()
    assert await house.state(change) == "live"
    assert {until: measured(until) - before[until] for until in STATES} == dict.fromkeys(STATES, 1)
    progress = await house.board.of(change)
    assert progress is not None
    assert list(progress.at) == ["accepted", "readable", "sent", "live"]
    assert sorted(progress.at.values()) == list(progress.at.values())
    row = await house.record.change(change)
    assert row is not None
    assert row.live_ms == progress.at["live"]


async def test_an_edit_of_a_post_in_500_answers_is_one_item_in_one_batch(house: House) -> None:
    await with_a_post(house)
    for number in range(500):
        await house.leave(number % 64, "g", f"u-user{number}", "p-p1")
    (change,) = await house.loop(EditPost(post="p1", title="Two"))
    assert [batch.tags for batch in house.edge.calls] == [("p-p1",)]
    assert await house.state(change) == "live"


@pytest.mark.parametrize(
    "refusal", [EdgeBusy("it is busy"), EdgeDenied("it is denied")], ids=["busy", "denied for now"]
)
async def test_a_refused_batch_is_sent_again_with_its_id_and_its_items(house: House, refusal: EdgeBusy) -> None:
    await with_a_post(house)
    await house.leave(ADA, "p-p1")
    house.edge.refusals = [refusal]
    (change,) = await house.loop(EditPost(post="p1", title="Two"))
    assert await house.state(change) == "readable"
    await house.step()
    assert await house.state(change) == "live"
    assert len(house.edge.calls) == 2
    assert house.edge.calls[0] == house.edge.calls[1]


async def test_a_refused_batch_is_not_sent_again_before_its_time(house: House) -> None:
    await with_a_post(house)
    await house.leave(ADA, "p-p1")
    house.edge.refusals = [EdgeBusy("it is busy")]
    await house.read(EditPost(post="p1", title="Two"))
    drain = house.drain_of(house.edge, patience=Patience(first_s=30.0))
    for _ in range(3):
        await drain.step()
    assert len(house.edge.calls) == 1


async def test_what_comes_while_a_batch_is_refused_waits_for_a_batch_of_its_own(house: House) -> None:
    await with_a_post(house)
    await house.leave(ADA, "p-p1", "u-ada")
    house.edge.refusals = [EdgeBusy("it is busy"), EdgeBusy("it is busy")]
    await house.loop(EditPost(post="p1", title="Two"))
    await house.loop(Invalidate(scope="user", user="ada"))
    assert house.edge.items == ["p-p1", "p-p1"]
    await house.step()
    await house.step()
    assert house.edge.items == ["p-p1", "p-p1", "p-p1", "u-ada"]


async def test_the_same_user_invalidated_again_gives_a_second_reference_for_the_same_items(house: House) -> None:
    await settled(house, PutUser(user="ada", name="Ada"))
    for _ in range(2):
        await house.leave(ADA, "g", "u-ada")
        await house.loop(Invalidate(scope="user", user="ada"))
    first, second = house.edge.calls
    assert first.tags == second.tags == ("u-ada",)
    assert first.id != second.id


async def test_a_merge_between_plan_and_claim_is_sent_with_a_later_batch(house: House) -> None:
    await with_a_post(house)
    await house.leave(ADA, "p-p1")
    (first,) = await house.read(EditPost(post="p1", title="Two"))
    seen = {shard: state.waiting for shard, state in (await house.pending.read(range(64), 10)).items()}
    await house.leave(ADA, "p-p1")
    (second,) = await house.read(EditPost(post="p1", title="Three"))
    minted = await house.pending.mint(["p-p1"], {ADA: seen[ADA]})
    await house.pending.completed(await house.pending.accepted(minted, "I1"))
    await house.step()
    assert [batch.tags for batch in house.edge.calls] == [("p-p1",)]
    assert [await house.state(first), await house.state(second)] == ["live", "live"]


async def died(house: House, *, minted: bool = False, claimed: bool = False, accepted: bool = False) -> Minted:
    """Do what a drain loop did before it died, and return its batch."""
    await with_a_post(house)
    house.edge.slow = True
    await house.leave(ADA, "p-p1")
    await house.read(EditPost(post="p1", title="Two"))
    state = (await house.pending.read([ADA], 10))[ADA]
    batch = await house.pending.mint(["p-p1"], {ADA: state.waiting if claimed else ()})
    if accepted:
        await house.edge.invalidate(batch.batch)
        return await house.pending.accepted(batch, f"I-{batch.batch.id}")
    assert minted or claimed
    return batch


async def test_a_loop_that_died_between_mint_and_claim_leaves_its_batch_to_the_next(house: House) -> None:
    batch = await died(house, minted=True)
    await taken_over(house)
    assert house.edge.calls[0] == batch.batch
    assert [call.tags for call in house.edge.calls] == [("p-p1",), ("p-p1",)], "the claim was never made: sent again"
    assert house.edge.calls[0].id != house.edge.calls[1].id


async def test_a_loop_that_died_between_claim_and_acceptance_leaves_its_batch_to_the_next(house: House) -> None:
    batch = await died(house, claimed=True)
    await taken_over(house)
    assert house.edge.calls == [batch.batch]


async def test_a_loop_that_died_after_the_edge_accepted_leaves_it_the_asking(house: House) -> None:
    batch = await died(house, claimed=True, accepted=True)
    await taken_over(house)
    assert house.edge.calls == [batch.batch]


async def taken_over(house: House) -> None:
    """Let a new drain loop work until there is nothing to do."""
    house.edge.unfinished.clear()
    house.edge.slow = False
    drain = house.drain_of(house.edge)
    assert await drain.hold()
    for _ in range(3):
        await drain.step()
    assert (await house.pending.stored(), await house.board.waiting(1), await house.waiting()) == ([], [], {})


async def test_a_batch_that_the_edge_forgot_is_sent_again_under_its_id(house: House) -> None:
    await with_a_post(house)
    house.edge.slow = True
    await house.leave(ADA, "p-p1")
    (change,) = await house.loop(EditPost(post="p1", title="Two"))
    house.edge.refusals = [InvalidationUnknown("it began anew")]
    house.edge.slow = False
    await house.step()
    assert await house.state(change) == "sent"
    await house.step()
    assert [call.id for call in house.edge.calls] == [house.edge.calls[0].id] * 2
    assert await house.state(change) == "live"


async def test_a_change_is_live_when_every_edge_is_done_with_it(house: House) -> None:
    await with_a_post(house)
    other = FakeEdge("other", slow=True)
    drains = [house.drain_of(house.edge, "other"), house.drain_of(other, house.edge.name)]
    recorder = Recorder(house.redis, Ledger(house.redis, ["main", "other"]), house.board, "recorder", wake=lambda: None)
    await house.leave(ADA, "p-p1")
    (outcome,) = await house.apply(EditPost(post="p1", title="Two"))
    await recorder.record(await house.fan_out())
    states = []
    for drain in drains:
        await drain.step()
        states.append(await house.state(outcome.change or ""))
    assert states == ["readable", "sent"]
    other.unfinished.clear()
    await drains[1].step()
    assert await house.state(outcome.change or "") == "live"
    assert house.edge.items == other.items == ["p-p1"]


async def test_a_global_invalidation_is_one_item_and_clears_what_waits(house: House) -> None:
    await with_a_post(house)
    for shard in range(64):
        await house.leave(shard, "g", "p-p1", f"s-{shard:02x}")
    changes = await house.read(EditPost(post="p1", title="Two"), Invalidate(scope="global"))
    await house.step()
    assert house.edge.items == ["g"]
    assert [await house.state(change) for change in changes] == ["live", "live"]
    assert await house.waiting() == {}


async def test_a_global_invalidation_clears_what_a_plan_does_not_look_at(house: House) -> None:
    tags = [f"p-{number}" for number in range(AT_ONCE + 5)]
    await house.leave(ADA, "g", *tags)
    await house.recorded(*tags, shards=[ADA])
    await house.leave(ADA, "g")
    await house.recorded("g", shards=[ADA])
    await house.step()
    assert house.edge.items == ["g"]
    assert await house.waiting() == {}


async def test_more_items_than_one_call_takes_go_in_several(house: House) -> None:
    house.edge.max_items = 10
    users = [f"u{number}" for number in range(25)]
    await settled(house, *(PutUser(user=user, name="A name") for user in users))
    for user in users:
        await house.leave(shard_of(user), f"u-{user}", horizon_ms=FORGOTTEN_MS)
    changes = await house.read(*(Invalidate(scope="user", user=user) for user in users))
    drain = house.drain_of(house.edge)
    for _ in range(3):
        await drain.step()
    assert [len(call.tags) for call in house.edge.calls] == [10, 10, 5]
    assert {await house.state(change) for change in changes} == {"live"}


async def test_a_full_quota_waits_for_completion_but_for_what_is_urgent(house: House) -> None:
    house.edge.slow = True
    users = [f"u{number}" for number in range(3001)]
    for user in users:
        await house.leave(shard_of(user), f"u-{user}", horizon_ms=FORGOTTEN_MS)
    for shard in range(64):
        await house.recorded(*(f"u-{user}" for user in users if shard_of(user) == shard), shards=[shard])
    for _ in range(3):
        await house.step()
    assert [len(call.tags) for call in house.edge.calls] == [2700]
    await house.leave(ADA, "p-secret")
    await house.recorded("p-secret", shards=[ADA], flags=Flag.URGENT)
    await house.step()
    assert house.edge.calls[1].tags == ("p-secret",)
    house.edge.unfinished.clear()
    for _ in range(2):
        await house.step()
    assert [len(call.tags) for call in house.edge.calls] == [2700, 1, 302]  # with the second tap of what was urgent


async def test_one_loop_drains_and_another_takes_over_what_it_stored(house: House) -> None:
    await with_a_post(house)
    first, second = house.drain_of(house.edge), house.drain_of(house.edge)
    assert [await first.hold(), await second.hold()] == [True, False]
    await house.leave(ADA, "p-p1")
    house.edge.refusals = [EdgeBusy("it is busy")]
    await house.read(EditPost(post="p1", title="Two"))
    await first.step()
    await house.redis.delete("lease:drain:main")  # its time-out
    assert [await second.hold(), await first.hold()] == [True, False]
    await second.step()
    assert len(house.edge.calls) == 2
    assert house.edge.calls[0] == house.edge.calls[1]


async def test_what_a_loop_read_while_another_took_its_lease_goes_out_once(house: House) -> None:
    await with_a_post(house)
    first, second = house.drain_of(house.edge), house.drain_of(house.edge)
    stop = asyncio.Event()
    running = asyncio.create_task(first.run(stop))
    await until(lambda: house.redis.exists("lease:drain:main"))
    await house.redis.delete("lease:drain:main")  # its time-out
    assert await second.hold()
    await house.leave(ADA, "p-p1")
    await house.read(EditPost(post="p1", title="Two"))
    first.woken.set()
    await second.step()
    stop.set()
    first.woken.set()
    await running
    assert [call.tags for call in house.edge.calls] == [("p-p1",)]


async def test_a_batch_that_a_loop_without_its_lease_minted_is_taken_up_too(house: House) -> None:
    """It stopped between plan and mint for longer than its lease, and the loop after it had begun before that."""
    await with_a_post(house)
    second = house.drain_of(house.edge)
    await house.leave(ADA, "p-p1")
    await house.read(EditPost(post="p1", title="Two"))
    state = (await house.pending.read([ADA], 10))[ADA]
    assert await second.hold()
    late = await house.pending.mint(["p-p1"], {ADA: state.waiting})
    assert await second.hold()
    await second.step()
    assert house.edge.calls == [late.batch]
    assert await house.board.waiting(10) == []


async def test_what_a_loop_claimed_for_a_batch_that_was_over_holds_up_nothing_for_ever(house: House) -> None:
    """It stopped between store and claim for longer than its lease, and died as soon as it had claimed."""
    await with_a_post(house)
    await house.leave(ADA, "p-p1")
    await house.read(EditPost(post="p1", title="Two"))
    waiting = {ADA: (await house.pending.read([ADA], 10))[ADA].waiting}
    batch = Batch("b-1", ("p-p1",))
    await house.pending._store(Minted(batch, (ADA,)))
    assert await house.drain.hold()
    await house.step()
    assert house.edge.calls == [batch]
    await house.pending._claim(batch.id, waiting)
    await house.step()
    assert await house.board.waiting(10) != []
    next_loop = house.drain_of(house.edge)
    await house.redis.delete("lease:drain:main")
    assert await next_loop.hold()
    await next_loop.step()
    assert await house.board.waiting(10) == []


async def test_a_loop_that_ends_lets_go_of_its_lease(house: House) -> None:
    stop = asyncio.Event()
    stop.set()
    drain = house.drain_of(house.edge)
    await drain.hold()
    await drain.run(stop)
    assert await house.drain_of(house.edge).hold()


async def test_changes_that_are_live_no_longer_wait(house: House) -> None:
    await settled(house, PutUser(user="ada", name="Ada"))
    assert await house.redis.zcard(keys.WAITING) == 0
