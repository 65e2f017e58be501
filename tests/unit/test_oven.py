"""The oven: who bakes now, who waits, and what it says of its load."""

import asyncio
from contextlib import suppress

import pytest

from baker.oven import Bounds, Oven, admits
from cdn.load import Report

BOUNDS = Bounds(at_once=10, queue=100, patience_s=1.5)


@pytest.mark.parametrize(
    ("baking", "waiting", "mean_s", "admitted"),
    [
        (9, 0, 9.0, True),  # room to bake now, however long it takes
        (10, 0, 0.1, True),
        (10, 99, 0.05, True),  # ten turns of 50 ms, and a bake
        (10, 100, 0.001, False),  # the queue is full
        (10, 99, 0.1, False),  # the queue is not, but its end is too far away
        (10, 0, 0.95, False),  # a turn, and then a bake, are too much already
    ],
)
def test_one_more_may_bake_or_wait(baking: int, waiting: int, mean_s: float, admitted: bool) -> None:
    assert admits(BOUNDS, baking, waiting, mean_s, within_s=1.0) is admitted


def test_a_bake_has_all_the_time_where_nothing_can_leave_in_its_place() -> None:
    assert (BOUNDS.bake_s(instead=True), BOUNDS.bake_s(instead=False)) == (1.0, 1.5)


class Clock:
    """Tells the seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        """Return them."""
        return self.now


def baked(oven: Oven, clock: Clock, seconds: float) -> None:
    """Give a turn back that was asked for, and began, so long ago."""
    began = clock.now
    clock.now += seconds
    oven.done(began, began)


async def waiting(oven: Oven) -> "asyncio.Task[None]":
    """Return a task that waits for its turn already."""
    task = asyncio.create_task(oven.turn())
    await asyncio.sleep(0)
    return task


async def test_turns_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    oven = Oven(Bounds(at_once=2, queue=9))
    for _ in range(2):
        await oven.turn()
    tasks = [await waiting(oven) for _ in range(3)]
    for done in range(1, 4):
        oven.done(0.0, 0.0)
        await asyncio.sleep(0)
        assert [task.done() for task in tasks] == [at < done for at in range(3)]


async def test_who_gives_up_waiting_is_passed_over() -> None:
    oven = Oven(Bounds(at_once=1, queue=9))
    await oven.turn()
    first, second = await waiting(oven), await waiting(oven)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    assert oven.report().baking == 3  # at most, lately
    assert [oven.report().baking for _ in range(3)][-1] == 2
    oven.done(0.0, 0.0)
    await second


async def test_a_turn_that_comes_to_one_who_gives_up_goes_to_the_next() -> None:
    oven = Oven(Bounds(at_once=1, queue=9))
    await oven.turn()
    first, second = await waiting(oven), await waiting(oven)
    oven.done(0.0, 0.0)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    async with asyncio.timeout(5):
        await second
    oven.done(0.0, 0.0)
    assert oven.has_room(1.0)
    async with asyncio.timeout(5):
        await oven.turn()


async def test_one_who_gives_up_in_the_moment_of_another_ones_end_is_passed_over() -> None:
    oven = Oven(Bounds(at_once=1, queue=9))
    await oven.turn()
    first, second = await waiting(oven), await waiting(oven)
    first.cancel()
    oven.done(0.0, 0.0)
    async with asyncio.timeout(5):
        await asyncio.gather(first, second, return_exceptions=True)
    assert not second.cancelled()


async def test_the_longer_bakes_take_the_fewer_may_wait() -> None:
    clock = Clock()
    oven = Oven(Bounds(at_once=1, queue=100, patience_s=1.5), clock)
    for _ in range(100):
        await oven.turn()
        baked(oven, clock, 0.01)
    await oven.turn()
    assert oven.has_room(1.0)
    baked(oven, clock, 100.0)
    await oven.turn()
    assert not oven.has_room(1.0)
    oven.done(clock.now, clock.now)
    assert oven.has_room(1.0)  # whoever comes while nobody bakes finds out whether it is still so slow


async def test_a_report_is_of_the_last_seconds_alone() -> None:
    clock = Clock()
    oven = Oven(Bounds(at_once=4, queue=7), clock)
    for seconds in (0.001, 0.5):
        await oven.turn()
        baked(oven, clock, seconds)
    oven.shed()
    reports = [oven.report() for _ in range(4)]
    assert reports[0] == Report(1, 500.0, 1, 4)
    assert reports[2] == reports[0]
    assert reports[3] == Report(0, 0.0, 0, 4)
