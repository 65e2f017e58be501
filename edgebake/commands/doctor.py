"""`edgebake doctor`: what would break collapsing, tags, freshness or privacy, before it does."""

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebake.commands.options import loaded
from edgebake.errors import CommandError

if TYPE_CHECKING:
    from edgebake.checks import Report
    from edgebake.sources import Loaded

UNWELL = 1
"""The exit status where something is wrong."""


class Part(StrEnum):
    """What doctor can look at alone."""

    EDGE = "edge"
    REDIS = "redis"
    DATABASE = "database"


def doctor(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Option(help="Look at a saved distribution.", show_default=False)] = None,
    save: Annotated[Path | None, typer.Option(help="Save the distribution as JSON.", show_default=False)] = None,
    only: Annotated[Part | None, typer.Option(help="Look at this alone.", show_default=False)] = None,
    lenient: Annotated[bool, typer.Option("--lenient", help="End with 0 where there are warnings alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Look at the distribution, Redis and the database, and say what is wrong and what to change."""
    here = loaded(ctx)
    if file is not None and (save is not None or only is not None):
        raise CommandError("--file looks at a saved distribution alone: leave out --save and --only.")
    if save is not None and only not in (None, Part.EDGE):
        raise CommandError(f"--save wants the distribution: leave out --only {only.value}.")
    report = asyncio.run(_report(here, file, only))
    if as_json:
        json.dump(document(report), sys.stdout)
        print()
    else:
        show(report)
    if save is not None:
        _save(save, report)
    if report.errors or (report.warnings and not lenient):
        raise typer.Exit(UNWELL)


def _save(file: Path, report: "Report") -> None:
    if not report.document:
        raise CommandError("--save: there is no distribution to save, see above.")
    try:
        file.write_text(json.dumps(report.document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--save is '{file}': it cannot be written: {error.strerror}.") from error


async def _report(here: "Loaded", file: Path | None, only: Part | None) -> "Report":
    """Look at what is asked for: a file and nothing besides, a part, or everything that the settings name."""
    from edgebake import checks
    from edgebake.running import with_edge, with_redis

    if file is not None:
        return checks.of_file(here.settings, file)
    settings = with_redis(here)
    report = checks.Report()
    if only in (None, Part.EDGE):
        report += await checks.of_edge(with_edge(here, settings))
    if only in (None, Part.REDIS):
        if not settings.redis_url:
            raise CommandError("EDGEBAKE_REDIS_URL is not set, and no `edgebake up` runs here: set it, or --only edge.")
        report += await checks.of_redis(settings)
    if only in (None, Part.DATABASE):
        report += await checks.of_record(settings)
    return report


def document(report: "Report") -> dict[str, Any]:
    """Return the report as JSON has it."""
    return {
        "looked_at": list(report.looked_at),
        "errors": report.errors,
        "warnings": report.warnings,
        "findings": [finding.document() for finding in report.findings],
        "notes": list(report.notes),
    }


def show(report: "Report") -> None:
    """Print the report for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if report.findings:
        table = Table(show_header=False, show_lines=True)
        for each in report.findings:
            style = "red" if each.severity == "error" else "yellow"
            told = Text.assemble(
                (f"{each.where}: {each.found}\n", "bold"), f"{each.why}\n", ("To do: ", style), each.to_do
            )
            table.add_row(Text(f"{each.severity}\n{each.code}", style), told)
        console.print(table)
    for name in report.looked_at:
        console.print(f"looked at {name}", markup=False)
    for note in report.notes:
        console.print(f"note: {note}", markup=False)
    console.print(f"{report.errors} errors, {report.warnings} warnings", markup=False)
