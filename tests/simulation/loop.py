"""A deterministic event loop: virtual time, no threads, no sockets, and processes that may be killed at any await.

Each callback belongs to a *process* (or to the world outside: the network, the edges). What is ready in one process
runs in its order, as in asyncio; whose turn it is, is drawn. A process that is killed never runs again: its tasks do
not see a cancellation, and clean nothing up.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from random import Random
from typing import Any

CLOSES = 50
"""How often a coroutine is closed that awaits something while it is."""


@dataclass(eq=False, slots=True)
class Process:
    """A process: ``name`` is for people. ``pid`` counts from 0, which is the world outside."""

    name: str
    pid: int
    alive: bool = True
    asleep_until: float = 0.0
    ready: "deque[Handle]" = field(default_factory=deque)


@dataclass(eq=False, slots=True)
class Handle:
    """A callback that is due at a time: asyncio's own takes as long to make as the callback takes."""

    callback: Callable[..., object]
    args: tuple[Any, ...]
    context: Context
    process: Process
    due: float
    is_cancelled: bool = False

    def cancel(self) -> None:
        """Call nothing."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        """Tell whether nothing is called."""
        return self.is_cancelled

    def when(self) -> float:
        """Return the time at which it is due."""
        return self.due


_here: ContextVar[Process] = ContextVar("process")


class Loop(asyncio.AbstractEventLoop):
    """The event loop of one schedule."""

    def __init__(self, random: Random) -> None:
        self.world = Process("world", 0)
        self._draw = random.random
        self._outside = Context()
        self._now = 0.0
        self._timers: list[tuple[float, int, Handle]] = []
        self._turns: list[Process] = []
        self._made = 0
        self._pids = 1
        self._tasks: list[asyncio.Task[Any]] = []
        self._failed: BaseException | None = None
        self._frozen = False
        self.steps = 0

    def spawn(self, name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> Process:
        """Start a process."""
        process = Process(name, self._pids)
        self._pids += 1
        self._in(process, lambda: self.create_task(self._whole(process, main)))
        return process

    async def _whole(self, process: Process, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a process's main coroutine; what it raises fails the schedule, for nothing is to end a process."""
        try:
            await main()
        except Exception as error:
            self._failed = self._failed or error

    def run_in(self, process: Process, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start a task in a process."""
        self._in(process, lambda: self.create_task(coroutine))

    def outside(self, callback: Callable[..., object], *args: Any) -> None:
        """Call back soon in the world outside, whoever is running now."""
        self._queue(Handle(callback, args, self._outside, self.world, self._now))

    def outside_later(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Call back later in the world outside."""
        self.outside_at(self._now + max(0.0, delay), callback, *args)

    def outside_at(self, when: float, callback: Callable[..., object], *args: Any) -> None:
        """Call back at a time in the world outside: in the order of asking, where that is the same time."""
        self._made += 1
        heapq.heappush(self._timers, (when, self._made, Handle(callback, args, self._outside, self.world, when)))

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a task of the world outside."""
        made: list[asyncio.Task[Any]] = []
        self._in(self.world, lambda: made.append(self.create_task(coroutine)))
        return made[0]

    def here(self) -> Process:
        """Return the process that is running."""
        return _here.get(self.world)

    def kill(self, process: Process) -> None:
        """Kill a process: nothing of it runs any more."""
        process.alive = False
        process.ready.clear()

    def freeze(self, process: Process, seconds: float) -> None:
        """Let a process do nothing for a while, and then go on as if nothing had been."""
        process.asleep_until = max(process.asleep_until, self._now + seconds)

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run a schedule to its end, and put everything away. Raises what ``main`` or any task outside raises."""
        asyncio.events._set_running_loop(self)
        try:
            task = self.begin(main)
            while not task.done() and self._failed is None:
                self._step()
            if self._failed is not None:
                raise self._failed
            task.result()
        finally:
            self._frozen = True
            self._put_away()
            asyncio.events._set_running_loop(None)

    def _step(self) -> None:
        """Let time come where nothing is ready, and then one process do what is."""
        turns = self._turns
        if not turns:
            self._advance()
            return
        process = turns[int(self._draw() * len(turns))] if len(turns) > 1 else turns[0]
        if process.asleep_until > self._now:
            self._wake_later(process)
            return
        ready = process.ready
        self.steps += len(ready)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle.is_cancelled:
                handle.context.run(handle.callback, *handle.args)
            if not process.alive:
                break
        if not ready and process in turns:
            turns.remove(process)

    def _advance(self) -> None:
        """Go to the next moment at which something is due, and let that be ready; the world does it at once."""
        timers = self._timers
        if not timers:
            raise RuntimeError("nothing will ever happen any more")
        self._now = now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= now:
            handle = heapq.heappop(timers)[2]
            if handle.is_cancelled:
                continue
            self.steps += 1
            if handle.process is self.world:
                handle.context.run(handle.callback, *handle.args)
            else:
                self._queue(handle)

    def _wake_later(self, process: Process) -> None:
        self._turns.remove(process)
        waiting, process.ready = process.ready, deque()

        def again() -> None:
            for handle in waiting:
                self._queue(handle)

        self.call_at(process.asleep_until, again, context=self._outside)

    def _queue(self, handle: "Handle") -> None:
        process = handle.process
        if process.alive:
            if not process.ready:
                self._turns.append(process)
            process.ready.append(handle)

    def _in(self, process: Process, callback: Callable[[], object]) -> None:
        context = copy_context()
        context.run(_here.set, process)
        context.run(callback)

    def _put_away(self) -> None:
        """Close what is still under way, so that nothing complains of it later."""
        for task in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]  # as asyncio itself does
                _close(task.get_coro())
            elif not task.cancelled():
                task.exception()
        self._tasks.clear()
        self._timers.clear()

    # What asyncio asks of a loop.

    def time(self) -> float:
        """Return seconds since the schedule began."""
        return self._now

    def call_soon(  # type: ignore[override]  # any arguments
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> "Handle":
        """Call back in the turn that comes."""
        context = context or copy_context()
        handle = Handle(callback, args, context, context.get(_here, self.world), self._now)
        if not self._frozen:
            self._queue(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there are no threads

    def call_later(  # type: ignore[override]  # any arguments
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> "Handle":
        """Call back after some seconds."""
        return self.call_at(self._now + delay if delay > 0 else self._now, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # any arguments
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> "Handle":
        """Call back at a time."""
        context = context or copy_context()
        handle = Handle(callback, args, context, context.get(_here, self.world), when)
        self._made += 1
        if not self._frozen:
            heapq.heappush(self._timers, (when, self._made, handle))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        """Start a task."""
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks.append(task)
        if len(self._tasks) > 500:
            self._tasks = [one for one in self._tasks if not one.done()]
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Fail the schedule where a callback failed; what nobody awaited of a task is the task's affair."""
        error = context.get("exception")
        if "never retrieved" not in context.get("message", "") and isinstance(error, BaseException):
            self._failed = self._failed or error

    def get_debug(self) -> bool:
        """Tell that this is no debugging."""
        return False

    def is_running(self) -> bool:
        """Tell that the loop runs."""
        return True

    def is_closed(self) -> bool:
        """Tell that the loop is not closed."""
        return False


def _close(coroutine: Any) -> None:
    """Close a coroutine, whatever its clean-up raises or awaits: it was killed."""
    for _ in range(CLOSES):
        try:
            coroutine.close()
        except BaseException:  # noqa: S112  # it was killed
            continue
        return
