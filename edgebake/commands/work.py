"""`edgebake work`: the relay, fan-out and the invalidator, each alone or all in one process."""

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from edgebake.commands.options import Supervised, settings_of
from edgebake.settings import Settings

if TYPE_CHECKING:
    import asyncio

    from edgebake.process import Process

Work = Callable[["asyncio.Event"], Awaitable[None]]


class Part(StrEnum):
    """What a process can do alone."""

    RELAY = "relay"
    FANOUT = "fanout"
    INVALIDATOR = "invalidator"


def work(
    ctx: typer.Context,
    only: Annotated[Part | None, typer.Option(help="Do this part alone.", show_default=False)] = None,
    supervised: Supervised = False,
) -> None:
    """Carry changes from the system of record to the edge: relay, fan-out, invalidator."""
    from edgebake.process import run

    settings = settings_of(ctx)
    parts = list(Part) if only is None else [only]
    run(lambda process: _work(process, settings, parts), events=settings.events, supervised=supervised)


async def _work(process: "Process", settings: Settings, parts: list[Part]) -> None:
    import asyncio
    from contextlib import AsyncExitStack

    from edgebake import workers
    from edgebake.wiring import opened_record, opened_redis

    if not await process.may_begin():
        return
    async with opened_record(settings) as record, opened_redis(settings) as redis, AsyncExitStack() as stack:
        running: list[Work] = []
        for part in parts:
            match part:
                case Part.RELAY:
                    running += workers.relay(record, redis)
                case Part.FANOUT:
                    running += workers.fanout(settings, record, redis)
                case Part.INVALIDATOR:
                    edge = await stack.enter_async_context(workers.opened_edge(settings, process.stop))
                    running += workers.invalidator(settings, record, redis, edge)
        process.ready()
        async with asyncio.TaskGroup() as group:
            for run in running:
                group.create_task(run(process.stop))  # type: ignore[arg-type]
