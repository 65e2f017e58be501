"""The fence: whatever leaves the origin passes it at that moment, and is in the ledger.

A bake notes its shard's count before it reads anything. It passes if none of what it depends on was recorded since.
Each process keeps the tail of each shard's log, so a trip brings only what is new and costs the same however many
tags an answer has.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from cdn import keys, scripts

TAIL = 20_000
"""Records of a shard that a process remembers; an answer noted before the oldest is baked again."""


@dataclass(slots=True)
class Leaving:
    """An answer at the door: under which count it was noted, what it depends on, and what the ledger keeps of it.

    ``tags`` are those it carries, ``horizon_ms`` how long an edge may serve it from now.
    """

    shard: int
    noted: int
    depends: AbstractSet[str]
    tags: Sequence[str]
    horizon_ms: int


class Tail:
    """What a process knows of the end of a shard's log: tags in the order of their counts."""

    __slots__ = ("_counts", "_tags", "cursor", "floor")

    def __init__(self, count: int) -> None:
        self.cursor = count
        self.floor = count
        self._counts: list[int] = []
        self._tags: list[str] = []

    def merge(self, reply: Sequence[Any]) -> None:
        """Take the reply to PASS: count, the log's floor, and the records since ``cursor``."""
        count, floor = int(reply[0]), int(reply[1])
        if count < self.cursor:  # Redis forgot: nothing noted before now can be checked
            self.__init__(count)  # type: ignore[misc]  # the same tail, begun anew
            return
        if floor > self.cursor:
            self.floor = floor
        records = sorted((int(reply[i + 1]), reply[i].decode()) for i in range(2, len(reply), 2))
        self._counts += [number for number, _ in records]
        self._tags += [tag for _, tag in records]
        self.cursor = count
        if len(self._counts) > TAIL:
            self._forget(len(self._counts) - TAIL // 2)

    def touches(self, noted: int, depends: AbstractSet[str]) -> bool:
        """Tell whether anything in ``depends`` was recorded since ``noted``, or whether that cannot be known."""
        if noted == self.cursor:
            return False
        if noted < self.floor or noted > self.cursor:
            return True
        start = bisect_right(self._counts, noted)
        return any(tag in depends for tag in self._tags[start:])

    def _forget(self, oldest: int) -> None:
        self.floor = self._counts[oldest - 1]
        del self._counts[:oldest], self._tags[:oldest]


def note(shard: int) -> scripts.Command:
    """Return the command that reads a shard's count: the first thing a bake does."""
    return ("GET", keys.count(shard))


class Fence:
    """The fence as one process sees it."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._tails: dict[int, Tail] = {}

    async def passes(self, answers: Sequence[Leaving]) -> list[int | None]:
        """Register answers in the ledger and judge each: its new count where it passed, else None.

        One trip for all of them, one script a shard. All are registered, passed or not: the ledger may claim too
        much, never too little.
        """
        by_shard: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for answer in answers:
            by_shard[answer.shard][answer.horizon_ms].update(answer.tags)
        shards = list(by_shard)
        for shard in by_shard.keys() - self._tails.keys():
            self._tails[shard] = Tail(min(answer.noted for answer in answers if answer.shard == shard))
        replies = await scripts.execute(self._redis, [self._pass(shard, by_shard[shard]) for shard in shards])
        for shard, reply in zip(shards, replies, strict=True):
            self._tails[shard].merge(reply)
        return [self._verdict(answer) for answer in answers]

    def _pass(self, shard: int, horizons: dict[int, set[str]]) -> scripts.Command:
        words: list[object] = []
        for horizon, tags in horizons.items():
            words += (horizon, len(tags), *tags)
        return scripts.call(scripts.PASS, keys.fence(shard), self._tails[shard].cursor, *words)

    def _verdict(self, answer: Leaving) -> int | None:
        tail = self._tails[answer.shard]
        return None if tail.touches(answer.noted, answer.depends) else tail.cursor
