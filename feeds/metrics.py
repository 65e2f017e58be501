"""The metrics of relay, listener and fan-out."""

from prometheus_client import Counter, Gauge, Histogram

RELAYED = Counter("edgebake_relayed_total", "Changes that the relay numbered into the stream", ["kind"])
REPLAYED = Counter("edgebake_replayed_total", "Changes that were relayed again, for Redis may have forgotten them")
DROPPED = Counter("edgebake_dropped_messages_total", "Malformed messages on the pub/sub channel, dropped")
FANNED_OUT = Counter("edgebake_fanned_out_total", "Changes that fan-out made readable", ["kind"])
FANOUT_FAILURES = Counter("edgebake_fanout_failures_total", "Changes whose fan-out failed and is tried again", ["kind"])
PARKED = Gauge("edgebake_parked_changes", "Changes that always failed and are parked: each wants an operator")
FANOUT_SECONDS = Histogram(
    "edgebake_fanout_seconds", "Time to fan a change out", buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10)
)
RECOMPUTED = Counter("edgebake_recomputed_total", "Timelines that recalculations wrote")
RECOMPUTES = Counter("edgebake_recomputes_total", "Recalculations that this process ended", ["state"])
