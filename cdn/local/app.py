"""The local edge put together: a proxy for each location, the caches behind them, CloudFront's API, and the faults."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cdn.local.api import create_api
from cdn.local.asgi import App, Receive, Scope, Send, respond
from cdn.local.config import LocalEdgeConfig
from cdn.local.faults import Faults
from cdn.local.faultyapi import FaultyApi
from cdn.local.faultyorigin import FaultyOrigin
from cdn.local.invalidations import Invalidations
from cdn.local.logfiles import LogFiles
from cdn.local.logwriter import LogWriter
from cdn.local.objects import Objects
from cdn.local.origin import Origin
from cdn.local.proxy import Proxy
from cdn.local.recorded import Sent, record_of
from cdn.local.results import Entry, Log
from cdn.local.signatures import Signatures
from cdn.local.tier import PLAIN, TierConfig
from cdn.local.tiers import Tiers

UVICORN: dict[str, Any] = {
    "server_header": False,
    "date_header": False,
    "access_log": False,
    "lifespan": "off",
    "proxy_headers": False,
}
"""How uvicorn is to serve both applications: as CloudFront does, the proxy passes on the origin's Date and Server."""
LOCATION = b"x-edge-location"
"""The header by which a viewer chooses its location, where a distance would choose it for CloudFront."""


class LocalEdge:
    """A small CloudFront in this process.

    ``proxy`` serves the viewers of each location, ``locations`` those of one, ``api`` who calls CloudFront's API:
    ASGI applications for ports of their own. ``start`` comes before the first request, in the event loop that serves;
    ``close`` after the last.
    """

    def __init__(self, config: LocalEdgeConfig) -> None:
        self.config = config
        self.faults = Faults()
        self._origin = Origin(config)
        self._log = Log(config.log_length)
        self._writer = _writer(config.logs, config.distribution.id)
        self._tiers = self._make_tiers()
        self.invalidations = Invalidations(config.profile, self._tiers.places, config.clock)
        signatures = Signatures(config.key_groups, config.wall_clock)
        self.locations: Mapping[str, App] = {
            name: Proxy(config, tier, signatures.check, self._log, self._access(name))
            for name, tier in self._tiers.locations.items()
        }
        self.proxy: App = Chooser(self.locations) if len(self.locations) > 1 else next(iter(self.locations.values()))
        self.api: App = FaultyApi(create_api(config, self.invalidations), self.faults, self._tiers.places)

    def _make_tiers(self) -> Tiers:
        config, distribution = self.config, self.config.distribution
        told = TierConfig(config.clock, distribution.tag_header, config.late_answers, config.error_tags)
        way = FaultyOrigin(self._origin, self.faults, {origin.id: origin for origin in distribution.origins})
        return Tiers(config.topology, told, config.profile.effect_s, config.max_bytes, way)

    def _access(self, location: str) -> Callable[[Sent], None] | None:
        """Return what is told of each answer of a location, None where nobody wants to know."""
        writer, now, host = (
            self._writer,
            self.config.wall_clock,
            f"{self.config.distribution.id.lower()}.cloudfront.net",
        )
        if writer is None:
            return None
        return lambda sent: writer.add(record_of(sent, now(), location, host))

    async def start(self) -> None:
        """Open the pool of connections to the origin, and begin to write logs."""
        await self._origin.open()
        if self._writer is not None:
            self._writer.start()

    async def close(self) -> None:
        """Give up the fetches under way, close the connections, and end the logs."""
        await self._tiers.close()
        await self._origin.close()
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)

    @property
    def objects(self) -> Objects:
        """What the first location holds now."""
        self.invalidations.settle()
        return next(iter(self._tiers.locations.values())).objects

    @property
    def log(self) -> Sequence[Entry]:
        """The last requests, oldest first."""
        return self._log.entries

    async def idle(self) -> None:
        """Wait until no fetch from the origin is under way."""
        await self._tiers.landed()


class Chooser:
    """An ASGI application that lets the location answer which the viewer names, and the first where none is named."""

    def __init__(self, locations: Mapping[str, App]) -> None:
        self._locations = {name.encode(): app for name, app in locations.items()}
        self._first = next(iter(locations.values()))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = next((value for key, value in scope.get("headers", ()) if key == LOCATION), None)
        app = self._first if name is None else self._locations.get(name)
        if app is None:
            there = b", ".join(self._locations)
            await respond(
                send,
                404,
                [(b"content-type", PLAIN)],
                b"There is no location '%s' here, but %s.\n" % (name or b"", there),
            )
            return
        await app(scope, receive, send)


def _writer(folder: Path | None, distribution: str) -> LogWriter | None:
    return None if folder is None else LogWriter(LogFiles(folder, distribution))
