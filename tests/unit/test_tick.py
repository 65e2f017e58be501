"""Ticks: what is asked in one turn goes in one trip, and whatever becomes of a trip, everybody hears of it."""

import asyncio
from collections.abc import Sequence

from feeds.tick import Tick


class Trips:
    """Doubles numbers; a trip waits at its gate, and does as it is told."""

    def __init__(self, *, open: bool = True) -> None:
        self.made: list[list[int]] = []
        self.gates: list[asyncio.Event] = []
        self.open = open
        self.error: BaseException | None = None
        self.lost = 0

    async def __call__(self, asks: list[int]) -> Sequence[int]:
        """Make a trip."""
        self.made.append(asks)
        gate = asyncio.Event()
        self.gates.append(gate)
        if not self.open:
            await gate.wait()
        if self.error is not None:
            raise self.error
        return [2 * ask for ask in asks][self.lost :]


async def turns() -> None:
    """Let everything go on that waits for nothing but its turn."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_asked_in_one_turn_is_one_trip_and_each_gets_their_own_answer() -> None:
    trips = Trips()
    tick = Tick(trips)
    assert await asyncio.gather(*(tick.ask(number) for number in range(5))) == [0, 2, 4, 6, 8]
    assert trips.made == [[0, 1, 2, 3, 4]]


async def test_no_more_trips_than_allowed_are_under_way_and_the_next_takes_all_who_wait() -> None:
    trips = Trips(open=False)
    tick = Tick(trips, at_once=2)
    asked = []
    for number in range(6):
        asked.append(tick.ask(number))
        await turns()
    assert trips.made == [[0], [1]]
    trips.gates[1].set()
    await turns()
    assert trips.made == [[0], [1], [2, 3, 4, 5]]
    for gate in trips.gates:
        gate.set()
    assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8, 10]


async def test_a_trip_that_fails_fails_for_all_of_it_and_the_next_goes() -> None:
    trips = Trips()
    tick = Tick(trips, at_once=1)
    trips.error = OSError("gone")
    failed = await asyncio.gather(tick.ask(1), tick.ask(2), return_exceptions=True)
    assert [str(error) for error in failed] == ["gone", "gone"]
    trips.error = None
    assert await tick.ask(3) == 6


async def test_a_trip_that_brings_too_few_answers_gives_nobody_a_wrong_one_and_leaves_nobody_waiting() -> None:
    trips = Trips()
    trips.lost = 1
    tick = Tick(trips)
    async with asyncio.timeout(5):
        failed = await asyncio.gather(tick.ask(1), tick.ask(2), return_exceptions=True)
    assert all(isinstance(error, ValueError) for error in failed)


async def test_a_trip_that_is_cancelled_leaves_nobody_waiting() -> None:
    trips = Trips()
    trips.error = asyncio.CancelledError()
    tick = Tick(trips)
    answered, _ = await asyncio.wait([tick.ask(1)], timeout=5)
    assert [future.cancelled() for future in answered] == [True]
    trips.error = None
    assert await tick.ask(2) == 4


async def test_who_no_longer_waits_disturbs_nobody() -> None:
    for error in (None, OSError("gone")):
        trips = Trips(open=False)
        trips.error = error
        tick = Tick(trips)
        gone, stays = tick.ask(1), tick.ask(2)
        await turns()
        gone.cancel()
        trips.gates[0].set()
        (answer,) = await asyncio.gather(stays, return_exceptions=True)
        assert answer == 4 or answer is error


async def test_what_is_asked_while_an_answer_is_handed_out_is_answered() -> None:
    trips = Trips()
    tick = Tick(trips, at_once=1)

    async def chain(number: int) -> int:
        return number if number > 40 else await chain(await tick.ask(number))

    assert list(await asyncio.gather(chain(1), chain(3), chain(5))) == [64, 48, 80]
