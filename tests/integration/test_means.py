"""The drain loop's means: what the origin can bear, what the money pays, and what the edge forgets by itself."""

from dataclasses import dataclass, field, replace

from cdn.fence import Leaving
from cdn.ledger import Readers, Tags
from cdn.load import Headroom
from feeds.affected import Affected
from feeds.change import Covered
from feeds.command import CreatePost, DeletePost, EditPost, PutUser
from feeds.ids import shard_of
from tests.integration.ground import MINUTE_MS
from tests.integration.house import House

ADA = shard_of("ada")


@dataclass
class Purse:
    """Money that a test puts in, and what was taken out: first items and second taps, by batch."""

    items: int
    spent_on: dict[str, tuple[int, int]] = field(default_factory=dict)

    async def left(self) -> int | None:
        """Return what is left."""
        return self.items

    async def spent(self, first: int, taps: int, batch: str) -> None:
        """Take out what a batch cost, once."""
        if batch not in self.spent_on:
            self.items = max(0, self.items - first - taps)
        self.spent_on[batch] = (first, taps)


@dataclass
class Bakers:
    """An origin with headroom, or without."""

    wide: bool

    async def headroom(self) -> Headroom:
        """Return what the bakers report."""
        return Headroom(self.wide, 1.0, known=True, at_ms=1)


async def with_a_post(house: House) -> None:
    """Let ada have a post."""
    await house.loop(PutUser(user="ada", name="Ada"), CreatePost(post="p1", author="ada", title="One"))


async def leftovers(house: House, number: int) -> None:
    """Let so many readers of a post wait whose pages have no room for its source."""
    readers = [f"reader-{reader}" for reader in range(number)]
    for reader in readers:
        noted = await house.note(ADA)
        page = ("g", "o", f"u-{reader}")
        await house.fence.passes([Leaving(ADA, noted, set(page), page, MINUTE_MS, reader, carried=(1, 2))])
    await house.ledger.record({ADA: Tags(guards={"a-bob"}, readers=[Readers((7,), "\n".join(readers))])})


async def test_what_waited_until_the_edge_forgot_it_costs_no_item_and_is_live(house: House) -> None:
    await with_a_post(house)
    await house.leave(ADA, "p-p1")
    (change,) = await house.read(EditPost(post="p1", title="Two"))
    drain = house.drain_of(house.edge, limits=replace(house.limits_of(house.edge), forgotten_ms=0))
    await drain.step()
    assert house.edge.calls == []
    assert await house.waiting() == {}
    assert await house.state(change) == "live"


async def test_at_the_limit_an_edit_waits_and_a_deletion_goes(house: House) -> None:
    await with_a_post(house)
    drain = house.drain_of(house.edge, money=Purse(0))
    await house.leave(ADA, "p-p1")
    await house.read(EditPost(post="p1", title="Two"))
    await drain.step()
    assert house.edge.calls == []
    await house.read(DeletePost(post="p1"))
    await drain.step()
    assert house.edge.items == ["p-p1"]


async def test_first_items_and_second_taps_are_counted_apart_and_once(house: House) -> None:
    await with_a_post(house)
    purse = Purse(10)
    drain = house.drain_of(house.edge, money=purse)
    await house.leave(ADA, "p-p1")
    await house.read(DeletePost(post="p1"))
    await drain.step()
    await drain.step()
    assert house.edge.items == ["p-p1", "p-p1"]
    assert list(purse.spent_on.values()) == [(1, 0), (0, 1)]
    assert purse.items == 8


async def test_many_leftover_readers_are_one_item_where_the_origin_has_headroom(house: House) -> None:
    await leftovers(house, 25)
    await house.drain_of(house.edge, origin=Bakers(wide=True)).step()
    assert house.edge.items == ["o"]
    assert await house.waiting() == {}


async def test_without_headroom_they_are_named(house: House) -> None:
    await leftovers(house, 25)
    await house.drain_of(house.edge, origin=Bakers(wide=False)).step()
    assert len(house.edge.items) == 25


async def test_what_a_parked_change_takes_along_waits_for_headroom(house: House) -> None:
    await house.leave(5, "o", "p-p1", "a-ada")
    part = Affected("1", Covered("c0"), "1", 0, 1, posts=("p1",), authors=("ada",), overflow=True, shared=True)
    await house.recorder.record([part])
    await house.drain_of(house.edge, origin=Bakers(wide=False)).step()
    assert sorted(house.edge.items) == ["a-ada", "p-p1"]
    assert await house.waiting() == {"o": [5]}
    await house.drain_of(house.edge, origin=Bakers(wide=True)).step()
    assert house.edge.items[2:] == ["o"]


async def test_readers_that_cannot_all_be_paid_are_one_item(house: House) -> None:
    await leftovers(house, 5)
    await house.drain_of(house.edge, origin=Bakers(wide=True), money=Purse(4)).step()
    assert house.edge.items == ["o"]


async def test_a_backlog_becomes_g_once_in_ten_minutes(house: House) -> None:
    house.edge.max_items = 2
    limits = house.limits_of(house.edge)
    limits = replace(limits, complete_ms=limits.forgotten_ms, call_ms=limits.forgotten_ms)
    drain = house.drain_of(house.edge, limits=limits, origin=Bakers(wide=True))
    for _ in range(2):
        for number in range(25):
            await house.leave(number, f"p-{number}")
            await house.recorded(f"p-{number}", shards=[number])
        await drain.step()
    assert house.edge.calls[0].tags == ("g",)
    assert await house.pending.stored() == []
    assert len(house.edge.calls[1].tags) == 2
