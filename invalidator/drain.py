"""The drain loop: one for each edge, whoever holds its lease. Reads what is pending, plans, mints, sends, polls, taps.

A batch is stored before the first call. It leaves the store when the edge reports it complete, and, where it needs a
second tap, when the batch that carries that is complete too. A refusal is an error with what to do, a metric, and a
retry of the same bytes; it is never the end of a batch.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from redis.asyncio import Redis

from cdn import clock, keys, scripts
from cdn.edge import Edge
from cdn.errors import InvalidationRefused, InvalidationUnknown
from cdn.ledger import ALL_SHARDS
from cdn.pending import CallBudget, Minted, PendingSet, ShardState
from cdn.tags import GLOBAL
from feeds import trace
from feeds.progress import Board, Waiting, now_ms
from feeds.stream import came, hold, let_go, renewed
from feeds.trace import Step
from invalidator import metrics
from invalidator.means import Money, Origin, Silent, Unlimited
from invalidator.plan import Limits, Plan, View, asks_for_headroom, in_progress, next_tap_ms, plan
from invalidator.watch import Watch

LEASE_S = 5.0
IDLE_S = 0.25
"""How long the loop sleeps where nobody wakes it: what other processes recorded is found after this at the latest."""

WAITING = 2000
AT_ONCE = 1000
"""Tags of a shard that are looked at for one batch, in a storm: more than any edge takes in that time."""
TOLD = 200
"""Batches that are remembered for traces."""
MS_NS = 1_000_000
DENIED_AT_ONCE = 3
"""Batches that the edge denies for good, until somebody changes something, before no further one is tried."""

log = logging.getLogger(__name__)
events = logging.getLogger("edgebake.events")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until what the edge refused is sent again: at first, at the longest, and where only a person helps."""

    first_s: float = 0.5
    longest_s: float = 60.0
    denied_s: float = 30.0

    def wait_s(self, failed: int, *, passes: bool) -> float:
        """Return how long after the so many-th refusal: twice as long each time, and never at a round moment."""
        doubled = min(self.longest_s, self.first_s * 2 ** min(failed - 1, 20))
        return (doubled if passes else self.denied_s) * random.uniform(0.5, 1.0)


PATIENCE = Patience()


Looked = tuple[set[str], Mapping[int, ShardState]]
"""The ids of the stored batches, and the shards."""


@dataclass(frozen=True, slots=True)
class Told:
    """A batch that the edge took, and the edge's id of the call: for traces."""

    minted: Minted
    request: str


@dataclass(slots=True)
class Attempt:
    """A stored batch that is not done with: when it is next sent or asked after, and how often that failed.

    ``paid``: the call that sends it next is taken out of the budget already. ``denied``: the edge said no to it, and
    not because it is busy.
    """

    minted: Minted
    paid: bool = False
    due: float = 0.0
    failed: int = 0
    denied: bool = False

    @property
    def is_unsent(self) -> bool:
        """Whether the edge has still to accept it."""
        return self.minted.invalidation is None

    @property
    def is_complete(self) -> bool:
        """Whether it only waits for its second tap."""
        return bool(self.minted.done_ms)


class Drain:
    """The drain loop of one edge. ``others`` are the names of the further edges that a change has to reach."""

    def __init__(
        self,
        redis: Redis,
        edge: Edge,
        board: Board,
        calls: CallBudget,
        limits: Limits,
        *,
        poll_s: float,
        patience: Patience = PATIENCE,
        origin: Origin | None = None,
        money: Money | None = None,
        others: Sequence[str] = (),
    ) -> None:
        self._redis = redis
        self._edge = edge
        self._board = board
        self._calls = calls
        self._limits = limits
        self._poll_s = poll_s
        self._patience = patience
        self._origin = origin or Silent()
        self._money = money or Unlimited()
        self._pending = PendingSet(redis, edge.name)
        self._others = [PendingSet(redis, other) for other in others]
        self._lease = redis.lock(keys.lease(edge.name), timeout=LEASE_S, thread_local=False)
        self._open: dict[str, Attempt] = {}
        self._watch = Watch(edge.name)
        self._told: deque[Told] = deque(maxlen=TOLD)
        self._moved: set[int] = set()
        self._ours = False
        self.woken = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until ``stop`` is set. Where this failed and is called again, what is stored is taken up anew."""
        self._ours = False
        while not stop.is_set():
            self.woken.clear()
            wait = await self._turn()
            if wait > 0:
                await came(self.woken, wait)
        await let_go(self._lease)

    async def hold(self) -> bool:
        """Take or renew the lease; tell whether it is ours."""
        ours = await hold(self._lease)
        if ours and not self._ours:
            self._open = {}
            await self._pending.forget_lost()
        self._ours = ours
        return ours

    async def _turn(self) -> float:
        """Take a step where the lease is ours; return how many seconds the loop may sleep.

        What waits is read while the lease is renewed: as long as it is ours, nobody else moves anything.
        """
        if self._ours:
            still, looked = await asyncio.gather(renewed(self._lease), self._look())
            if still:
                return await self.step(looked)
        return await self.step() if await self.hold() else IDLE_S

    async def step(self, looked: Looked | None = None) -> float:
        """Do what is due; return how many seconds the loop may sleep. ``looked``: what a look just found."""
        stored, shards = looked or await self._look()
        if stored != self._open.keys():
            await self._take_up()
            _, shards = await self._look()
        held = self._is_held_up()
        self._moved.clear()
        self._watch.look(shards, asyncio.get_running_loop().time())
        if held:
            self._watch.refused(sum(state.size for state in shards.values()))
        wait = IDLE_S if held else await self._send_new(shards)
        for attempt in [attempt for attempt in self._open.values() if not attempt.is_complete]:
            wait = min(wait, await self._advance(attempt))
        metrics.UNTAPPED.labels(self._edge.name).set(sum(attempt.is_complete for attempt in self._open.values()))
        await self._settle(shards)
        return wait

    async def _look(self) -> Looked:
        """Return which batches are stored, and what waits: as much as can go now."""
        return await self._pending.look(ALL_SHARDS, 0 if self._is_held_up() else self._room())

    async def _take_up(self) -> None:
        """Take up what is stored and not known here.

        A loop that was here before may have stored batches and died, or have stored one after it lost its lease.
        """
        stored = await self._pending.stored()
        self._open = {m.batch.id: self._open.get(m.batch.id) or Attempt(m) for m in stored}

    async def _send_new(self, shards: Mapping[int, ShardState]) -> float:
        """Plan the next batch and mint it; return how many seconds there is nothing new to send."""
        view = await self._view(shards)
        planned = plan(view, self._limits)
        if GLOBAL in planned.tags and any(state.size > len(state.waiting) for state in shards.values()):
            most = max(state.size for state in shards.values())  # it drops what was not looked at, too
            planned = plan(replace(view, shards=await self._pending.read(ALL_SHARDS, most)), self._limits)
        self._watch.planned(planned)
        await self._forget(planned)
        if planned.tags:
            return await self._mint(planned)
        next_tap = next_tap_ms(view, self._limits)
        return IDLE_S if next_tap is None else min(IDLE_S, max(0, next_tap) / 1000 or self._poll_s)

    async def _view(self, shards: Mapping[int, ShardState]) -> View:
        """Return what the plan looks at. What costs a trip is asked for where it can matter."""
        now_ms = max(state.now_ms for state in shards.values())
        for attempt in self._open.values():
            attempt.minted = attempt.minted.by(now_ms)
        view = View(now_ms, shards, [attempt.minted for attempt in self._open.values()])
        if any(state.size for state in shards.values()):
            view = replace(view, money=await self._money.left())
        if asks_for_headroom(view, self._limits):
            wide = (await self._origin.headroom()).wide
            view = replace(view, wide=wide, global_ms=await self._global_ms())
        return view

    async def _forget(self, planned: Plan) -> None:
        """Forget what no edge has anything of: it was not told in time."""
        if planned.released:
            self._moved.update(planned.released)
            await self._pending.release(planned.released)
        for batch in planned.over:
            await self._finish(replace(self._open.pop(batch).minted, taps=()))

    async def _mint(self, planned: Plan) -> float:
        if wait_ms := await self._calls.spend():
            return wait_ms / 1000
        if GLOBAL in planned.tags:
            await self._note_global()
        minted = await self._pending.mint(planned.tags, planned.waiting, taps=planned.taps, covers=planned.covers)
        self._open[minted.batch.id] = Attempt(minted, paid=True)
        if planned.widened:
            metrics.WIDENED.labels(self._edge.name, planned.widened).inc()
        return 0.0

    async def _advance(self, attempt: Attempt) -> float:
        """Send a batch, or ask after it, if that is due; return how long until it is next."""
        now = asyncio.get_running_loop().time()
        if attempt.due <= now and not attempt.paid and attempt.is_unsent:
            attempt.due = now + await self._calls.spend() / 1000
            attempt.paid = attempt.due <= now
        if attempt.due > now:
            return attempt.due - now
        try:
            await self._call(attempt)
            attempt.failed = 0
            attempt.denied = False
            attempt.due = now + self._poll_s
        except InvalidationRefused as error:
            if isinstance(error, InvalidationUnknown):
                attempt.minted = await self._pending.unknown(attempt.minted)
            attempt.failed += 1
            attempt.denied = not error.passes
            attempt.due = now + self._back_off(attempt, error)
        return max(0.0, attempt.due - now)

    async def _call(self, attempt: Attempt) -> None:
        if attempt.minted.invalidation is None:
            attempt.paid = False
            await self._send(attempt)
        elif await self._edge.is_complete(attempt.minted.invalidation):
            await self._complete(attempt)

    async def _send(self, attempt: Attempt) -> None:
        """Send a batch. Its items are counted before it is noted as accepted: dying between the two sends it again.

        What is complete at once is noted in one step.
        """
        batch = attempt.minted.batch
        receipt = await self._edge.invalidate(batch)
        taps = self._second_taps(attempt.minted)
        spent = self._money.spent(len(batch.tags) - taps, taps, batch.id)
        if receipt.complete:
            now_ms, _ = await asyncio.gather(clock.now_ms(self._redis), spent)
            taken = replace(attempt.minted, invalidation=receipt.invalidation, accepted_ms=now_ms)
            attempt.minted = replace(taken, done_ms=now_ms)
            await self._complete(attempt)
        else:
            await spent
            self._moved.update(attempt.minted.shards)
            attempt.minted = await self._pending.accepted(attempt.minted, receipt.invalidation)
        self._told.append(Told(attempt.minted, receipt.request))
        self._measure(attempt.minted, taps)

    def _second_taps(self, minted: Minted) -> int:
        """Return how many of a batch's items are second taps: what a batch before it needs again."""
        covered = [self._open[name].minted for name in minted.covers if name in self._open]
        return len({tag for before in covered for tag in before.taps} & set(minted.batch.tags))

    def _measure(self, minted: Minted, taps: int) -> None:
        batch, name = minted.batch, self._edge.name
        metrics.BATCHES.labels(name).inc()
        metrics.ITEMS.labels(name, "first").inc(len(batch.tags) - taps)
        metrics.ITEMS.labels(name, "second").inc(taps)
        told = {"batch": batch.id, "items": len(batch.tags), "first": [f"#{tag}" for tag in batch.tags[:5]]}
        events.info("invalidation", extra={"fields": told | ({"second_taps": taps} if taps else {})})

    async def _complete(self, attempt: Attempt) -> None:
        """Note that a batch is complete; what it tapped is done with, and so is it, unless it needs a tap itself."""
        awaits = await self._finish(attempt.minted)
        for name in attempt.minted.covers:
            if covered := self._open.pop(name, None):
                self._moved.update(covered.minted.shards)
        if awaits is None:
            del self._open[attempt.minted.batch.id]
        else:
            attempt.minted = awaits

    async def _finish(self, minted: Minted) -> Minted | None:
        self._moved.update(minted.shards)
        return await self._pending.completed(minted)

    def _back_off(self, attempt: Attempt, error: InvalidationRefused) -> float:
        wait = self._patience.wait_s(attempt.failed, passes=error.passes)
        metrics.REFUSALS.labels(self._edge.name, type(error).__name__).inc()
        level = logging.WARNING if error.passes else logging.ERROR
        log.log(level, "%s Batch %s is sent again in %.1f s.", error, attempt.minted.batch.id, wait)
        return wait

    def _is_held_up(self) -> bool:
        """Tell whether a new batch would only be refused too: one waits for the edge to have time, or many are denied.

        One that is denied does not hold up the next: it may be the only one that the edge will not have.
        """
        unsent = [attempt for attempt in self._open.values() if attempt.is_unsent]
        return len(unsent) >= DENIED_AT_ONCE or not all(attempt.denied for attempt in unsent)

    def _room(self) -> int:
        """Return how many tags of a shard are worth reading: what can go, and one to know that more waits."""
        free = self._limits.max_in_progress - in_progress(attempt.minted for attempt in self._open.values())
        return max(1, min(self._limits.max_items, free, AT_ONCE))

    async def _global_ms(self) -> int:
        (last,) = await scripts.execute(self._redis, [("GET", keys.last_global(self._edge.name))])
        return int(last or 0)

    async def _note_global(self) -> None:
        now = await clock.now_ms(self._redis)
        await scripts.execute(self._redis, [("SET", keys.last_global(self._edge.name), now)])

    async def _settle(self, shards: Mapping[int, ShardState]) -> None:
        """Note which readable changes are sent, and which are live: at this edge and at all others.

        ``shards`` were read before anything was moved; those where something was are read again.
        """
        moved = self._pending.read(sorted(self._moved), 0)
        waiting, again = await asyncio.gather(self._board.waiting(WAITING), moved)
        if not waiting:
            return
        shards = {**shards, **again}
        edges = [shards, *[await other.read(ALL_SHARDS, 0) for other in self._others]]
        until = max(state.now_ms for state in shards.values()) - self._limits.forgotten_ms
        sent_by, live_by = Past(edges, "sent"), Past(edges, "live")
        sent = [change for change in waiting if not change.sent and sent_by.has(change.counts)]
        live = [change for change in waiting if change.readable_ms <= until or live_by.has(change.counts)]
        await self._board.sent([change.change for change in sent])
        for change in sent:
            _measure(change, readable=change.readable_ms, sent=now_ms())
            self._trace_sent(change)
        for epoch in {change.epoch for change in live}:
            await self._board.live([change.change for change in live if change.epoch == epoch], epoch)
        self._tell(live)

    def _tell(self, live: Sequence[Waiting]) -> None:
        for change in live:
            _measure(change, live=now_ms())
            took = {"ms": now_ms() - change.accepted_ms} if change.accepted_ms else {}
            events.info("live", extra={"fields": {"change": change.change, **took}})
            if change.accepted_ms:
                began_ns, edge = change.accepted_ms * MS_NS, {"edge": self._edge.name}
                trace.tell(Step("change", change.change, began_ns, trace.began(), edge, whole=True))

    def _trace_sent(self, change: Waiting) -> None:
        """Tell of the step from readable to sent, with the batches that dropped tags of its shards meanwhile."""
        if not trace.is_on():
            return
        later = [told for told in self._told if told.minted.accepted_ms >= change.readable_ms]  # both of Redis' clock
        its = [told for told in later if not change.counts.keys().isdisjoint(told.minted.shards)]
        trace.step(
            "invalidate",
            change.change,
            change.readable_ms * MS_NS,
            edge=self._edge.name,
            batches=" ".join(told.minted.batch.id for told in its),
            invalidations=" ".join(told.minted.invalidation or "" for told in its),
            requests=" ".join(told.request for told in its),
        )


def _measure(change: Waiting, **at_ms: int) -> None:
    """Measure how long after its acceptance a change was so far; not where Redis has forgotten when that was."""
    for until, moment_ms in at_ms.items() if change.accepted_ms else ():
        metrics.CHANGE_SECONDS.labels(until).observe(max(0, moment_ms - change.accepted_ms) / 1000)


class Past:
    """What has come to a state at every edge. Changes that were recorded together share their counts: asked once."""

    def __init__(self, edges: Sequence[Mapping[int, ShardState]], state: str) -> None:
        self._up_to = {shard: min(getattr(shards[shard], state) for shards in edges) for shard in edges[0]}
        self._known: dict[int, tuple[Mapping[int, int], bool]] = {}

    def has(self, counts: Mapping[int, int]) -> bool:
        """Tell whether everything recorded up to these counts has, in every shard."""
        if id(counts) not in self._known:
            past = all(count <= self._up_to[shard] for shard, count in counts.items())
            self._known[id(counts)] = (counts, past)  # kept, so that nobody else gets its id
        return self._known[id(counts)][1]
