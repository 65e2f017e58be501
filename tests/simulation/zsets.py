"""The commands on sorted sets of the in-process Redis."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from tests.simulation.store import Ranked, Store, Words, command, number, score, span, spelt


@command
def zadd(store: Store, words: Words) -> Any:
    key, at, options = words[0], 1, set()
    while words[at].upper() in (b"NX", b"XX", b"GT", b"LT", b"CH"):
        options.add(words[at].upper())
        at += 1
    pairs = [(score(words[i]), words[i + 1]) for i in range(at, len(words), 2)]
    found = store.make(key, Ranked)
    added = moved = 0
    for value, member in pairs:
        there = found.get(member)
        if (there is None and b"XX" in options) or (there is not None and not _moves(options, there, value)):
            continue
        added += there is None
        moved += there != value
        found[member] = value
    found.changed()
    store.tidy(key, found)
    return moved if b"CH" in options else added


def _moves(options: set[bytes], there: float, value: float) -> bool:
    if b"NX" in options:
        return False
    return not (b"GT" in options and value <= there) and not (b"LT" in options and value >= there)


@command
def zrem(store: Store, words: Words) -> Any:
    return _zremove(store, words[0], words[1:])


@command
def zscore(store: Store, words: Words) -> Any:
    found = store.find(words[0], Ranked)
    return None if found is None or words[1] not in found else spelt(found[words[1]])


@command
def zmscore(store: Store, words: Words) -> Any:
    found = store.find(words[0], Ranked) or Ranked()
    return [spelt(found[member]) if member in found else None for member in words[1:]]


@command
def zcard(store: Store, words: Words) -> Any:
    return len(store.find(words[0], Ranked) or ())


@command
def zcount(store: Store, words: Words) -> Any:
    found = store.find(words[0], Ranked)
    return 0 if found is None else len(found.order()[_between(found.order(), words[1], words[2])])


@command
def zrange(store: Store, words: Words) -> Any:
    """By index; with BYSCORE by score; REV from the highest."""
    if (found := store.find(words[0], Ranked)) is None:
        return []
    options = [word.upper() for word in words[3:]]
    order = found.order()
    if b"BYSCORE" in options:
        low, high = (words[2], words[1]) if b"REV" in options else (words[1], words[2])
        some = order[_between(order, low, high)]
        some = some[::-1] if b"REV" in options else some
        return _pairs(_limited(some, options), options)
    order = order[::-1] if b"REV" in options else order
    return _pairs(order[span(len(order), words[1], words[2])], options)


@command
def zrangebyscore(store: Store, words: Words) -> Any:
    return zrange(store, [*words[:3], b"BYSCORE", *words[3:]])


@command
def zremrangebyscore(store: Store, words: Words) -> Any:
    if (found := store.find(words[0], Ranked)) is None:
        return 0
    order = found.order()
    return _zremove(store, words[0], [member for _, member in order[_between(order, words[1], words[2])]])


@command
def zremrangebyrank(store: Store, words: Words) -> Any:
    if (found := store.find(words[0], Ranked)) is None:
        return 0
    order = found.order()
    return _zremove(store, words[0], [member for _, member in order[span(len(order), words[1], words[2])]])


def _zremove(store: Store, key: bytes, members: Sequence[bytes]) -> int:
    if (found := store.find(key, Ranked)) is None:
        return 0
    gone = [member for member in members if found.pop(member, None) is not None]
    found.changed()
    store.tidy(key, found)
    return len(gone)


def _between(order: list[tuple[float, bytes]], low: bytes, high: bytes) -> slice:
    values = [value for value, _ in order]
    first = bisect_right(values, score(low[1:])) if low[:1] == b"(" else bisect_left(values, score(low))
    last = bisect_left(values, score(high[1:])) if high[:1] == b"(" else bisect_right(values, score(high))
    return slice(first, max(first, last))


def _limited(order: list[tuple[float, bytes]], options: list[bytes]) -> list[tuple[float, bytes]]:
    if b"LIMIT" not in options:
        return order
    at = options.index(b"LIMIT")
    first, count = number(options[at + 1]), number(options[at + 2])
    return order[first:] if count < 0 else order[first : first + count]


def _pairs(order: list[tuple[float, bytes]], options: list[bytes]) -> list[bytes]:
    if b"WITHSCORES" in options:
        return [word for value, member in order for word in (member, spelt(value))]
    return [member for _, member in order]
