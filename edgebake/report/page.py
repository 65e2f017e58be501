"""The report as one HTML page: its charts are SVG, nothing is loaded from anywhere."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from edgebake.report import charts
from edgebake.report.document import Document
from edgebake.report.table import COLUMNS, bytes_of, cells, many, ms_of, share_of

PARTS = {
    "hits": "Hit",
    "refresh_hits": "RefreshHit",
    "misses": "Miss",
    "error_results": "Error",
    "other": "other or not told",
}
SHARES = {"hit_share": "hit %", "served_share": "served %"}
LATENCIES = {"first_byte_p50_ms": "p50", "first_byte_p99_ms": "p99"}


def page(report: Document) -> str:
    """Return the page of a report."""
    folder = FileSystemLoader(Path(__file__).parent)
    templates = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return templates.get_template("page.html.j2").render(
        report=report,
        many=many,
        figures=_figures(report["total"]),
        charts=_charts(report) if report["series"] else [],
        columns=COLUMNS,
        rows=[(row["feed"], cells(row)) for row in report["feeds"]],
        total=cells(report["total"]),
    )


def _figures(total: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("requests", f"{total['requests']:,}"),
        ("hits", share_of(total["hit_share"])),
        ("served by the edge", share_of(total["served_share"])),
        ("misses", f"{total['misses']:,}" if total["hit_share"] is not None else "-"),
        ("errors", f"{total['errors']:,}"),
        ("to viewers", bytes_of(total["bytes"])),
        ("first byte, p50", ms_of(total["first_byte_p50_ms"])),
        ("first byte, p99", ms_of(total["first_byte_p99_ms"])),
    ]


def _charts(report: Document) -> list[dict[str, Any]]:
    series = report["series"]
    time = charts.time_of(series, report["every_s"])
    slowest = max((row["first_byte_p99_ms"] or 0 for row in series), default=0)
    return [
        {
            "title": f"Requests, {_every(report['every_s'])}",
            "legend": list(PARTS.items()),
            "svg": charts.stacked(series, time, list(PARTS), _said),
        },
        {
            "title": "Hits and served by the edge",
            "legend": [(f"line{place}", name) for place, name in enumerate(SHARES.values())],
            "svg": charts.lines(series, time, list(SHARES), 1.0, "{:.0%}"),
        },
        {
            "title": "Time to first byte",
            "legend": [(f"line{place}", name) for place, name in enumerate(LATENCIES.values())],
            "svg": charts.lines(series, time, list(LATENCIES), charts.round_up(slowest), "{:,.4g} ms"),
        },
    ]


def _said(row: charts.Row) -> str:
    parts = ", ".join(f"{row[name]:,} {word}" for name, word in PARTS.items() if row[name])
    return f"{row['at']}: {row['requests']:,} requests ({parts}), p99 {ms_of(row['first_byte_p99_ms'])}"


def _every(seconds: int) -> str:
    for unit, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds % unit == 0:
            many = seconds // unit
            return f"a {name}" if many == 1 else f"each {many} {name}s"
    return f"each {seconds} s"
