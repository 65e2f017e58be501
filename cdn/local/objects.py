"""The objects that the edge holds, found by cache key, by cache tag and by path, within a bound of bytes."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cdn.local.decision import Held
from cdn.tags import MAX_TAGS

Headers = tuple[tuple[bytes, bytes], ...]
OVERHEAD = 1_600
"""Bytes that an object costs besides its body and headers: about what its Python objects and indices take, measured."""
TAG_OVERHEAD = 350
"""Bytes that a tag of an object costs, most of them for the index."""
MAX_TAG_LENGTH = 256


class Key(NamedTuple):
    """The cache key."""

    path: str
    """The path as it was spelt, with those query strings that the cache policy takes, in the order they came in."""
    encoding: str = ""
    """Accept-Encoding, normalised: ``gzip``, ``br``, ``br,gzip`` or nothing."""
    extra: tuple[str, ...] = ()
    """The headers and cookies that the cache policy takes."""
    piece: str = ""
    """What of the object: all, ``HEAD`` or the range that was asked for."""


@dataclass(frozen=True, slots=True, eq=False)
class Object(Held):
    """An answer that the edge holds, with the headers a viewer gets and those the origin sent."""

    key: Key
    body: bytes
    headers: Headers
    origin_headers: Headers
    tags: frozenset[str]
    modified: bytes | None = None
    """Its Last-Modified."""
    found: str = "origin"
    """Where it was found by the tier that holds it: at the origin, or in which tier above."""

    @property
    def size(self) -> int:
        """The bytes it is counted with."""
        fixed = OVERHEAD + TAG_OVERHEAD * len(self.tags) + len(self.key.path) + sum(map(len, self.key.extra))
        return fixed + len(self.body) + 2 * sum(len(name) + len(value) for name, value in self.origin_headers)


def tags_of(value: str) -> frozenset[str]:
    """Return the tags CloudFront keeps of a header: the first 50, in lower case; the rest it drops without a word."""
    listed = [tag for part in value.split(",") if (tag := part.strip(" \t"))][:MAX_TAGS]
    return frozenset(tag.lower() for tag in listed if is_tag(tag))


def is_tag(text: str) -> bool:
    """Tell whether CloudFront takes a tag: 1 to 256 visible ASCII characters without a comma."""
    return 0 < len(text) <= MAX_TAG_LENGTH and all("!" <= c <= "~" and c != "," for c in text)


class Objects:
    """The cache. Dropping is by item, as an invalidation spells it: ``#tag``, ``/path`` or ``/path*``."""

    def __init__(self, max_bytes: int) -> None:
        self.bytes = 0
        self._max_bytes = max_bytes
        self._by_key: OrderedDict[Key, Object] = OrderedDict()
        self._by_tag: dict[str, set[Key]] = {}
        self._by_path: dict[str, set[Key]] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Object]:
        return iter(self._by_key.values())

    def get(self, key: Key) -> Object | None:
        """Return an object, which counts as used."""
        found = self._by_key.get(key)
        if found is not None:
            self._by_key.move_to_end(key)
        return found

    def pieces(self, key: Key) -> list[Object]:
        """Return the pieces that are held of the object with this key."""
        keys = self._by_path.get(key.path, ())
        return [self._by_key[each] for each in keys if each.piece and each[:3] == key[:3]]

    def put(self, stored: Object) -> None:
        """Keep an object in place of the one under its key; the least recently used make room.

        Pieces of another version than this one go, so that no viewer gets parts of two. What is larger than all of the
        cache is not kept, and nothing goes for it.
        """
        self.remove(stored.key)
        for key in self._other_versions(stored):
            self.remove(key)
        if stored.size > self._max_bytes:
            return
        self._by_key[stored.key] = stored
        self.bytes += stored.size
        self._by_path.setdefault(stored.key.path, set()).add(stored.key)
        for tag in stored.tags:
            self._by_tag.setdefault(tag, set()).add(stored.key)
        while self.bytes > self._max_bytes:
            self.remove(next(iter(self._by_key)))

    def remove(self, key: Key) -> None:
        """Forget an object, if it is there."""
        stored = self._by_key.pop(key, None)
        if stored is None:
            return
        self.bytes -= stored.size
        _discard(self._by_path, key.path, key)
        for tag in stored.tags:
            _discard(self._by_tag, tag, key)

    def drop(self, item: str) -> int:
        """Drop every variant of every object that an item names, and return how many there were."""
        keys = list(self._named(item))
        for key in keys:
            self.remove(key)
        return len(keys)

    def _named(self, item: str) -> Iterable[Key]:
        if item.startswith("#"):
            return self._by_tag.get(item[1:].lower(), ())
        if "~" in item or "%7e" in item.lower():  # accepted, and never works
            return ()
        if item.endswith("*"):
            return [key for key in self._by_key if key.path.startswith(item[:-1])]
        return self._by_path.get(item, ())

    def _other_versions(self, stored: Object) -> list[Key]:
        """Return the pieces of the same object with another ETag, or the object where a piece is stored."""
        variant, keys = stored.key[:3], self._by_path.get(stored.key.path, ())
        return [
            key
            for key in keys
            if key[:3] == variant
            and (key.piece or stored.key.piece)
            and (stored.etag is None or self._by_key[key].etag != stored.etag)
        ]


def _discard(index: dict[str, set[Key]], name: str, key: Key) -> None:
    keys = index[name]
    keys.discard(key)
    if not keys:
        del index[name]
