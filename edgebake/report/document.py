"""The report as plain values: what ``--json`` prints, and what table, plot and page are made from."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cdn.logs.damage import Damage
from cdn.logs.latency import ERROR
from cdn.logs.popular import Popular
from cdn.logs.reader import Reader
from cdn.logs.request import Outcome
from cdn.logs.summary import Summary
from cdn.logs.tally import Tally

Document = Mapping[str, Any]


def document(reader: Reader, summary: Summary, top: int) -> dict[str, Any]:
    """Return the report; ``top`` feeds of it. Times are UTC, latencies milliseconds, shares between 0 and 1."""
    window = summary.window
    return {
        "files": reader.files,
        "lines": reader.lines,
        "damaged": _damaged(reader.damage),
        "first": moment(window[0]) if window else None,
        "last": moment(window[1]) if window else None,
        "latency_error": ERROR,
        "total": counted(summary.total),
        "feeds": [
            {"feed": name} | counted(tally) | {"may_lack": tally.lacks} for name, tally in summary.feeds.top(top)
        ],
        "feeds_counted": _counted_feeds(summary.feeds),
        "every_s": summary.series.width_s,
        "series": [{"at": moment(second)} | counted(tally) for second, tally in summary.series.all()],
    }


def counted(tally: Tally) -> dict[str, Any]:
    """Return what was counted of some requests."""
    return {
        "requests": tally.requests,
        "hits": tally.outcome(Outcome.HIT),
        "refresh_hits": tally.outcome(Outcome.REFRESH_HIT),
        "misses": tally.outcome(Outcome.MISS),
        "other": tally.outcome(Outcome.OTHER) + tally.outcome(Outcome.UNKNOWN),
        "error_results": tally.outcome(Outcome.ERROR),
        "errors": tally.errors,
        "hit_share": tally.hit_share,
        "served_share": tally.served_share,
        "bytes": tally.size,
        "first_byte_p50_ms": tally.first_byte_ms(0.5),
        "first_byte_p99_ms": tally.first_byte_ms(0.99),
        "statuses": {name: tally.status(kind) for kind, name in enumerate(("000", "1xx", "2xx", "3xx", "4xx", "5xx"))},
    }


def moment(second: int) -> str:
    """Return a second as JSON has it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _damaged(damage: Damage) -> dict[str, Any]:
    return {"lines": damage.lines, "files": damage.files, "first": [found._asdict() for found in damage.first]}


def _counted_feeds(feeds: Popular) -> dict[str, Any]:
    return {"kept": len(feeds.tallies), "forgotten": feeds.forgotten, "exact": feeds.exact}
