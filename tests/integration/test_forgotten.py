"""A Redis that forgot, under a house at work: in the end all is live, and every feed is as the record has it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from feeds.errors import Refused
from tests.integration.house import House, until
from tests.integration.town import PATHS, Town, at_work, open_town, shown, truth
from tests.integration.wired import wired_house
from tests.service import Service

WRITES = 6
"""Writes before a loss, and as many after it; a few of them go on meanwhile."""

SEEDS = pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 10))])


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
            service.flush()
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
            await asyncio.to_thread(service.replicate)
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
