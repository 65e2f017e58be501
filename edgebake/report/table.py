"""The report in a terminal: the popular feeds as a table, a plot over time, and what was damaged."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from edgebake.report.document import Document

COLUMNS = ("requests", "hits", "refreshed", "misses", "hit %", "served %", "errors", "bytes", "p50", "p99")
WIDEST = 500
STRETCHES = 24
BAR = 48
PARTS = {
    "hits": ("█", "green"),
    "refresh_hits": ("▓", "cyan"),
    "misses": ("▒", "yellow"),
    "error_results": ("x", "red"),
    "other": ("░", "bright_black"),
}
"""What a bar is made of, how it is drawn where there are no colours, and in which colour."""
DAY = timedelta(days=1)


def show(console: Console, report: Document) -> None:
    """Print a report."""
    table = _table(report, cut=console.is_terminal)
    needed = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.width = max(console.width, needed)  # a number is never cut: a narrower terminal breaks lines
    console.print(table)
    if len(report["series"]) > 1:
        console.print(_legend())
        console.print(_plot(report))
        console.print()
    for line in _notes(report):
        console.print(Text(line))


def bytes_of(number: float) -> str:
    """Return a number of bytes for people, by thousands as AWS bills them."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} PB"


def many(number: int, noun: str) -> str:
    """Return a number of things for people."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def share_of(share: float | None) -> str:
    """Return a share for people."""
    return "-" if share is None else f"{share:.2%}"


def ms_of(ms: float | None) -> str:
    """Return milliseconds for people."""
    return "-" if ms is None else f"{ms:,.0f} ms"


def cells(row: Mapping[str, Any]) -> list[str]:
    """Return a row of the table, without its name."""
    told = row["hit_share"] is not None
    counts = [f"{row[name]:,}" if told else "-" for name in ("hits", "refresh_hits", "misses")]
    return [
        f"{row['requests']:,}",
        *counts,
        share_of(row["hit_share"]),
        share_of(row["served_share"]),
        f"{row['errors']:,}",
        bytes_of(row["bytes"]),
        ms_of(row["first_byte_p50_ms"]),
        ms_of(row["first_byte_p99_ms"]),
    ]


def _table(report: Document, *, cut: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("feed", no_wrap=True, overflow="ellipsis", min_width=12, max_width=40 if cut else None)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in report["feeds"]:
        table.add_row(Text(row["feed"]), *cells(row))
    table.add_row("all", *cells(report["total"]), style="bold")
    return table


def _legend() -> Text:
    words = ((f"{sign} {name.replace('_', ' ')}   ", style) for name, (sign, style) in PARTS.items())
    return Text.assemble(*words)


def _plot(report: Document) -> Table:
    """Return a bar for each stretch of time: how many requests, and what the edge made of them."""
    stretches = _stretches(report)
    most = max(stretch["requests"] for stretch in stretches)
    form = "%Y-%m-%d" if len(stretches) > 1 and stretches[1]["at"] - stretches[0]["at"] >= DAY else "%Y-%m-%d %H:%M"
    table = Table.grid(padding=(0, 1))
    for stretch in stretches:
        table.add_row(stretch["at"].strftime(form), _bar(stretch, most), f"{stretch['requests']:,}")
    return table


def _bar(stretch: Mapping[str, Any], most: int) -> Text:
    """Return a bar as long as there were requests; whatever there were, it can be seen."""
    bar = Text()
    done = drawn = 0
    for name, (sign, style) in PARTS.items():
        done += stretch[name]
        until = round(done * BAR / most)
        bar.append(sign * (until - drawn), style)
        drawn = until
    return bar if drawn or not done else Text("▏")


def _stretches(report: Document) -> list[dict[str, Any]]:
    """Return the series in at most ``STRETCHES`` rows of equal length, also those in which nothing was asked for."""
    rows = [(datetime.fromisoformat(row["at"]), row) for row in report["series"]]
    first, every = rows[0][0], timedelta(seconds=report["every_s"])
    step = -(-((rows[-1][0] - first) // every + 1) // STRETCHES) * every
    stretches = [
        {"at": first + place * step, "requests": 0} | dict.fromkeys(PARTS, 0)
        for place in range((rows[-1][0] - first) // step + 1)
    ]
    for at, row in rows:
        stretch = stretches[(at - first) // step]
        for name in ("requests", *PARTS):
            stretch[name] += row[name]
    return stretches


def _notes(report: Document) -> list[str]:
    counted, damaged = report["feeds_counted"], report["damaged"]
    lines = [
        f"{many(report['lines'], 'line')}, {many(report['files'], 'file')}; "
        f"{report['first'] or '-'} to {report['last'] or '-'}",
        "hit %: Hit of all requests, as AWS counts; served %: with RefreshHit; "
        f"p50, p99: time to first byte, ± {report['latency_error']:.0%}",
    ]
    if not counted["exact"]:
        most = max((row["may_lack"] for row in report["feeds"]), default=0)
        lines.append(
            f"There were more feeds than are counted one by one: a feed's numbers may lack up to {most:,} requests. "
            "The sum is exact."
        )
    if damaged["lines"] or damaged["files"]:
        lines.append(f"damaged: {many(damaged['lines'], 'line')}, {many(damaged['files'], 'file')}; the first of them:")
        for found in damaged["first"]:
            where = f"{found['file']}:{found['line']}" if found["line"] else found["file"]
            lines.append(f"  {where}: {found['why']}")
    return lines
