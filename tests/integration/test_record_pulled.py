"""Sources that cross the pull line, up and down."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from feeds.change import Change, SourceCrossed
from feeds.command import Block, DeleteUser, Follow, FollowTag, PutUser, Unfollow, UnfollowTag
from feeds.model import Pulled, PulledSource
from feeds.record import Record
from tests.integration.records import NOW, Clock, changes, number, tag_number, with_follows, with_users

FANS = [f"u{n:02}" for n in range(12)]


@pytest.fixture
async def record(any_record_url: str, clock: Clock) -> AsyncIterator[Record]:
    """A system of record whose pull line is at 10 followers, with an author and twelve others."""
    opened = await Record.open(any_record_url, pull_followers=10)
    opened.clock = clock
    await with_users(opened, "ada", *FANS)
    yield opened
    await opened.close()


async def follow(record: Record, *fans: str) -> list[Change]:
    """Let users follow ada one by one, and return the crossings."""
    for fan in fans:
        await record.apply([Follow(user=fan, author="ada")])
    return await crossings(record)


async def unfollow(record: Record, *fans: str) -> list[Change]:
    """End their follows one by one, and return the crossings."""
    for fan in fans:
        await record.apply([Unfollow(user=fan, author="ada")])
    return await crossings(record)


async def crossings(record: Record) -> list[Change]:
    """Return the crossings in the outbox."""
    return [change for change in await changes(record) if isinstance(change, SourceCrossed)]


async def state(record: Record) -> str | None:
    """Return ada's state."""
    found = (await record.pulled()).sources.get(await number(record, "ada"))
    return found and found.state


async def test_the_follow_that_crosses_the_line_notes_it(record: Record) -> None:
    ada = await number(record, "ada")
    assert await follow(record, *FANS[:9]) == []
    assert await record.pulled() == Pulled(0, {})
    assert await follow(record, FANS[9]) == [SourceCrossed(ada, "ada", is_tag=False, state="rising")]
    assert await record.pulled() == Pulled(1, {ada: PulledSource("ada", False, "rising", NOW)})
    assert await follow(record, *FANS[10:]) == []


async def test_a_tag_crosses_as_an_author_does(record: Record) -> None:
    await record.apply([FollowTag(user=fan, tag="dogs") for fan in FANS[:10]])
    found = await crossings(record)
    dogs = await tag_number(record, "dogs")
    assert found == [SourceCrossed(dogs, "dogs", is_tag=True, state="rising")]
    assert (await record.pulled()).sources == {dogs: PulledSource("dogs", True, "rising", NOW)}
    await record.apply([UnfollowTag(user=fan, tag="dogs") for fan in FANS[:2]])
    assert await crossings(record) == [SourceCrossed(dogs, "dogs", is_tag=True, state="falling")]


async def test_a_source_is_pulled_alone_after_it_has_risen_for_long_enough(record: Record, clock: Clock) -> None:
    ada = await number(record, "ada")
    await follow(record, *FANS[:10])
    assert await record.cross_due(NOW + 999, 1000) == 0
    assert await state(record) == "rising"
    clock.ms += 1000
    assert await record.cross_due(clock.ms, 1000) == 1
    assert await crossings(record) == [SourceCrossed(ada, "ada", is_tag=False, state="pull")]
    assert await record.pulled() == Pulled(2, {ada: PulledSource("ada", False, "pull", NOW + 1000)})
    assert await record.cross_due(clock.ms, 1000) == 0


async def test_a_source_falls_below_nine_tenths_of_the_line_and_is_settled(record: Record) -> None:
    ada = await number(record, "ada")
    await follow(record, *FANS[:10])
    await record.cross_due(NOW, 0)
    await crossings(record)
    assert await unfollow(record, FANS[0]) == []
    assert await unfollow(record, FANS[1]) == [SourceCrossed(ada, "ada", is_tag=False, state="falling")]
    await record.settle(ada)
    assert await crossings(record) == [SourceCrossed(ada, "ada", is_tag=False, state="push")]
    assert await record.pulled() == Pulled(4, {})
    await record.settle(ada)
    assert await crossings(record) == []


async def test_a_source_that_rises_again_while_it_falls_is_not_settled(record: Record) -> None:
    ada = await number(record, "ada")
    await follow(record, *FANS[:10])
    await record.cross_due(NOW, 0)
    await unfollow(record, *FANS[:2])
    assert await follow(record, *FANS[:2]) == [SourceCrossed(ada, "ada", is_tag=False, state="rising")]
    await record.settle(ada)
    assert await state(record) == "rising"
    assert await record.cross_due(NOW, 0) == 1
    assert await state(record) == "pull"


async def test_versions_only_rise(record: Record) -> None:
    ada = await number(record, "ada")
    await follow(record, *FANS[:10])
    versions = [(await record.pulled()).version]
    for _ in range(2):
        await record.cross_due(NOW, 0)
        await unfollow(record, *FANS[:2])
        await record.settle(ada)
        versions.append((await record.pulled()).version)
        await follow(record, *FANS[:2])
    assert versions == sorted(set(versions))


async def test_an_import_crosses_the_line_too(record: Record) -> None:
    await record.import_follows([Follow(user=fan, author="ada") for fan in FANS])
    assert await state(record) == "rising"
    await record.import_tag_follows([FollowTag(user=fan, tag="dogs") for fan in FANS])
    assert [source.name for source in (await record.pulled()).sources.values()] == ["ada", "dogs"]


async def test_deleted_and_blocked_users_are_counted_out(record: Record) -> None:
    await follow(record, *FANS[:10])
    await record.cross_due(NOW, 0)
    await record.apply([DeleteUser(user=FANS[0])])
    assert await state(record) == "pull"
    await record.apply([Block(user="ada", blocked=FANS[1])])
    assert await state(record) == "falling"


async def test_a_deleted_author_falls_and_begins_anew_when_they_return(record: Record) -> None:
    await follow(record, *FANS[:10])
    await record.apply([DeleteUser(user="ada"), PutUser(user="ada", name="Ada")])
    assert await state(record) == "falling"
    await record.settle(await number(record, "ada"))
    await follow(record, *FANS[:9])
    assert await state(record) is None
    await follow(record, *FANS[9:])
    assert await state(record) == "rising"


async def test_a_line_that_was_moved_is_seen_by_the_next_process(record: Record, any_record_url: str) -> None:
    await follow(record, *FANS[:10])
    raised = await Record.open(any_record_url, pull_followers=20)
    assert await raised.cross_due(NOW, 1000) == 1
    assert await state(raised) == "falling"
    await raised.close()
    lowered = await Record.open(any_record_url, pull_followers=5)
    assert await lowered.cross_due(NOW, 10**15) == 1
    assert await state(lowered) == "rising"
    assert await lowered.cross_due(NOW, 10**15) == 0
    await lowered.close()


async def test_followers_who_come_and_go_at_once_are_counted_right(record: Record, any_record_url: str) -> None:
    other = await Record.open(any_record_url, pull_followers=10)
    await with_follows(record, "ada", *FANS)
    follows = [writer.apply([Follow(user=fan, author="ada")]) for writer in (record, other) for fan in FANS]
    await asyncio.gather(*follows)
    assert await state(record) == "rising"
    ends = [writer.apply([Unfollow(user=fan, author="ada")]) for writer in (record, other) for fan in FANS[:3]]
    await asyncio.gather(*ends)
    assert await state(record) is not None
    await record.apply([Unfollow(user=FANS[3], author="ada")])
    assert await state(record) == "falling"
    await other.close()
