"""`edgebake config`: every setting, its value, and where that came from."""

import difflib
import os
from typing import Annotated

import typer

from edgebake.commands.options import loaded
from edgebake.sources import BY_VARIABLE, PREFIX, TABLE, Loaded, Row, shown

WIDE = 220
"""Columns where no terminal says how many there are: a line a setting, for grep."""


def config(
    ctx: typer.Context,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/settings.md instead.")] = False,
) -> None:
    """Print all settings with where each came from; secrets stay hidden."""
    if markdown:
        typer.echo(document(), nl=False)
        return
    found = loaded(ctx)
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(table(found))
    for name in sorted(name for name in os.environ if name.startswith(PREFIX)):
        if name.removesuffix("_FILE") not in BY_VARIABLE:
            close = difflib.get_close_matches(name, BY_VARIABLE, 1)
            typer.echo(f"{name} is set and is no setting{f'; did you mean {close[0]}?' if close else '.'}", err=True)


def table(found: Loaded) -> object:
    """Return the settings as a table for people."""
    from rich.table import Table
    from rich.text import Text

    made = Table("setting", "value", "from", "meaning", box=None, pad_edge=False)
    for row in TABLE:
        value = shown(row, getattr(found.settings, row.name))
        made.add_row(Text(row.variable), Text(value), Text(found.sources.get(row.name, "default")), Text(row.help))
    return made


def document() -> str:
    """Return docs/settings.md."""
    return INTRODUCTION + "\n".join(_section(row) for row in TABLE)


def _section(row: Row) -> str:
    default = shown(row, row.default)
    words = f"{row.words}; default {f'`{default}`' if default else 'empty'}"
    return f"## {row.variable}\n\n{row.help}\n\n*{words}*\n"


INTRODUCTION = """\
# Settings

Each setting has a default. It is taken from, each over the one before: the file `.env` in the folder where the command
runs, the environment, and a flag (`edgebake --set FEED_TTL=60 serve`; some commands have flags of their own). All are
checked together at start, and every problem is told at once. `edgebake config` prints them with where each came from.
A secret or a URL with a password may come from a file that `EDGEBAKE_<NAME>_FILE` names, as container platforms mount
them. This page is printed by `edgebake config --markdown`, and a test holds it to that.

"""
