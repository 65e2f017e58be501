"""A server under load, in a process of its own: `python -m bench.serving NAME OPTIONS`. Started by ``bench.server``.

Each is served exactly as `edgebake serve` serves the baker: uvicorn on uvloop with httptools, one process. It says its
port on stdout, answers each line on stdin with what it used and did so far, and ends when stdin does.
"""

import asyncio
import json
import resource
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop
from prometheus_client import REGISTRY

from baker.bake import Limits
from baker.freshness import Freshness
from baker.kitchen import Audience, Config, create_app
from baker.oven import Bounds
from bench import handlers
from edgebake.listeners import listen
from edgebake.secret import SecretUrl
from edgebake.serving import Server
from edgebake.settings import Settings
from edgebake.wiring import opened_record, opened_redis
from templates import FOLDER

SHELF_BYTES = 256_000_000
"""For the posts in artifacts: enough for every post of the benches."""


async def baker(stack: AsyncExitStack, settings: Settings, options: dict[str, Any]) -> Any:
    """Return the baker as ``baker.kitchen`` puts it together, with so much memory for *artifacts*.

    With none every read is a bake; the posts in them are kept ready to be joined all the same, as in production.
    """
    record = await stack.enter_async_context(opened_record(settings))
    redis = await stack.enter_async_context(opened_redis(settings, record, time_replies=False))
    config = Config(
        FOLDER,
        handlers.PUBLIC_URL,
        memory_bytes=SHELF_BYTES,
        artifact_bytes=options["memory"],
        audience=Audience(per_hour=10**9),
        freshness=Freshness(tiers=1),
        limits=Limits(own_posts=options.get("own_posts", True)),
        bounds=Bounds(**options.get("bounds", {})),
    )
    app, _ = create_app(redis, record, config)
    return app


async def serve(name: str, options: dict[str, Any]) -> None:
    """Serve until stdin ends."""
    settings = Settings(
        data_dir=Path(options["folder"]),
        redis_url=SecretUrl(options["redis"]),
        database_url=SecretUrl(options.get("database", "")),
    )
    async with AsyncExitStack() as stack:
        if name == "baker":
            app = await baker(stack, settings, options)
        elif name == "constant":
            app = handlers.constant(options["sizes"])
        else:
            record = await stack.enter_async_context(opened_record(settings))
            redis = await stack.enter_async_context(opened_redis(settings, record, time_replies=False))
            app = await handlers.jinja(redis, options["users"], one_by_one=name == "one by one")
        listener = listen("127.0.0.1", 0, "the bench's port")
        server = Server(app, date=True)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        await server.listening.wait()
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        await _answer_until_the_end()
        server.should_exit = True
        await serving


async def _answer_until_the_end() -> None:
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        print(json.dumps(_used()), flush=True)


def _used() -> dict[str, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    totals = {"cpu_s": used.ru_utime + used.ru_stime, "bakes": 0.0, "late": 0.0}
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name in ("edgebake_bakes_total", "edgebake_late_total"):
                totals[sample.name.split("_")[1]] += sample.value
    return totals


def main() -> None:
    """Run one server."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], json.loads(sys.argv[2])))


if __name__ == "__main__":
    main()
