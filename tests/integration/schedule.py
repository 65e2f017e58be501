"""A schedule: tasks take turns at every trip to Redis and every read or write of the record, in an order that is drawn.

The same draws give the same interleaving. A task that waits for another one's lock is passed over.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import UnixDomainSocketConnection
from sqlalchemy.ext.asyncio import AsyncConnection

from feeds import scripts
from feeds.mapper import Mapper, Ranked, Shard
from feeds.record import Record
from feeds.wire import Wire
from feeds.writes.unit import Unit

T = TypeVar("T")

IDLE_S = 0.02
"""A task that reached no gate for so long waits for another."""


@dataclass
class Actor:
    """A task under a schedule, and those of its calls that wait for their turn."""

    name: str
    may_die: bool = False
    waiting: list[asyncio.Future[None]] = field(default_factory=list)
    task: asyncio.Task[Any] | None = None

    @property
    def is_done(self) -> bool:
        """Tell whether the task has ended."""
        return self.task is not None and self.task.done()


_actor: ContextVar[Actor | None] = ContextVar("actor", default=None)


async def gate() -> None:
    """Wait for the turn; whoever is under no schedule goes on."""
    actor = _actor.get()
    if actor is not None and not actor.is_done:
        turn = asyncio.get_running_loop().create_future()
        actor.waiting.append(turn)
        await turn


class Act:
    """What an actor does. One that ``may_die`` is killed where the dice say so."""

    def __init__(self, name: str, doing: Coroutine[Any, Any, Any], *, may_die: bool = False) -> None:
        self.actor = Actor(name, may_die)
        self._doing = doing

    def begin(self) -> None:
        """Begin as a task of its own."""
        context = copy_context()
        context.run(_actor.set, self.actor)
        self.actor.task = asyncio.get_running_loop().create_task(self._doing, context=context)


async def take_turns(acts: Sequence[Act], dice: random.Random) -> list[str]:
    """Let actors take turns to their ends; return the order in which they did. Raises what one of them raises."""
    actors = [act.actor for act in acts]
    for act in acts:
        act.begin()
    order: list[str] = []
    lucky: Actor | None = None
    while not all(actor.is_done for actor in actors):
        await _settled(actors)
        _let_go(actors)
        ready = [actor for actor in actors if actor.waiting and not actor.is_done]
        if not ready:
            continue
        if lucky not in ready or dice.random() < 0.4:
            lucky = dice.choice(ready)
        order.append(lucky.name)
        _turn(lucky, dice)
    _let_go(actors)
    for actor in actors:
        if actor.task is not None and not actor.task.cancelled():
            actor.task.result()
    return order


def _let_go(actors: Iterable[Actor]) -> None:
    """Let go on what those who have ended left behind."""
    for actor in actors:
        while actor.is_done and actor.waiting:
            _give(actor.waiting.pop(0))


def _give(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _turn(actor: Actor, dice: random.Random) -> None:
    turn = actor.waiting.pop(0)
    if actor.may_die and actor.task is not None and dice.random() < 0.05:
        actor.task.cancel()
        actor.waiting.append(turn)  # of a task that others wait for too, perhaps: it goes on
    else:
        _give(turn)


async def _settled(actors: Iterable[Actor]) -> None:
    """Wait until each actor has ended or waits for its turn, or seems to wait for another."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + IDLE_S
    while any(not (actor.is_done or actor.waiting) for actor in actors) and loop.time() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0)  # the loop goes round: what they wait for is Redis or a file


class TurnsConnection(UnixDomainSocketConnection):
    """A connection that waits for the turn before each trip."""

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Send commands."""
        try:
            await gate()
        except BaseException:
            await self.disconnect(nowait=True)
            raise
        await super().send_packed_command(command, check_health)


class TurnsWire(Wire):
    """A wire of a thread that waits for the turn before each trip."""

    loop: asyncio.AbstractEventLoop

    def send(self, commands: Iterable[scripts.Command]) -> list[Any]:
        """Send commands."""
        asyncio.run_coroutine_threadsafe(gate(), self.loop).result()
        return super().send(commands)


class Rankers:
    """Rank shards in threads of this process, a trip at a turn. One whose task is killed goes on: ``ended`` waits."""

    def __init__(self) -> None:
        self._threads: list[asyncio.Task[Ranked]] = []

    @asynccontextmanager
    async def open(self, redis_url: str, posts: bytes, _: int | None) -> AsyncIterator["Rankers.Ranker"]:
        """Open one of them."""
        yield Rankers.Ranker(self, redis_url, posts)

    async def ended(self) -> None:
        """Wait until all have ended."""
        await asyncio.gather(*self._threads)
        self._threads.clear()

    class Ranker:
        """Ranks with the same posts."""

        def __init__(self, rankers: "Rankers", redis_url: str, posts: bytes) -> None:
            self._rankers = rankers
            self._redis_url = redis_url
            self._posts = posts

        async def rank(self, shard: Shard) -> Ranked:
            """Rank a shard and write its timelines."""
            thread = asyncio.create_task(asyncio.to_thread(self._rank, asyncio.get_running_loop(), shard))
            self._rankers._threads.append(thread)
            return await asyncio.shield(thread)

        def _rank(self, loop: asyncio.AbstractEventLoop, shard: Shard) -> Ranked:
            mapper = Mapper(self._redis_url, self._posts)
            wires = [TurnsWire.opened(self._redis_url) for _ in mapper._wires]
            for wire in wires:
                wire.loop = loop
            mapper._wires = [*wires]
            try:
                return mapper.rank(shard)
            finally:
                mapper.close()


class TurnsRecord(Record):
    """A system of record that is read and written when it is the caller's turn."""

    async def _read(self, query: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        await gate()
        return await super()._read(query)

    async def _write(self, work: Callable[[Unit], Awaitable[T]], *, durable: bool = True) -> T:
        await gate()
        return await super()._write(work, durable=durable)


def redis_with_turns(url: str) -> Redis:
    """Return a client of a Valkey at a Unix socket."""
    pool: ConnectionPool = ConnectionPool.from_url(url, protocol=2, socket_timeout=None)
    return Redis.from_pool(ConnectionPool(connection_class=TurnsConnection, **pool.connection_kwargs))
