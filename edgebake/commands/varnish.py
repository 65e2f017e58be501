"""`edgebake varnish`: a Varnish with our VCL, for a laptop and the tests. In production varnishd runs by itself."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebake.commands.options import Host, Supervised, settings_of
from edgebake.settings import Settings

if TYPE_CHECKING:
    from edgebake.process import Process


def varnish(
    ctx: typer.Context,
    origin: Annotated[str, typer.Option(help="URL of the baker that it caches.", show_default=False)],
    port: Annotated[int | None, typer.Option(help="Port for viewers.", show_default=False)] = None,
    front_page: Annotated[Path | None, typer.Option(help="HTML to answer at /.", show_default=False)] = None,
    host: Host = None,
    supervised: Supervised = False,
) -> None:
    """Run varnishd, where it is installed, with Edgebake's VCL, before a baker."""
    from edgebake.process import run

    settings = settings_of(ctx, host=host, edge_port=port)
    run(
        lambda process: _varnish(process, settings, origin, front_page),
        events=settings.events,
        supervised=supervised,
    )


async def _varnish(process: "Process", settings: Settings, origin: str, front_page: Path | None) -> None:
    from edgebake.errors import CommandError
    from edgebake.varnish import Site, Varnish

    if not settings.varnish_secret:
        raise CommandError("EDGEBAKE_VARNISH_SECRET is not set: set it, here and for `edgebake work`.")
    site = Site(
        origin,
        settings.host,
        settings.edge_port,
        settings.varnish_secret.reveal(),
        settings.origin_timeout_s,
        settings.max_ttl,
        front_page,
    )
    if not await process.may_begin():
        return
    varnish = Varnish(settings.data_dir / "varnish", site)
    async with varnish.running() as child:
        process.ready()
        waiting = [asyncio.create_task(process.stop.wait()), asyncio.create_task(child.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        waiting[0].cancel()
        if not process.stop.is_set():
            raise varnish.ended(child)
