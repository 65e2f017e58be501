"""`edgebake edge`: the local edge, a small CloudFront for a laptop and the tests."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebake.commands.options import Host, Inherit, Supervised, settings_of
from edgebake.settings import Settings

if TYPE_CHECKING:
    from edgebake.process import Process


def edge(
    ctx: typer.Context,
    origin: Annotated[str, typer.Option(help="URL of the baker that it caches.", show_default=False)],
    port: Annotated[int | None, typer.Option(help="Port for viewers.", show_default=False)] = None,
    api_port: Annotated[int | None, typer.Option(help="Port of its API.", show_default=False)] = None,
    profile: Annotated[str | None, typer.Option(help="instant or cloudfront.", show_default=False)] = None,
    front_page: Annotated[Path | None, typer.Option(help="HTML to answer at /.", show_default=False)] = None,
    host: Host = None,
    inherit: Inherit = None,
    supervised: Supervised = False,
) -> None:
    """Run the local edge: a caching proxy with CloudFront's invalidation API beside it."""
    from edgebake.process import run

    settings = settings_of(ctx, host=host, edge_port=port, edge_api_port=api_port, edge_profile=profile)
    sockets = _sockets(settings, inherit)
    run(
        lambda process: _edge(process, settings, origin, front_page, sockets),
        events=settings.events,
        supervised=supervised,
    )


def _sockets(settings: Settings, inherit: list[str] | None) -> dict[str, socket.socket]:
    from edgebake.listeners import inherited, listen

    if inherit:
        return inherited(inherit)
    return {
        "edge": listen(settings.host, settings.edge_port, "EDGEBAKE_EDGE_PORT"),
        "edge_api": listen(settings.host, settings.edge_api_port, "EDGEBAKE_EDGE_API_PORT"),
    }


async def _edge(
    process: "Process", settings: Settings, origin: str, front_page: Path | None, sockets: dict[str, socket.socket]
) -> None:
    from cdn.local.app import LocalEdge
    from cdn.local.config import PROFILES, LocalEdgeConfig, TtlPolicy
    from edgebake.serving import serve

    config = LocalEdgeConfig(
        origin,
        profile=PROFILES[settings.edge_profile],
        ttl=TtlPolicy(max=settings.max_ttl),
        tag_header=settings.tag_header,
        front_page=front_page.read_bytes if front_page is not None else b"",
        response_completion_timeout_s=settings.origin_timeout_s,
    )
    local = LocalEdge(config)
    if await process.may_begin():
        await local.start()
        await serve(process, {"edge": local.proxy, "edge_api": local.api}, sockets, date=False)
        await local.close()
