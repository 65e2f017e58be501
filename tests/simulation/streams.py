"""The streams of the in-process Redis, and their consumer groups."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.store import OK, Refusal, Store, Words, command, number

Id = tuple[int, int]


@dataclass(slots=True)
class Held:
    """An entry that a consumer took and did not acknowledge: since when, in milliseconds, and how often."""

    consumer: bytes
    since_ms: int
    times: int = 1


@dataclass(slots=True)
class Group:
    """A consumer group."""

    delivered: Id
    held: dict[Id, Held] = field(default_factory=dict)


@dataclass(slots=True)
class Stream:
    """Entries in their order, and the groups that read them."""

    entries: dict[Id, list[bytes]] = field(default_factory=dict)
    last: Id = (0, 0)
    groups: dict[bytes, Group] = field(default_factory=dict)


def read_id(word: bytes, sequence: int = 0) -> Id:
    """Read the id of an entry, perhaps without its sequence."""
    ms, dash, rest = word.partition(b"-")
    return number(ms), number(rest) if dash else sequence


def spelt_id(name: Id) -> bytes:
    """Spell the id of an entry."""
    return b"%d-%d" % name


def _stream(store: Store, key: bytes) -> Stream | None:
    return store.find(key, Stream)  # type: ignore[type-var]  # a kind of value that the store need not know


def _group(store: Store, key: bytes, name: bytes) -> tuple[Stream, Group]:
    stream = _stream(store, key)
    if stream is None or name not in stream.groups:
        raise Refusal(f"NOGROUP No such key '{key.decode()}' or consumer group '{name.decode()}'")
    return stream, stream.groups[name]


@command
def xadd(store: Store, words: Words) -> Any:
    key, at = words[0], 1
    while words[at].upper() in (b"MAXLEN", b"MINID", b"NOMKSTREAM", b"=", b"~"):
        raise Refusal("ERR not simulated: XADD with options")
    stream = _stream(store, key)
    if stream is None:
        stream = store.values[key] = Stream()
    name = _next(stream, store.now_ms()) if words[at] == b"*" else read_id(words[at])
    if name <= stream.last:
        raise Refusal("ERR The ID specified in XADD is equal or smaller than the target stream top item")
    stream.entries[name] = list(words[at + 1 :])
    stream.last = name
    store.fed.append(key)
    return spelt_id(name)


def _next(stream: Stream, now_ms: int) -> Id:
    return (now_ms, 0) if now_ms > stream.last[0] else (stream.last[0], stream.last[1] + 1)


@command
def xlen(store: Store, words: Words) -> Any:
    stream = _stream(store, words[0])
    return 0 if stream is None else len(stream.entries)


@command
def xrange(store: Store, words: Words) -> Any:
    stream = _stream(store, words[0])
    first = (0, 0) if words[1] == b"-" else read_id(words[1])
    last = (2**64, 0) if words[2] == b"+" else read_id(words[2], 2**64)
    entries = {} if stream is None else stream.entries
    found = [[spelt_id(name), fields] for name, fields in entries.items() if first <= name <= last]
    return found[: number(words[4])] if len(words) > 4 else found


@command
def xtrim(store: Store, words: Words) -> Any:
    if (stream := _stream(store, words[0])) is None:
        return 0
    if words[1].upper() != b"MINID":
        raise Refusal("ERR not simulated: XTRIM but by MINID")
    least = read_id(words[-1])
    gone = [name for name in stream.entries if name < least]
    for name in gone:
        del stream.entries[name]
    return len(gone)


@command
def xgroup(store: Store, words: Words) -> Any:
    if words[0].upper() != b"CREATE":
        raise Refusal("ERR not simulated: XGROUP but CREATE")
    _, key, name, start, *options = words
    stream = _stream(store, key)
    if stream is None:
        if b"MKSTREAM" not in [word.upper() for word in options]:
            raise Refusal("ERR The XGROUP subcommand requires the key to exist.")
        stream = store.values[key] = Stream()
    if name in stream.groups:
        raise Refusal("BUSYGROUP Consumer Group name already exists")
    stream.groups[name] = Group(stream.last if start == b"$" else read_id(start))
    return OK


@command
def xreadgroup(store: Store, words: Words) -> Any:
    """Deliver what is new to a consumer: of one stream, for that is how the product reads. None: nothing is."""
    options = [word.upper() for word in words]
    at = options.index(b"STREAMS")
    count = number(words[options.index(b"COUNT") + 1]) if b"COUNT" in options[:at] else 2**31
    key, start = words[at + 1], words[at + 2]
    stream, group = _group(store, key, words[1])
    if start != b">":
        raise Refusal("ERR not simulated: XREADGROUP but of what is new")
    taken = [name for name in stream.entries if name > group.delivered][:count]
    for name in taken:
        group.held[name] = Held(words[2], store.now_ms())
        group.delivered = name
    return [[key, [[spelt_id(name), stream.entries[name]] for name in taken]]] if taken else None


@command
def xack(store: Store, words: Words) -> Any:
    stream = _stream(store, words[0])
    if stream is None or words[1] not in stream.groups:
        return 0
    held = stream.groups[words[1]].held
    return sum(1 for word in words[2:] if held.pop(read_id(word), None) is not None)


@command
def xclaim(store: Store, words: Words) -> Any:
    stream, group = _group(store, words[0], words[1])
    names = [read_id(word) for word in words[4:] if word.upper() != b"JUSTID"]
    just = any(word.upper() == b"JUSTID" for word in words[4:])
    idle = number(words[3])
    return [
        found
        for name in names
        for found in _claimed(store, stream, group, name, consumer=words[2], idle=idle, just=just)
    ]


def _claimed(
    store: Store, stream: Stream, group: Group, name: Id, *, consumer: bytes, idle: int, just: bool
) -> Iterator[Any]:
    held = group.held.get(name)
    if held is None or store.now_ms() - held.since_ms < idle:
        return
    if name not in stream.entries:
        del group.held[name]
        return
    held.consumer, held.since_ms = consumer, store.now_ms()
    held.times += not just
    yield spelt_id(name) if just else [spelt_id(name), stream.entries[name]]


@command
def xautoclaim(store: Store, words: Words) -> Any:
    """Look at ten times as many entries as are wanted; return the cursor, what was claimed, and what was not there."""
    stream, group = _group(store, words[0], words[1])
    consumer, idle, start = words[2], number(words[3]), read_id(words[4])
    options = [word.upper() for word in words]
    count = number(words[options.index(b"COUNT") + 1]) if b"COUNT" in options else 100
    found: list[Any] = []
    gone: list[bytes] = []
    names = sorted(name for name in group.held if name >= start)
    for looked, name in enumerate(names):
        if looked >= 10 * count or len(found) >= count:
            return [spelt_id(name), found, gone]
        if name not in stream.entries:
            gone.append(spelt_id(name))
            del group.held[name]
        else:
            found += _claimed(store, stream, group, name, consumer=consumer, idle=idle, just=False)
    return [b"0-0", found, gone]


@command
def xpending(store: Store, words: Words) -> Any:
    _, group = _group(store, words[0], words[1])
    if len(words) > 2:
        raise Refusal("ERR not simulated: XPENDING but the summary")
    if not group.held:
        return [0, None, None, None]
    by: dict[bytes, int] = {}
    for held in group.held.values():
        by[held.consumer] = by.get(held.consumer, 0) + 1
    consumers = [[consumer, b"%d" % count] for consumer, count in sorted(by.items())]
    return [len(group.held), spelt_id(min(group.held)), spelt_id(max(group.held)), consumers]


@command
def xinfo(store: Store, words: Words) -> Any:
    if words[0].upper() != b"GROUPS":
        raise Refusal("ERR not simulated: XINFO but GROUPS")
    if (stream := _stream(store, words[1])) is None:
        raise Refusal("ERR no such key")
    return [
        [b"name", name, b"pending", len(group.held), b"last-delivered-id", spelt_id(group.delivered)]
        for name, group in stream.groups.items()
    ]
