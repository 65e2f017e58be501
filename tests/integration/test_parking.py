"""What always fails is parked after five tries, covered, and retried or not; what the world breaks is not."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from feeds import keys
from feeds.change import Change
from feeds.command import CreatePost, EditPost, Follow, PutUser
from feeds.errors import RecordUnavailable
from feeds.fanout import Fanout
from feeds.record import ParkedRow
from feeds.tries import MOST
from feeds.worker import Worker
from invalidator.recorder import Recorder
from tests.integration.house import LINGER_MS, House, kill, until

LEASE_MS = 60


@asynccontextmanager
async def working(house: House, fanout: Fanout | None = None) -> AsyncIterator[asyncio.Task[None]]:
    """Let relay, a worker and a recorder run until the block ends."""
    stop = asyncio.Event()

    async def relay() -> None:
        while not stop.is_set():
            await house.relay.relay()
            await asyncio.sleep(0.005)

    worker = Worker(house.redis, fanout or house.fanout, "worker", lease_ms=LEASE_MS)
    recorder = Recorder(house.redis, house.ledger, house.board, "rec", wake=lambda: None, lease_ms=LEASE_MS)
    tasks = [asyncio.create_task(loop) for loop in (worker.run(stop), recorder.run(stop), relay())]
    try:
        yield tasks[0]
    finally:
        stop.set()
        await asyncio.wait(tasks, timeout=5)
        for task in tasks:
            await kill(task)


async def apply(house: House, *commands: object) -> list[str]:
    """Apply commands; return the ids of their changes."""
    return [outcome.change for outcome in await house.apply(*commands) if outcome.change]  # type: ignore[arg-type]


async def parked(house: House) -> list[ParkedRow]:
    """Return the parked changes."""
    return await house.record.parked()


async def is_live(house: House, change: str) -> bool:
    """Let the drain loop do what is due, and tell whether a change is live."""
    await house.step()
    return await house.state(change) == "live"


async def ada_with_a_reader(house: House) -> None:
    """Let bob follow ada, all of it live."""
    users = [PutUser(user=user, name=user.title()) for user in ("ada", "bob")]
    *_, change = await house.loop(*users, Follow(user="bob", author="ada"))
    assert await is_live(house, change)


async def test_what_always_fails_is_parked_covered_and_loud_and_the_rest_goes_on(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    await ada_with_a_reader(house)
    await house.redis.hset(keys.post("p1"), "no", "string")
    bad, good = await apply(house, CreatePost(author="ada", post="p1"), CreatePost(author="ada", post="p2"))
    async with working(house):
        await until(lambda: parked(house))
        await until(lambda: is_live(house, good))
    (row,) = await parked(house)
    assert (row.change, row.subject, row.tries) == (bad, "post p1", MOST)
    assert "WRONGTYPE" in row.error
    progress = await house.board.of(bad)
    assert progress is not None
    assert (progress.state, progress.parked) == ("accepted", row)
    (said,) = [record for record in caplog.records if "is parked after" in record.getMessage()]
    assert said.levelno == logging.ERROR
    assert f"edgebake park retry {bad}" in said.getMessage()
    assert await house.redis.hlen(keys.TRIES) == 0


async def test_no_edge_keeps_the_page_from_before_a_parked_change(house: House) -> None:
    """The cover drops the post, its author and what overflows, and the copies that bakes would read."""
    await ada_with_a_reader(house)
    await house.loop(CreatePost(author="ada", post="p1", tags=("dogs",)))
    for tag in ("p-p1", "a-ada", "o", "u-bob"):
        await house.leave(5, tag)
    await house.redis.delete(keys.post("p1"))
    await house.redis.hset(keys.post("p1"), "no", "string")
    (bad,) = await apply(house, EditPost(post="p1", title="New"))
    async with working(house):
        await until(lambda: parked(house))
        await until(lambda: _is_waiting(house, "p-p1", "a-ada", "o"))
    assert await house.redis.exists(keys.post("p1")) == 0
    assert await house.state(bad) == "accepted"


async def _is_waiting(house: House, *tags: str) -> bool:
    return (await house.waiting()).keys() >= set(tags)


async def test_a_retried_change_becomes_live(house: House) -> None:
    await ada_with_a_reader(house)
    await house.redis.hset(keys.post("p1"), "no", "string")
    (bad,) = await apply(house, CreatePost(author="ada", post="p1"))
    async with working(house):
        await until(lambda: parked(house))
        await house.redis.delete(keys.post("p1"))
        assert await house.record.retry([bad]) == [bad]
        await until(lambda: is_live(house, bad))
    assert await parked(house) == []


async def test_a_kind_of_a_version_to_come_is_parked_and_covered_by_what_it_names(house: House) -> None:
    (bad,) = await apply(house, PutUser(user="ada", name="Ada"))
    house.by_hand("UPDATE outbox SET kind = 'user-teleported'")
    async with working(house):
        await until(lambda: parked(house))
        await until(lambda: _covers(house))
    assert await _covers(house) == [f"what change {bad} is about"]
    assert "user-teleported" in (await parked(house))[0].error


async def _covers(house: House) -> list[str]:
    async with house.record._database.read() as conn:
        rows = await conn.execute(text("SELECT subject FROM outbox WHERE kind = 'covered' AND live_ms IS NOT NULL"))
        found = list(rows.scalars())
    await house.step()
    return found


class Failing(Fanout):
    """Fan-out that fails a change with errors laid ready, and keeps how often it was asked."""

    def __init__(self, house: House, change: str, errors: list[Exception]) -> None:
        super().__init__(house.redis, house.record, house.timelines, house.activity, linger_ms=LINGER_MS)
        self.asked = 0
        self._change = change
        self._errors = errors

    async def handle(self, change_id: str, change: Change) -> None:
        """Fail as long as errors are left."""
        if change_id == self._change:
            self.asked += 1
            if self._errors:
                raise self._errors.pop(0)
        await super().handle(change_id, change)


async def test_the_worlds_faults_are_no_tries(house: House) -> None:
    (change,) = await apply(house, PutUser(user="ada", name="Ada"))
    away: list[Exception] = [RecordUnavailable("no database"), ConnectionRefusedError("no Redis")]
    own: list[Exception] = [ValueError("odd")] * (MOST - 1)
    fanout = Failing(house, change, [*away * 2, *own, *away * 2])
    async with working(house, fanout):
        await until(lambda: is_live(house, change))
    assert fanout.asked == 2 * 4 + MOST - 1 + 1
    assert await parked(house) == []


async def test_what_takes_too_long_while_all_answer_is_the_changes_own_fault(house: House) -> None:
    (change,) = await apply(house, PutUser(user="ada", name="Ada"))
    async with working(house, Failing(house, change, [TimeoutError() for _ in range(MOST)])):
        await until(lambda: parked(house))
    assert (await parked(house))[0].tries == MOST


class Deadly(Fanout):
    """Fan-out in which one change kills its worker; what is under way beside it the first time does not end either."""

    def __init__(self, house: House, deadly: str) -> None:
        super().__init__(house.redis, house.record, house.timelines, house.activity, linger_ms=LINGER_MS)
        self.killed = asyncio.Event()
        self.deaths = 0
        self._deadly = deadly

    async def handle(self, change_id: str, change: Change) -> None:
        """Handle a change, or never come back."""
        if change_id == self._deadly:
            self.killed.set()
        if change_id == self._deadly or not self.deaths:
            await asyncio.Event().wait()
        await super().handle(change_id, change)


async def test_a_change_that_kills_its_worker_is_parked_and_those_beside_it_are_not(house: House) -> None:
    names = [PutUser(user=f"user{number}", name="Somebody") for number in range(8)]
    changes = await apply(house, *names)
    fanout = Deadly(house, changes[3])
    while not await parked(house):
        fanout.killed.clear()
        async with working(house, fanout) as worker:
            await until(lambda: _killed_or_parked(house, fanout))
            await kill(worker)
        fanout.deaths += 1
        assert fanout.deaths < 2 * MOST
    async with working(house, fanout):
        for change in (*changes[:3], *changes[4:]):
            await until(lambda change=change: is_live(house, change))  # type: ignore[misc]
    assert [row.change for row in await parked(house)] == [changes[3]]
    assert "ended with its process" in (await parked(house))[0].error


async def _killed_or_parked(house: House, fanout: Deadly) -> bool:
    return fanout.killed.is_set() or bool(await parked(house))


async def test_a_part_that_the_recorder_cannot_record_is_parked_and_the_rest_goes_on(house: House) -> None:
    bad, good = await apply(house, PutUser(user="ada", name="Ada"), PutUser(user="bob", name="Bob"))
    await house.relay.relay()
    await house.redis.delete(keys.change(bad))
    await house.redis.set(keys.change(bad), "no hash")
    async with working(house):
        await until(lambda: is_live(house, good))
        await until(lambda: parked(house))
    (row,) = await parked(house)
    assert (row.change, row.tries) == (bad, MOST)


async def test_a_part_that_nobody_can_read_is_parked(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await house.relay.relay()
    bad, good = await apply(house, PutUser(user="ada", name="Ada"), PutUser(user="bob", name="Bob"))
    part = {"part": f'["{bad}","a",0]', "kind": "user-created", "change": '{"user":"ada"}'}
    await house.redis.xadd(keys.AFFECTED, part)  # type: ignore[arg-type]  # words
    await house.redis.xadd(keys.AFFECTED, {"what": "is this"})
    house.by_hand("UPDATE outbox SET relayed_ms = 1 WHERE subject = 'user ada'")
    async with working(house):
        await until(lambda: is_live(house, good))
        await until(lambda: parked(house))
    assert [row.change for row in await parked(house)] == [bad]
    assert "names no change" in caplog.text


async def test_a_cover_that_fails_too_is_parked_and_has_no_cover_of_its_own(house: House) -> None:
    await apply(house, PutUser(user="ada", name="Ada"))
    house.by_hand('UPDATE outbox SET kind = \'covered\', body = \'{"change":"c-0","mood":"bad","users":["ada"]}\'')
    async with working(house):
        await until(lambda: parked(house))
    rows = [row.kind for row in await parked(house)]
    assert rows == ["covered"]
