"""Second taps: what may have been on its way to the edge, or at an inner tier, is dropped once more."""

import asyncio
from dataclasses import replace

import pytest

from cdn.errors import EdgeBusy, EdgeDenied
from cdn.pending import Flag
from feeds.command import CreatePost, DeletePost, EditPost, PutUser
from feeds.ids import shard_of
from tests.integration.house import House

ADA = shard_of("ada")
TRANSIT_MS = 500
HOUR_MS = 3_600_000


@pytest.fixture
async def far(house: House) -> House:
    """A house whose edge is far away, with a post by ada."""
    house.travel(TRANSIT_MS)
    await house.loop(PutUser(user="ada", name="Ada"), CreatePost(post="p1", author="ada", title="One"))
    return house


async def landed() -> None:
    """Wait until what left before has arrived."""
    await asyncio.sleep(TRANSIT_MS / 1000)


async def edited(house: House, title: str = "Two") -> str:
    """Edit the post, let the drain loop work once, and return the change."""
    return (await house.loop(EditPost(post="p1", title=title)))[0]


async def test_what_left_lately_is_dropped_again_and_live_waits_for_that(far: House) -> None:
    await far.leave(ADA, "p-p1")
    change = await edited(far)
    assert await far.state(change) == "sent"
    await far.step()
    assert far.edge.items == ["p-p1"], "what left may still be on its way"
    await landed()
    await far.step()
    assert far.edge.items == ["p-p1", "p-p1"]
    assert far.edge.calls[0].id != far.edge.calls[1].id
    assert await far.state(change) == "live"
    assert await far.pending.stored() == []


async def test_what_left_long_ago_is_not(far: House) -> None:
    far.travel(0)
    await far.leave(ADA, "p-p1")
    await asyncio.sleep(0.002)
    assert await far.state(await edited(far)) == "live"
    assert far.edge.items == ["p-p1"]


async def test_a_deletion_is_dropped_again_whenever_its_answers_left(far: House) -> None:
    far.travel(0)
    await far.leave(ADA, "p-p1")
    (change,) = await far.loop(DeletePost(post="p1"))
    assert await far.state(change) == "sent"
    await far.step()
    assert far.edge.items == ["p-p1", "p-p1"]
    assert await far.state(change) == "live"


async def test_an_edge_of_several_tiers_is_told_everything_twice(far: House) -> None:
    far.travel(0)
    await far.leave(ADA, "p-p1")
    await asyncio.sleep(0.002)
    (change,) = await far.read(EditPost(post="p1", title="Two"))
    drain = far.drain_of(far.edge, limits=replace(far.limits_of(far.edge), tap_all=True))
    await drain.step()
    assert await far.state(change) == "sent"
    await drain.step()
    assert far.edge.items == ["p-p1", "p-p1"]
    assert await far.state(change) == "live"


async def test_second_taps_of_several_batches_and_new_items_share_a_call(far: House) -> None:
    for tag in ("p-p1", "p-p2"):
        await far.leave(ADA, tag)
        await far.recorded(tag, shards=[ADA])
        await far.step()
    await landed()
    await far.leave(ADA, "p-p3")
    await far.recorded("p-p3", shards=[ADA])
    await far.step()
    assert [sorted(call.tags) for call in far.edge.calls] == [["p-p1"], ["p-p2"], ["p-p1", "p-p2", "p-p3"]]
    await landed()
    await far.step()
    assert far.edge.calls[-1].tags == ("p-p3",)
    assert await far.pending.stored() == []


async def test_a_clock_that_steps_back_holds_up_no_second_tap(far: House) -> None:
    await far.leave(ADA, "p-p1")
    change = await edited(far)
    (minted,) = await far.pending.stored()
    ahead = replace(minted, accepted_ms=minted.accepted_ms + HOUR_MS, done_ms=minted.done_ms + HOUR_MS)
    await far.pending._store(ahead)
    later = far.drain_of(far.edge)
    await later.hold()
    await later.step()
    assert far.edge.items == ["p-p1"], "what was on its way has its time from now on"
    await landed()
    await later.step()
    assert far.edge.items == ["p-p1", "p-p1"]
    assert await far.state(change) == "live"


async def test_a_new_loop_taps_for_what_a_dead_one_sent(far: House) -> None:
    await far.leave(ADA, "p-p1")
    change = await edited(far)
    drain = far.drain_of(far.edge)
    await landed()
    assert await drain.hold()
    await drain.step()
    assert far.edge.items == ["p-p1", "p-p1"]
    assert await far.state(change) == "live"


async def test_a_new_loop_goes_on_with_a_second_tap_that_was_minted(far: House) -> None:
    await far.leave(ADA, "p-p1")
    change = await edited(far)
    (first,) = await far.pending.stored()
    tap = await far.pending.mint(["p-p1"], {}, covers=[first.batch.id])
    await landed()
    drain = far.drain_of(far.edge)
    assert await drain.hold()
    await drain.step()
    assert far.edge.calls[1:] == [tap.batch]
    assert await far.state(change) == "live"
    assert await far.pending.stored() == []


async def test_a_refused_second_tap_is_sent_again_and_live_waits(far: House) -> None:
    await far.leave(ADA, "p-p1")
    change = await edited(far)
    await landed()
    far.edge.refusals = [EdgeBusy("it is busy")]
    await far.step()
    assert await far.state(change) == "sent"
    await far.step()
    assert far.edge.calls[1] == far.edge.calls[2]
    assert await far.state(change) == "live"


async def test_a_second_tap_waits_for_completion(far: House) -> None:
    far.edge.slow = True
    await far.leave(ADA, "p-p1")
    await edited(far)
    await landed()
    await far.step()
    assert len(far.edge.calls) == 1
    far.edge.unfinished.clear()
    await far.step()
    await far.step()
    assert len(far.edge.calls) == 2


async def test_a_batch_that_is_denied_does_not_hold_up_the_next(far: House) -> None:
    far.travel(0)
    await far.leave(ADA, "p-p1", "p-p2")
    far.edge.refusals = [EdgeDenied("not this one")]
    await far.recorded("p-p1", shards=[ADA])
    await far.step()
    far.edge.refusals = [EdgeDenied("still not this one")]
    await far.recorded("p-p2", shards=[ADA])
    await far.step()
    assert far.edge.items == ["p-p1", "p-p1", "p-p2"]
    await far.step()
    assert await far.pending.stored() == []


async def test_an_urgent_tag_waits_as_urgent(far: House) -> None:
    await far.leave(ADA, "p-p1")
    await far.read(DeletePost(post="p1"))
    (entry,) = (await far.pending.read([ADA], 10))[ADA].waiting
    assert entry.flags & Flag.URGENT
