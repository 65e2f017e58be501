"""The oven: so many bakes at once, and so many more that wait their turn, none of them longer than it is worth.

Bakes of one turn of the event loop share their trips to Redis, so one alone costs more than one of many; more than
enough at once only makes all of them slower.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

from baker import metrics
from cdn.load import Report

BAKE_SHARE = 2 / 3
"""How much of a reader's patience a bake may take, its waiting included, where the rest is for what leaves in its
place."""

WINDOW = 3
"""Reports over which is looked back: with one a second, the last seconds."""

MEMORY = 1 / 16
"""Weight of the newest bake in the mean time of one."""


class Overloaded(Exception):
    """The baker has no room for a bake, and nothing to answer with in its place: ask again a little later."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many bakes at once, how many more may wait, and after how many seconds an edge would have given up."""

    at_once: int = 64
    queue: int = 512
    patience_s: float = 1.6

    def bake_s(self, *, instead: bool) -> float:
        """Return the seconds that a bake may take with its waiting; ``instead``: something can leave in its place."""
        return self.patience_s * BAKE_SHARE if instead else self.patience_s


def admits(bounds: Bounds, baking: int, waiting: int, mean_s: float, within_s: float) -> bool:
    """Decide whether one more may bake or wait, where a bake takes ``mean_s`` and it has to be done ``within_s``.

    As many as wait before it, and then itself, get their turns ``at_once`` in the time of one bake (Little's law).
    """
    if baking < bounds.at_once:
        return True
    return waiting < bounds.queue and (waiting + 1) / bounds.at_once * mean_s + mean_s <= within_s


class Oven:
    """The bakes of a process. ``clock`` returns seconds."""

    def __init__(self, bounds: Bounds, clock: Callable[[], float] = time.perf_counter) -> None:
        self.bounds = bounds
        self._clock = clock
        self._baking = 0
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()
        self._mean_s = 0.0
        self._waits: deque[list[float]] = deque([[]], WINDOW)
        self._most: deque[int] = deque([0], WINDOW)
        self._shed: deque[int] = deque([0], WINDOW)
        self.shed_ever = 0

    def has_room(self, within_s: float) -> bool:
        """Tell whether one more may bake or wait, and be done ``within_s`` seconds."""
        return admits(self.bounds, self._baking, len(self._queue), self._mean_s, within_s)

    async def turn(self) -> None:
        """Wait until there is room to bake, first come first served. Whoever gets a turn has to give it back."""
        self._most[-1] = max(self._most[-1], self._baking + len(self._queue) + 1)
        if self._baking < self.bounds.at_once:
            self._baking += 1
            return
        mine = asyncio.get_running_loop().create_future()
        self._queue[mine] = None
        metrics.WAITING.inc()
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                self._next()  # it had the turn already, and has no use for it
            raise
        finally:
            metrics.WAITING.dec()
            self._queue.pop(mine, None)

    def done(self, asked: float, began: float) -> None:
        """Give a turn back, which was asked for then and began then (seconds of ``clock``)."""
        now = self._clock()
        self._mean_s += (now - began - self._mean_s) * MEMORY
        self._waits[-1].append(now - asked)
        metrics.BAKE_WAIT_SECONDS.observe(began - asked)
        self._next()

    def shed(self) -> None:
        """Note that somebody asked for a bake and gets none."""
        self._shed[-1] += 1
        self.shed_ever += 1

    def report(self) -> Report:
        """Return how loaded the oven was since the last reports, ``WINDOW`` of them, and begin another."""
        waits = sorted(wait for some in self._waits for wait in some)
        wait_ms = waits[len(waits) * 99 // 100] * 1000 if waits else 0.0
        report = Report(max(self._most), wait_ms, sum(self._shed), self.bounds.at_once)
        self._waits.append([])
        self._most.append(self._baking + len(self._queue))
        self._shed.append(0)
        return report

    def _next(self) -> None:
        """Give a turn to the first in the queue who still wants it."""
        while self._queue:
            waiting, _ = self._queue.popitem(last=False)
            if not waiting.done():
                waiting.set_result(None)
                return
        self._baking -= 1
