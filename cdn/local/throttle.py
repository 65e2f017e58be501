"""A token bucket: so many calls a second in the long run, a few more at once."""

from cdn.local.config import Clock


class Throttle:
    """Counts calls against a rate; one without a rate admits all."""

    def __init__(self, per_s: float | None, burst: int, clock: Clock) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._tokens = float(burst)
        self._seen = clock()

    def admits(self) -> bool:
        """Tell whether one more call may pass now, and count it if so."""
        if self._per_s is None:
            return True
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._per_s)
        self._seen = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
