"""Packed forms: how the catalogue, sources, tastes and timelines are kept in Redis. All integers little-endian.

===========  ===========================================================================================================
entry        ``<BIIIqIII`` live, version, generation, author, published ms, likes, comments, views; then ``<B`` number
             of tags, their numbers, and the post's id
sources      ids of the authors and the tags, a line each, and a NUL; ``<6I`` own number, then how many authors, tags,
             muted authors, muted tags, blocked; then these
taste        ``<2I`` how many authors, how many posts; then pairs of number and count
timeline     ``<state><snapshot> <mark>\\n`` in ASCII, then post numbers
fresh        log number times 2^32 and the post's number, in decimal
===========  ===========================================================================================================

A timeline's state: ``N`` newest first, ``R`` ranked, ``D`` dropped: whoever bakes it next rebuilds it. ``snapshot`` is
the number of the fan-out log up to which its posts are complete, ``mark`` its mark in milliseconds, or ``-inf``. In
``N`` the numbers stand newest first, as the posts did at the snapshot.
"""

import struct
from array import array
from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from feeds.model import Entry, Sources, Taste
from feeds.ranking import Order

MOST = 2**32 - 1
_ENTRY = struct.Struct("<BIIIqIII")
_SOURCES = struct.Struct("<6I")
_TASTE = struct.Struct("<2I")


class Timeline(NamedTuple):
    """A timeline's base. ``order`` is None where it is dropped; ``nums`` are post numbers."""

    order: Order | None
    snapshot: int
    mark: float
    nums: Sequence[int]


def pack_entry(entry: Entry, generation: int) -> bytes:
    """Return an entry of the catalogue; counts over 32 bits stay at the most."""
    counts = (min(entry.likes, MOST), min(entry.comments, MOST), min(entry.views, MOST))
    head = _ENTRY.pack(entry.live, entry.version, generation, entry.author, entry.published_ms, *counts)
    return head + bytes([len(entry.tags)]) + numbers(entry.tags) + entry.post.encode()


def read_entry(num: int, packed: bytes) -> Entry:
    """Return the entry that was packed, whatever its generation."""
    live, version, _, author, published_ms, likes, comments, views = _ENTRY.unpack_from(packed)
    at = _ENTRY.size + 1
    end = at + 4 * packed[at - 1]
    tags = tuple(unpacked(packed[at:end]))
    return Entry(num, packed[end:].decode(), author, published_ms, likes, comments, views, tags, bool(live), version)


def generation_of(packed: bytes) -> int:
    """Return the generation that an entry was written under."""
    generation: int = _ENTRY.unpack_from(packed)[2]
    return generation


def pack_sources(sources: Sources) -> bytes:
    """Return a user's sources."""
    lists = (sources.authors, sources.tags, sources.muted_authors, sources.muted_tags, sources.blocked)
    names = "\n".join(sources.names).encode()
    return b"".join((names, b"\0", _SOURCES.pack(sources.num, *map(len, lists)), *map(numbers, lists)))


def read_sources(user: str, packed: bytes, version: int = 0) -> Sources:
    """Return the sources that were packed."""
    named, _, packed = packed.partition(b"\0")
    num, *sizes = _SOURCES.unpack_from(packed)
    flat = unpacked(packed[_SOURCES.size :])
    lists, at = [], 0
    for size in sizes:
        lists.append(tuple(flat[at : at + size]))
        at += size
    authors, tags, muted_authors, muted_tags, blocked = lists
    names = tuple(named.decode().split("\n")) if named else ()
    return Sources(user, num, authors, tags, muted_authors, muted_tags, blocked, version, names)


def without_names(packed: bytes) -> bytes:
    """Return the numbers of the sources that were packed, which a recalculation reads as arrays."""
    return packed[packed.index(b"\0") + 1 :]


def pack_taste(taste: Taste) -> bytes:
    """Return a user's taste."""
    pairs = [number for counts in (taste.authors, taste.shown) for pair in counts.items() for number in pair]
    return _TASTE.pack(len(taste.authors), len(taste.shown)) + numbers(pairs)


def read_taste(packed: bytes | None) -> Taste:
    """Return the taste that was packed; nobody's where there is none."""
    if not packed:
        return Taste({}, {})
    authors, _ = _TASTE.unpack_from(packed)
    flat = unpacked(packed[_TASTE.size :])
    pairs = list(zip(flat[::2], flat[1::2], strict=True))
    return Taste(dict(pairs[:authors]), dict(pairs[authors:]))


def pack_timeline(order: Order, snapshot: int, mark: float, nums: Iterable[int]) -> bytes:
    """Return a timeline's base."""
    place = "-inf" if mark == -inf else str(int(mark))
    return f"{'R' if order == 'ranked' else 'N'}{snapshot} {place}\n".encode() + numbers(nums)


def read_timeline(packed: bytes) -> Timeline:
    """Return the base that was packed."""
    end = packed.index(b"\n")
    snapshot, _, mark = packed[1:end].partition(b" ")
    order: Order | None = {b"R": "ranked", b"N": "newest"}.get(packed[:1])  # type: ignore[assignment]  # mypy joins
    return Timeline(order, int(snapshot), float(mark), unpacked(packed[end + 1 :]))


def pack_fresh(num: int, log: int) -> int:
    """Return a post that is pushed under a log number."""
    return log << 32 | num


def read_fresh(pushed: Iterable[bytes]) -> dict[int, int]:
    """Return the posts that were pushed, each once: post number → the newest of its log numbers."""
    return {one & MOST: one >> 32 for one in sorted(map(int, pushed))}


def numbers(values: Iterable[int]) -> bytes:
    """Return numbers of 32 bits."""
    return array("I", values).tobytes()


def unpacked(packed: bytes) -> Sequence[int]:
    """Return numbers of 32 bits."""
    values = array("I")
    values.frombytes(packed)
    return values
