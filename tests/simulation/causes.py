"""What an item may be sent for: no first item goes that no registered answer within its horizon could have made needed.

This listens at the wire and keeps, for itself, which answers were registered and which tags recorded, from the
arguments of the scripts. A recorded tag is a *cause* in a shard where an answer that carried it may be at the edge. An
item must have a cause that waits, and takes it along. What is allowed besides, for DESIGN has the ledger coarse:

- a tag counts as alive to the end of the 64 seconds in which its last answer ends, a user to the second;
- of a user's living answers it is known which sources all of them carry, not which each of them does;
- where ``g`` or ``s-`` waits, which cleared the ledger, what is urgent has a cause even so;
- while a shard is unsure after a loss, everything recorded is a cause, ``o`` for readers, and ``g`` where all is lost;
- the planner's own ``g`` in place of several that wait, its ``o`` in place of more readers than it names one by one;
- what a drain loop saw waiting when it looked, though another one, which took the lease since, took it along.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from redis.exceptions import ResponseError

from cdn import keys, scripts
from cdn.pending import Flag
from cdn.tags import GLOBAL, OVERFLOW, shard_tag
from tests.simulation.loop import Process
from tests.simulation.redis import Server

BUCKET_S = 64
EVERY_SOURCE = "*"


class Needless(AssertionError):
    """An item was to be sent that nothing at an edge could have made needed."""


@dataclass(slots=True)
class Living:
    """What a user's answers have in common: until which second one may live, and which sources all carry."""

    ends: int
    carried: frozenset[str] | None = None

    def joined(self, ends: int, carried: frozenset[str] | None) -> "Living":
        """Return what they have in common with one more."""
        if carried is None or self.carried is None:
            return Living(max(self.ends, ends), self.carried if carried is None else carried)
        return Living(max(self.ends, ends), self.carried & carried)


@dataclass(slots=True)
class Shard:
    """What is known of one shard: the last bucket of each tag's answers, users, and causes that wait.

    A cause is marked where ``o`` reaches the answers too.
    """

    tags: dict[str, int] = field(default_factory=dict)
    users: dict[str, Living] = field(default_factory=dict)
    causes: dict[str, bool] = field(default_factory=dict)
    unsure_until: int = 0

    def take(self, tag: str, now: int) -> bool:
        """Tell whether an answer with a tag may be at an edge; from now on it counts as told."""
        if tag.startswith("u-"):
            user = self.users.pop(tag[2:], None)
            return user is not None and user.ends >= now
        if self.tags.pop(tag, -1) < now // BUCKET_S:
            return False
        if tag == GLOBAL or tag.startswith("s-"):
            self.tags.clear()
            self.users.clear()
        return True

    def cause(self, tag: str, *, covered: bool = False) -> None:
        """Note that an item for this tag has a cause."""
        self.causes[tag] = covered and self.causes.get(tag, True)


class Causes:
    """All shards, and what each process has seen waiting. ``longest_ms``: how long an answer can be at an edge."""

    def __init__(self, server: Server, edge: str, *, longest_ms: int, overflow_items: int) -> None:
        self._server = server
        self._longest_ms = longest_ms
        self._overflow_items = overflow_items
        self._batches = keys.batches(edge).encode()
        self._edge = edge
        self._taps: dict[bytes, frozenset[str]] = {}
        self._seen: dict[tuple[Process, int], Mapping[str, bool]] = {}
        self.shards = {shard: Shard() for shard in range(keys.SHARDS)}
        self.first = 0
        self.registered = 0
        self._scripts: Mapping[bytes, Callable[[int, Process, Sequence[bytes], Any], None]] = {
            scripts.PASS.encode(): self._pass,
            scripts.RECORD.encode(): self._record,
            scripts.PENDING.encode(): self._look,
            scripts.CLAIM.encode(): self._claim,
            scripts.RAISE.encode(): self._raise,
        }

    def copied(self) -> dict[int, Shard]:
        """Return a copy of what is known: what a Redis that forgets comes back to."""
        return copy.deepcopy(self.shards)

    def restore(self, shards: dict[int, Shard] | None) -> None:
        """Come back to a copy, or to nothing."""
        self.shards = shards or {shard: Shard() for shard in range(keys.SHARDS)}

    def heard(self, who: Process, words: Sequence[bytes], reply: Any) -> None:
        """Take a command that was done. Raises Needless."""
        if words[0] == b"EVALSHA":
            if (take := self._scripts.get(words[1])) is not None and not isinstance(reply, ResponseError):
                given = 3 + int(words[2])
                take(int(words[3][1:3], 16), who, words[given:], reply)
        elif words[0] == b"HSET" and words[1] == self._batches:
            row = orjson.loads(words[3])
            if words[2] not in self._taps:
                self._judge(who, row)
            self._taps[words[2]] = frozenset(row[3])

    def _now(self) -> int:
        return self._server.store.clock() // 1_000_000

    def _pass(self, shard: int, _: Process, words: Sequence[bytes], reply: Any) -> None:
        """Register answers."""
        groups, users = orjson.loads(words[1])
        known, now = self.shards[shard], self._now()
        for ends_ms, tags in zip(groups[::2], groups[1::2], strict=True):
            if ends_ms > self._longest_ms:
                raise Needless(f"{tags} are registered for {ends_ms} ms, and an edge has them for {self._longest_ms}")
            bucket = (now + math.ceil(ends_ms / 1000)) // BUCKET_S
            for tag in tags:
                known.tags[tag] = max(bucket, known.tags.get(tag, 0))
        for user, ends_ms, listed in zip(users[::3], users[1::3], users[2::3], strict=True):
            ends, carried = now + math.ceil(ends_ms / 1000), _sources(listed)
            before = known.users.get(user)
            alive = before is not None and before.ends >= now
            known.users[user] = before.joined(ends, carried) if before and alive else Living(ends, carried)
        self.registered += 1

    def _record(self, shard: int, _: Process, words: Sequence[bytes], reply: Any) -> None:
        """Note what is recorded as causes, where an answer may be at an edge."""
        _, dropped, readers = orjson.loads(words[2])
        known, now = self.shards[shard], self._now()
        is_unsure, gained = known.unsure_until >= now, bool(readers)
        for flags, tags in zip(dropped[::2], dropped[1::2], strict=True):
            for tag in tags:
                wide = flags & Flag.URGENT and (GLOBAL in known.causes or shard_tag(shard) in known.causes)
                if known.take(tag, now) or is_unsure or wide:
                    known.cause(tag, covered=bool(flags & Flag.COVERED))
                gained = gained or tag.startswith(("a-", "t-"))
        if is_unsure and gained:
            known.cause(OVERFLOW)
            return
        for sources, listed in zip(readers[::2], readers[1::2], strict=True):
            for user in listed.split("\n"):
                living = known.users.get(user)
                if living and living.ends >= now and not (living.carried is None or living.carried & set(sources)):
                    known.cause(f"u-{user}", covered=True)
                    known.users[user] = Living(living.ends)

    def _look(self, shard: int, who: Process, words: Sequence[bytes], reply: Any) -> None:
        """Note what somebody saw waiting."""
        if words[0] != b"0":
            self._seen[who, shard] = dict(self.shards[shard].causes)

    def _claim(self, shard: int, _: Process, words: Sequence[bytes], reply: Any) -> None:
        """Take away the causes that a batch, or nobody, has to go for any more."""
        waiting = self._server.store.values.get(keys.pending(shard, self._edge)[1].encode(), {})
        for tag in words[1::2]:
            if tag not in waiting:
                self.shards[shard].causes.pop(tag.decode(), None)

    def _raise(self, shard: int, _: Process, words: Sequence[bytes], reply: Any) -> None:
        """Take a shard into an epoch."""
        if reply == 1:
            until = math.ceil((self._now() * 1000 + 1000 + int(words[1])) / 1000) if words[1] != b"0" else 0
            self.shards[shard].unsure_until = max(until, self.shards[shard].unsure_until)
            if words[2] == b"1":
                self.shards[shard].cause(GLOBAL)

    def _judge(self, who: Process, row: Sequence[Any]) -> None:
        """Look at a batch as it is stored. Raises Needless."""
        tags, shards, _, _, covers, *_ = row
        taps = {tag for batch in covers for tag in self._taps[batch.encode()]}
        waiting: dict[str, bool] = {}
        for shard in shards:
            waiting |= {**self._seen.get((who, shard), {}), **self.shards[shard].causes}
        for tag in tags:
            if tag in taps:
                continue
            self.first += 1
            if tag not in waiting and not self._is_wide(tag, waiting):
                raise Needless(f"{tag} is to be sent, for {sorted(waiting) or 'nothing'} in shards {shards}")

    def _is_wide(self, tag: str, waiting: Mapping[str, bool]) -> bool:
        """Tell whether the planner may send a wider item for what waits."""
        if tag == OVERFLOW:
            return sum(waiting.values()) > self._overflow_items
        return tag == GLOBAL and len(waiting) > 1


def _sources(listed: str) -> frozenset[str] | None:
    return None if listed == EVERY_SOURCE else frozenset(filter(None, listed.split(",")))
