"""The caches of an edge, chained as its topology says, each with objects, fetches under way and a place of its own."""

from cdn.local.objects import Objects
from cdn.local.places import Place
from cdn.local.tier import Tier, TierConfig, Upstream
from cdn.local.topology import Topology


class Tiers:
    """The caches of an edge, chained, and the places where invalidations are carried out."""

    def __init__(
        self, topology: Topology, config: TierConfig, effect_s: float, max_bytes: int, origin: Upstream
    ) -> None:
        """``effect_s``: the profile's. ``max_bytes``: of each cache."""
        self._topology = topology
        self._config = config
        self._effect_s = effect_s
        self._max_bytes = max_bytes
        self.places: list[Place] = []
        self.all: list[Tier] = []
        above = origin
        for name in topology.shared:
            above = self._make(name, above)
        self.locations = {name: self._make(name, above) for name in topology.locations}

    async def landed(self) -> None:
        """Wait until no fetch is under way."""
        for tier in reversed(self.all):
            await tier.flights.landed()

    async def close(self) -> None:
        """Give up the fetches under way."""
        for tier in reversed(self.all):
            await tier.flights.close()

    def _make(self, name: str, above: Upstream) -> Tier:
        objects = Objects(self._max_bytes)
        effect_s = self._topology.effect_s(name, self._effect_s)
        place = Place(name, objects.drop, effect_s, self._config.clock)
        is_location = name in self._topology.locations
        tier = Tier(name, self._config, objects, above, place.settle, faces_viewers=is_location)
        self.places.append(place)
        self.all.append(tier)
        return tier
