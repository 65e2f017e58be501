"""Rolling invalidations: everything is dropped shard by shard, and nothing else waits for that."""

from dataclasses import replace

from cdn.ledger import ALL_SHARDS
from cdn.load import Headroom
from cdn.tags import shard_tag
from feeds.command import CreatePost, EditPost, Invalidate, PutSite, PutUser
from feeds.ids import shard_of
from invalidator.rolling import Roller, Rolls
from tests.integration.house import FORGOTTEN_MS, House

ROLL = Invalidate(scope="global", rolling=True)
ADA = shard_of("ada")


class Bakers:
    """An origin whose bakers report what a test lays ready."""

    def __init__(self) -> None:
        self.room = Headroom(wide=True, wait_ms=1.0, known=True, at_ms=2**53)

    async def headroom(self) -> Headroom:
        """Return what the bakers report."""
        return self.room


def roller(house: House, bakers: Bakers, *, forgotten_ms: int = FORGOTTEN_MS) -> Roller:
    """Return a roller that may go on at once."""
    return Roller(
        house.redis,
        house.ledger,
        house.board,
        bakers,
        interval_ms=0,
        forgotten_ms=forgotten_ms,
        wake=lambda: None,
    )


async def begun(house: House, *shards: int) -> str:
    """Let answers of these shards be at the edge, and ask for a roll."""
    for shard in shards:
        await house.leave(shard, "g", shard_tag(shard), "p-p1")
    (change,) = await house.read(ROLL)
    return change


async def to_the_end(house: House, rolling: Roller) -> None:
    """Take each step of a roll, and let the edge be told after each."""
    while await Rolls(house.redis).read():
        await rolling.step()
        await house.step()


async def test_it_is_an_item_a_shard_that_has_answers_and_live_after_the_last(house: House) -> None:
    change = await begun(house, 3, 17, 40)
    await to_the_end(house, roller(house, Bakers()))
    assert house.edge.items == ["s-03", "s-11", "s-28"]
    assert await house.state(change) == "live"


async def test_nothing_is_sent_before_its_turn_and_the_change_says_how_many_shards_are_left(house: House) -> None:
    change = await begun(house, 0, 1)
    rolling = roller(house, Bakers())
    await house.step()
    assert house.edge.items == []
    await rolling.step()
    await house.step()
    assert house.edge.items == ["s-00"]
    progress = await house.board.of(change)
    assert progress is not None
    assert (progress.state, progress.shards_left) == ("accepted", 63)


async def test_it_waits_while_the_origin_has_no_headroom(house: House) -> None:
    await begun(house, 0, 1)
    bakers = Bakers()
    rolling = roller(house, bakers)
    bakers.room = Headroom(wide=False, wait_ms=500.0, known=True, at_ms=2**53)
    assert await rolling.step() > 0
    await house.step()
    assert house.edge.items == []
    bakers.room = Headroom(wide=True, wait_ms=1.0, known=True, at_ms=2**53)
    await rolling.step()
    await house.step()
    assert house.edge.items == ["s-00"]


async def test_a_clock_that_steps_back_does_not_hold_it_up(house: House) -> None:
    await begun(house, 3, 17)
    rolls, rolling = Rolls(house.redis), roller(house, Bakers())
    await rolling.step()
    await rolls.keep([replace(roll, last_ms=await rolls.now_ms() + 3_600_000) for roll in await rolls.read()])
    assert await rolling.step() == 0
    assert len((await rolls.read())[0].left) == len(ALL_SHARDS) - 2


async def test_other_changes_do_not_wait_for_it(house: House) -> None:
    await house.loop(PutUser(user="ada", name="Ada"), CreatePost(post="p1", author="ada", title="One"))
    await begun(house, 3, 40)
    await roller(house, Bakers()).step()
    (change,) = await house.loop(EditPost(post="p1", title="Two"))
    assert house.edge.items == ["p-p1"]
    assert await house.state(change) == "live"


async def test_no_answer_from_before_it_leaves_meanwhile(house: House) -> None:
    noted = await house.note(ADA)
    await begun(house)
    assert await house.leave(ADA, "g", shard_tag(ADA), "u-ada", noted=noted) is None


async def test_two_go_together(house: House) -> None:
    changes = [await begun(house, 5), await begun(house, 9)]
    await to_the_end(house, roller(house, Bakers()))
    assert house.edge.items == ["s-05", "s-09"]
    assert [await house.state(change) for change in changes] == ["live", "live"]


async def test_a_second_one_reaches_the_shards_where_the_first_has_been(house: House) -> None:
    first = await begun(house, 0, 1)
    rolling = roller(house, Bakers())
    await rolling.step()
    await house.step()
    second = await begun(house, 0)
    await to_the_end(house, rolling)
    assert sorted(house.edge.items) == ["s-00", "s-00", "s-01"]
    assert [await house.state(change) for change in (first, second)] == ["live", "live"]


async def test_another_process_takes_it_over(house: House) -> None:
    change = await begun(house, 0, 1)
    await roller(house, Bakers()).step()
    await to_the_end(house, roller(house, Bakers()))
    assert house.edge.items == ["s-00", "s-01"]
    assert await house.state(change) == "live"


async def test_a_part_that_came_twice_is_one_roll(house: House) -> None:
    await house.apply(ROLL)
    parts = await house.fan_out()
    await house.recorder.record(parts)
    rolling = roller(house, Bakers())
    await rolling.step()
    await house.recorder.record(parts)
    (roll,) = await Rolls(house.redis).read()
    assert len(roll.left) == 63


async def test_what_the_edge_has_forgotten_by_itself_needs_no_item(house: House) -> None:
    change = await begun(house, 0, 1)
    await to_the_end(house, roller(house, Bakers(), forgotten_ms=0))
    assert house.edge.items == []
    assert await house.state(change) == "live"


async def test_new_templates_roll_and_a_new_title_does_not(house: House) -> None:
    site = PutSite(title="A site", template_version="v1")
    await house.loop(site)
    await house.leave(7, "g", "s-07")
    (templates,) = await house.read(site.model_copy(update={"template_version": "v2"}))
    await house.step()
    assert house.edge.items == []
    await to_the_end(house, roller(house, Bakers()))
    assert house.edge.items == ["s-07"]
    assert await house.state(templates) == "live"
    await house.leave(7, "g", "s-07")
    await house.loop(site.model_copy(update={"title": "Another", "template_version": "v3"}))
    assert house.edge.items == ["s-07", "g"]
