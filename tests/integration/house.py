"""All that stands behind the loop, one step at a time: a test decides when each part works, and sees what it did."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection

from cdn.edge import Batch, Receipt
from cdn.errors import EdgeError
from cdn.ledger import Ledger
from cdn.pending import CallBudget
from feeds import affected, keys
from feeds.activity import Activity
from feeds.affected import Affected
from feeds.change import decode
from feeds.command import Command
from feeds.copies import Copies
from feeds.fanout import Fanout
from feeds.followers import Followers
from feeds.model import Entry, OrderKey, Post
from feeds.progress import Board, State
from feeds.record import Outcome, Record
from feeds.relay import Relay
from feeds.stream import Group
from feeds.timeline import Timelines
from feeds.truth import Truth
from invalidator.drain import Drain, Patience
from invalidator.means import Money, Origin
from invalidator.plan import Limits
from invalidator.recorder import Recorder
from tests.integration.ground import EDGE, MINUTE_MS, Ground

Compare = Callable[[AbstractConnection], Awaitable[None]]

AT_ONCE = Patience(0.0, 0.0, 0.0)
FORGOTTEN_MS = 5 * MINUTE_MS
"""How long after a change an edge may have something from before it."""
LINGER_MS = 20 * MINUTE_MS
"""How long an answer may live, where a test does not say otherwise."""


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 10) -> None:
    """Return as soon as a condition holds, of which only Redis or a running loop knows."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # what is waited for is in another process
            await asyncio.sleep(0.002)


async def kill(task: asyncio.Task[None]) -> None:
    """End a task where it stands, as a process ends that is killed."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.05)


class FakeEdge:
    """An edge that keeps the calls it got, and refuses or is slow to complete where a test says so."""

    max_items = 3000

    def __init__(self, name: str = EDGE, *, slow: bool = False) -> None:
        self.name = name
        self.slow = slow
        self.calls: list[Batch] = []
        self.refusals: list[EdgeError] = []
        self.unfinished: set[str] = set()

    @property
    def items(self) -> list[str]:
        """The items of all calls, in their order."""
        return [tag for batch in self.calls for tag in batch.tags]

    async def check(self) -> None:
        """Nothing is amiss."""

    async def invalidate(self, batch: Batch) -> Receipt:
        """Keep the call; refuse it where a refusal is laid ready."""
        self.calls.append(batch)
        if self.refusals:
            raise self.refusals.pop(0)
        if self.slow:
            self.unfinished.add(f"I-{batch.id}")
        return Receipt(f"I-{batch.id}", complete=not self.slow)

    async def is_complete(self, invalidation: str) -> bool:
        """Tell whether the test has let it finish."""
        if self.refusals:
            raise self.refusals.pop(0)
        return invalidation not in self.unfinished

    async def close(self) -> None:
        """Nothing is open."""


class Held(Record):
    """The system of record behind a gate: a read that a test holds has read, and comes back when the test says so."""

    def __init__(self, record: Record, *held: str) -> None:
        super().__init__(record._database)
        self._held = held
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def posts(self, ids: Sequence[str]) -> dict[str, Post]:
        """Read posts; hold them if asked to."""
        found = await super().posts(ids)
        await self._hold("posts")
        return found

    async def proposals(
        self, user: str, *, before: OrderKey | None, limit: int, own: bool, without: Collection[int] = ()
    ) -> list[Entry]:
        """Read proposals; hold them if asked to."""
        found = await super().proposals(user, before=before, limit=limit, own=own, without=without)
        await self._hold("proposals")
        return found

    async def latest(self, source: int, *, before: OrderKey | None, limit: int) -> list[Entry]:
        """Read a source's newest posts; hold them if asked to."""
        found = await super().latest(source, before=before, limit=limit)
        await self._hold("latest")
        return found

    async def followers(
        self, source: int, *, after: str = "", limit: int = 5000, active_since_ms: int | None = None
    ) -> list[str]:
        """Read followers; hold them if asked to."""
        found = await super().followers(source, after=after, limit=limit, active_since_ms=active_since_ms)
        await self._hold("followers")
        return found

    async def _hold(self, name: str) -> None:
        if name in self._held:
            self.reached.set()
            await self.go.wait()


def _nobody_waits() -> None:
    """The drain loop is stepped by hand."""


@dataclass
class House(Ground):
    """Every part of the loop but the baker, over one Redis and one system of record."""

    redis: Redis
    record: Record
    file: Path = Path()
    edge: FakeEdge = field(default_factory=FakeEdge)
    transit_ms: int = 0
    """How long an answer may be on its way to the edge: not at all, where a test does not say otherwise."""
    compare: Compare | None = None
    """What new connections do first, where they are as those of a process."""

    def __post_init__(self) -> None:
        super().__init__(self.redis)
        self.copies = Copies(self.redis)
        self.truth = Truth(self.redis, self.record)
        self.timelines = Timelines(self.redis, self.record)
        self.activity = self.activity_of(per_hour=1000)
        self.fanout = Fanout(self.redis, self.record, self.timelines, self.activity, linger_ms=LINGER_MS)
        self.relay = Relay(self.redis, self.record)
        self.board = Board(self.redis, self.record)
        self.ledger = Ledger(self.redis, [EDGE], self.transit_ms)
        self.recorder = Recorder(self.redis, self.ledger, self.board, "recorder", wake=_nobody_waits)
        self.drain = self.drain_of(self.edge)
        self._changes = Group(self.redis, keys.CHANGES, "fanout", "worker")
        self._affected = Group(self.redis, keys.AFFECTED, "invalidator", "recorder")

    def travel(self, transit_ms: int) -> None:
        """Let answers be on their way to the edge for so long at the most: what left within it is tapped."""
        self.transit_ms = transit_ms
        self.ledger = Ledger(self.redis, [EDGE], transit_ms)
        self.recorder = Recorder(self.redis, self.ledger, self.board, "recorder", wake=_nobody_waits)
        self.drain = self.drain_of(self.edge)

    def activity_of(self, *, per_hour: int, days: int = 30) -> Activity:
        """Return who is active, with another ceiling or another age than a house's own."""
        followers = Followers(self.redis, self.record)
        return Activity(
            self.redis, self.record, followers, self.timelines, days=days, per_hour=per_hour, linger_ms=LINGER_MS
        )

    def drain_of(
        self,
        edge: FakeEdge,
        *others: str,
        patience: Patience = AT_ONCE,
        limits: Limits | None = None,
        origin: Origin | None = None,
        money: Money | None = None,
    ) -> Drain:
        """Return a new drain loop, as a process that starts has one."""
        calls = CallBudget(self.redis, f"account-of-{edge.name}", 0)
        return Drain(
            self.redis,
            edge,
            self.board,
            calls,
            limits or self.limits_of(edge),
            poll_s=0.0,
            patience=patience,
            origin=origin,
            money=money,
            others=others,
        )

    def limits_of(self, edge: FakeEdge) -> Limits:
        """Return what an edge takes, and how long things take there."""
        return Limits(edge.max_items, FORGOTTEN_MS, self.transit_ms, complete_ms=1000)

    def by_hand(self, statement: str) -> None:
        """Change the system of record behind everybody's back."""
        with contextlib.closing(sqlite3.connect(self.file)) as connection, connection:
            connection.execute(statement)

    async def apply(self, *commands: Command) -> list[Outcome]:
        """Apply commands to the system of record."""
        return await self.record.apply(commands)

    async def fan_out(self, *commands: Command) -> list[Affected]:
        """Apply commands, relay what is in the outbox and let fan-out handle it; return what it reports."""
        await self.apply(*commands)
        await self.relay.relay()
        await self._changes.create()
        for name, fields in await self._changes.read(1000, 1):
            change = decode(fields[b"kind"].decode(), fields[b"body"])
            await self.fanout.handle(fields[b"id"].decode(), change)
            await self._changes.done([name])
        return await self._reported()

    async def step(self) -> None:
        """Let the drain loop do what is due."""
        await self.drain.step()

    async def loop(self, *commands: Command) -> list[str]:
        """Apply commands and carry them to the edge; return the ids of their changes."""
        changes = await self.read(*commands)
        await self.step()
        return changes

    async def read(self, *commands: Command) -> list[str]:
        """Apply commands and carry them until they are readable; return the ids of their changes."""
        outcomes = await self.apply(*commands)
        await self.recorder.record(await self.fan_out())
        return [outcome.change for outcome in outcomes if outcome.change]

    async def state(self, change: str) -> State | None:
        """Return how far a change is."""
        progress = await self.board.of(change)
        return progress.state if progress else None

    async def _reported(self) -> list[Affected]:
        await self._affected.create()
        entries = await self._affected.read(10_000, 1)
        await self._affected.done([name for name, _ in entries])
        return [affected.read(fields) for _, fields in entries]


@asynccontextmanager
async def open_house(redis_url: str, file: Path) -> AsyncIterator[House]:
    """Open a house over a Redis and a SQLite file that hold nothing."""
    redis = Redis.from_url(redis_url, protocol=2, socket_timeout=None)  # with one, tasks cannot be killed reliably
    record = await Record.open(f"sqlite:///{file}")
    await record.replay(1, margin_ms=0)  # what a test says was relayed long ago is not relayed again
    try:
        yield House(redis, record, file)
    finally:
        await record.close()
        await redis.aclose()
