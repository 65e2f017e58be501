"""The invalidator's metrics, all labelled with the edge."""

from prometheus_client import Counter, Gauge

PENDING = Gauge("edgebake_pending_tags", "Tags that wait to be sent, once a shard", ["edge"])
BATCHES = Counter("edgebake_batches_total", "Batches that the edge accepted", ["edge"])
ITEMS = Counter("edgebake_items_total", "Items in the batches that the edge accepted: what CloudFront bills", ["edge"])
REFUSALS = Counter("edgebake_refusals_total", "Calls that the edge refused or did not answer", ["edge", "error"])
FULL = Counter("edgebake_quota_full_total", "Times that a batch waited because the quota was full", ["edge"])
MONTH_ITEMS = Gauge("edgebake_month_items", "Items this month, first items and second taps", ["account", "tap"])
MONTH_COST = Gauge("edgebake_month_cost_dollars", "What this month's items cost so far", ["account"])
MONTH_FORECAST = Gauge("edgebake_month_forecast_dollars", "What this month's items will cost at its end", ["account"])
ITEMS_LEFT = Gauge("edgebake_month_items_left", "Items left of EDGEBAKE_MONTHLY_ITEMS, where it is set", ["account"])
REFUSING = Gauge("edgebake_refusing_writes", "1 while the API refuses writes because the month's items are spent")
