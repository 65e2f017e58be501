"""The relay: every change in the outbox comes to the stream, in order, and future posts appear on time."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.exceptions import ResponseError

from cdn import epoch as cdn_epoch
from cdn import scripts as cdn_scripts
from feeds import keys, scripts
from feeds.command import CreatePost, EditPost, PutUser
from feeds.model import PostState
from feeds.outbox import OutboxRow
from feeds.progress import Board, now_ms
from feeds.record import Record
from feeds.relay import BATCH, Relay
from tests.integration.house import House, until
from tests.integration.records import NOW, Clock, at


async def relayed(house: House) -> list[str]:
    """Return the ids of the changes on the stream."""
    entries = await house.redis.xrange(keys.CHANGES)
    return [fields[b"id"].decode() for _, fields in entries]  # type: ignore[index, union-attr]  # the stubs allow None


async def accepted(house: House, number: int) -> list[str]:
    """Let the record accept changes; return their ids."""
    outcomes = await house.apply(*(PutUser(user=f"user{n}", name="A name") for n in range(number)))
    return [outcome.change or "" for outcome in outcomes]


async def with_clock(house: House) -> Clock:
    """Give the record a clock of our own, and ada."""
    clock = Clock()
    house.record.clock = clock
    await house.apply(PutUser(user="ada", name="Ada"))
    return clock


@asynccontextmanager
async def relaying(house: House) -> AsyncIterator[None]:
    """Let a relay run until the block ends."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Relay(house.redis, house.record).run(stop))
        try:
            yield
        finally:
            stop.set()
            await house.redis.publish(keys.WAKE_RELAY, "")


async def test_changes_are_relayed_once_each_in_their_order(house: House) -> None:
    changes = await accepted(house, 5)
    assert await house.relay.relay() == 5
    changes += await accepted(house, 0) + [
        outcome.change or "" for outcome in await house.apply(PutUser(user="ada", name="Ada"))
    ]
    assert await house.relay.relay() == 1
    assert await house.relay.relay() == 0
    assert await relayed(house) == changes


async def test_more_changes_than_a_batch_are_relayed_at_once(house: House) -> None:
    changes = await accepted(house, BATCH + 3)
    assert await house.relay.relay() == BATCH + 3
    assert await relayed(house) == changes


async def test_a_crash_before_rows_are_marked_gives_a_duplicate_and_no_loss(house: House) -> None:
    class Dying(Record):
        async def outbox_relayed(self, rows: object) -> None:
            raise SystemExit

    changes = await accepted(house, 3)
    with pytest.raises(SystemExit):
        await Relay(house.redis, Dying(house.record._database)).relay()
    assert await relayed(house) == changes
    assert await house.relay.relay() == 3
    assert await relayed(house) == changes * 2


async def test_a_crash_before_the_stream_is_written_loses_nothing(house: House) -> None:
    changes = await accepted(house, 3)
    await house.redis.set(keys.CHANGES, "no stream")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await house.relay.relay()
    await house.redis.delete(keys.CHANGES)
    await house.relay.relay()
    assert await relayed(house) == changes


async def test_a_post_appears_when_its_time_has_come(house: House) -> None:
    clock = await with_clock(house)
    clock.ms = now_ms() - 60_000
    due = clock.ms + 30_000
    await house.apply(CreatePost(post="p1", author="ada", title="Soon", published=at(due - NOW)))
    assert (await house.record.posts(["p1"]))["p1"].state is PostState.SCHEDULED
    clock.ms = now_ms()
    await house.relay.relay()
    assert (await house.record.posts(["p1"]))["p1"].state is PostState.PUBLISHED
    kinds = [fields[b"kind"] for _, fields in await house.redis.xrange(keys.CHANGES)]  # type: ignore[index, union-attr]
    assert kinds == [b"user-created", b"post-published"]


async def test_a_post_of_tomorrow_does_not_appear_today(house: House) -> None:
    await with_clock(house)
    await house.apply(CreatePost(post="p1", author="ada", title="Later", published=at(now_ms() - NOW + 86_400_000)))
    await house.relay.relay()
    assert (await house.record.posts(["p1"]))["p1"].state is PostState.SCHEDULED
    assert len(await relayed(house)) == 1


async def test_posts_that_are_due_in_another_transaction_are_left_to_it(house: House) -> None:
    """What the database says is due and does not give us is not asked for again at once, for ever."""

    class Elsewhere(Record):
        asked = 0

        async def publish_due(self, now_ms: int, limit: int) -> tuple[int, int | None]:
            Elsewhere.asked += 1
            return 0, now_ms - 1000

    async with asyncio.timeout(5):
        await Relay(house.redis, Elsewhere(house.record._database)).relay()
    assert Elsewhere.asked == 1


async def test_a_running_relay_is_woken(house: House) -> None:
    async with relaying(house):
        await until(lambda: _listens(house))
        changes = await accepted(house, 3)
        await house.redis.publish(keys.WAKE_RELAY, "")
        await until(lambda: _has_relayed(house, 3))
    assert await relayed(house) == changes


async def test_a_running_relay_finds_what_nobody_woke_it_for(house: House) -> None:
    async with relaying(house):
        await until(lambda: _listens(house))
        await accepted(house, 1)
        await until(lambda: _has_relayed(house, 1))


async def test_two_relays_relay_each_change_once(house: House) -> None:
    async with relaying(house), relaying(house):
        changes = []
        for number in range(20):
            (outcome,) = await house.apply(PutUser(user=f"user{number}", name="A name"))
            changes.append(outcome.change or "")
            await house.redis.publish(keys.WAKE_RELAY, "")
        await until(lambda: _has_relayed(house, 20))
    assert await relayed(house) == changes


async def test_a_relay_that_ends_leaves_its_lease_to_the_next(house: House) -> None:
    async with relaying(house):
        await until(lambda: house.redis.exists(keys.RELAY_LEASE))
    assert not await house.redis.exists(keys.RELAY_LEASE)


async def test_an_edit_of_what_is_not_shown_yet_is_no_change(house: House) -> None:
    await with_clock(house)
    await house.apply(CreatePost(post="p1", author="ada", title="Draft", draft=True), EditPost(post="p1", title="Two"))
    assert await house.relay.relay() == 1


async def _listens(house: House) -> bool:
    return (await house.redis.pubsub_numsub(keys.WAKE_RELAY))[0][1] > 0


async def _has_relayed(house: House, number: int) -> bool:
    return len(await relayed(house)) >= number


async def epoch(house: House, number: int) -> None:
    """Let Redis be in an epoch, with counts from where that begins."""
    await cdn_scripts.execute(house.redis, cdn_epoch.raised(number))
    await house.redis.set(keys.EPOCH, f"{number} run replication")


async def test_a_redis_without_an_epoch_is_told_nothing(house: House) -> None:
    changes = await accepted(house, 2)
    await house.redis.delete(keys.EPOCH)
    assert await house.relay.relay() == 0
    await epoch(house, 1)
    assert await house.relay.relay() == 2
    assert await relayed(house) == changes


async def test_a_new_epoch_is_told_all_that_is_not_live_and_what_became_so_lately(house: House) -> None:
    await accepted(house, 3)
    assert await house.relay.relay() == 3
    await epoch(house, 2)
    assert await house.relay.relay() == 3
    assert await house.relay.relay() == 0
    assert (await house.record.redis_epoch()).replayed == 2


async def test_a_redis_of_an_epoch_that_is_over_is_told_nothing(house: House) -> None:
    await epoch(house, 2)
    await house.relay.relay()
    await accepted(house, 1)
    await epoch(house, 1)
    assert await house.relay.relay() == 0
    assert len(await house.record.outbox_take(10)) == 1


async def test_a_relay_that_stood_still_while_redis_forgot_begins_nothing_under_the_old_epoch(house: House) -> None:
    """It reads the outbox, stands still, and goes on when another one has told the next epoch the same."""
    (change,) = await accepted(house, 1)

    class StandsStill:
        def __getattr__(self, name: str) -> Any:
            return getattr(house.record, name)

        async def outbox_take(self, limit: int) -> Sequence[OutboxRow]:
            rows = await house.record.outbox_take(limit)
            if rows:
                await epoch(house, 2)
                await house.relay.relay()
            return rows

    record: Any = StandsStill()
    late = Relay(house.redis, record)
    with pytest.raises(ResponseError, match="FORGOTTEN"):
        await late.relay()
    assert await relayed(house) == [change]
    assert await late.relay() == 0
    await house.recorder.record(await house.fan_out())
    await house.step()
    assert await house.state(change) == "live"


async def test_the_progress_of_what_is_relayed_again_begins_anew(house: House) -> None:
    (change,) = await house.loop(PutUser(user="ada", name="Ada"))
    assert await house.state(change) == "live"
    await epoch(house, 2)
    await house.record.replay(2, margin_ms=1000)
    assert await house.state(change) == "accepted"
    await house.relay.relay()
    assert await house.state(change) == "accepted"
    await house.recorder.record(await house.fan_out())
    await house.step()
    assert await house.state(change) == "live"


async def test_what_waits_under_an_epoch_that_is_over_is_not_live(house: House) -> None:
    """Its tags may be forgotten, although its progress is not."""
    (change,) = await house.read(PutUser(user="ada", name="Ada"))
    await epoch(house, 2)
    await house.step()
    assert await house.state(change) == "readable"


async def test_what_was_seen_waiting_before_a_loss_is_not_live_after_its_replay(house: House) -> None:
    (change,) = await house.read(PutUser(user="ada", name="Ada"))
    (seen,) = await house.board.waiting(1)
    await epoch(house, 2)
    await house.relay.relay()
    await house.board.live([seen.change], seen.epoch)
    assert await house.state(change) == "accepted"


async def test_what_is_relayed_again_between_outbox_and_redis_is_live_in_the_end(house: House) -> None:
    """A process stands still after the outbox has its changes as live, and goes on when they have begun anew."""
    (change,) = await house.read(PutUser(user="ada", name="Ada"))
    (seen,) = await house.board.waiting(1)

    class StandsStill:
        async def outbox_live(self, live: Mapping[str, int], under: int | None) -> set[str]:
            done = await house.record.outbox_live(live, under)
            await epoch(house, 2)
            await house.relay.relay()
            await house.recorder.record(await house.fan_out())
            return done

    record: Any = StandsStill()
    await Board(house.redis, record).live([seen.change], seen.epoch)
    assert await house.state(change) == "readable"
    await house.step()
    assert await house.state(change) == "live"


async def test_a_redis_that_is_as_it_was_long_ago_is_told_all_since(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await house.loop(PutUser(user="ada", name="Ada"))
    house.by_hand("UPDATE outbox SET live_ms = 9000")
    await house.loop(PutUser(user="bob", name="Bob"))
    relay = Relay(house.redis, house.record, replay_ms=1000)
    await epoch(house, 2)
    await house.redis.set(keys.KEPT, now_ms())
    assert await relay.relay() == 1
    await epoch(house, 3)
    await house.redis.set(keys.KEPT, 9500)
    assert await relay.relay() == 2
    assert "the outbox keeps changes for a week" in caplog.text


async def test_a_redis_is_told_that_it_has_everything(house: House) -> None:
    began = now_ms()
    await house.relay.relay()
    (kept,) = await scripts.execute(house.redis, [("GET", keys.KEPT)])
    assert began <= int(kept) <= now_ms()
