"""The invalidator's metrics. Most are labelled with the edge, those of money with the account."""

from prometheus_client import Counter, Gauge, Histogram

PENDING = Gauge("edgebake_pending_tags", "Tags that wait to be sent, once a shard", ["edge"])
WAITING = Gauge("edgebake_waiting_tags", "Tags that the last plan left waiting, by reason", ["edge", "why"])
OLDEST = Gauge("edgebake_oldest_waiting_seconds", "How long the edge has not been told of the oldest tag", ["edge"])
BATCHES = Counter("edgebake_batches_total", "Batches that the edge accepted", ["edge"])
ITEMS = Counter("edgebake_items_total", "Items in the batches that the edge accepted: what is billed", ["edge", "tap"])
UNTAPPED = Gauge("edgebake_batches_to_tap", "Complete batches that wait for their second tap", ["edge"])
WIDENED = Counter("edgebake_widened_total", "Times that the planner sent a wider tag in place of many", ["edge", "to"])
RELEASED = Counter("edgebake_released_total", "Tags that were not sent, for the edge has forgotten by itself", ["edge"])
REFUSALS = Counter("edgebake_refusals_total", "Calls that the edge refused or did not answer", ["edge", "error"])
ROLLING = Gauge("edgebake_rolling_shards_left", "Shards that a rolling invalidation has still to reach")
MONTH_ITEMS = Gauge("edgebake_month_items", "Items this month, first items and second taps", ["account", "tap"])
MONTH_COST = Gauge("edgebake_month_cost_dollars", "What this month's items cost so far", ["account"])
MONTH_FORECAST = Gauge("edgebake_month_forecast_dollars", "What this month's items will cost at its end", ["account"])
ITEMS_LEFT = Gauge("edgebake_month_items_left", "Items left of EDGEBAKE_MONTHLY_ITEMS, where it is set", ["account"])
REFUSING = Gauge("edgebake_refusing_writes", "1 while the API refuses writes because the month's items are spent")
CHANGE_SECONDS = Histogram(
    "edgebake_change_seconds",
    "Time from a change's acceptance until it was so far",
    ["until"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800),
)
