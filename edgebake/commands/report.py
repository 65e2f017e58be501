"""`edgebake report`: what the edge served, by its access logs."""

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebake.errors import CommandError

if TYPE_CHECKING:
    from cdn.logs.bucket import Client
    from cdn.logs.files import LogFile
    from edgebake.report.document import Document

WIDTH = 112
"""Columns that the table needs; a narrower terminal breaks its lines."""
FORMS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def report(
    logs: Annotated[list[str], typer.Argument(metavar="LOG...", help="Files, folders, s3://bucket/prefix.")],
    top: Annotated[int, typer.Option(help="Feeds to show.", min=1)] = 20,
    since: Annotated[datetime | None, typer.Option(formats=FORMS, help="From here on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=FORMS, help="Before this, UTC.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts there.")] = None,
    reconcile: Annotated[
        list[Path] | None,
        typer.Option(metavar="EVENTS", help="The origin's log: set its bakes beside the misses.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Count what the edge's access logs tell: hits and misses by feed, in sum and over time."""
    from cdn.logs.reader import Reader
    from cdn.logs.summary import Summary
    from edgebake.report.document import document
    from edgebake.report.names import feed_of
    from edgebake.report.origin import Origin
    from edgebake.report.reconciled import Reconciled
    from edgebake.report.window import Window, each

    window = Window.of(since, until)
    summary = Summary(feed_of)
    reconciled = Reconciled(Origin(reconcile), window) if reconcile else None
    takes = [summary.add, *([reconciled.account.request] if reconciled else [])]
    reader = Reader(window.only(each(takes)))
    for file in _found(logs):
        if window.may_hold(file):
            reader.read(file)
    made = document(reader, summary, top)
    if reconciled is not None:
        made["reconciled"] = reconciled.settle(summary.window)
    if html is not None:
        _write(html, made)
    if as_json:
        json.dump(made, sys.stdout)
        print()
    else:
        _show(made)


def _s3() -> "Client":
    """Return a client of S3, with the credentials and region that boto3 finds."""
    import boto3
    from botocore.config import Config

    client: Client = boto3.client("s3", config=Config(retries={"mode": "standard", "total_max_attempts": 5}))
    return client


def _found(logs: Iterable[str]) -> "Iterator[LogFile]":
    from cdn.logs.bucket import SCHEME, in_bucket
    from cdn.logs.files import on_disk

    for where in logs:
        yield from in_bucket(where, _s3()) if where.startswith(SCHEME) else on_disk(Path(where))


def _show(made: "Document") -> None:
    from rich.console import Console

    from edgebake.report.table import show

    console = Console(highlight=False, width=max(WIDTH, Console().width))
    show(console, made)
    if "reconciled" in made:
        from edgebake.report import reconciled

        reconciled.show(console, made["reconciled"])


def _write(path: Path, made: "Document") -> None:
    from edgebake.report.page import page

    try:
        path.write_text(page(made), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"the page was not written to '{path}': {error.strerror or error}") from error
