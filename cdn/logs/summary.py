"""The summary of a log: in sum, over time, and by feed, counted in one pass."""

from collections.abc import Callable

from cdn.logs.latency import bin_of
from cdn.logs.popular import Popular
from cdn.logs.request import Request
from cdn.logs.series import Series
from cdn.logs.tally import Tally, code_of

FEEDS = 10_000
"""Feeds that are counted one by one at least, two kilobytes each; up to twice as many are exact."""


FAR_S = 2**40


class Summary:
    """Counts requests. ``named`` says to which feed a path counts."""

    def __init__(self, named: Callable[[bytes], str], feeds: int = FEEDS) -> None:
        self.feeds = Popular(named, feeds)
        self.series = Series()
        self.first = FAR_S
        self.last = -FAR_S

    def add(self, request: Request) -> None:
        """Count a request."""
        second, path, _, status, outcome, _, size, first_byte, _ = request
        if not self.first <= second <= self.last:
            self.first, self.last = min(self.first, second), max(self.last, second)
        code = code_of(outcome, status)
        time = bin_of(first_byte)
        self.feeds.of(path).add(code, size, time)
        self.series.of(second).add(code, size, time)

    @property
    def window(self) -> tuple[int, int] | None:
        """When the first and the last request were answered, None where there is none."""
        return None if self.last < self.first else (self.first, self.last)

    @property
    def total(self) -> Tally:
        """All of it; exact, however many feeds there are."""
        return self.series.total()
