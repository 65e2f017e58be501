"""The local edge put together: the proxy, CloudFront's API, and the objects between them."""

from collections.abc import Sequence
from typing import Any

from cdn.local.api import create_api
from cdn.local.asgi import App
from cdn.local.config import LocalEdgeConfig
from cdn.local.invalidations import Invalidations
from cdn.local.objects import Objects
from cdn.local.origin import Origin
from cdn.local.places import Place
from cdn.local.proxy import Proxy
from cdn.local.results import Entry
from cdn.local.tier import Tier, TierConfig

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
        self._origin = Origin(config)
        place = Place("LOCAL1-C1", self._objects.drop, config.profile.effect_s, config.clock)
        self.invalidations = Invalidations(config.profile, [place], config.clock)
        told = TierConfig(config.clock, config.distribution.tag_header, config.late_answers)
        settle = self.invalidations.settle
        self._tier = Tier("edge", told, self._objects, self._origin, settle, faces_viewers=True)
        self.proxy = Proxy(config, self._tier)
        self.api: App = create_api(config, self.invalidations)

    async def start(self) -> None:
        """Open the pool of connections to the origin."""
        await self._origin.open()

    async def close(self) -> None:
        """Give up the fetches under way and close the connections."""
        await self._tier.flights.close()
        await self._origin.close()

    @property
    def objects(self) -> Objects:
        """What the edge holds now."""
        self.invalidations.settle()
        return self._objects

    @property
    def log(self) -> Sequence[Entry]:
        """The last requests, oldest first."""
        return self.proxy.log.entries

    async def idle(self) -> None:
        """Wait until no fetch from the origin is under way."""
        await self._tier.flights.landed()
