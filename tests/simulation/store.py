"""The keyspace of the in-process Redis, and the commands on strings, hashes, sets and lists.

Only what the product uses, in Redis's own words. A command takes its words as bytes and returns what Redis replies:
None, an int, bytes, a list of these, or ``Status``. It raises ``Refusal`` where Redis answers an error.
"""

import copy
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from math import inf
from typing import Any, TypeVar

Words = Sequence[bytes]


class Refusal(Exception):
    """Redis answers an error: the code in capitals, and what is wrong."""


class Status(bytes):
    """A reply that is a status: the same as bytes to redis-py, a table with ``ok`` to a script."""


OK = Status(b"OK")


class Hash(dict[bytes, bytes]):
    """A hash, in the order of insertion."""


class Members(dict[bytes, None]):
    """A set, in the order of insertion: Python's own order differs from run to run."""


class Listed(list[bytes]):
    """A list."""


class Ranked(dict[bytes, float]):
    """A sorted set: member → score."""

    __slots__ = ("_order",)
    _order: list[tuple[float, bytes]] | None

    def order(self) -> list[tuple[float, bytes]]:
        """Return score and member in their order, lowest first."""
        if (order := getattr(self, "_order", None)) is None:
            order = self._order = sorted((score, member) for member, score in self.items())
        return order

    def changed(self) -> None:
        """Forget the order."""
        self._order = None


V = TypeVar("V", bytes, Hash, Members, Listed, Ranked)
Command = Callable[["Store", Words], Any]
COMMANDS: dict[bytes, Command] = {}


def command(function: Command) -> Command:
    """Register a command under its function's name in capitals."""
    COMMANDS[function.__name__.strip("_").upper().encode()] = function
    return function


class Store:
    """Keys and values. ``clock`` returns microseconds since 1970."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.values: dict[bytes, Any] = {}
        self.expires: dict[bytes, int] = {}
        self.fed: list[bytes] = []
        """Streams that were appended to, for those who wait."""

    def copied(self) -> tuple[dict[bytes, Any], dict[bytes, int]]:
        """Return a copy of everything that is kept."""
        return copy.deepcopy(self.values), dict(self.expires)

    def now_ms(self) -> int:
        """Return the server's time."""
        return self.clock() // 1000

    def find(self, key: bytes, kind: type[V]) -> V | None:
        """Return what a key holds. Raises Refusal where it is of another kind."""
        if key in self.expires and self.expires[key] <= self.now_ms():
            self.drop(key)
        value = self.values.get(key)
        if value is not None and type(value) is not kind:
            raise Refusal("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def make(self, key: bytes, kind: type[V]) -> V:
        """Return what a key holds, made where there is nothing."""
        found = self.find(key, kind)
        if found is None:
            found = self.values[key] = kind()
        return found

    def exists(self, key: bytes) -> bool:
        """Tell whether there is a key."""
        if key in self.expires and self.expires[key] <= self.now_ms():
            self.drop(key)
        return key in self.values

    def drop(self, key: bytes) -> int:
        """Remove a key; return how many there were."""
        self.expires.pop(key, None)
        return 0 if self.values.pop(key, None) is None else 1

    def tidy(self, key: bytes, value: Hash | Members | Listed | Ranked) -> None:
        """Remove a key that holds nothing any more."""
        if not value:
            self.drop(key)


def number(word: bytes) -> int:
    """Read a whole number. Raises Refusal."""
    try:
        return int(word)
    except ValueError:
        raise Refusal("ERR value is not an integer or out of range") from None


def score(word: bytes) -> float:
    """Read a score. Raises Refusal."""
    try:
        return float(word)
    except ValueError:
        raise Refusal("ERR value is not a valid float") from None


def spelt(value: float) -> bytes:
    """Spell a score as Redis does."""
    if value in (inf, -inf):
        return b"inf" if value > 0 else b"-inf"
    return b"%d" % value if value == int(value) and abs(value) < 1e17 else repr(value).encode()


def _touch(store: Store, key: bytes, ms: int) -> int:
    if not store.exists(key):
        return 0
    store.expires[key] = ms
    if ms <= store.now_ms():
        store.drop(key)
    return 1


@command
def get(store: Store, words: Words) -> Any:
    return store.find(words[0], bytes)


@command
def getrange(store: Store, words: Words) -> Any:
    last = number(words[2])
    return (store.find(words[0], bytes) or b"")[number(words[1]) : last + 1 if last != -1 else None]


@command
def strlen(store: Store, words: Words) -> Any:
    return len(store.find(words[0], bytes) or b"")


@command
def mget(store: Store, words: Words) -> Any:
    return [value if type(value := store.values.get(key)) is bytes and store.exists(key) else None for key in words]


@command
def _set(store: Store, words: Words) -> Any:
    key, value, *rest = words
    options = [word.upper() for word in rest]
    if (b"NX" in options and store.exists(key)) or (b"XX" in options and not store.exists(key)):
        return None
    store.drop(key)
    store.values[key] = value
    for unit, ms in ((b"EX", 1000), (b"PX", 1)):
        if unit in options:
            store.expires[key] = store.now_ms() + ms * number(options[options.index(unit) + 1])
    return OK


@command
def setnx(store: Store, words: Words) -> Any:
    return 1 if _set(store, [*words, b"NX"]) else 0


@command
def mset(store: Store, words: Words) -> Any:
    for key, value in zip(words[::2], words[1::2], strict=True):
        store.drop(key)
        store.values[key] = value
    return OK


@command
def incrby(store: Store, words: Words) -> Any:
    there = store.find(words[0], bytes)
    value = number(b"0" if there is None else there) + number(words[1])
    store.values[words[0]] = b"%d" % value
    return value


@command
def incr(store: Store, words: Words) -> Any:
    return incrby(store, (words[0], b"1"))


@command
def _del(store: Store, words: Words) -> Any:
    return sum([store.drop(key) for key in words if store.exists(key)])


COMMANDS[b"UNLINK"] = _del


@command
def exists(store: Store, words: Words) -> Any:
    return sum(map(store.exists, words))


@command
def expire(store: Store, words: Words) -> Any:
    if len(words) > 2 and words[2].upper() == b"NX" and store.exists(words[0]) and words[0] in store.expires:
        return 0
    return _touch(store, words[0], store.now_ms() + 1000 * number(words[1]))


@command
def pexpire(store: Store, words: Words) -> Any:
    return _touch(store, words[0], store.now_ms() + number(words[1]))


@command
def pttl(store: Store, words: Words) -> Any:
    if not store.exists(words[0]):
        return -2
    return store.expires[words[0]] - store.now_ms() if words[0] in store.expires else -1


@command
def ttl(store: Store, words: Words) -> Any:
    left = pttl(store, words)
    return left if left < 0 else (left + 500) // 1000


@command
def scan(store: Store, words: Words) -> Any:
    options = [word.upper() for word in words]
    match = words[options.index(b"MATCH") + 1].decode() if b"MATCH" in options else "*"
    found = [key for key in list(store.values) if store.exists(key) and fnmatchcase(key.decode(), match)]
    return [b"0", found]


@command
def hget(store: Store, words: Words) -> Any:
    found = store.find(words[0], Hash)
    return None if found is None else found.get(words[1])


@command
def hmget(store: Store, words: Words) -> Any:
    found = store.find(words[0], Hash) or Hash()
    return [found.get(field) for field in words[1:]]


@command
def hset(store: Store, words: Words) -> Any:
    if len(words) % 2 == 0:
        raise Refusal("ERR wrong number of arguments for 'hset' command")
    found = store.make(words[0], Hash)
    before = len(found)
    found.update(zip(words[1::2], words[2::2], strict=True))
    return len(found) - before


@command
def hsetnx(store: Store, words: Words) -> Any:
    found = store.make(words[0], Hash)
    if words[1] in found:
        return 0
    found[words[1]] = words[2]
    return 1


@command
def hincrby(store: Store, words: Words) -> Any:
    found = store.make(words[0], Hash)
    value = number(found.get(words[1], b"0")) + number(words[2])
    found[words[1]] = b"%d" % value
    return value


@command
def hdel(store: Store, words: Words) -> Any:
    if (found := store.find(words[0], Hash)) is None:
        return 0
    removed = [field for field in words[1:] if found.pop(field, None) is not None]
    store.tidy(words[0], found)
    return len(removed)


@command
def hexists(store: Store, words: Words) -> Any:
    return 1 if words[1] in (store.find(words[0], Hash) or ()) else 0


@command
def hlen(store: Store, words: Words) -> Any:
    return len(store.find(words[0], Hash) or ())


@command
def hgetall(store: Store, words: Words) -> Any:
    return [word for pair in (store.find(words[0], Hash) or Hash()).items() for word in pair]


@command
def hkeys(store: Store, words: Words) -> Any:
    return list(store.find(words[0], Hash) or ())


@command
def hvals(store: Store, words: Words) -> Any:
    return list((store.find(words[0], Hash) or Hash()).values())


@command
def hscan(store: Store, words: Words) -> Any:
    return [b"0", hgetall(store, words)]


@command
def sadd(store: Store, words: Words) -> Any:
    found = store.make(words[0], Members)
    before = len(found)
    found.update(dict.fromkeys(words[1:]))
    return len(found) - before


@command
def srem(store: Store, words: Words) -> Any:
    if (found := store.find(words[0], Members)) is None:
        return 0
    before = len(found)
    for member in words[1:]:
        found.pop(member, None)
    gone = before - len(found)
    store.tidy(words[0], found)
    return gone


@command
def smembers(store: Store, words: Words) -> Any:
    return list(store.find(words[0], Members) or ())


@command
def sismember(store: Store, words: Words) -> Any:
    return 1 if words[1] in (store.find(words[0], Members) or ()) else 0


@command
def smismember(store: Store, words: Words) -> Any:
    found = store.find(words[0], Members) or Members()
    return [1 if member in found else 0 for member in words[1:]]


@command
def srandmember(store: Store, words: Words) -> Any:
    """The first ones: which is not said."""
    return smembers(store, words)[: number(words[1])]


@command
def scard(store: Store, words: Words) -> Any:
    return len(store.find(words[0], Members) or ())


@command
def rpush(store: Store, words: Words) -> Any:
    found = store.make(words[0], Listed)
    found.extend(words[1:])
    return len(found)


@command
def lpush(store: Store, words: Words) -> Any:
    found = store.make(words[0], Listed)
    found[:0] = reversed(words[1:])
    return len(found)


@command
def ltrim(store: Store, words: Words) -> Any:
    if (found := store.find(words[0], Listed)) is not None:
        found[:] = found[span(len(found), words[1], words[2])]
        store.tidy(words[0], found)
    return OK


@command
def lrange(store: Store, words: Words) -> Any:
    found = store.find(words[0], Listed) or Listed()
    return list(found[span(len(found), words[1], words[2])])


@command
def llen(store: Store, words: Words) -> Any:
    return len(store.find(words[0], Listed) or ())


@command
def lrem(store: Store, words: Words) -> Any:
    if (found := store.find(words[0], Listed)) is None:
        return 0
    before = len(found)
    found[:] = [value for value in found if value != words[2]]
    gone = before - len(found)
    store.tidy(words[0], found)
    return gone


def span(size: int, first: bytes, last: bytes) -> slice:
    """Return which part of so many a first and a last index name; both may count from the end."""
    start, stop = number(first), number(last)
    start = max(0, start + size) if start < 0 else start
    stop = stop + size if stop < 0 else stop
    return slice(start, max(start, stop + 1))


@command
def time(store: Store, words: Words) -> Any:
    seconds, micros = divmod(store.clock(), 1_000_000)
    return [b"%d" % seconds, b"%d" % micros]


@command
def ping(store: Store, words: Words) -> Any:
    return Status(b"PONG")


@command
def flushall(store: Store, words: Words) -> Any:
    store.values.clear()
    store.expires.clear()
    return OK
