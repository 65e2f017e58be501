"""The fence: whatever leaves the origin passes it at that moment, and is in the ledger.

A bake notes its shard's count before it reads anything. It passes if none of what it depends on was recorded since.
Each process keeps the tail of each shard's log, so a trip brings only what is new and costs the same however many
tags an answer has.
"""

from bisect import bisect_right
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import orjson
from redis.asyncio import Redis

from cdn import keys, scripts

TAIL = 20_000
"""Records of a shard that a process remembers; an answer noted before the oldest is baked again."""

TRANSIT_MS = 6_200
"""The longest way of an answer to the edge, which cuts it off then: its completion timeout and a margin."""

RECENT_S = 10
"""Seconds beyond that for which the script keeps what left lately: a window of its own, and more."""

NOWHERE = -1
"""The cursor of a shard that this process has not read: its log is not asked for."""


@dataclass(slots=True)
class Leaving:
    """An answer at the door: under which count it was noted, what it depends on, and what the ledger keeps of it.

    ``tags`` are those it carries, ``horizon_ms`` how long an edge may serve it from now. ``user`` is whose tag ``u-``
    is among them; "": nobody's. ``carried`` are the numbers of the sources whose tags are; None: of all that it draws
    from, or it draws from none.
    """

    shard: int
    noted: int
    depends: Container[str]
    tags: Sequence[str]
    horizon_ms: int
    user: str = ""
    carried: tuple[int, ...] | None = None


@dataclass(slots=True)
class _Registration:
    """What one script registers: tags by horizon, and user, milliseconds, carried sources, one after the other."""

    tags: dict[int, set[str]] = field(default_factory=dict)
    users: list[str | int] = field(default_factory=list)

    def add(self, answer: Leaving, transit_ms: int) -> None:
        ends_ms = answer.horizon_ms + transit_ms
        tags = self.tags.setdefault(ends_ms, set())
        tags.update(answer.tags)
        if answer.user:
            tags.discard(f"u-{answer.user}")
            self.users += (answer.user, ends_ms, _listed(answer.carried))

    def words(self) -> bytes:
        """Return it as the script takes it."""
        groups = [word for ends_ms, tags in self.tags.items() for word in (ends_ms, list(tags))]
        return orjson.dumps([groups, self.users])


@lru_cache(10_000)  # an artifact leaves often
def _listed(sources: tuple[int, ...] | None) -> str:
    return "*" if sources is None else ",".join(map(str, sources))


@dataclass(frozen=True, slots=True)
class Sparing:
    """An old answer that would leave marked late: the count that it passed under, and what it depends on."""

    shard: int
    noted: int
    depends: Container[str]

    def __contains__(self, tag: object) -> bool:
        """Tell whether a recorded tag is the guard of something that the answer depends on."""
        return isinstance(tag, str) and tag[:1] == "!" and tag[1:] in self.depends


class Tail:
    """What a process knows of the end of a shard's log: tags in the order of their counts."""

    __slots__ = ("_counts", "_most", "_tags", "cursor", "floor")

    def __init__(self, count: int, most: int = TAIL) -> None:
        self._most = most
        self.cursor = count
        self.floor = count
        self._counts: list[int] = []
        self._tags: list[str] = []

    def merge(self, reply: Sequence[Any]) -> Sequence[str]:
        """Take count, the log's floor, and the records since a count that was the cursor once; return the new tags.

        Trips overtake each other, so a reply may bring what an earlier one brought, or nothing new at all.
        """
        count, floor = int(reply[0]), int(reply[1])
        if count <= self.cursor:
            return ()
        if floor > self.cursor:
            self.floor = floor
        records = sorted((int(reply[i + 1]), reply[i].decode()) for i in range(2, len(reply), 2))
        new = [(number, tag) for number, tag in records if number > self.cursor]
        self._counts += [number for number, _ in new]
        self._tags += [tag for _, tag in new]
        self.cursor = count
        if len(self._counts) > self._most:
            self._forget(len(self._counts) - self._most // 2)
        return [tag for _, tag in new]

    def touches(self, noted: int, depends: Container[str]) -> bool:
        """Tell whether anything in ``depends`` was recorded since ``noted``, or whether that cannot be known."""
        if noted == self.cursor:
            return False
        if noted < self.floor or noted > self.cursor:
            return True
        start = bisect_right(self._counts, noted)
        return any(tag in depends for tag in self._tags[start:])

    def _forget(self, oldest: int) -> None:
        self.floor = max(self.floor, self._counts[oldest - 1])
        del self._counts[:oldest], self._tags[:oldest]


class Watcher(Protocol):
    """Somebody who keeps what tags guard, and must let go of it when they are recorded."""

    def recorded(self, tag: str) -> None:
        """Let go of what a tag guards; it may have changed."""

    def unsure(self) -> None:
        """Let go of everything: records may have been missed."""


class Fence:
    """The fence as one process sees it. ``transit_ms`` is the longest way of an answer to the edge.

    ``taps_all``: every item is tapped twice anyway, so the ledger is not told which tags left lately: all did.
    """

    def __init__(self, redis: Redis, watcher: Watcher, transit_ms: int = TRANSIT_MS, *, taps_all: bool = False) -> None:
        self._redis = redis
        self._watcher = watcher
        self._transit_ms = transit_ms
        self._recent = (transit_ms // 1000 + RECENT_S, int(taps_all))
        self._tails: dict[int, Tail] = {}

    def note(self, shard: int) -> scripts.Command:
        """Return the command that notes a shard's count: the first thing that a bake reads.

        It brings the tail of the log too, so that what the process keeps is of that count or newer.
        """
        return scripts.call(scripts.TAIL, keys.fence(shard)[:3], self._cursor(shard))

    def noted(self, shard: int, command: scripts.Command, reply: Sequence[Any]) -> int:
        """Take the reply to a ``note`` and return the count, or an older one where the tail does not reach it."""
        self._merge(shard, command[-1], reply)
        return min(int(reply[0]), self._tails[shard].cursor)

    async def passes(self, answers: Sequence[Leaving]) -> list[int | None]:
        """Register answers in the ledger and judge each: its new count where it passed, else None.

        One trip for all of them, one script a shard. All are registered, passed or not: the ledger may claim too
        much, never too little. Each answer was noted with ``note`` by this process.
        """
        by_shard: dict[int, _Registration] = {}
        for answer in answers:
            by_shard.setdefault(answer.shard, _Registration()).add(answer, self._transit_ms)
        since = {shard: self._cursor(shard) for shard in by_shard}
        commands = [self._pass(shard, since[shard], answers) for shard, answers in by_shard.items()]
        for shard, reply in zip(by_shard, await scripts.execute(self._redis, commands), strict=True):
            self._merge(shard, since[shard], reply)
        return [self._verdict(answer) for answer in answers]

    async def spares(self, answers: Sequence[Sparing]) -> list[bool]:
        """Tell of each answer whether it may leave marked late: nothing of it was deleted or made private since.

        One trip for all of them brings the tails up to now. Nothing is registered: the answers live for 2 seconds.
        """
        shards = list(dict.fromkeys(answer.shard for answer in answers))
        notes = [self.note(shard) for shard in shards]
        replies = await scripts.execute(self._redis, notes)
        known = {}
        for shard, note, reply in zip(shards, notes, replies, strict=True):
            known[shard] = self.noted(shard, note, reply) == int(reply[0])
        return [known[each.shard] and not self._tails[each.shard].touches(each.noted, each) for each in answers]

    def _cursor(self, shard: int) -> int:
        return self._tails[shard].cursor if shard in self._tails else NOWHERE

    def _merge(self, shard: int, since: int, reply: Sequence[Any]) -> None:
        """Bring the process's tail of a shard up to a reply; tell the watcher what was recorded."""
        tail = self._tails.get(shard)
        if tail is None:
            self._tails[shard] = Tail(int(reply[0]))
            self._watcher.unsure()
        elif since != NOWHERE:  # asked before the first reply came: it has no records, and would hide them
            floor = tail.floor
            for tag in tail.merge(reply):
                self._watcher.recorded(tag)
            if tail.floor > floor:
                self._watcher.unsure()

    def _pass(self, shard: int, since: int, answers: _Registration) -> scripts.Command:
        return scripts.call(scripts.PASS, keys.fence(shard)[:5], since, answers.words(), *self._recent)

    def _verdict(self, answer: Leaving) -> int | None:
        tail = self._tails[answer.shard]
        return None if tail.touches(answer.noted, answer.depends) else tail.cursor
