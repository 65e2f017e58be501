"""`edgebake work`: relay, fan-out, invalidator and recalculations, each alone or all in one process."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from edgebake.commands.options import Host, Inherit, Supervised, settings_of
from edgebake.settings import Settings

if TYPE_CHECKING:
    import socket

    from edgebake.process import Process
    from edgebake.workers import Loop


class Part(StrEnum):
    """What a process can do alone."""

    RELAY = "relay"
    FANOUT = "fanout"
    INVALIDATOR = "invalidator"
    RECOMPUTE = "recompute"


def work(
    ctx: typer.Context,
    only: Annotated[Part | None, typer.Option(help="Do this part alone.", show_default=False)] = None,
    host: Host = None,
    inherit: Inherit = None,
    supervised: Supervised = False,
) -> None:
    """Carry changes from the system of record to the edge (relay, fan-out, invalidator), and recalculate."""
    from edgebake.listeners import inherited, listen
    from edgebake.process import run
    from edgebake.tracing import traced

    settings = settings_of(ctx, host=host)
    parts = list(Part) if only is None else [only]
    sockets = inherited(inherit or ()) or {"ops": listen(settings.host, settings.work_port, "EDGEBAKE_WORK_PORT")}
    with traced(settings, f"edgebake-{only or 'work'}"):
        run(lambda process: _work(process, settings, parts, sockets), events=settings.events, supervised=supervised)


async def _work(process: "Process", settings: Settings, parts: list[Part], sockets: "dict[str, socket.socket]") -> None:
    import asyncio
    from contextlib import AsyncExitStack

    from edgebake import workers
    from edgebake.enduring import endured
    from edgebake.wiring import opened_record, opened_redis

    if not await process.may_begin():
        return
    async with opened_record(settings) as record, opened_redis(settings, record) as redis, AsyncExitStack() as stack:
        running: list[Loop] = []
        for part in parts:
            match part:
                case Part.RELAY:
                    running += workers.relay(settings, record, redis)
                case Part.FANOUT:
                    running += workers.fanout(settings, record, redis)
                case Part.INVALIDATOR:
                    edge = await stack.enter_async_context(workers.opened_edge(settings, process.stop))
                    running += workers.invalidator(settings, record, redis, edge)
                case Part.RECOMPUTE:
                    running += workers.recompute(settings, record, redis)
        process.ready()
        async with asyncio.TaskGroup() as group:
            for run in running:
                group.create_task(endured(run, process.stop))
            from edgebake import apps  # late, for nobody waits for this
            from edgebake.serving import serve

            await serve(process, {"ops": apps.ops(record, redis, "")}, sockets)
