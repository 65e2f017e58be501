"""Writes to the ranking epoch."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from feeds.change import Reranked
from feeds.engagement import find_epoch
from feeds.model import Epoch
from feeds.schema import ranking
from feeds.writes.locks import hold_name
from feeds.writes.unit import Unit


async def rerank(unit: Unit, shards: Sequence[int], users: Sequence[str]) -> str:
    """Note that a recalculation changed feeds."""
    return unit.note(Reranked(tuple(shards), tuple(users)))


async def begin_epoch(unit: Unit, means: Epoch) -> Epoch:
    """Freeze these averages as the next epoch, and return it."""
    await hold_name(unit.conn, "ranking")
    begun = replace(means, number=(await find_epoch(unit.conn)).number + 1)
    await unit.put(ranking, [{"id": "ranking", **asdict(begun)}])
    return begun
