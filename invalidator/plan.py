"""The plan, a pure function: from what is pending to the next batch."""

from collections.abc import Mapping
from dataclasses import dataclass

from cdn.pending import ShardState, Waiting
from cdn.tags import GLOBAL


@dataclass(frozen=True, slots=True)
class Limits:
    """What an edge takes: items in one batch, and items that may be in progress at once."""

    max_items: int
    max_in_progress: int = 3000


@dataclass(frozen=True, slots=True)
class Plan:
    """The next batch: its tags, and by shard the waiting entries that they cover."""

    tags: tuple[str, ...]
    waiting: Mapping[int, tuple[Waiting, ...]]


def plan(shards: Mapping[int, ShardState], in_progress: int, limits: Limits) -> Plan | None:
    """Return the next batch, or None where nothing waits or the quota is full.

    Tags are taken round the shards, oldest first, up to what the edge takes at once; a tag that waits in many shards
    is one item and goes with all of them. ``g`` drops everything, so it takes along whatever else waits, for nothing.
    """
    room = min(limits.max_items, limits.max_in_progress - in_progress)
    chosen = _choose(shards, room)
    if not chosen:
        return None
    if GLOBAL in chosen:
        return Plan((GLOBAL,), {shard: state.waiting for shard, state in shards.items() if state.waiting})
    waiting = {
        shard: picked
        for shard, state in shards.items()
        if (picked := tuple(entry for entry in state.waiting if entry.tag in chosen))
    }
    return Plan(tuple(sorted(chosen)), waiting)


def _choose(shards: Mapping[int, ShardState], room: int) -> set[str]:
    if room > 0 and any(entry.tag == GLOBAL for state in shards.values() for entry in state.waiting):
        return {GLOBAL}
    chosen: set[str] = set()
    deepest = max((len(state.waiting) for state in shards.values()), default=0)
    for depth in range(deepest):
        for state in shards.values():
            if len(chosen) >= room:
                return chosen
            if depth < len(state.waiting):
                chosen.add(state.waiting[depth].tag)
    return chosen
