"""The drain loop: one for each edge, whoever holds its lease. Reads what is pending, plans, mints, sends, polls.

A batch is stored before the first call and leaves the store when the edge reports it complete. A refusal is an error
with what to do, a metric, and a retry of the same bytes; it is never the end of a batch.
"""

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from cdn import keys
from cdn.edge import Edge
from cdn.errors import EdgeBusy, InvalidationRefused, InvalidationUnknown
from cdn.ledger import ALL_SHARDS
from cdn.pending import CallBudget, Minted, PendingSet, ShardState
from feeds.progress import Board, Waiting, now_ms
from feeds.stream import came, hold, let_go
from invalidator import metrics
from invalidator.plan import Limits, Plan, plan

LEASE_S = 5.0
IDLE_S = 0.25
"""How long the loop sleeps where nobody wakes it: what other processes recorded is found after this at the latest."""

WAITING = 2000

log = logging.getLogger(__name__)
events = logging.getLogger("edgebake.events")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until what the edge refused is sent again: at first, at the longest, and where only a person helps."""

    first_s: float = 0.5
    longest_s: float = 60.0
    denied_s: float = 30.0


PATIENCE = Patience()


@dataclass(slots=True)
class Attempt:
    """A stored batch that is not complete: when it is next sent or asked after, and how often that failed.

    ``paid``: the call that sends it next is taken out of the budget already.
    """

    minted: Minted
    paid: bool = False
    due: float = 0.0
    failed: int = 0


class Drain:
    """The drain loop of one edge. ``others`` are the names of the further edges that a change has to reach."""

    def __init__(
        self,
        redis: Redis,
        edge: Edge,
        board: Board,
        budget: CallBudget,
        *,
        poll_s: float,
        patience: Patience = PATIENCE,
        others: Sequence[str] = (),
    ) -> None:
        self._edge = edge
        self._board = board
        self._budget = budget
        self._poll_s = poll_s
        self._patience = patience
        self._pending = PendingSet(redis, edge.name)
        self._others = [PendingSet(redis, other) for other in others]
        self._lease = redis.lock(keys.lease(edge.name), timeout=LEASE_S, thread_local=False)
        self._open: dict[str, Attempt] = {}
        self._limits = Limits(edge.max_items)
        self._ours = False
        self.woken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until ``stop`` is set."""
        while not stop.is_set():
            self.woken.clear()
            wait = await self.step() if await self.hold() else IDLE_S
            if wait > 0:
                await came(self.woken, wait)
        await let_go(self._lease)

    async def hold(self) -> bool:
        """Take or renew the lease; tell whether it is ours. If so, take up what is stored and not known here.

        A loop that was here before may have stored batches and died, or have stored one after it lost its lease.
        """
        ours = await hold(self._lease)
        if ours and not self._ours:
            self._open = {}
        if ours and await self._pending.ids() != self._open.keys():
            stored = await self._pending.stored()
            self._open = {m.batch.id: self._open.get(m.batch.id) or Attempt(m) for m in stored}
        self._ours = ours
        return ours

    async def step(self) -> float:
        """Do what is due; return how many seconds the loop may sleep."""
        shards = await self._pending.read(ALL_SHARDS, 0 if self._unsent() else self._edge.max_items)
        size = sum(state.size for state in shards.values())
        metrics.PENDING.labels(self._edge.name).set(size)
        wait = await self._send_new(shards) if size and not self._unsent() else IDLE_S
        attempts = list(self._open.values())
        for attempt in attempts:
            wait = min(wait, await self._advance(attempt))
        await self._settle(await self._pending.read(ALL_SHARDS, 0) if attempts else shards)
        return wait

    async def _send_new(self, shards: Mapping[int, ShardState]) -> float:
        if planned := plan(shards, self._in_progress(), self._limits):
            return await self._mint(planned)
        metrics.FULL.labels(self._edge.name).inc()
        return self._poll_s

    async def _mint(self, planned: Plan) -> float:
        if wait_ms := await self._budget.spend():
            return wait_ms / 1000
        minted = await self._pending.mint(planned.tags, planned.waiting)
        self._open[minted.batch.id] = Attempt(minted, paid=True)
        return 0.0

    async def _advance(self, attempt: Attempt) -> float:
        """Send a batch, or ask after it, if that is due; return how long until it is next."""
        now = asyncio.get_running_loop().time()
        if attempt.due <= now and not attempt.paid and attempt.minted.invalidation is None:
            attempt.due = now + await self._budget.spend() / 1000
            attempt.paid = attempt.due <= now
        if attempt.due > now:
            return attempt.due - now
        try:
            await self._call(attempt)
            attempt.failed = 0
            attempt.due = now + self._poll_s
        except InvalidationRefused as error:
            if isinstance(error, InvalidationUnknown):
                attempt.minted = await self._pending.unknown(attempt.minted)
            attempt.failed += 1
            attempt.due = now + self._back_off(attempt, error)
        return max(0.0, attempt.due - now)

    async def _call(self, attempt: Attempt) -> None:
        if attempt.minted.invalidation is None:
            attempt.paid = False
            await self._send(attempt)
        elif await self._edge.is_complete(attempt.minted.invalidation):
            await self._complete(attempt)

    async def _send(self, attempt: Attempt) -> None:
        batch = attempt.minted.batch
        receipt = await self._edge.invalidate(batch)
        attempt.minted = await self._pending.accepted(attempt.minted, receipt.invalidation)
        metrics.BATCHES.labels(self._edge.name).inc()
        metrics.ITEMS.labels(self._edge.name).inc(len(batch.tags))
        tags = [f"#{tag}" for tag in batch.tags[:5]]
        events.info("invalidation", extra={"fields": {"batch": batch.id, "items": len(batch.tags), "first": tags}})
        if receipt.complete:
            await self._complete(attempt)

    async def _complete(self, attempt: Attempt) -> None:
        await self._pending.completed(attempt.minted)
        del self._open[attempt.minted.batch.id]

    def _back_off(self, attempt: Attempt, error: InvalidationRefused) -> float:
        doubled = min(self._patience.longest_s, self._patience.first_s * 2 ** min(attempt.failed - 1, 20))
        passes = isinstance(error, EdgeBusy | InvalidationUnknown)
        wait = (doubled if passes else self._patience.denied_s) * random.uniform(0.5, 1.0)
        metrics.REFUSALS.labels(self._edge.name, type(error).__name__).inc()
        level = logging.WARNING if passes else logging.ERROR
        log.log(level, "%s Batch %s is sent again in %.1f s.", error, attempt.minted.batch.id, wait)
        return wait

    def _unsent(self) -> bool:
        """Tell whether a batch waits for its first acceptance: until then a new one would only be refused too."""
        return any(attempt.minted.invalidation is None for attempt in self._open.values())

    def _in_progress(self) -> int:
        return sum(len(attempt.minted.batch.tags) for attempt in self._open.values())

    async def _settle(self, shards: Mapping[int, ShardState]) -> None:
        """Note which readable changes are sent, and which are live: at this edge and at all others."""
        if not (waiting := await self._board.waiting(WAITING)):
            return
        edges = [shards, *[await other.read(ALL_SHARDS, 0) for other in self._others]]
        sent = [change for change in waiting if not change.sent and _past(change, edges, "sent")]
        live = [change for change in waiting if _past(change, edges, "live")]
        await self._board.sent([change.change for change in sent])
        await self._board.live([change.change for change in live])
        self._tell(live)

    def _tell(self, live: Sequence[Waiting]) -> None:
        for change in live:
            took = {"ms": now_ms() - change.accepted_ms} if change.accepted_ms else {}
            events.info("live", extra={"fields": {"change": change.change, **took}})


def _past(change: Waiting, edges: Sequence[Mapping[int, ShardState]], state: str) -> bool:
    """Tell whether everything recorded up to the change's counts has come to a state, in every shard it is in."""
    return all(count <= getattr(shards[shard], state) for shards in edges for shard, count in change.counts.items())
