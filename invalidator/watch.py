"""The watch over a queue: how long what waits has waited, and why. One that does not drain is loud."""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from cdn.pending import ShardState
from invalidator import metrics
from invalidator.plan import Plan, Why

REFUSED = "refused"
"""A batch that the edge did not take holds up what comes after it."""

LOUD_S = 60.0
"""Age of the oldest tag from which on the log says so, once in this time."""

REMEDIES = {
    Why.QUOTA: "the edge takes no more at once: ask AWS for a higher quota, and set EDGEBAKE_ITEMS_IN_PROGRESS to it",
    Why.TAPS: "second taps need the room first: ask AWS for a higher quota, and set EDGEBAKE_ITEMS_IN_PROGRESS to it",
    Why.MONEY: "EDGEBAKE_MONTHLY_ITEMS are spent: raise it, or let feeds expire",
    Why.HEADROOM: "the origin cannot bear to lose so much at once: add bakers, or let feeds expire",
    REFUSED: "the edge refuses a batch: the log says why, and what to do",
}

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Watch:
    """What is known of the queue of one edge."""

    edge: str
    reasons: Mapping[str, int] = field(default_factory=dict)
    _since: dict[int, tuple[int, float]] = field(default_factory=dict)
    _told: float = float("-inf")

    def planned(self, plan: Plan) -> None:
        """Note why a plan left tags waiting, and what it released."""
        self._reason(Counter(plan.left.values()))
        metrics.RELEASED.labels(self.edge).inc(sum(map(len, plan.released.values())))

    def refused(self, size: int) -> None:
        """Note that so many tags wait for a batch to be taken."""
        self._reason({REFUSED: size} if size else {})

    def look(self, shards: Mapping[int, ShardState], now: float) -> None:
        """Look at the queue, at a time in seconds: measure it, and say so where something waits for too long."""
        metrics.PENDING.labels(self.edge).set(sum(state.size for state in shards.values()))
        age = self._age(shards, now)
        metrics.OLDEST.labels(self.edge).set(age)
        if age >= LOUD_S and now - self._told >= LOUD_S:
            self._told = now
            log.error("%s", self._words(age))

    def _age(self, shards: Mapping[int, ShardState], now: float) -> float:
        """Return for how long the oldest count that an edge was not told of has been the oldest."""
        before, self._since = self._since, {}
        for shard, state in shards.items():
            if state.sent < state.count:
                count, since = before.get(shard, (state.sent, now))
                self._since[shard] = (state.sent, since if count == state.sent else now)
        return max((now - since for _, since in self._since.values()), default=0.0)

    def _reason(self, reasons: Mapping[str, int]) -> None:
        for why in REMEDIES:
            metrics.WAITING.labels(self.edge, why).set(reasons.get(why, 0))
        self.reasons = reasons

    def _words(self, age: float) -> str:
        told = "; ".join(f"{number} because {REMEDIES[why]}" for why, number in self.reasons.items())
        return f"The edge '{self.edge}' has not been told for {age:.0f} s of what changed. Tags wait: {told or 'none'}."
