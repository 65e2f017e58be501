"""`edgebake edge`: the local edge, a small CloudFront for a laptop and the tests."""

import socket
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import typer

from edgebake.commands.options import Host, Inherit, Supervised, settings_of
from edgebake.errors import CommandError
from edgebake.settings import Settings

if TYPE_CHECKING:
    from cdn.distribution import Distribution
    from cdn.local.config import LocalEdgeConfig
    from edgebake.process import Process

HERE = "us-east-1"
"""The region in which the local edge says that its shield is."""


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
    logs: Annotated[str | None, typer.Option(help="Folder for access logs.", show_default=False)] = None,
    location: Annotated[
        list[str] | None, typer.Option(help="An edge location, NAME or NAME:PORT; repeatable.", show_default=False)
    ] = None,
    tiers: Annotated[
        int | None, typer.Option(help="2: with a regional cache; 3: with a shield, too.", show_default=False)
    ] = None,
    effect: Annotated[
        list[str] | None,
        typer.Option(help="NAME=SECONDS until an invalidation has its effect there; repeatable.", show_default=False),
    ] = None,
    host: Host = None,
    inherit: Inherit = None,
    supervised: Supervised = False,
) -> None:
    """Run the local edge: a caching proxy with CloudFront's invalidation API beside it."""
    from edgebake.process import run

    settings = settings_of(
        ctx,
        host=host,
        edge_port=port,
        edge_api_port=api_port,
        edge_profile=profile,
        edge_logs=logs,
        edge_locations=tuple(location) if location else None,
        tiers=tiers,
        edge_effects=tuple(effect) if effect else None,
    )
    _check(settings, origin, front_page, supervised)
    running = _distribution(settings, origin, distribution, all_paths)
    config = _config(settings, running, origin, front_page)
    sockets = _sockets(settings, inherit)
    if not supervised:
        _tell(sockets)
    run(
        lambda process: _edge(process, config, sockets),
        events=settings.events,
        supervised=supervised,
    )


def _check(settings: Settings, origin: str, front_page: Path | None, supervised: bool) -> None:
    """Raise CommandError where nothing could be served or logged. `up` writes the front page after this."""
    if not _is_origin(origin):
        raise CommandError(f"--origin is '{origin}': it must be a URL without a path, like http://127.0.0.1:8081.")
    if front_page is not None and not supervised and not front_page.is_file():
        raise CommandError(f"--front-page is '{front_page}': there is no such file.")
    if settings.edge_logs:
        _check_logs(Path(settings.edge_logs))


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and not parts.path.strip("/") + parts.query + parts.fragment
        )
    except ValueError:  # an address, or a port, that is none
        return False


def _check_logs(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()
    except OSError as error:
        told = error.strerror or error
        raise CommandError(f"EDGEBAKE_EDGE_LOGS is '{folder}': no log can be written there: {told}.") from error


def _sockets(settings: Settings, inherit: list[str] | None) -> dict[str, socket.socket]:
    """Return the sockets by what they serve: all locations, the API, and single locations by their names."""
    from edgebake.listeners import inherited, listen
    from edgebake.locations import ports

    own = {
        name: listen(settings.host, port, "EDGEBAKE_EDGE_LOCATIONS (--location)")
        for name, port in ports(settings).items()
    }
    if inherit:
        return {**inherited(inherit), **own}
    return {
        "edge": listen(settings.host, settings.edge_port, "EDGEBAKE_EDGE_PORT (--port)"),
        "edge_api": listen(settings.host, settings.edge_api_port, "EDGEBAKE_EDGE_API_PORT (--api-port)"),
        **own,
    }


def _tell(sockets: dict[str, socket.socket]) -> None:
    """Say where the edge listens, to whoever started it by hand."""
    from edgebake.listeners import url_of

    names = {"edge": "The local edge", "edge_api": "Its API"}
    for name, opened in sockets.items():
        typer.echo(f"{names.get(name, name)}: {url_of(opened)}", err=True)


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


def _config(
    settings: Settings, distribution: "Distribution", origin: str, front_page: Path | None
) -> "LocalEdgeConfig":
    from cdn.local.config import PROFILES, LocalEdgeConfig
    from edgebake.locations import topology
    from edgebake.readers import trusted

    wanted = topology(settings, distribution)
    if wanted.shield:  # so that its API tells of it, and doctor sees what there is
        origins = tuple(replace(each, shield=each.shield or HERE) for each in distribution.origins)
        distribution = replace(distribution, origins=origins)
    groups = {group for behavior in distribution.behaviors for group in behavior.key_groups}
    keys = trusted(settings)
    return LocalEdgeConfig(
        origin,
        distribution,
        PROFILES[settings.edge_profile],
        wanted,
        key_groups=dict.fromkeys(groups, keys),
        logs=Path(settings.edge_logs) if settings.edge_logs else None,
        front_page=front_page.read_bytes if front_page is not None else b"",
        max_bytes=settings.edge_memory_mb * 1_000_000,
    )


async def _edge(process: "Process", config: "LocalEdgeConfig", sockets: dict[str, socket.socket]) -> None:
    from cdn.local.app import LocalEdge
    from edgebake.serving import serve

    local = LocalEdge(config)
    if await process.may_begin():
        await local.start()
        apps = {"edge": local.proxy, "edge_api": local.api, **local.locations}
        await serve(process, {name: apps[name] for name in sockets}, sockets, date=False)
        await local.close()
