"""Ticks: what many requests ask for in one turn of the event loop goes to Redis in one round trip."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

TRIP_S = 5.0
"""A trip that takes longer fails: one time-out a trip costs less than redis-py's own for each reply."""

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


class Tick(Generic[Ask, Answer]):
    """Gathers what is asked until the loop turns, or until a trip comes back, and asks it together.

    At most ``at_once`` trips are under way: under load the trips grow, not their number. One that takes longer than
    ``trip_s`` fails, so whoever asks waits for twice that at most.
    """

    def __init__(
        self, trip: Callable[[list[Ask]], Awaitable[Sequence[Answer]]], at_once: int = 2, trip_s: float = TRIP_S
    ) -> None:
        self._trip = trip
        self._trip_s = trip_s
        self._room = at_once
        self._asked: list[tuple[Ask, asyncio.Future[Answer]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled = False

    def ask(self, ask: Ask) -> asyncio.Future[Answer]:
        """Return the future answer. It raises what the trip raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._asked.append((ask, future))
        self._schedule(loop)
        return future

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._asked and self._room > 0 and not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._start)

    def _start(self) -> None:
        self._scheduled = False
        asked, self._asked = self._asked, []
        self._room -= 1
        task = asyncio.create_task(self._run(asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, asked: list[tuple[Ask, asyncio.Future[Answer]]]) -> None:
        waiting = [future for _, future in asked]
        try:
            async with asyncio.timeout(self._trip_s):
                answers = await self._trip([ask for ask, _ in asked])
            pairs = list(zip(waiting, answers, strict=True))  # all of them, before anybody has one
        except Exception as error:  # whatever it is, it belongs to those who asked
            for future in waiting:
                if not future.done():
                    future.set_exception(error)
        except BaseException:
            for future in waiting:  # or they would wait for ever
                future.cancel()
            raise
        else:
            for future, answer in pairs:
                if not future.done():
                    future.set_result(answer)
        finally:
            self._room += 1
            self._schedule(asyncio.get_running_loop())
