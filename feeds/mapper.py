"""One shard of a recalculation, in a process of its own: from packed inputs in Redis to timelines in Redis.

A bucket's timelines are watched before anything of it is read, and written in a transaction: whoever dropped,
created or rebuilt one of them meanwhile ends it, and then each is installed by itself, newest log number wins.
"""

import gc
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, compress, islice
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import NamedTuple

from feeds import keys, rankshard, scripts
from feeds.ids import BUCKETS, bucket_of
from feeds.packing import without_names
from feeds.ranking import Order
from feeds.wire import Wire

WRITTEN = 1000
"""Timelines that one transaction writes: it keeps Redis for some two milliseconds."""
RANKED = 4000
"""Readers that are read and ranked together."""


class Shard(NamedTuple):
    """What is to be done: all users of a shard who have a timeline, or those of ``users`` who have one."""

    shard: int
    users: Sequence[str] | None
    snapshot: int
    default: Order
    options: bytes


class Ranked(NamedTuple):
    """What was done. ``newer`` had a newer timeline; the copies of ``missing`` have to be read from the record."""

    installed: int
    newer: int
    missing: tuple[str, ...]

    def plus(self, other: "Ranked") -> "Ranked":
        """Return both together."""
        return Ranked(self.installed + other.installed, self.newer + other.newer, self.missing + other.missing)


@dataclass(slots=True)
class _Bucket:
    """A bucket's users who are to be ranked, and what is known of each."""

    base: str
    number: int
    users: list[bytes] = field(default_factory=list)
    kinds: list[bytes] = field(default_factory=list)
    ranked: list[bool] = field(default_factory=list)
    sources: list[bytes] = field(default_factory=list)
    tastes: list[bytes | None] = field(default_factory=list)

    @property
    def dropped(self) -> Sequence[bytes]:
        """The users whose timelines were dropped."""
        return [user for user, kind in zip(self.users, self.kinds, strict=True) if kind == b"D"]

    def fill(
        self,
        copies: Iterator[bytes | None],
        chosen: Iterator[bool | None],
        tastes: Sequence[bytes | None],
        current: bytes,
    ) -> list[str]:
        """Add what was read of all users; take out those whose copies are missing, and return them."""
        ranked = [kind == b"R" if kind != b"D" else next(chosen) for kind in self.kinds]
        parts = [(copy or b"").partition(b" ") for copy in islice(copies, len(self.users))]
        there = [current in head and one is not None for (head, _, _), one in zip(parts, ranked, strict=True)]
        missing = [user.decode() for user, is_there in zip(self.users, there, strict=True) if not is_there]
        self.users = list(compress(self.users, there))
        self.ranked = [one is True for one in compress(ranked, there)]
        self.sources = [without_names(body) for _, _, body in compress(parts, there)]
        self.tastes = list(compress(tastes, there))
        return missing


class Piece:
    """Buckets that are read and written together, over a connection that watches them."""

    def __init__(self, wire: Wire, shard: Shard, numbers: Sequence[int]) -> None:
        self._wire = wire
        self._shard = shard
        self.buckets = [_Bucket(keys.base_of(shard.shard, number), number) for number in numbers]
        self.newer = 0
        self.missing: list[str] = []
        self._fresh = 0

    def read(self) -> None:
        """Read which users have a timeline that is not newer, how they read, their sources and tastes."""
        names = [bucket.base for bucket in self.buckets]
        _, states = self._wire.send([("WATCH", *names), scripts.call(scripts.STATES, names)])
        wanted = None if self._shard.users is None else {user.encode() for user in self._shard.users}
        for bucket, found in zip(self.buckets, states, strict=True):
            users, kinds = found[::2], found[1::2]
            if wanted is not None:
                asked = [user in wanted for user in users]
                users, kinds = list(compress(users, asked)), list(compress(kinds, asked))
            older = [int(kind[1:]) <= self._shard.snapshot for kind in kinds]
            bucket.users = list(compress(users, older))
            bucket.kinds = [kind[:1] for kind in compress(kinds, older)]
            self.newer += len(users) - len(bucket.users)
        self.buckets = [bucket for bucket in self.buckets if bucket.users]
        if self.buckets:
            self._read_users()

    def _read_users(self) -> None:
        shard = self._shard.shard
        # Keys of a known shard, for users whose ids are bytes as yet.
        sources_of, user_of, fresh_of = (b"{%02x}:%b:" % (shard, kind) for kind in (b"sources", b"user", b"fresh"))
        users = [user for bucket in self.buckets for user in bucket.users]
        names = [sources_of + user for user in users]
        dropped = [user_of + user for bucket in self.buckets for user in bucket.dropped]
        generation, self._fresh, sources, settings, *tastes = self._wire.send(
            [
                ("GET", keys.generation(shard)),
                ("EXISTS", *(fresh_of + user for user in users)),
                ("MGET", *names),
                # Who reads by rank is in the timeline's kind; where it was dropped, in the settings.
                ("MGET", *(dropped or names[:1])),
                *(("HMGET", keys.taste_of(shard, bucket.number), *bucket.users) for bucket in self.buckets),
            ]
        )
        current = b".%d." % int(generation or 0)
        copies = iter(sources)
        chosen = (_reads_by_rank(copy, current, self._shard.default) for copy in settings)
        for bucket, known in zip(self.buckets, tastes, strict=True):
            self.missing += bucket.fill(copies, chosen, known, current)
        self.buckets = [bucket for bucket in self.buckets if bucket.users]

    def write(self, timelines: Iterator[bytes]) -> int:
        """Write the timelines of all users in their order; return how many."""
        if not self.buckets:
            return 0
        written: list[tuple[str, list[bytes]]] = []
        for bucket in self.buckets:
            written.append((bucket.base, list(chain.from_iterable(zip(bucket.users, timelines, strict=False)))))
        users = [user for bucket in self.buckets for user in bucket.users]
        commands: list[scripts.Command] = [("HSET", base, *words) for base, words in written]
        if (
            self._fresh
        ):  # who has none yet may be pushed to from now on: posts of higher numbers, or some that stand twice
            forget = scripts.call(scripts.FORGET_FRESH, (self.buckets[0].base,), self._shard.snapshot, *users)
            commands.append(forget)
        if self._wire.transact(commands) is not None:
            return len(users)
        installs = [scripts.call(scripts.INSTALL, (base,), self._shard.snapshot, *words) for base, words in written]
        return sum(self._wire.send(installs))


class Mapper:
    """Ranks shards, over connections of its own and the same posts."""

    def __init__(self, redis_url: str, posts: bytes) -> None:
        self._wires = [Wire.opened(redis_url) for _ in range(RANKED // WRITTEN)]
        self._posts = posts

    def rank(self, shard: Shard) -> Ranked:
        """Rank a shard and write its timelines. May be done again from the start at any time."""
        self._wires[0].load_scripts()
        done = Ranked(0, 0, ())
        pieces = list(_pieces(self._sizes(shard)))
        for start in range(0, len(pieces), len(self._wires)):
            done = done.plus(self._group(shard, pieces[start : start + len(self._wires)]))
        return done

    def close(self) -> None:
        """Close the connections."""
        for wire in self._wires:
            wire.close()

    def _sizes(self, shard: Shard) -> dict[int, int]:
        """Return how many users there are in each bucket that has some."""
        wanted = range(BUCKETS) if shard.users is None else sorted({bucket_of(user) for user in shard.users})
        sizes = self._wires[0].send([("HLEN", keys.base_of(shard.shard, bucket)) for bucket in wanted])
        return {bucket: size for bucket, size in zip(wanted, sizes, strict=True) if size}

    def _group(self, shard: Shard, group: Sequence[Sequence[int]]) -> Ranked:
        pieces = [Piece(wire, shard, numbers) for wire, numbers in zip(self._wires, group, strict=False)]
        for piece in pieces:
            piece.read()
        buckets = [bucket for piece in pieces for bucket in piece.buckets]
        readers = rankshard.pack_readers(
            [one for bucket in buckets for one in bucket.ranked],
            [one for bucket in buckets for one in bucket.sources],
            [one for bucket in buckets for one in bucket.tastes],
        )
        made = iter(rankshard.unpack_timelines(rankshard.rank_shard(self._posts, readers, shard.options)))
        installed = sum([piece.write(made) for piece in pieces])
        missing = tuple(user for piece in pieces for user in piece.missing)
        return Ranked(installed, sum(piece.newer for piece in pieces), missing)


def _pieces(sizes: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield buckets of about WRITTEN users in all."""
    piece: list[int] = []
    users = 0
    for bucket, size in sizes.items():
        if piece and users + size > WRITTEN:
            yield piece
            piece, users = [], 0
        piece.append(bucket)
        users += size
    if piece:
        yield piece


def _reads_by_rank(copy: bytes | None, current: bytes, default: Order) -> bool | None:
    """Tell whether the user of a copy reads by rank; None where there is no copy."""
    head, _, body = (copy or b"").partition(b" ")
    if current not in head:
        return None
    if b'"order":"default"' in body:  # no text in a copy can hold this: there its quotes would be escaped
        return default == "ranked"
    return b'"order":"ranked"' in body


_mapper: Mapper | None = None


def begin(redis_url: str, posts: bytes) -> None:
    """Begin a process that ranks: what it is given once. It ends when the process that began it does."""
    global _mapper  # noqa: PLW0603  # a process of a pool has no other place for what it is given once
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group, and the other process decides
    gc.disable()  # nothing here refers to itself, and a shard has a million small objects
    Thread(target=_end_with, args=(parent_process(),), daemon=True).start()
    _mapper = Mapper(redis_url, posts)


def _end_with(parent: BaseProcess | None) -> None:
    if parent is not None:
        parent.join()
        os._exit(1)


def rank(shard: Shard) -> Ranked:
    """Rank a shard in a process that has begun."""
    if _mapper is None:
        raise RuntimeError("begin() was not called in this process")
    return _mapper.rank(shard)
