"""The locations and tiers of the local edge, as the settings name them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgebake.errors import CommandError
from edgebake.settings import Settings

if TYPE_CHECKING:
    from cdn.distribution import Distribution
    from cdn.local.topology import Topology


def ports(settings: Settings) -> dict[str, int]:
    """Return the ports of those locations that have one of their own."""
    return {name: port for name, port in _locations(settings) if port}


def topology(settings: Settings, distribution: "Distribution") -> "Topology":
    """Return what stands between viewers and the origin. Raises CommandError."""
    from cdn.local.topology import LOCATION, Topology

    names = tuple(name for name, _ in _locations(settings)) or (LOCATION,)
    shielded = any(origin.shield for origin in distribution.origins)
    tiers = settings.edge_tiers
    try:
        wanted = Topology(names, regional=tiers > 1, shield=tiers > 2 or shielded)
        return Topology(names, wanted.regional, wanted.shield, _effects(settings, (*names, *wanted.shared)))
    except ValueError as error:
        raise CommandError(f"EDGEBAKE_EDGE_LOCATIONS is '{','.join(settings.edge_locations)}': {error}.") from error


def _locations(settings: Settings) -> list[tuple[str, int]]:
    """Return the names, which are codes in capital letters, and their ports, 0 where there is none."""
    told = (each.partition(":") for each in settings.edge_locations)
    return [(name.upper(), int(port or 0)) for name, _, port in told]


def _effects(settings: Settings, names: Sequence[str]) -> Mapping[str, float]:
    told = [each.partition("=") for each in settings.edge_effects]
    known = {name.lower(): name for name in names}
    for name, _, _ in told:
        if name.lower() not in known:
            wrong = ",".join(settings.edge_effects)
            raise CommandError(f"EDGEBAKE_EDGE_EFFECTS is '{wrong}': there is no '{name}', but {', '.join(names)}.")
    return {known[name.lower()]: float(seconds) for name, _, seconds in told}
