"""The fan-out worker: every change is handled, whoever dies, and none twice where all goes well."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from feeds import keys
from feeds.change import Change, SiteChanged, encode, kind_of
from feeds.fanout import Fanout
from feeds.worker import AT_ONCE, Worker
from tests.integration.house import LINGER_MS, House, kill, until

LEASE_MS = 60
ALIVE_MS = 600
"""A lease that who is alive renews in time, on a busy machine too."""


class Watched(Fanout):
    """Fan-out that keeps which changes it handled; what a test holds is handled and does not come back."""

    def __init__(self, house: House, *, held: str = "", failing: str = "") -> None:
        super().__init__(house.redis, house.record, house.timelines, house.activity, linger_ms=LINGER_MS)
        self.handled: list[str] = []
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        self._held = held
        self._failing = failing

    async def handle(self, change_id: str, change: Change) -> None:
        """Handle a change, then hold or fail it if asked to."""
        await super().handle(change_id, change)
        self.handled.append(change_id)
        if change_id == self._held:
            self.reached.set()
            await self.go.wait()
        if change_id == self._failing:
            self._failing = ""
            raise ValueError("it is odd")


async def add(house: House, *names: str, kind: str = kind_of(SiteChanged())) -> None:
    """Put changes on the stream."""
    for name in names:
        await house.redis.xadd(keys.CHANGES, {"id": name, "kind": kind, "body": encode(SiteChanged())})


async def open_entries(house: House) -> int:
    """Return how many changes were taken and not acknowledged."""
    pending: int = (await house.redis.xpending(keys.CHANGES, "fanout"))["pending"]
    return pending


async def reported(house: House) -> list[str]:
    """Return whose parts are on the stream of the affected."""
    return [part.change_id for part in await house.fan_out()]


@asynccontextmanager
async def working(
    house: House, fanout: Fanout, name: str = "worker", lease_ms: int = LEASE_MS
) -> AsyncIterator[asyncio.Task[None]]:
    """Let a worker run until the block ends."""
    stop = asyncio.Event()
    worker = asyncio.create_task(Worker(house.redis, fanout, name, lease_ms=lease_ms).run(stop))
    try:
        yield worker
    finally:
        stop.set()
        await asyncio.wait([worker])


async def test_a_worker_handles_every_change_once(house: House) -> None:
    fanout = Watched(house)
    names = [f"c{number}" for number in range(3 * AT_ONCE)]
    await add(house, *names)
    async with working(house, fanout):
        await until(lambda: _count(fanout, len(names)))
    assert sorted(fanout.handled) == sorted(names)
    assert await open_entries(house) == 0


async def _count(fanout: Watched, number: int) -> bool:
    return len(fanout.handled) >= number


async def test_a_worker_killed_between_its_writes_and_the_acknowledgement_is_taken_over(house: House) -> None:
    dying, alive = Watched(house, held="c1"), Watched(house)
    await add(house, "c1")
    async with working(house, dying, "dying") as worker:
        await dying.reached.wait()
        await kill(worker)
    assert await open_entries(house) == 1
    async with working(house, alive, "alive"):
        await until(lambda: _count(alive, 1))
    assert await open_entries(house) == 0
    assert await reported(house) == ["c1", "c1"]


async def test_a_slow_worker_that_is_alive_keeps_its_change(house: House) -> None:
    slow, other = Watched(house, held="c1"), Watched(house)
    await add(house, "c1")
    async with working(house, slow, "slow", ALIVE_MS):
        await slow.reached.wait()
        async with working(house, other, "other", ALIVE_MS):
            looks = await calls(house, "xautoclaim")
            await until(lambda: _calls_since(house, "xautoclaim", looks + 12))
        slow.go.set()
    assert (slow.handled, other.handled) == (["c1"], [])
    assert await open_entries(house) == 0


async def calls(house: House, command: str) -> int:
    """Return how often Redis was asked something."""
    stats = await house.redis.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def _calls_since(house: House, command: str, number: int) -> bool:
    return await calls(house, command) >= number


async def test_a_long_change_holds_up_no_other(house: House) -> None:
    fanout = Watched(house, held="long")
    await add(house, "long", *(f"c{number}" for number in range(5)))
    async with working(house, fanout):
        await fanout.reached.wait()
        await add(house, "late")
        await until(lambda: _count(fanout, 7))
        assert await open_entries(house) == 1
        fanout.go.set()
    assert await open_entries(house) == 0


async def test_what_is_under_way_is_finished_before_a_worker_stops(house: House) -> None:
    fanout = Watched(house, held="c1")
    await add(house, "c1")
    stop = asyncio.Event()
    worker = asyncio.create_task(Worker(house.redis, fanout, "worker", lease_ms=LEASE_MS).run(stop))
    await fanout.reached.wait()
    stop.set()
    asyncio.get_running_loop().call_later(0.02, fanout.go.set)
    await worker
    assert await open_entries(house) == 0


async def test_a_change_that_fails_is_tried_again_and_said_so(house: House, caplog: pytest.LogCaptureFixture) -> None:
    fanout = Watched(house, failing="c1")
    await add(house, "c1", "c2")
    async with working(house, fanout):
        await until(lambda: _count(fanout, 3))
    assert sorted(fanout.handled) == ["c1", "c1", "c2"]
    assert await open_entries(house) == 0
    assert ["c1" in record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [True]


async def test_a_change_of_a_kind_that_nobody_knows_holds_up_no_other(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    fanout = Watched(house)
    await add(house, "strange", kind="from-the-future")
    await add(house, "c1")
    async with working(house, fanout):
        await until(lambda: _count(fanout, 1))
        await until(lambda: _none_open(house))
    assert fanout.handled == ["c1"]
    assert "from-the-future" in caplog.text
    assert "not in the outbox" in caplog.text


async def _none_open(house: House) -> bool:
    return await open_entries(house) == 0


async def test_an_entry_that_names_no_change_ends_no_worker(house: House, caplog: pytest.LogCaptureFixture) -> None:
    fanout = Watched(house)
    await house.redis.xadd(keys.CHANGES, {"what": "is this"})
    await add(house, "c1")
    async with working(house, fanout):
        await until(lambda: _count(fanout, 1))
        await until(lambda: _none_open(house))
    assert "names no change" in caplog.text


async def test_a_worker_whose_group_is_gone_makes_it_anew(house: House) -> None:
    fanout = Watched(house)
    async with working(house, fanout):
        await until(lambda: house.redis.exists(keys.CHANGES))
        await house.redis.delete(keys.CHANGES)
        await add(house, "c1")
        await until(lambda: _count(fanout, 1))
        await until(lambda: _none_open(house))


async def test_handled_changes_leave_the_stream(house: House) -> None:
    fanout = Watched(house)
    await add(house, *(f"c{number}" for number in range(10)))
    async with working(house, fanout):
        await until(lambda: _short(house))
    assert len(fanout.handled) == 10


async def _short(house: House) -> bool:
    return await house.redis.xlen(keys.CHANGES) == 1
