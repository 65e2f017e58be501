"""`edgebake audit`: a prober that reads feeds as a client does, and says how many changes were visible within when."""

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebake.commands.options import Host, loaded
from edgebake.settings import Settings

if TYPE_CHECKING:
    from invalidator.prober import Effort
    from invalidator.tally import Tally

MISSED = 1
"""The exit status where there was a miss, or a feed that nobody answered for in the end."""
TIMEOUT_S = 10.0
SHOWN = 20
"""Misses that the table names; `--json` has all that are kept."""


def audit(
    ctx: typer.Context,
    duration: Annotated[float, typer.Option(help="Seconds to take up changes for; 0: until Ctrl-C.", min=0)] = 0,
    once: Annotated[int, typer.Option(help="Changes to take up, and then end; 0: any number.", min=0)] = 0,
    sample: Annotated[int, typer.Option(help="Feeds in the panel.", min=1)] = 100,
    within: Annotated[float, typer.Option(help="Seconds until the last look at a change.", min=1)] = 300,
    port: Annotated[int, typer.Option(help="Port of /metrics while it runs; 0: none.", min=0)] = 0,
    host: Host = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Follow changes, read feeds through the edge, and report how many were visible within which time."""
    from edgebake.running import found, with_redis

    here = loaded(ctx, host=host)
    settings = with_redis(here)
    running = None if settings.public_url else found(here)
    url = running["edge"] if running else settings.public
    effort = _effort(settings, feeds=sample, once=once, within=within)
    if port:
        from prometheus_client import start_http_server

        start_http_server(port, addr=settings.host)
    tally = asyncio.run(_audit(settings, url, effort, duration))
    if as_json:
        json.dump(tally.report(), sys.stdout)
        print()
    else:
        _show(tally.report())
    if not tally.ok:
        raise typer.Exit(MISSED)


def _effort(settings: Settings, *, feeds: int, once: int, within: float) -> "Effort":
    from invalidator.audit import LOOKS_S
    from invalidator.prober import Effort

    looks = (*(look for look in LOOKS_S if look < within), within)
    life_s = min(settings.feed_ttl + settings.stale_while_revalidate, settings.max_ttl)
    return Effort(life_s, feeds, looks_s=looks, once=once, order=settings.feed_order, own_posts=settings.own_posts)


async def _audit(settings: Settings, url: str, effort: "Effort", duration: float) -> "Tally":
    import httpx

    from cdn.pending import PendingSet
    from edgebake.process import Process
    from edgebake.wiring import EDGE, opened_record, opened_redis
    from invalidator.prober import Prober
    from invalidator.viewer import Viewer

    process = Process(supervised=False)
    async with (
        opened_record(settings, migrate=False) as record,
        opened_redis(settings, record) as redis,
        # Not through the machine's proxy, which may cache too.
        httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http,
    ):
        prober = Prober(redis, record, Viewer(http, url, effort.life_s), [PendingSet(redis, EDGE)], effort)
        ending = asyncio.create_task(_end(prober.closing, prober.stop, process.stop, duration))
        try:
            return await prober.run()
        finally:
            ending.cancel()


async def _end(closing: asyncio.Event, stop: asyncio.Event, told: asyncio.Event, duration: float) -> None:
    """Take up no more changes when the time is over; end everything when told to."""
    try:
        async with asyncio.timeout(duration or None):
            await told.wait()
    except TimeoutError:
        closing.set()
        await told.wait()
    stop.set()


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("visible within")
    for name in ("changes", "of", "share", "nines"):
        table.add_column(name, justify="right")
    for row in report["visible"]:
        share = "-" if row["share"] is None else f"{row['share']:.4%}"
        sign = "≥ " if row["visible"] == row["of"] else ""
        nines = "-" if row["nines"] is None else f"{sign}{row['nines']:.1f}"
        table.add_row(f"{row['seconds']:g} s", f"{row['visible']:,}", f"{row['of']:,}", share, nines)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print("\n".join(_lines(report)), markup=False)


def _lines(report: dict[str, Any]) -> list[str]:
    taps = report["second_taps"]
    lines = [
        "changes: " + (", ".join(f"{count:,} {fate}" for fate, count in report["changes"].items()) or "none"),
        "answers: " + (", ".join(f"{count:,} {seen}" for seen, count in report["answers"].items()) or "none"),
        f"the second tap found something for {taps['found']:,} of {taps['changes']:,} changes that waited for one",
        f"missed: {report['missed']:,}; not answered in the end: {report['unanswered']:,}",
    ]
    for miss in report["misses"][:SHOWN]:
        times = ", ".join(f"{step} {ms}" for step, ms in miss["times"].items())
        lines += [
            f"  {miss['change']} ({miss['kind']}, {miss['subject']}) in {miss['feed']}: {miss['why']}",
            f"    asked {miss['asked_ms']}, count {miss['count']} of {miss['needed']}; {times}",
            f"    tags {' '.join(miss['tags'])}; batches {' '.join(miss['batches']) or 'none seen'}",
        ]
    return [*lines, f"It cannot see: {report['cannot_see']}."]
