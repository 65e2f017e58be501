"""What is proposed for a feed: its timeline where Redis has one, else one that is made from the system of record.

Who is active has a timeline; it is rebuilt here where a change dropped it. Who returns is made active first. Who may
not be made active (so many were in this hour already) is a guest: their feed is baked from the record, and nothing is
kept.
"""

from collections.abc import Collection
from typing import NamedTuple

from baker.metrics import READ_THROUGH
from baker.order import Proposed
from baker.reads import First
from feeds import packing
from feeds.activity import Activity
from feeds.model import Epoch, Sources, Taste
from feeds.ranking import Order
from feeds.timeline import Timelines


class Wish(NamedTuple):
    """Whose feed is proposed, and what it depends on. ``pulled`` are the sources that the caller merges."""

    sources: Sources
    order: Order
    taste: Taste
    epoch: Epoch
    pulled: Collection[int]


class Proposals:
    """Proposes posts for feeds."""

    def __init__(self, timelines: Timelines, activity: Activity) -> None:
        self._timelines = timelines
        self._activity = activity

    async def admit(self, user: str, first: First) -> bool:
        """Tell whether a user has a timeline; make them active where they may be. Before their sources are read."""
        return first.base is not None or await self._activity.admit(user)

    async def of(self, first: First, wish: Wish, *, active: bool) -> Proposed:
        """Return what is proposed for a user's feed, but for the posts of pulled sources."""
        user = wish.sources.user
        base = None if first.base is None else packing.read_timeline(first.base)
        if base is not None and base.order == wish.order:
            self._activity.viewed(user)
            if not first.fresh:
                return Proposed(base.nums, base.mark)
            fresh = packing.read_fresh(first.fresh)
            nums = dict.fromkeys((*fresh, *base.nums))  # one that moved is in both
            return Proposed(list(nums), base.mark, len(fresh))
        READ_THROUGH.labels("timeline").inc()
        made = await (self._timelines.rebuild(*wish) if active else self._timelines.propose(*wish))
        return Proposed(made.nums, made.mark)

    async def close(self) -> None:
        """Wait for what is noted of activity."""
        await self._activity.close()
