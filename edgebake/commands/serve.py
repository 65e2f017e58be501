"""`edgebake serve`: the baker, the write API, or both in one process."""

import socket
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebake.commands.options import Host, Inherit, Supervised, settings_of
from edgebake.errors import CommandError
from edgebake.settings import Settings

if TYPE_CHECKING:
    from edgebake.process import Process


class Part(StrEnum):
    """What a process can serve alone."""

    API = "api"
    FEEDS = "feeds"


def serve(
    ctx: typer.Context,
    only: Annotated[Part | None, typer.Option(help="Serve this part alone.", show_default=False)] = None,
    host: Host = None,
    inherit: Inherit = None,
    supervised: Supervised = False,
) -> None:
    """Serve feeds to the edge, and the write API, each on a port of its own."""
    from edgebake.process import run
    from edgebake.tracing import traced

    settings = settings_of(ctx, host=host)
    if only is not Part.FEEDS and not settings.api_token:
        raise CommandError(
            "EDGEBAKE_API_TOKEN is not set, and without one anybody could write: set it, or EDGEBAKE_API_TOKEN_FILE "
            'to a file that holds it. `python3 -c "import secrets; print(secrets.token_urlsafe(24))"` makes one.'
        )
    sockets = _sockets(settings, only, inherit)
    with traced(settings, f"edgebake-{only or 'serve'}"):
        run(lambda process: _serve(process, settings, only, sockets), events=settings.events, supervised=supervised)


def _sockets(settings: Settings, only: Part | None, inherit: list[str] | None) -> dict[str, socket.socket]:
    from edgebake.listeners import inherited, listen

    if inherit:
        return inherited(inherit)
    names = [part for part in Part if only in (None, part)] + ["ops"]
    return {
        name: listen(settings.host, getattr(settings, f"{name}_port"), f"EDGEBAKE_{name.upper()}_PORT")
        for name in names
    }


async def _serve(process: "Process", settings: Settings, only: Part | None, sockets: dict[str, socket.socket]) -> None:
    from edgebake import apps
    from edgebake.serving import serve
    from edgebake.wiring import opened_record, opened_redis

    if not await process.may_begin():
        return
    async with opened_record(settings) as record, opened_redis(settings, record, time_replies=False) as redis:
        served: dict[str, Any] = {}
        version = ""
        if only is not Part.API:
            served["feeds"], version = apps.feeds(settings, record, redis)
        if only is not Part.FEEDS:
            served["api"] = apps.api(settings, record, redis)
        served["ops"] = apps.ops(record, redis, version)
        await serve(process, served, sockets)
