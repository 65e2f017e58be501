"""Faults on demand: the API slow, refusing or silent, the origin slow or out of reach, places cut off.

``GET``, ``PUT`` and ``DELETE /faults`` on the API's port, from this machine only, tell, set and end them.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

WHAT = "faults of the local edge"


class ApiFault(StrEnum):
    """How the API answers calls of CloudFront's."""

    NONE = "none"
    THROTTLED = "throttled"
    QUOTA = "quota"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"
    SILENT = "silent"


class OriginFault(StrEnum):
    """How the way to the origin is: nobody listens there (502), or nothing comes back (504 after the time-out)."""

    NONE = "none"
    REFUSING = "refusing"
    SILENT = "silent"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong now. Delays are seconds that each call, and each request to the origin, takes longer.

    ``withheld``: names of the places (locations, tiers) that no invalidation reaches.
    """

    api: ApiFault = ApiFault.NONE
    api_delay_s: float = 0.0
    origin: OriginFault = OriginFault.NONE
    origin_delay_s: float = 0.0
    withheld: frozenset[str] = frozenset()

    def told(self) -> dict[str, Any]:
        """Return it as plain values, as ``read`` takes them."""
        return {**asdict(self), "withheld": sorted(self.withheld)}


NO_FAULT = Fault()


class Faults:
    """The faults of an edge. ``refused`` counts the API's calls that did not get through."""

    def __init__(self) -> None:
        self.now = NO_FAULT
        self.refused = 0
        self._changed = asyncio.Event()

    def set(self, fault: Fault) -> None:
        """Let this be wrong from now on, and nothing else; who was left without an answer is let go."""
        self.now = fault
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Wait until something else is wrong, or nothing."""
        await self._changed.wait()


def read(told: object, fault: Fault, places: frozenset[str]) -> Fault:
    """Return a fault with what a PUT says changed in it. Raises ValueError, which says what would do."""
    if not isinstance(told, Mapping):
        raise ValueError(f"{WHAT} are an object of names and values, not {type(told).__name__}")
    known = [field.name for field in fields(Fault)]
    for name in told:
        if name not in known:
            raise ValueError(f"'{name}' is none of the {WHAT}: {', '.join(known)}")
    return replace(fault, **{name: _READ[name](name, value, places) for name, value in told.items()})


def _word(kinds: type[StrEnum]) -> Any:
    def read_word(name: str, value: object, _: frozenset[str]) -> StrEnum:
        try:
            return kinds(str(value))
        except ValueError:
            raise ValueError(f"{name} is '{value}': it must be one of {', '.join(kinds)}") from None

    return read_word


def _seconds(name: str, value: object, _: frozenset[str]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 3_600:
        raise ValueError(f"{name} is {value!r}: it must be 0 to 3600 seconds")
    return float(value)


def _names(name: str, value: object, places: frozenset[str]) -> frozenset[str]:
    if not isinstance(value, list) or any(each not in sorted(places) for each in value):
        raise ValueError(f"{name} is {value!r}: it must be a list of places, of {', '.join(sorted(places))}")
    return frozenset(value)


_READ = {
    "api": _word(ApiFault),
    "api_delay_s": _seconds,
    "origin": _word(OriginFault),
    "origin_delay_s": _seconds,
    "withheld": _names,
}
