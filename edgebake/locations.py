"""The edge locations that `edgebake edge` was told of: ``--location NAME:PORT`` and ``--effect NAME=SECONDS``."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from edgebake.errors import CommandError

if TYPE_CHECKING:
    from cdn.local.topology import Topology

NAME = r"[A-Za-z0-9-]+"
_location = re.compile(rf"({NAME})(?::(\d{{1,5}}))?").fullmatch
_effect = re.compile(rf"({NAME})=(\d+(?:\.\d+)?)").fullmatch


def ports(locations: Sequence[str]) -> dict[str, int | None]:
    """Return each location's own port, None where it has none. Raises CommandError."""
    found: dict[str, int | None] = {}
    for told in locations:
        match = _location(told)
        if match is None or match[1] in found:
            raise CommandError(f"--location is '{told}': it must be a name of its own, FRA56-P1 or FRA56-P1:8091.")
        found[match[1]] = int(match[2]) if match[2] else None
    return found


def topology(names: Sequence[str], effects: Sequence[str], *, regional: bool, shield: bool) -> "Topology":
    """Return the topology of these locations, or of one that nobody named. Raises CommandError."""
    from cdn.local.topology import LOCATION, Topology

    try:
        wanted = Topology(tuple(names) or (LOCATION,), regional, shield)
    except ValueError as error:
        raise CommandError(f"--location: {error}.") from error
    known = (*wanted.locations, *wanted.shared)
    return Topology(wanted.locations, regional, shield, _effects(effects, known))


def _effects(effects: Sequence[str], known: Sequence[str]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for told in effects:
        match = _effect(told)
        if match is None or match[1] not in known:
            raise CommandError(f"--effect is '{told}': it must be NAME=SECONDS, of {', '.join(known)}.")
        found[match[1]] = float(match[2])
    return found
