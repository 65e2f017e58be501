"""The places that carry out invalidations: each edge location, the regional tier, the shield, each at its own pace.

No timers: what is due is looked up whenever something is asked (``settle``), so a clock in a test's hand is enough.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from cdn.local.config import Clock

NEVER = float("-inf")


class Due(NamedTuple):
    """Items that a place has to drop, and when."""

    at: float
    invalidation: str
    items: tuple[str, ...]


class Place:
    """A cache that is told what to drop, and does so ``effect_s`` later.

    ``withheld``: it is cut off and drops nothing until it is back, when it drops all that came due meanwhile.
    """

    def __init__(self, name: str, drop: Callable[[str], object], effect_s: float, clock: Clock) -> None:
        self.name = name
        self.withheld = False
        self._drop = drop
        self._effect_s = effect_s
        self._clock = clock
        self._pending: deque[Due] = deque()
        self._waiting: set[str] = set()
        self._last_drop = NEVER

    def tell(self, invalidation: str, items: tuple[str, ...]) -> None:
        """Have items dropped when they are due, which may be at once."""
        self._pending.append(Due(self._clock() + self._effect_s, invalidation, items))
        self._waiting.add(invalidation)
        self.settle()

    def settle(self) -> float:
        """Drop what is due, and return when anything was last dropped."""
        if self._pending and not self.withheld and self._pending[0].at <= self._clock():
            self._drop_due(self._clock())
        return self._last_drop

    def has_dropped(self, invalidation: str) -> bool:
        """Tell whether nothing of an invalidation is still to be dropped here."""
        self.settle()
        return invalidation not in self._waiting

    def _drop_due(self, now: float) -> None:
        while self._pending and self._pending[0].at <= now:
            due = self._pending.popleft()
            self._waiting.discard(due.invalidation)
            for item in due.items:
                self._drop(item)
        self._last_drop = now
