"""The port to an edge: a cache in front that can be told to drop artifacts by cache tag."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Batch:
    """The items of one call, minted once: a retry sends the same items under the same reference.

    ``id`` is unique and becomes CloudFront's ``CallerReference``. ``tags`` are bare (``u-ada``, not ``#u-ada``).
    """

    id: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an edge says of a batch: its own name for it, and whether everything was dropped already.

    ``request`` is the edge's id of the call, for whoever asks its operators; "" where it has none.
    """

    invalidation: str
    complete: bool
    request: str = field(default="", compare=False)


class Edge(Protocol):
    """An edge. Every method has a time-out of its own and may be called again after any failure."""

    name: str
    """Names the edge in Redis keys, metrics and messages."""

    max_items: int
    """The largest batch that one call takes."""

    async def check(self) -> None:
        """Raise EdgeMisconfigured where the edge has no cache tags or another need is not met."""

    async def invalidate(self, batch: Batch) -> Receipt:
        """Tell the edge to drop the batch. The same batch again returns the same receipt, and harms nothing.

        What was dropped is dropped for every later request, at the latest when the batch is complete. Raises EdgeBusy
        where the same bytes may be tried again, EdgeDenied where that is no use.
        """

    async def is_complete(self, invalidation: str) -> bool:
        """Tell whether every location has dropped it. Raises as ``invalidate``."""

    async def close(self) -> None:
        """Let go of connections and threads."""
