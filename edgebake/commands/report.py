"""`edgebake report`: what the edge served, by its access logs."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebake.commands.client import opened
from edgebake.errors import CommandError

if TYPE_CHECKING:
    from cdn.logs.bucket import Client as S3
    from cdn.logs.files import LogFile
    from edgebake.client import Client
    from edgebake.report.active import Tell
    from edgebake.report.document import Document

TOLD = (
    "active: {noted:,} users; not noted: {old:,} whose visit is too long ago, {unknown:,} whom nobody knows; left out: "
    "{requests_of_bots:,} requests of bots"
)


def report(
    ctx: typer.Context,
    logs: Annotated[list[str], typer.Argument(metavar="LOG...", help="Files, folders, s3://bucket/prefix.")],
    top: Annotated[int, typer.Option(help="Feeds to show.", min=1)] = 20,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From then on, UTC.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Before then, UTC.", show_default=False)] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts there.")] = None,
    reconcile: Annotated[
        list[Path] | None,
        typer.Option(metavar="EVENTS", help="The origin's log: set its bakes beside the misses.", show_default=False),
    ] = None,
    mark_active: Annotated[
        bool, typer.Option("--mark-active", help="Tell the API who read their feed, and what was shown.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Count what the edge's access logs tell: hits and misses by feed, in sum and over time."""
    from cdn.logs.summary import Summary
    from edgebake.report.active import Active
    from edgebake.report.names import feed_of
    from edgebake.report.origin import Origin
    from edgebake.report.reading import Reading
    from edgebake.report.reconciled import Reconciled
    from edgebake.report.window import Window

    window = Window.of(since, until)
    origin = Origin(reconcile) if reconcile else None
    reconciled = Reconciled(origin, window) if origin else None
    with ExitStack() as stack:
        active = Active(_teller(stack.enter_context(opened(ctx))), origin) if mark_active else None
        made = Reading(window, Summary(feed_of), reconciled, active).read(_found(logs), top)
    if as_json:
        json.dump(made, sys.stdout)
        print()
    else:
        _show(made)
    if html is not None:
        _write(html, made)
    if active is not None and active.failed is not None:
        raise active.failed


def _teller(client: "Client") -> "Tell":
    """Return what tells the API of visits."""
    return lambda visits: client.ask("POST", "/api/visits", {"visits": list(visits)})


def _s3() -> "S3":
    """Return a client of S3, with the credentials and region that boto3 finds."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        client: S3 = boto3.client("s3", config=Config(retries={"mode": "standard", "total_max_attempts": 5}))
    except (BotoCoreError, ValueError) as error:
        raise CommandError(f"S3 cannot be asked: {error}. Correct AWS_PROFILE, or how AWS is set up here.") from error
    return client


def _found(logs: Iterable[str]) -> "Iterator[LogFile]":
    from cdn.logs.bucket import SCHEME, in_bucket
    from cdn.logs.files import on_disk

    read: set[str] = set()
    for where in logs:
        for file in in_bucket(where, _s3()) if where.startswith(SCHEME) else on_disk(Path(where)):
            name = file.name if where.startswith(SCHEME) else str(Path(file.name).resolve())
            if name not in read:  # a folder, and a file in it once more
                read.add(name)
                yield file


def _show(made: "Document") -> None:
    from rich.console import Console

    from edgebake.report.table import show

    console = Console(highlight=False)
    show(console, made)
    if "reconciled" in made:
        from edgebake.report import reconciled

        reconciled.show(console, made["reconciled"])
    if "active" in made:
        console.print(TOLD.format(**made["active"]))


def _write(path: Path, made: "Document") -> None:
    from edgebake.report.page import page

    try:
        path.write_text(page(made), encoding="utf-8")
    except OSError as error:
        raise CommandError(f"the page was not written to '{path}': {error.strerror or error}") from error
