"""`edgebake park`: the changes that always failed: listed, retried, dropped."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from edgebake.commands.options import loaded
from edgebake.errors import CommandError

if TYPE_CHECKING:
    from feeds.record import ParkedRow, Record

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Named = Annotated[list[str] | None, typer.Argument(metavar="CHANGE...", help="Ids of changes.", show_default=False)]

SHOWN = 1000

app = typer.Typer(help="Changes that always failed and are tried no more: list, retry, drop.", no_args_is_help=True)


@app.command("list")
def list_(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the parked changes, the longest parked first."""
    rows = _with_record(ctx, lambda record: record.parked(SHOWN))
    if as_json:
        import json

        typer.echo(json.dumps([document(row) for row in rows]))
        return
    if not rows:
        typer.echo("nothing is parked")
        return
    from rich.console import Console

    Console().print(table(rows))
    typer.echo("Once what the errors say is mended: edgebake park retry CHANGE, or --all.")


@app.command()
def retry(
    ctx: typer.Context,
    changes: Named = None,
    everything: Annotated[bool, typer.Option("--all", help="All that are parked.")] = False,
    as_json: AsJson = False,
) -> None:
    """Relay parked changes anew: they are tried five times more."""
    if everything == bool(changes):
        raise typer.BadParameter("give either ids of changes or --all.")
    retried = _with_record(ctx, lambda record: record.retry(None if everything else changes))
    if as_json:
        import json

        typer.echo(json.dumps({"retried": retried}))
    for change in [] if as_json else retried:
        typer.echo(f"retried: {change}")
    _demand(set(changes or ()) - set(retried))
    if everything and not retried and not as_json:
        typer.echo("nothing is parked")


@app.command()
def drop(
    ctx: typer.Context,
    changes: Annotated[list[str], typer.Argument(metavar="CHANGE...", help="Ids of changes.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do it.")] = False,
) -> None:
    """Forget parked changes for good."""
    if not yes:
        raise CommandError(
            "a change that is dropped is never carried out, and nobody can retry it. What it wrote stays in the system "
            "of record, and its pages were dropped when it was parked, so they show it; where the log says that this "
            "failed too, timelines may lack it until they are rebuilt. To drop it nevertheless: --yes"
        )
    dropped = _with_record(ctx, lambda record: _drop(record, changes))
    for change in dropped:
        typer.echo(f"dropped: {change}")
    _demand(set(changes) - set(dropped))


async def _drop(record: "Record", changes: list[str]) -> list[str]:
    return [change for change in changes if await record.drop_parked(change)]


def _demand(missing: set[str]) -> None:
    if missing:
        named = ", ".join(sorted(missing))
        raise CommandError(f"not parked, or unknown: {named}; `edgebake park list` has those that are parked.")


def _with_record(ctx: typer.Context, ask: "Callable[[Record], Awaitable[T]]") -> T:
    from edgebake.running import with_record
    from edgebake.wiring import opened_record

    async def run() -> T:
        async with opened_record(with_record(loaded(ctx))) as record:
            return await ask(record)

    return asyncio.run(run())


def document(row: "ParkedRow") -> dict[str, Any]:
    """Return a parked change as JSON has it."""
    return {
        "change": row.change,
        "kind": row.kind,
        "subject": row.subject,
        "accepted": _moment(row.accepted_ms),
        "parked": _moment(row.parked_ms),
        "tries": row.tries,
        "error": row.error,
    }


def table(rows: "list[ParkedRow]") -> object:
    """Return the parked changes as a table for people: an id is never cut, for it is what they type next."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    made.add_column("change", no_wrap=True)
    made.add_column("about")
    made.add_column("error", overflow="fold")
    for row in rows:
        about = f"{row.subject} ({row.kind})\nparked {_moment(row.parked_ms)}\nafter {row.tries} tries"
        made.add_row(Text(row.change), Text(about), Text(row.error))
    return made


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
