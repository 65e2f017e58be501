"""ASGI applications served in this process until it is told to stop: each on a socket, and so a port, of its own."""

import asyncio
import gc
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn

from edgebake.process import Process

GRACE_S = 5
"""Seconds that requests under way get when the process stops."""
KEEP_ALIVE_S = 65
"""Longer than an edge keeps an idle connection, so that it is never we who close it under a request."""
GARBAGE = (50_000, 20, 100)
"""Objects made before the collector looks: a bake makes hundreds, and hardly any that hold each other."""


class Server(uvicorn.Server):
    """A server that leaves signals to the process and says when it listens."""

    def __init__(self, app: Any, *, date: bool) -> None:
        """Serve ``app``; ``date`` says whether answers get a Date here, which a proxy has from its origin."""
        config = uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            date_header=date,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
        )
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so. What is there by then stays, so the garbage collector need not look at it again."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GARBAGE)
        self.listening.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none: the process has its own handlers."""
        yield


async def serve(
    process: Process, apps: Mapping[str, Any], sockets: Mapping[str, socket.socket], *, date: bool = True
) -> None:
    """Serve each application on its socket until the process stops; requests under way are finished first.

    The process is ready once all of them listen.
    """
    servers = {name: Server(app, date=date) for name, app in apps.items()}
    async with asyncio.TaskGroup() as group:
        for name, server in servers.items():
            group.create_task(server.serve(sockets=[sockets[name]]))
        for server in servers.values():
            await server.listening.wait()
        process.ready()
        await process.stop.wait()
        for server in servers.values():
            server.should_exit = True
