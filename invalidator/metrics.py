"""The invalidator's metrics, all labelled with the edge."""

from prometheus_client import Counter, Gauge

PENDING = Gauge("edgebake_pending_tags", "Tags that wait to be sent, once a shard", ["edge"])
BATCHES = Counter("edgebake_batches_total", "Batches that the edge accepted", ["edge"])
ITEMS = Counter("edgebake_items_total", "Items in the batches that the edge accepted: what CloudFront bills", ["edge"])
REFUSALS = Counter("edgebake_refusals_total", "Calls that the edge refused or did not answer", ["edge", "error"])
FULL = Counter("edgebake_quota_full_total", "Times that a batch waited because the quota was full", ["edge"])
