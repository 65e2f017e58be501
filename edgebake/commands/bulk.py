"""`edgebake import`: users, posts and follows of authors and tags from files, straight into the system of record."""

import asyncio
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebake.commands.options import loaded
from edgebake.errors import CommandError
from edgebake.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from feeds.refusing import Refusing
    from publisher.importer import Format, ImportReport, Kind, Refusal


class What(StrEnum):
    """What a file can hold."""

    USERS = "users"
    POSTS = "posts"
    FOLLOWS = "follows"
    TAG_FOLLOWS = "tag-follows"


class Form(StrEnum):
    """How a file can be written."""

    CSV = "csv"
    NDJSON = "ndjson"


def import_(
    ctx: typer.Context,
    kind: Annotated[What, typer.Argument(help="What the file holds.")],
    file: Annotated[Path, typer.Argument(help="CSV with a header, or NDJSON; plain or gzip.", exists=True)],
    map_ids: Annotated[bool, typer.Option("--map-ids", help="Map ids outside the grammar; see `edgebake id`.")] = False,
    form: Annotated[Form | None, typer.Option("--format", help="Where its name does not say.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Return once the last change is live at the edge.")] = False,
) -> None:
    """Import a file. A row that is refused is told with its line and reason, and the others are kept."""
    from edgebake.running import with_redis
    from publisher.importer import format_of

    settings = with_redis(loaded(ctx))
    written = form.value if form else format_of(file)
    report = asyncio.run(_import(settings, kind.value, file, written, file.stat().st_size, map_ids=map_ids))
    print(f"{report.accepted} {kind.value} imported, {report.refused_count} rows refused")
    for change in report.changes[-1:]:
        print(f"the last change is {change}")
        if wait:
            _wait(ctx, change)
    if report.refused_count:
        raise CommandError(f"{report.refused_count} rows of {file} were refused; the others are kept.")


def _wait(ctx: typer.Context, change: str) -> None:
    from edgebake.client import Client
    from edgebake.running import with_api

    with Client(with_api(loaded(ctx))) as client:
        print(f"live after {client.until_live(change)['live']['ms']} ms")


async def _import(
    settings: Settings, kind: "Kind", file: Path, form: "Format", size: int, *, map_ids: bool
) -> "ImportReport":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    from edgebake.wiring import opened_record
    from publisher.importer import import_file

    columns = (TextColumn(kind), BarColumn(), DownloadColumn(), TextColumn("{task.fields[rows]} rows"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        task = bar.add_task(kind, total=size, rows=0)

        def on_progress(report: "ImportReport") -> None:
            bar.update(task, completed=report.bytes_read, rows=report.accepted)

        def on_refused(refusal: "Refusal") -> None:
            bar.console.print(f"{file}:{refusal.line}: {refusal.reason}", markup=False, highlight=False, soft_wrap=True)

        async with opened_record(settings) as record, _refusals(settings) as refuse:
            return await import_file(
                *(record, kind, file),
                format=form,
                map_ids=map_ids,
                on_progress=on_progress,
                on_refused=on_refused,
                refuse=refuse,
            )


@asynccontextmanager
async def _refusals(settings: Settings) -> "AsyncIterator[Callable[[], Awaitable[Refusing | None]] | None]":
    """Yield what says whether writes are refused; where no Redis is known, or it does not answer, they are not."""
    if not settings.redis_url:
        yield None
        return
    from redis.asyncio import Redis

    from feeds.refusing import Flag

    redis = Redis.from_url(settings.redis_url.reveal(), protocol=2)
    try:
        yield Flag(redis).read
    finally:
        await redis.aclose()
