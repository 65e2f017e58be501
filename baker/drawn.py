"""What a feed draws from, ready to be used: who may be on it, and the cache tags of its sources.

A page carries the tags of as many sources as find room, and depends on all of them: the fence refuses it after a
record of any. Pulled sources come first, for nobody names their readers; then those that save most, by the posts of
theirs that this page shows; then the others, by number. All this follows from what is shown, so replicas agree.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import NamedTuple

from baker import order
from baker.order import Viewer
from baker.table import Known
from cdn import tags
from feeds import packing
from feeds.model import TAG, Sources, Taste
from feeds.ranking import Order

MOST = 250_000
"""Sources of all users together that a process has ready: then it begins again. Some 150 bytes each."""

USER = 10
"""Sources that a user counts for besides their own: so much is kept of each, however few they are."""

MOST_TAGS = 500_000
"""Tags that a process has ready, once for all users: then it begins again."""


class Drawn:
    """What one user's feed draws from: source numbers in their order. ``named`` has the tags of these and of others.

    None that is muted or blocked, for none of its posts is shown; the user too, where own posts are.
    """

    def __init__(self, sources: Sources, named: Mapping[int, str], *, own: bool) -> None:
        self.sources = replace(sources, names=())
        self.named = named
        self._viewer = order.viewer(sources, Taste({}, {}), "newest", own=own)
        _, authors, topics, hidden, muted, *_ = self._viewer
        self.numbers = (authors | topics) - hidden - muted
        self.ordered: Sequence[int] = sorted(self.numbers)

    @cached_property
    def tags(self) -> frozenset[str]:
        """The sources' tags. Most feeds are never asked: it takes a record that came while an answer was made."""
        return frozenset(map(self.named.__getitem__, self.ordered))

    @property
    def size(self) -> int:
        """What it counts for of the sources that a process has ready."""
        return USER + len(self.ordered)

    def viewer(self, taste: Taste, order: Order) -> Viewer:
        """Return the user as the viewer of their feed."""
        return self._viewer._replace(taste=taste, order=order)

    def among(self, pulled: Mapping[int, str]) -> Mapping[int, str]:
        """Return those of the pulled sources that the feed draws from, in the order of their numbers."""
        return {source: pulled[source] for source in sorted(pulled.keys() & self.numbers)} if pulled else pulled

    def first(self, pulled: Collection[int], shown: Iterable[Known], room: int) -> list[int]:
        """Return the sources that find room where not all do."""
        posts = dict.fromkeys(pulled, 0)
        for known in shown:
            for source in (known.author, *known.tags):
                if source in self.numbers:
                    posts[source] = posts.get(source, 0) + 1
        best = sorted(sorted(posts), key=posts.__getitem__, reverse=True)
        if pulled:
            best.sort(key=lambda source: source not in pulled)
        others = (source for source in self.ordered if source not in posts)
        return [*best[:room], *islice(others, max(0, room - len(best)))]


class Depends:
    """What a page depends on: what is its own, and all sources of its feed, which need not be gone through."""

    __slots__ = ("_drawn", "_own")

    def __init__(self, own: Iterable[str], drawn: Drawn) -> None:
        self._own = frozenset(own)
        self._drawn = drawn

    def __contains__(self, tag: object) -> bool:
        return tag in self._own or tag in self._drawn.tags


class Filled(NamedTuple):
    """The tags of a page, and the sources that found room; None where all did."""

    tags: Sequence[str]
    carried: tuple[int, ...] | None


def filled(own: Sequence[str], drawn: Drawn, pulled: Collection[int], shown: Iterable[Known]) -> Filled:
    """Return a page's tags: its ``own``, and those of its feed's sources, with ``o`` where not all find room."""
    room, tag_of = tags.MAX_TAGS - len(own), drawn.named.__getitem__
    if len(drawn.ordered) <= room:
        return Filled([*own, *map(tag_of, drawn.ordered)], None)
    carried = drawn.first(pulled, shown, room - 1)
    return Filled([*own, *map(tag_of, carried), tags.OVERFLOW], tuple(carried))


class Draws:
    """What feeds draw from, kept by user for as long as the copies of their sources have the same header."""

    def __init__(self, *, own: bool, most: int = MOST, most_tags: int = MOST_TAGS) -> None:
        self._own = own
        self._most = most
        self._most_tags = most_tags
        self._size = 0
        self._kept: dict[str, tuple[bytes, Drawn]] = {}
        self._named: dict[int, str] = {}

    def of_copy(self, user: str, copy: bytes) -> Drawn:
        """Return what the feed of a copy's user draws from."""
        header, _, body = copy.partition(b" ")
        if (kept := self._kept.get(user)) is not None and kept[0] == header:
            return kept[1]
        drawn = self.of(packing.read_sources(user, body))
        self._size += drawn.size - (kept[1].size if kept else 0)
        if self._size > self._most:
            self._kept.clear()
            self._size = drawn.size
        self._kept[user] = header, drawn
        return drawn

    def of(self, sources: Sources) -> Drawn:
        """Return what the feed of a user with these sources draws from. Raises ValueError without their names."""
        if len(self._named) > self._most_tags:
            self._named = {}  # what is kept already keeps those it was made with
        named, nums = self._named, (*sources.authors, *sources.tags)
        for num, name in [each for each in zip(nums, sources.names, strict=True) if each[0] not in named]:
            named[num] = tags.topic_tag(name) if num & TAG else tags.author_tag(name)
        named[sources.num] = tags.author_tag(sources.user)
        return Drawn(sources, named, own=self._own)


NOTHING = Drawn(Sources("", 0, (), (), (), (), (), 0), {}, own=False)
"""What a page draws from that is no feed."""
