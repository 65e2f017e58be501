"""The epoch of a Redis: a number that rises whenever Redis may have forgotten something.

The key ``epoch`` says under which run and replication the number was made. Every connection compares these before
anything else goes over it; where they differ, or where a shard has no count, a new number is made (durably, by the
caller), every shard is raised to it, and the key is written last. No number goes back, so what began under an old epoch
is refused by the counts and floors that are there: no script needs to be told of the epoch.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cdn import keys, scripts

ALL_SHARDS = range(keys.SHARDS)
SHIFT = 32
"""From an epoch's first count to the next one's is 2^32: no shard records as often under one. Counts stay below 2^53,
up to which Lua and sorted sets keep whole numbers, for two million epochs."""

QUESTIONS: tuple[scripts.Command, ...] = (
    ("INFO", "server", "replication"),
    ("GET", keys.EPOCH),
    ("EXISTS", *(keys.count(shard) for shard in ALL_SHARDS)),
)
"""What a connection asks first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a Redis says of itself: which it is, under which epoch it was written, and whether all counts are there.

    ``ids``: run and replication, as the key has them. ``number`` is 0 where there is no epoch.
    """

    ids: str
    is_replica: bool
    number: int
    made_under: str
    is_whole: bool

    @property
    def is_current(self) -> bool:
        """Tell whether nothing was forgotten since the epoch was made."""
        return self.is_whole and self.number > 0 and self.made_under == self.ids


def first_count(number: int) -> int:
    """Return the count that an epoch begins with; the first with 0."""
    return (number - 1) << SHIFT


def read(replies: Sequence[Any]) -> Standing:
    """Read the replies to ``QUESTIONS``."""
    info, epoch, counts = replies
    told = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    number, _, made_under = (epoch or b"0").decode().partition(" ")
    ids = f"{told.get('run_id', '')} {told.get('master_replid', '')}"
    return Standing(ids, told.get("role") != "master", int(number), made_under, counts == keys.SHARDS)


def raised(
    number: int, *, edges: Iterable[str] = (), unsure_ms: int = 0, is_gone: bool = False
) -> list[scripts.Command]:
    """Return the commands that raise every shard into an epoch; each may run again, by whomever.

    For ``unsure_ms`` the ledger does not count: what is recorded is pending whether it knows it or not. Where it
    ``is_gone``, everything at the edges is to be dropped.
    """
    names, words = tuple(edges), (first_count(number), unsure_ms, int(is_gone))
    return [scripts.call(scripts.RAISE, _raised(shard, names), *words) for shard in ALL_SHARDS]


def making(standing: Standing, digits: str) -> scripts.Command:
    """Return the command that begins to make an epoch.

    Its reply is the token of everybody who makes it too, or None where it was made since.
    """
    return scripts.call(scripts.MAKING, (keys.MAKING, keys.EPOCH), standing.ids, digits, standing.number)


def made(number: int, ids: str, token: str = "") -> scripts.Command:
    """Return the command that says that an epoch stands: the last thing to be written."""
    return scripts.call(scripts.MADE, (keys.EPOCH, keys.MAKING), number, ids, token)


def _raised(shard: int, edges: Sequence[str]) -> list[str]:
    count, _, floor, *_ = keys.fence(shard)
    return [count, floor, keys.unsure(shard), *(key for edge in edges for key in keys.pending(shard, edge)[:3])]
