"""The local edge put together: the proxy, CloudFront's API, and the objects between them."""

from collections.abc import Sequence
from typing import Any

from cdn.local.api import create_api
from cdn.local.asgi import App, Receive, Scope, Send
from cdn.local.config import LocalEdgeConfig
from cdn.local.invalidations import Invalidations
from cdn.local.objects import Objects
from cdn.local.origin import Origin
from cdn.local.proxy import Proxy
from cdn.local.results import Entry

UVICORN: dict[str, Any] = {"server_header": False, "date_header": False, "access_log": False, "lifespan": "off"}
"""How uvicorn is to serve both applications: as CloudFront does, the proxy passes on the origin's Date and Server."""


class LocalEdge:
    """A small CloudFront in this process: one edge location, one tier.

    ``proxy`` and ``api`` are ASGI applications for two ports. ``start`` comes before the first request, in the
    event loop that serves; ``close`` after the last.
    """

    def __init__(self, config: LocalEdgeConfig) -> None:
        self.config = config
        self._objects = Objects(config.max_bytes)
        self.invalidations = Invalidations(config.profile, self._objects.drop, config.clock)
        self.api: App = create_api(config, self.invalidations)
        self._origin: Origin | None = None
        self._proxy: Proxy | None = None

    async def start(self) -> None:
        """Open the pool of connections to the origin."""
        self._origin = Origin(self.config)
        self._proxy = Proxy(self.config, self._objects, self._origin, self.invalidations.settle)

    async def close(self) -> None:
        """Give up the fetches under way and close the connections."""
        if self._proxy is not None:
            await self._proxy.flights.close()
        if self._origin is not None:
            await self._origin.close()

    async def proxy(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application that viewers talk to."""
        await self._started()(scope, receive, send)

    @property
    def objects(self) -> Objects:
        """What the edge holds now."""
        self.invalidations.settle()
        return self._objects

    @property
    def log(self) -> Sequence[Entry]:
        """The last requests, oldest first."""
        return self._started().log.entries

    @property
    def waiting(self) -> int:
        """How many fetches from the origin are under way that others can join."""
        return len(self._started().flights)

    def _started(self) -> Proxy:
        if self._proxy is None:
            raise RuntimeError("the local edge was not started: await start() in the loop that serves it")
        return self._proxy
