"""What goes wrong in a schedule, each in some schedules and not in others."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

from tests.simulation import editions, writes
from tests.simulation.house import House
from tests.simulation.oracle import Oracle

FORWARD_S = 0.2
"""How far the clock of Redis steps forward at most: by half of what the transit time has as its margin."""


class Fault(Protocol):
    """Something that goes wrong in a schedule of so many seconds."""

    __name__: str

    def __call__(self, span: float, /) -> Coroutine[Any, Any, None]:
        """Go wrong."""


def clear(house: House) -> None:
    """Let nothing go wrong any more, and everybody be up."""
    for weather in (house.fast.weather, house.slow.weather, house.database):
        weather.broken = 0.0
    house.fast.is_up = house.slow.is_up = house.cdn.is_up = True
    house.cdn.whims.refused = house.cdn.whims.unanswered = house.cdn.whims.slow_s = 0.0
    house.restart_dead()


class Faults:
    """The faults of one schedule. Each is a coroutine that is told how long the schedule runs."""

    def __init__(self, house: House, oracle: Oracle, say: Callable[[str], None]) -> None:
        self._house = house
        self._oracle = oracle
        self._say = say
        self._random = house.random

    def drawn(self, share: float, sure: Collection[str] = ()) -> list[Fault]:
        """Draw the faults of this schedule: those that are sure by name, and in that share of schedules others."""
        kinds: list[tuple[float, Fault]] = [
            (0.3, self.kills),
            (0.25, self.freezes),
            (0.2, self.broken_connections),
            (0.15, self.failing_database),
            (0.15, self.edge_away),
            (0.1, self.edge_forgets),
            (0.15, self.redis_forgets),
            (0.05, self.redis_is_flushed),
            (0.1, self.clocks_step),
            (0.1, self.clock_of_redis_steps),
            (0.15, self.deploys),
        ]
        calm = self._random.random() >= share
        some = [fault for chance, fault in kinds if self._random.random() < chance and not calm]
        return some + [fault for _, fault in kinds if fault.__name__ in sure and fault not in some]

    async def _some_time(self, span: float) -> None:
        await asyncio.sleep(self._random.uniform(0.5, span))

    def _anybody(self) -> Any:
        up = self._house.processes()
        return self._random.choice(up) if up else None

    async def kills(self, span: float) -> None:
        """Kill processes, and start them again."""
        await asyncio.gather(*[self._kill(span) for _ in range(self._random.randint(1, 4))])

    async def _kill(self, span: float) -> None:
        await self._some_time(span)
        if (process := self._anybody()) is not None:
            self._say(f"{process.name} is killed")
            self._house.kill(process)
            await asyncio.sleep(self._random.uniform(0.05, 3))
            self._house.restart_dead()

    async def freezes(self, span: float) -> None:
        """Let processes stand still for a while."""
        await asyncio.gather(*[self._freeze(span) for _ in range(self._random.randint(1, 4))])

    async def _freeze(self, span: float) -> None:
        await self._some_time(span)
        if (process := self._anybody()) is not None:
            seconds = self._random.uniform(0.3, 8)
            self._say(f"{process.name} stands still for {seconds:.1f} s")
            self._house.loop.freeze(process, seconds)

    async def broken_connections(self, span: float) -> None:
        """Let connections to Redis break."""
        await self._some_time(span)
        for network in (self._house.fast, self._house.slow):
            network.weather.broken = self._random.choice((0.0, 0.02, 0.1))

    async def failing_database(self, span: float) -> None:
        """Let the database fail now and then."""
        await self._some_time(span)
        self._house.database.broken = self._random.choice((0.02, 0.2))

    async def edge_away(self, span: float) -> None:
        """Let the edge's API be away for a while."""
        await self._some_time(span)
        self._house.cdn.is_up = False
        await asyncio.sleep(self._random.uniform(0.5, 6))
        self._house.cdn.is_up = True

    async def edge_forgets(self, span: float) -> None:
        """Let the edge start again."""
        await self._some_time(span)
        self._say("the edge starts again")
        self._house.cdn.forget()

    async def redis_forgets(self, span: float) -> None:
        """Let Redis come back without its last writes: after a restart, or as a replica that lagged."""
        await self._some_time(span)
        house, began = self._house, self._house.loop.time()
        kept = house.copied()
        await asyncio.sleep(self._random.uniform(0.05, 2))
        self._say(f"Redis forgets what was since {began:.3f} s")
        house.lose(kept)
        self._oracle.forget(began)
        house.fast.is_up = house.slow.is_up = False
        await asyncio.sleep(self._random.choice((0.0, 1.0)))
        house.fast.is_up = house.slow.is_up = True

    async def redis_is_flushed(self, span: float) -> None:
        """Let somebody empty Redis: connections stay."""
        await self._some_time(span)
        self._say("Redis is flushed")
        self._house.flush()
        self._oracle.forget(0.0)

    async def deploys(self, span: float) -> None:
        """Deploy other templates: bakers start anew one after the other, and some time the site says so, all by drawn
        turns."""
        await self._some_time(span)
        house, random = self._house, self._random
        house.edition = random.randint(editions.FIRST + 1, editions.LAST)
        self._say(f"edition {house.edition} is deployed")
        await asyncio.gather(self._announce(), *[self._upgrade(number) for number in list(house.bakers)])

    async def _announce(self) -> None:
        await asyncio.sleep(self._random.uniform(0, 2))
        row = await self._house.desk(calm=True).write(writes.deploy(self._house.edition))
        self._say(f"{row.id if row else 'nothing'} is accepted: edition {self._house.edition} is current")
        self._house.wake_relay()

    async def _upgrade(self, number: int) -> None:
        await asyncio.sleep(self._random.uniform(0, 2))
        if (process := self._house.bakers[number]).alive:
            self._house.kill(process)
        self._house.start_baker(number)

    async def clock_of_redis_steps(self, span: float) -> None:
        """Let the clock of Redis step: back, or forward by less than its margins."""
        await self._some_time(span)
        step_s = self._random.uniform(-5, FORWARD_S)
        self._say(f"the clock of Redis steps by {step_s:.2f} s")
        self._house.step_us += round(step_s * 1e6)

    async def clocks_step(self, span: float) -> None:
        """Let the clock of a process step."""
        await self._some_time(span)
        if (process := self._anybody()) is not None:
            self._house.wall_steps[process.pid] = self._random.uniform(-100, 100)
