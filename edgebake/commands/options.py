"""What commands share: how they get at the settings, and the hidden options by which `up` starts its children."""

from typing import Annotated

import typer

from edgebake.settings import Settings
from edgebake.sources import Loaded, from_here

Supervised = Annotated[bool, typer.Option("--supervised", hidden=True)]
Inherit = Annotated[list[str] | None, typer.Option("--inherit", hidden=True)]
Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default=False)]


def loaded(ctx: typer.Context, **flags: object) -> Loaded:
    """Return the settings, with the flags given before the command and these."""
    return from_here({**ctx.obj, **flags})


def settings_of(ctx: typer.Context, **flags: object) -> Settings:
    """Return the settings alone."""
    return loaded(ctx, **flags).settings
