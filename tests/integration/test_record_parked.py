"""Parked changes in the system of record: parked with their cover, listed, retried, dropped."""

from sqlalchemy import text

from feeds.change import Covered, Invalidated
from feeds.command import CreatePost, PutSite
from feeds.parked import WIDE_MS
from feeds.record import ParkedRow, Record
from tests.integration.records import NOW, Clock, a_post, changes, one, with_users

MINUTE = 60_000


async def parked_post(record: Record) -> str:
    """Publish a post whose change is parked; return that change."""
    await with_users(record, "ada")
    change = (await one(record, a_post("p-1"))).change
    assert change is not None
    await changes(record)
    assert await record.park(change, 5, "ResponseError: WRONGTYPE")
    return change


async def spoil(record: Record, change: str) -> None:
    """Let a change be of a kind that nobody knows, and name nothing."""
    async with record._database.writes.begin() as conn:
        await conn.execute(
            text("UPDATE outbox SET kind = 'from-the-future', body = :body WHERE id = :id"),
            {"body": b"{}", "id": change},
        )


async def test_a_change_is_parked_with_its_error_and_covered_in_the_same_transaction(record: Record) -> None:
    change = await parked_post(record)
    row = ParkedRow(change, "post-published", "post p-1", NOW, NOW, 5, "ResponseError: WRONGTYPE")
    assert await record.parked() == [row]
    assert await record.parked_count() == 1
    found = await record.change(change)
    assert found is not None
    assert found.parked == row
    assert await changes(record) == [Covered(change, posts=("p-1",), authors=("ada",))]


async def test_a_change_is_parked_once_and_wakes_the_relay_for_its_cover(record: Record) -> None:
    wakes: list[int] = []
    record.on_commit = lambda: wakes.append(1)
    change = await parked_post(record)
    before = len(wakes)
    assert not await record.park(change, 6, "again")
    assert len(wakes) == before
    assert [row.tries for row in await record.parked()] == [5]


async def test_what_is_live_or_unknown_is_not_parked(record: Record) -> None:
    await with_users(record, "ada")
    change = (await one(record, a_post("p-1"))).change
    assert change is not None
    await record.outbox_live({change: NOW})
    assert not await record.park(change, 5, "late")
    assert not await record.park("c-nobody", 5, "whose")
    assert await record.parked() == []


async def test_a_parked_change_that_becomes_live_after_all_is_parked_no_longer(record: Record) -> None:
    change = await parked_post(record)
    await record.outbox_live({change: NOW + 1})
    assert await record.parked() == []
    assert await record.parked_count() == 0
    found = await record.change(change)
    assert found is not None
    assert found.parked is None


async def test_a_retried_change_is_relayed_anew(record: Record) -> None:
    change = await parked_post(record)
    await changes(record)
    assert await record.retry([change, "c-nobody"]) == [change]
    assert [row.id for row in await record.outbox_take(10)] == [change]
    assert await record.parked() == []
    assert await record.retry([change]) == []


async def test_all_parked_changes_are_retried_at_once(record: Record) -> None:
    await with_users(record, "ada")
    ids = [str((await one(record, a_post(post))).change) for post in ("p-1", "p-2", "p-3")]
    await changes(record)
    for change in ids[:2]:
        await record.park(change, 5, "no")
    await changes(record)
    assert await record.retry() == sorted(ids[:2])


async def test_a_dropped_change_is_forgotten_and_its_data_is_not(record: Record) -> None:
    change = await parked_post(record)
    assert await record.drop_parked(change)
    assert not await record.drop_parked(change)
    assert await record.change(change) is None
    assert await record.post("p-1") is not None


async def test_only_what_is_parked_can_be_dropped(record: Record) -> None:
    await with_users(record, "ada")
    change = str((await one(record, a_post("p-1"))).change)
    assert not await record.drop_parked(change)
    assert await record.change(change) is not None


async def test_a_parked_change_is_not_pruned(record: Record) -> None:
    change = await parked_post(record)
    await record.outbox_prune(NOW + 10 * WIDE_MS)
    assert [row.change for row in await record.parked()] == [change]


async def test_everything_is_a_cover_once_in_ten_minutes_and_then_for_all_that_waited(
    record: Record, clock: Clock
) -> None:
    await with_users(record, "ada")
    ids = [str((await one(record, CreatePost(author="ada", post=post))).change) for post in ("p-1", "p-2", "p-3")]
    for change in ids:
        await spoil(record, change)
    rows = await record.outbox_take(10)
    await record.outbox_relayed([row.row for row in rows])
    for change in ids:
        clock.ms += MINUTE
        assert await record.park(change, 5, "unknown")
    assert await changes(record) == [Invalidated(None, rolling=True)]
    assert not await record.cover_parked(), "it was done lately"
    clock.ms = NOW + MINUTE + WIDE_MS
    assert await record.cover_parked()
    assert await changes(record) == [Invalidated(None, rolling=True)]
    clock.ms += 2 * WIDE_MS
    assert not await record.cover_parked(), "nothing waits for it"


async def test_a_parked_change_of_the_site_is_covered_by_everything_shard_by_shard(record: Record) -> None:
    change = str((await one(record, PutSite(title="A site"))).change)
    await changes(record)
    await record.park(change, 5, "no")
    assert await changes(record) == [Invalidated(None, rolling=True)]
