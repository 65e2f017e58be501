"""Who follows and who blocks whom, in the system of record."""

import pytest

from feeds.change import FollowsChanged
from feeds.command import Block, DeleteUser, Follow, Unblock, Unfollow
from feeds.errors import Conflict, NotFound, Refused
from feeds.model import Follows
from feeds.record import Outcome, Record
from tests.integration.records import changes, number, one, with_follows, with_users


@pytest.fixture(autouse=True)
async def people(record: Record) -> None:
    """Three users who follow nobody."""
    await with_users(record, "ada", "bob", "eve")


async def test_follows_are_sorted_and_each_raises_their_version(record: Record) -> None:
    first = await one(record, Follow(user="ada", author="eve"))
    second = await one(record, Follow(user="ada", author="bob"))
    assert await record.follows("ada") == Follows("ada", ("bob", "eve"), second.version)
    assert second.version == first.version + 1
    assert await changes(record) == [FollowsChanged(("ada",)), FollowsChanged(("ada",))]


async def test_an_unfollow_ends_a_follow(record: Record) -> None:
    await with_follows(record, "ada", "bob", "eve")
    before = await record.follows("ada")
    await one(record, Unfollow(user="ada", author="eve"))
    assert await record.follows("ada") == Follows("ada", ("bob",), before.version + 1)
    assert await changes(record) == [FollowsChanged(("ada",), left=(await number(record, "eve"),))]


async def test_what_is_so_already_makes_no_change(record: Record) -> None:
    await with_follows(record, "ada", "bob")
    version = (await record.follows("ada")).version
    for command in (
        Follow(user="ada", author="bob"),
        Unfollow(user="ada", author="eve"),
        Unblock(user="ada", blocked="eve"),
    ):
        assert await one(record, command) == Outcome("unchanged", None, "ada", version)
    assert await changes(record) == []


async def test_nobody_follows_or_blocks_themselves(record: Record) -> None:
    with pytest.raises(Refused, match="does not follow themselves"):
        await record.apply([Follow(user="ada", author="ada")])
    with pytest.raises(Refused, match="does not block themselves"):
        await record.apply([Block(user="ada", blocked="ada")])


@pytest.mark.parametrize(
    "command",
    [
        Follow(user="ada", author="who"),
        Unfollow(user="ada", author="who"),
        Follow(user="who", author="ada"),
        Unfollow(user="who", author="ada"),
        Block(user="ada", blocked="who"),
        Unblock(user="ada", blocked="who"),
    ],
)
async def test_an_unknown_user_is_not_found(record: Record, command: Follow | Unfollow | Block | Unblock) -> None:
    with pytest.raises(NotFound, match="'who': there is no such user"):
        await record.apply([command])


async def test_an_unknown_user_follows_nobody(record: Record) -> None:
    assert await record.follows("who") == Follows("who", (), 0)


async def test_a_block_ends_the_follows_both_ways_and_lets_none_begin(record: Record) -> None:
    await with_follows(record, "ada", "bob", "eve")
    await with_follows(record, "bob", "ada", "eve")
    await one(record, Block(user="ada", blocked="bob"))
    both = (await number(record, "bob"), await number(record, "ada"))
    assert await changes(record) == [FollowsChanged(("ada", "bob"), left=both)]
    assert (await record.follows("ada")).authors == ("eve",)
    assert (await record.follows("bob")).authors == ("eve",)
    for user, author in (("ada", "bob"), ("bob", "ada")):
        with pytest.raises(Conflict, match="one blocks the other"):
            await record.apply([Follow(user=user, author=author)])


async def test_a_block_and_its_end_change_what_both_draw_from(record: Record) -> None:
    outcome = await one(record, Block(user="ada", blocked="bob"))
    assert outcome.status == "accepted"
    assert (await one(record, Block(user="ada", blocked="bob"))).status == "unchanged"
    assert await changes(record) == [FollowsChanged(("ada", "bob"))]
    await one(record, Unblock(user="ada", blocked="bob"))
    assert await changes(record) == [FollowsChanged(("ada", "bob"))]
    assert [(await record.follows(user)).version for user in ("ada", "bob")] == [3, 3]


async def test_after_an_unblock_a_follow_may_begin(record: Record) -> None:
    await record.apply([Block(user="ada", blocked="bob"), Unblock(user="ada", blocked="bob")])
    assert (await one(record, Follow(user="bob", author="ada"))).status == "accepted"


async def test_nobody_escapes_a_block_by_deleting_themselves(record: Record) -> None:
    await record.apply([Block(user="ada", blocked="eve"), DeleteUser(user="eve")])
    await with_users(record, "eve")
    with pytest.raises(Conflict, match="one blocks the other"):
        await record.apply([Follow(user="eve", author="ada")])


async def test_a_late_follow_is_ignored_after_its_unfollow(record: Record) -> None:
    version = (await record.follows("ada")).version
    assert (await one(record, Unfollow(user="ada", author="bob", version=5))).status == "unchanged"
    assert await one(record, Follow(user="ada", author="bob", version=4)) == Outcome("ignored", None, "ada", version)
    assert (await record.follows("ada")).authors == ()
    assert (await one(record, Follow(user="ada", author="eve", version=4))).status == "accepted"
    assert (await one(record, Follow(user="ada", author="bob", version=6))).status == "accepted"


async def test_an_unfollow_of_users_not_yet_seen_keeps_its_version(record: Record) -> None:
    assert (await one(record, Unfollow(user="new", author="newer", version=5))).status == "unchanged"
    await with_users(record, "new", "newer")
    assert (await one(record, Follow(user="new", author="newer", version=4))).status == "ignored"
