"""A local edge under uvicorn, before an origin that counts: what the tests of the edge start."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import uvicorn
from yarl import URL

from cdn.local.app import UVICORN, LocalEdge
from cdn.local.asgi import App, Receive, Scope, Send
from cdn.local.config import LocalEdgeConfig

Served = tuple[socket.socket, App, dict[str, Any]]
"""A socket, what is served on it, and uvicorn's options."""
FRESH = "s-maxage=60, stale-while-revalidate=30, stale-if-error=60"


class Clock:
    """A clock in the test's hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class Counter:
    """Counts arrivals, and lets a test wait for the n-th."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Condition()

    async def add(self) -> None:
        async with self._changed:
            self.count += 1
            self._changed.notify_all()

    async def reaches(self, count: int) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self.count >= count)


@dataclass
class Answer:
    """What the origin answers for a path."""

    body: bytes = b"hello"
    status: int = 200
    cache_control: str = FRESH
    headers: dict[str, str] = field(default_factory=dict)
    gate: asyncio.Event | None = None  # answers once it is set

    def pairs(self) -> list[tuple[bytes, bytes]]:
        sent = {"content-length": str(len(self.body)), **self.headers}
        if self.cache_control:
            sent["cache-control"] = self.cache_control
        return [(name.encode(), value.encode()) for name, value in sent.items()]


class Origin:
    """Answers each path as it is told, an ETag match with 304, and writes down who asked for what."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.queued: dict[str, deque[Answer]] = {}  # answered once each, before `answers`
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.arrivals = Counter()

    def will(self, path: str, *answers: Answer) -> None:
        """Answer with each in turn, and the last one for ever."""
        *once, self.answers[path] = answers
        self.queued[path] = deque(once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["raw_path"].decode() + (f"?{scope['query_string'].decode()}" if scope["query_string"] else "")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append(f"{scope['method']} {path}")
        self.headers.append(headers)
        queued = self.queued.get(path)
        answer = queued.popleft() if queued else self.answers.get(path, Answer(status=404, cache_control="s-maxage=5"))
        await self.arrivals.add()
        if answer.gate:
            await answer.gate.wait()
        etag = answer.headers.get("etag")
        if etag and headers.get("if-none-match") == etag:
            kept = [pair for pair in answer.pairs() if pair[0] != b"content-length"]
            await send({"type": "http.response.start", "status": 304, "headers": kept})
            await send({"type": "http.response.body"})
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.pairs()})
        await send({"type": "http.response.body", "body": answer.body})


@dataclass(frozen=True)
class Reply:
    """What a viewer got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def x_cache(self) -> str:
        return self.headers["x-cache"].removesuffix(" from cloudfront")


class World:
    """An edge, its origin and a viewer."""

    def __init__(self, edge: LocalEdge, origin: Origin, clock: Clock, proxy: str, api: str) -> None:
        self.edge = edge
        self.origin = origin
        self.clock = clock
        self.proxy_url = proxy
        self.api_url = api
        self.viewers = Counter()
        self.session: aiohttp.ClientSession

    async def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """Ask the edge, plainly: no headers but these (an underscore stands for a dash)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        url = URL(self.proxy_url + path, encoded=True)
        async with self.session.request(method, url, headers=named) as got:
            return Reply(got.status, {name.lower(): value for name, value in got.headers.items()}, await got.read())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.viewers.add()
        await self.edge.proxy(scope, receive, send)


def listen() -> tuple[socket.socket, str]:
    """Return a listening socket on a free port, and its URL."""
    # With the protocol named: asyncio sets TCP_NODELAY only then, and without it an answer takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen(1_024)
    return listening, f"http://127.0.0.1:{listening.getsockname()[1]}"


@asynccontextmanager
async def serving(*apps: Served) -> AsyncIterator[None]:
    """Serve applications on their sockets; all end together."""
    servers, tasks = [], []
    for listening, app, options in apps:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1, **options))
        servers.append(server)
        tasks.append(asyncio.create_task(server.serve(sockets=[listening])))
    try:
        yield
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*tasks)


@asynccontextmanager
async def local_edge(config: LocalEdgeConfig | None = None, origin_url: str = "") -> AsyncIterator[World]:
    """Serve an edge before an origin that counts, or before ``origin_url``."""
    (at_origin, counting), (at_proxy, proxy), (at_api, api) = listen(), listen(), listen()
    clock = Clock()
    edge = LocalEdge(replace(config or LocalEdgeConfig(""), origin=origin_url or counting, clock=clock))
    await edge.start()
    world = World(edge, Origin(), clock, proxy, api)
    apps: tuple[Served, ...] = (at_origin, world.origin, {}), (at_proxy, world, UVICORN), (at_api, edge.api, UVICORN)
    async with serving(*apps), viewer() as world.session:
        try:
            yield world
        finally:
            await edge.close()


def viewer() -> aiohttp.ClientSession:
    """Return a client that adds no header of its own."""
    skipped = ("Accept", "Accept-Encoding", "User-Agent")
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False, skip_auto_headers=skipped)


@asynccontextmanager
async def raw_origin(answer: bytes) -> AsyncIterator[str]:
    """Serve these bytes to whoever connects, and close."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
