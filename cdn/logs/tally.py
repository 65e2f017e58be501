"""A tally: what is counted of a feed, or of a stretch of time, in some two kilobytes."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

from cdn.logs import latency
from cdn.logs.request import Outcome

STATUSES = 6
"""Classes of status: 000 (the viewer was gone), 1xx to 5xx."""
CODES = len(Outcome) * STATUSES


def code_of(outcome: Outcome, status: int) -> int:
    """Return the place in which a request is counted. What is no status is of class 0."""
    return outcome * STATUSES + _CLASSES[status]


_CLASSES = tuple(status // 100 if status < 600 else 0 for status in range(1000))


@dataclass(eq=False, slots=True)
class Tally:
    """Requests by outcome and class of status, bytes to viewers, and times to first byte."""

    counts: list[int] = field(default_factory=lambda: [0] * CODES)
    size: int = 0
    times: "array[int]" = field(default_factory=latency.empty)
    lacks: int = 0
    """Requests that it may lack at most, where more feeds were asked for than are kept."""

    def add(self, code: int, size: int, time: int) -> None:
        """Count a request: its place, its bytes, the bin of its time to first byte."""
        self.counts[code] += 1
        self.size += size
        self.times[time] += 1

    def merge(self, other: "Tally") -> None:
        """Count all that another counts too."""
        self.counts = [mine + others for mine, others in zip(self.counts, other.counts, strict=True)]
        self.size += other.size
        self.times = array("I", map(sum, zip(self.times, other.times, strict=True)))

    @property
    def requests(self) -> int:
        """All requests."""
        return sum(self.counts)

    def outcome(self, outcome: Outcome) -> int:
        """Return how many requests had an outcome."""
        return sum(self.counts[outcome * STATUSES : (outcome + 1) * STATUSES])

    def status(self, kind: int) -> int:
        """Return how many requests were answered with a status of a class, 2 for 2xx; 0: the viewer was gone."""
        return sum(self.counts[kind::STATUSES])

    @property
    def errors(self) -> int:
        """Requests that were answered with 4xx or 5xx, or not: the outcome is an error, or the viewer was gone."""
        wrong = (
            count
            for code, count in enumerate(self.counts)
            if code // STATUSES == Outcome.ERROR or code % STATUSES in (0, 4, 5)
        )
        return sum(wrong)

    @property
    def told(self) -> int:
        """Requests of which the log says how they were answered."""
        return self.requests - self.outcome(Outcome.UNKNOWN)

    @property
    def hit_share(self) -> float | None:
        """Hits of all requests, as AWS's popular objects report counts: a ``RefreshHit`` is no hit, and no miss."""
        return self.outcome(Outcome.HIT) / self.told if self.told else None

    @property
    def served_share(self) -> float | None:
        """Hits and refreshed hits of all requests: whose bytes came from the edge."""
        served = self.outcome(Outcome.HIT) + self.outcome(Outcome.REFRESH_HIT)
        return served / self.told if self.told else None

    def first_byte_ms(self, share: float) -> float | None:
        """Return the milliseconds until the first byte that ``share`` of the requests did not exceed."""
        return latency.quantile(self.times, share)


def total(tallies: Iterable[Tally]) -> Tally:
    """Return the sum of tallies."""
    whole = Tally()
    for tally in tallies:
        whole.merge(tally)
    return whole
