"""`edgebake edge`: the local edge, a small CloudFront for a laptop and the tests."""

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from edgebake.commands.options import Host, Inherit, Supervised, settings_of
from edgebake.settings import Settings

if TYPE_CHECKING:
    from cdn.distribution import Distribution
    from edgebake.process import Process


def edge(
    ctx: typer.Context,
    origin: Annotated[str, typer.Option(help="URL of what it caches: the baker, or any site.", show_default=False)],
    distribution: Annotated[
        Path | None, typer.Option(help="JSON of a distribution to run, as doctor --save writes it.", show_default=False)
    ] = None,
    all_paths: Annotated[
        bool, typer.Option("--all-paths", help="Cache a site of any paths, as its headers say.", show_default=False)
    ] = False,
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
    running = _distribution(settings, origin, distribution, all_paths)
    sockets = _sockets(settings, inherit)
    run(
        lambda process: _edge(process, settings, running, origin, front_page, sockets),
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


def _distribution(settings: Settings, origin: str, saved: Path | None, all_paths: bool) -> "Distribution":
    """Return what the edge runs: a saved one, one for any paths, or ours."""
    from cdn.awsjson import load
    from cdn.distribution import ours, plain

    if saved is not None and all_paths:
        raise typer.BadParameter("--distribution FILE says which paths there are: leave --all-paths out.")
    if saved is not None:
        return load(saved)
    domain = urlsplit(origin).hostname or ""
    if all_paths:
        return plain(domain=domain, tag_header=settings.tag_header)
    return ours(
        domain=domain,
        tag_header=settings.tag_header,
        max_ttl=settings.max_ttl,
        completion_timeout_s=settings.origin_timeout_s,
    )


async def _edge(
    process: "Process",
    settings: Settings,
    distribution: "Distribution",
    origin: str,
    front_page: Path | None,
    sockets: dict[str, socket.socket],
) -> None:
    from cdn.local.app import LocalEdge
    from cdn.local.config import PROFILES, LocalEdgeConfig
    from edgebake.serving import serve

    config = LocalEdgeConfig(
        origin,
        distribution,
        PROFILES[settings.edge_profile],
        front_page=front_page.read_bytes if front_page is not None else b"",
    )
    local = LocalEdge(config)
    if await process.may_begin():
        await local.start()
        await serve(process, {"edge": local.proxy, "edge_api": local.api}, sockets, date=False)
        await local.close()
