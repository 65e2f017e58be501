"""The drain loop: one for each edge, whoever holds its lease. Reads what is pending, plans, mints, sends, polls.

A batch is stored before the first call and leaves the store when the edge reports it complete. A refusal is an error
with what to do, a metric, and a retry of the same bytes; it is never the end of a batch.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from redis.asyncio import Redis

from cdn import keys
from cdn.edge import Edge
from cdn.errors import EdgeBusy, InvalidationRefused
from cdn.ledger import ALL_SHARDS
from cdn.pending import CallBudget, Minted, PendingSet, ShardState
from feeds.progress import Board, Waiting
from feeds.stream import hold
from invalidator import metrics
from invalidator.plan import Limits, Plan, plan

LEASE_S = 5.0
IDLE_S = 0.25
"""How long the loop sleeps where nobody wakes it: what other processes recorded is found after this at the latest."""

WAITING = 2000
FIRST_RETRY_S = 0.5
LONGEST_RETRY_S = 60.0
DENIED_RETRY_S = 30.0

log = logging.getLogger(__name__)
events = logging.getLogger("edgebake.events")


@dataclass(slots=True)
class Attempt:
    """A stored batch that is not complete: when it is next sent or asked after, and how often that failed."""

    minted: Minted
    due: float = 0.0
    failed: int = 0


class Drain:
    """The drain loop of one edge."""

    def __init__(self, redis: Redis, edge: Edge, board: Board, budget: CallBudget, *, poll_s: float) -> None:
        self._edge = edge
        self._board = board
        self._budget = budget
        self._poll_s = poll_s
        self._pending = PendingSet(redis, edge.name)
        self._lease = redis.lock(keys.lease(edge.name), timeout=LEASE_S, thread_local=False)
        self._open: dict[str, Attempt] = {}
        self._limits = Limits(edge.max_items)
        self._ours = False
        self.woken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until ``stop`` is set."""
        while not stop.is_set():
            self.woken.clear()
            wait = await self.step() if await self._hold() else IDLE_S
            with contextlib.suppress(TimeoutError):
                if wait > 0:
                    await asyncio.wait_for(self.woken.wait(), wait)

    async def _hold(self) -> bool:
        ours = await hold(self._lease)
        if ours and not self._ours:
            # A loop that was here before may have stored batches and died: take them up as they are stored.
            self._open = {minted.batch.id: Attempt(minted) for minted in await self._pending.stored()}
        self._ours = ours
        return ours

    async def step(self) -> float:
        """Do what is due; return how many seconds the loop may sleep."""
        shards = await self._pending.read(ALL_SHARDS, self._edge.max_items)
        metrics.PENDING.labels(self._edge.name).set(sum(len(state.waiting) for state in shards.values()))
        wait = await self._send_new(shards)
        for attempt in list(self._open.values()):
            wait = min(wait, await self._advance(attempt))
        if self._open or any(state.waiting for state in shards.values()):
            shards = await self._pending.read(ALL_SHARDS, 0)
        await self._settle(shards)
        return wait

    async def _send_new(self, shards: Mapping[int, ShardState]) -> float:
        if not any(state.waiting for state in shards.values()) or self._unsent():
            return IDLE_S
        if planned := plan(shards, self._in_progress(), self._limits):
            return await self._mint(planned)
        metrics.FULL.labels(self._edge.name).inc()
        return self._poll_s

    async def _mint(self, planned: Plan) -> float:
        if wait_ms := await self._budget.spend():
            return wait_ms / 1000
        minted = await self._pending.mint(planned.tags, planned.waiting)
        self._open[minted.batch.id] = Attempt(minted)
        return 0.0

    async def _advance(self, attempt: Attempt) -> float:
        """Send a batch, or ask after it, if that is due; return how long until it is next."""
        now = asyncio.get_running_loop().time()
        if attempt.due <= now and attempt.failed and attempt.minted.invalidation is None:
            attempt.due = now + await self._budget.spend() / 1000
        if attempt.due > now:
            return attempt.due - now
        try:
            if attempt.minted.invalidation is None:
                await self._send(attempt)
            elif await self._edge.is_complete(attempt.minted.invalidation):
                await self._complete(attempt)
            attempt.failed = 0
            attempt.due = now + self._poll_s
        except InvalidationRefused as error:
            attempt.failed += 1
            attempt.due = now + self._back_off(attempt, error)
        return max(0.0, attempt.due - now)

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
        doubled = min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** (attempt.failed - 1))
        wait = (doubled if isinstance(error, EdgeBusy) else DENIED_RETRY_S) * random.uniform(0.5, 1.0)
        metrics.REFUSALS.labels(self._edge.name, type(error).__name__).inc()
        level = logging.WARNING if isinstance(error, EdgeBusy) else logging.ERROR
        log.log(level, "%s Batch %s is sent again in %.1f s.", error, attempt.minted.batch.id, wait)
        return wait

    def _unsent(self) -> bool:
        """Tell whether a batch waits for its first acceptance: until then a new one would only be refused too."""
        return any(attempt.minted.invalidation is None for attempt in self._open.values())

    def _in_progress(self) -> int:
        return sum(len(attempt.minted.batch.tags) for attempt in self._open.values())

    async def _settle(self, shards: Mapping[int, ShardState]) -> None:
        """Note which readable changes are sent, and which are live."""
        waiting = await self._board.waiting(WAITING)
        sent = [change for change in waiting if not change.sent and _past(change, shards, "sent")]
        live = [change for change in waiting if _past(change, shards, "live")]
        await self._board.sent([change.change for change in sent])
        await self._board.live([change.change for change in live])
        self._tell(live)

    def _tell(self, live: Sequence[Waiting]) -> None:
        for change in live:
            events.info("live", extra={"fields": {"change": change.change}})


def _past(change: Waiting, shards: Mapping[int, ShardState], state: str) -> bool:
    """Tell whether everything recorded up to the change's counts has come to a state, in every shard it is in."""
    return all(count <= getattr(shards[shard], state) for shard, count in change.counts.items())
