"""A Redis that forgot, under a house at work: in the end all is live, and every feed is as the record has it."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from edgebake.valkey import EmbeddedValkey
from feeds.errors import Refused
from tests.integration.house import House, until
from tests.integration.town import PATHS, Town, at_work, open_town, shown, truth
from tests.integration.wired import wired_house

WRITES = 6
"""Writes before a loss, and as many after it; a few of them go on meanwhile."""

SEEDS = pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 10))])


class Service:
    """Two Valkeys, of which one serves at the address that everybody knows; the other one replicates it."""

    def __init__(self, folder: Path) -> None:
        self.serving, self.other = EmbeddedValkey(folder / "a"), EmbeddedValkey(folder / "b")
        self.address = folder / "service.sock"
        self.serving.start()
        self._lead_to(self.serving)

    @property
    def url(self) -> str:
        """Where the serving one is found, whichever that is."""
        return f"unix://{self.address}"

    def close(self) -> None:
        """End both."""
        self.serving.stop()
        self.other.stop()

    async def replicate(self) -> None:
        """Begin to replicate, and return once the replica is there."""
        self.other.start()
        with Redis.from_url(self.other.url) as replica:
            replica.replicaof("127.0.0.1", self.serving.port)

            async def linked() -> bool:
                return bool(replica.info("replication")["master_link_status"] == "up")

            await until(linked)

    def lag(self) -> None:
        """Let the replica hear nothing any more."""
        with Redis.from_url(self.other.url) as replica:
            replica.replicaof("127.0.0.1", 1)

    def promote(self) -> None:
        """Let the replica serve, with what it has."""
        with Redis.from_url(self.other.url) as replica:
            replica.replicaof("NO", "ONE")
        self.serving, self.other = self.other, self.serving
        self._lead_to(self.serving)

    def demote(self) -> None:
        """Let the one that served replicate its successor; connections to it stay."""
        with Redis.from_url(self.other.url) as replica:
            replica.replicaof("127.0.0.1", self.serving.port)

    def written(self) -> tuple[Path, int]:
        """Return the append-only file, and how long it is."""
        newest = max((self.serving.folder / "appendonlydir").glob("*.incr.aof"))
        return newest, newest.stat().st_size

    def kill(self) -> None:
        """End the one that serves as a crash does."""
        assert self.serving.process is not None
        os.kill(self.serving.process.pid, signal.SIGKILL)
        self.serving.process.wait()

    def _lead_to(self, server: EmbeddedValkey) -> None:
        self.address.unlink(missing_ok=True)
        self.address.symlink_to(server.socket)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A Valkey of the test's own, that may be lost."""
    opened = Service(tmp_path)
    yield opened
    opened.close()


@asynccontextmanager
async def a_town(service: Service, sqlite_ready: Path, tmp_path: Path, seed: int) -> AsyncIterator[Town]:
    """Open a town over a house whose connections are as those of a process."""
    file = tmp_path / "house.db"
    shutil.copy(sqlite_ready, file)
    async with wired_house(service.url, file) as house, open_town(house, seed) as town:
        yield town


async def some_writes(town: Town, count: int = WRITES) -> list[str]:
    """Do so many things; return their changes."""
    changes = []
    for _ in range(count):
        try:
            (outcome,) = await town.house.apply(town.command())
        except Refused:
            continue
        changes += [outcome.change] if outcome.change else []
        await asyncio.sleep(0.005)  # the staff takes some of them meanwhile
    return changes


async def are_live(house: House, changes: list[str]) -> bool:
    """Tell whether all these changes are live; not where Redis does not answer."""
    try:
        return all([await house.state(change) == "live" for change in changes])
    except RedisError:
        return False


async def survives(town: Town, lose: Callable[[], Awaitable[list[str]]]) -> None:
    """Let a town live through a loss, and compare."""
    house = town.house
    async with at_work(town, readers=2, enduring=True):
        changes = await some_writes(town)
        await until(lambda: are_live(house, changes[: WRITES // 2]), seconds=30)
        changes += await lose()
        changes += await some_writes(town)
        await until(lambda: are_live(house, changes), seconds=60)
        await town.check()
        for path in PATHS:
            assert shown(await town.bakers[0].get(path)) == await truth(house, path), path
        await town.check()
    assert await house.record.outbox_take(1) == []


@SEEDS
async def test_a_redis_that_is_flushed_under_a_house_at_work(
    service: Service, sqlite_ready: Path, tmp_path: Path, seed: int
) -> None:
    async with a_town(service, sqlite_ready, tmp_path, seed) as town:

        async def lose() -> list[str]:
            changes = await some_writes(town)
            with Redis.from_url(service.url) as client:
                client.flushall()
            return changes

        await survives(town, lose)
        assert (await town.house.record.redis_epoch()).number == 2
        assert "g" in town.cache.items


@SEEDS
async def test_a_redis_that_crashed_and_comes_back_without_its_last_second(
    service: Service, sqlite_ready: Path, tmp_path: Path, seed: int
) -> None:
    async with a_town(service, sqlite_ready, tmp_path, seed) as town:

        async def lose() -> list[str]:
            file, kept = service.written()
            changes = await some_writes(town)
            await until(lambda: are_live(town.house, changes[:3]), seconds=30)
            assert service.written()[1] > kept
            service.kill()
            os.truncate(file, kept)
            service.serving.start()
            return changes

        await survives(town, lose)
        assert (await town.house.record.redis_epoch()).number == 2


@pytest.mark.parametrize("stays", [False, pytest.param(True, marks=pytest.mark.long)], ids=["killed", "demoted"])
@SEEDS
async def test_a_replica_that_lags_is_promoted(
    service: Service, sqlite_ready: Path, tmp_path: Path, seed: int, stays: bool
) -> None:
    """``stays``: the old primary lives on as a replica, and connections lead to it still."""
    async with a_town(service, sqlite_ready, tmp_path, seed) as town:

        async def lose() -> list[str]:
            await service.replicate()
            changes = await some_writes(town, 3)
            service.lag()
            changes += await some_writes(town)
            await until(lambda: are_live(town.house, changes[:5]), seconds=30)
            if not stays:
                service.kill()
            service.promote()
            if stays:
                service.demote()
            return changes

        await survives(town, lose)
        assert (await town.house.record.redis_epoch()).number >= 2  # a first replica gives a primary another id, too
