"""What there is to go by besides the edge: how much the origin can bear, and how many items may be paid.

Each is a small port, so that the drain loop runs without it, and a test says what it likes.
"""

from typing import Protocol

from cdn.load import Headroom

UNKNOWN = Headroom(wide=False, wait_ms=0.0, known=False)


class Origin(Protocol):
    """The origin: what is dropped comes back to it."""

    async def headroom(self) -> Headroom:
        """Return whether it has headroom for something wide."""


class Money(Protocol):
    """What items may cost this month."""

    async def left(self) -> int | None:
        """Return how many items may still be sent; None: any number."""

    async def spent(self, first: int, taps: int, batch: str) -> None:
        """Count the items of a batch that the edge took, once however often this is said of it."""


class Silent:
    """An origin that nobody reports of: nothing goes wide by itself."""

    async def headroom(self) -> Headroom:
        """Return that nothing is known."""
        return UNKNOWN


class Unlimited:
    """No limit, and nobody who counts."""

    async def left(self) -> int | None:
        """Return that any number may be sent."""
        return None

    async def spent(self, first: int, taps: int, batch: str) -> None:
        """Count nothing."""
