"""The baker's metrics."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

BAKES = Counter("edgebake_bakes_total", "Artifacts baked, passed or not", ["kind", "format"])
BAKE_SECONDS = Histogram(
    "edgebake_bake_seconds", "Time to bake an artifact", buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2)
)
ANSWERS = Counter("edgebake_answers_total", "Answers that left the origin", ["status", "source"])
NOT_PASSED = Counter("edgebake_not_passed_total", "Answers that did not pass the fence and were baked again")
LATE = Counter("edgebake_late_total", "Answers that left marked late", ["why"])
WAITING = Gauge("edgebake_bakes_waiting", "Bakes that wait for their turn")
BAKE_WAIT_SECONDS = Histogram(
    "edgebake_bake_wait_seconds",
    "Time that a bake waited for its turn",
    buckets=(0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2),
)
SHED = Counter("edgebake_shed_total", "Requests that asked for a bake and got none", ["why"])
READ_THROUGH = Counter("edgebake_read_through_total", "Resources read from the system of record", ["resource"])


@cache  # finding a labelled counter takes longer than to count with it
def bakes(kind: str, format: str) -> Counter:
    """Return the counter of bakes of a kind in a format."""
    return BAKES.labels(kind, format)


@cache
def answers(status: int, source: str) -> Counter:
    """Return the counter of answers with a status from a source."""
    return ANSWERS.labels(str(status), source)
