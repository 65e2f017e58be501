"""The whole loop, all parts at work and dying: after a change is live, no edge has what was before it."""

import asyncio

import pytest

from tests.integration.house import House
from tests.integration.town import at_work, open_town


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_stays_stale_while_everybody_works(house: House, seed: int) -> None:
    async with open_town(house, seed) as town, at_work(town, readers=3):
        for _ in range(6):
            await asyncio.gather(*(town.write() for _ in range(5)))
            await town.check()
        assert len(town.cache.calls) > 5


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_stays_stale_while_everybody_may_die(house: House, seed: int) -> None:
    async with open_town(house, seed) as town, at_work(town, readers=2) as staff:
        for _ in range(5):
            writers = [asyncio.create_task(town.write()) for _ in range(4)]
            for _ in range(3):
                await staff.kill_one()
            await asyncio.gather(*writers)
            await town.check()
