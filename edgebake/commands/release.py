"""`edgebake release`: the templates of this version become the current ones, as `up` does by itself."""

import asyncio
from typing import Annotated

import typer

from edgebake.commands.options import loaded
from edgebake.settings import Settings


def release(
    ctx: typer.Context,
    show: Annotated[bool, typer.Option("--show", help="Print both versions, and change nothing.")] = False,
) -> None:
    """Name the templates of this version as the current ones. What has others is dropped, shard by shard."""
    from edgebake.running import with_record

    print(asyncio.run(_release(with_record(loaded(ctx)), show=show)))


async def _release(settings: Settings, *, show: bool) -> str:
    """Return what was done, or would be."""
    from baker.render import template_version
    from edgebake.beginning import make_current
    from edgebake.wiring import opened_record
    from templates import FOLDER

    version = template_version(FOLDER)
    async with opened_record(settings, migrate=not show) as record:
        if show:
            current = (await record.site()).template_version
            return f"these templates: {version}\nthe site's: {current or 'none'}"
        changes = await make_current(record, version)
    return f"templates {version}: change {changes[0]}" if changes else f"templates {version} are current already"
