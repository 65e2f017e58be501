"""Which caches stand between the viewers and the origin: edge locations, a regional cache, Origin Shield.

A viewer asks a location, which asks the regional cache, which asks the shield, which asks the origin. Each has objects,
fetches under way and a time of its own at which invalidations reach it. In which order CloudFront clears them is
documented nowhere; here a location is cleared before what it asks, so it may fetch back what it has just dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

REGIONAL = "regional"
SHIELD = "shield"
LOCATION = "LOCAL1-C1"


@dataclass(frozen=True, slots=True)
class Topology:
    """Locations by the codes that ``X-Amz-Cf-Pop`` shows, and what they share.

    ``effects_s``: seconds from the call of an invalidation until a place, named so, has dropped its items. Else it is
    the profile's for the last cache before the origin, and shorter in equal steps for those before it.
    """

    locations: tuple[str, ...] = (LOCATION,)
    regional: bool = False
    shield: bool = False
    effects_s: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise ValueError for names that cannot be told apart."""
        names = [*self.locations, *self.shared]
        if not self.locations or len(set(names)) < len(names):
            raise ValueError(f"the caches of an edge need a name each, and one is a location: {', '.join(names)}")

    @property
    def shared(self) -> tuple[str, ...]:
        """The caches that locations share, from the origin on."""
        return ((SHIELD,) if self.shield else ()) + ((REGIONAL,) if self.regional else ())

    def effect_s(self, name: str, profile_s: float) -> float:
        """Return how long an invalidation takes until it has its effect at a place."""
        steps = len(self.shared) + 1
        step = steps - self.shared.index(name) if name in self.shared else 1
        return self.effects_s.get(name, profile_s * step / steps)
