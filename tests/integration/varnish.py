"""A Varnish with our VCL before an origin that counts: what the tests of that edge start."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from socket import AF_INET, IPPROTO_TCP, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket

import aiohttp
from yarl import URL

from cdn.local.asgi import App
from cdn.varnish import VarnishEdge
from edgebake.valkey import free_port
from tests.integration.local_edge import Origin, Reply, serving, viewer

SECRET = "a-secret-for-tests"
TIMEOUT_S = 0.5
VMODS = ("/usr/lib", "/usr/local/lib")
MISSING = "Varnish or varnish-modules is not installed (scripts/tools says how): the tests ran without them"

_numbers = count(1)


def is_installed() -> bool:
    """Tell whether there is a varnishd, with the vmods that our VCL needs."""
    programs = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
    found = (vmod for folder in VMODS for vmod in Path(folder).glob("**/varnish/vmods/libvmod_xkey.so"))
    return shutil.which("varnishd", path=programs) is not None and any(found)


@dataclass(frozen=True)
class Server:
    """A varnishd that answers, and the port where it looks for its origin."""

    url: str
    origin_port: int


@contextmanager
def varnishd(folder: Path) -> Iterator[Server]:
    """Run `edgebake varnish`, and end it after."""
    server = Server(f"http://127.0.0.1:{free_port()}", free_port())
    port, origin = server.url.rpartition(":")[2], f"http://127.0.0.1:{server.origin_port}"
    settings = {"VARNISH_SECRET": SECRET, "ORIGIN_TIMEOUT": str(TIMEOUT_S), "DATA_DIR": str(folder), "EDGE": "varnish"}
    with subprocess.Popen(
        [sys.executable, "-m", "edgebake", "varnish", "--origin", origin, "--port", port],
        env={f"EDGEBAKE_{name}": value for name, value in settings.items()},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        try:
            assert '"ready"' in first, first
            yield server
        finally:
            process.terminate()
            process.communicate(timeout=20)


class World:
    """A Varnish, its origin and a viewer. Users and so paths are new in each, for the cache outlives them."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self.url = server.url
        self.origin = Origin()
        self.number = next(_numbers)
        self._session = session

    def user(self, name: str) -> str:
        """Return the id of a user whom no other test has."""
        return f"{name}-{self.number}"

    def path(self, name: str) -> str:
        """Return the path of their feed."""
        return f"/feed/{self.user(name)}"

    def driver(self, **options: str) -> VarnishEdge:
        """Return a driver of this Varnish."""
        return VarnishEdge("varnish", [self.url], SECRET, origin_timeout_s=TIMEOUT_S, **options)  # type: ignore[arg-type]

    async def get(self, path: str, method: str = "GET", **headers: str) -> Reply:
        """Ask the edge, plainly: no headers but these (an underscore stands for a dash)."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._session.request(method, URL(self.url + path, encoded=True), headers=named) as got:
            return Reply(got.status, {name.lower(): value for name, value in got.headers.items()}, await got.read())

    async def word(self, path: str, **headers: str) -> str:
        """Ask the edge and return how it came by the answer."""
        return (await self.get(path, **headers)).headers["x-cache"].partition(" ")[0]


@asynccontextmanager
async def before_an_origin(server: Server, app: App | None = None) -> AsyncIterator[World]:
    """Serve an origin that counts, or ``app``, at the port where varnishd looks for it."""
    async with viewer() as session:
        world = World(server, session)
        with _at(server.origin_port) as listening:
            async with serving((listening, app or world.origin, {})):
                yield world


def _at(port: int) -> socket:
    listening = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP)
    listening.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(1_024)
    return listening
