"""Selection: which posts a page shows. Timelines and lists propose; here everything is checked again.

What is proposed is put in order with what the process knows of the catalogue (``order``). Where that ends, the system
of record goes on, newest first, until the page is full, and one further post shows that there is an older page. So no
page is short but the last, and none has a hole.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from baker import order
from baker.guard import Guard
from baker.metrics import READ_THROUGH
from baker.order import Proposed, Viewer
from baker.rows import Look, Rows
from baker.shelf import Row
from baker.table import Known, Table
from feeds.catalogue import Catalogue
from feeds.model import Entry, OrderKey
from feeds.ranking import Weights
from feeds.record import Record

SPARE = 2
"""Posts read beyond what a page needs: for those that turn out not to be shown."""

MORE = 8
"""Posts of a timeline that are looked at beyond a first page."""

OLDER = 64


class Place(NamedTuple):
    """The place of an older page: the post that it stands below."""

    key: OrderKey
    num: int


class Span(NamedTuple):
    """Which page: of ``size`` posts, below ``place`` (None: the top), with no more than ``most`` posts above it."""

    size: int
    place: Place | None
    most: int


class Selected(NamedTuple):
    """The rows of a page, and the ``next`` one, which shows that there is an older page; its tag is watched for that.

    ``depth`` counts the posts of the list from its top down to the page's last row. ``known`` is what selection knew
    of the rows and the next one.
    """

    rows: Sequence[Row]
    next: Row | None
    depth: int
    known: Sequence[Known]


@dataclass(slots=True)
class _Page:
    """A page that is being filled. ``depth`` counts the posts of its list down to its last row."""

    size: int
    depth: int
    rows: list[Row] = field(default_factory=list)
    next: Row | None = None
    known: list[Known] = field(default_factory=list)
    _seen: int = field(init=False)

    def __post_init__(self) -> None:
        self._seen = self.depth

    @property
    def selected(self) -> Selected:
        """What was put on the page."""
        return Selected(self.rows, self.next, self.depth, self.known)

    def take(self, window: Sequence[Known], rows: Mapping[str, Row | None]) -> bool:
        """Take the rows of the next posts, but of those that are not shown; tell whether the page is whole."""
        before, self._seen = self._seen, self._seen + len(window)
        for seen, known in enumerate(window, before + 1):
            if (row := rows[known.post]) is None:
                continue
            self.known.append(known)
            if len(self.rows) == self.size:
                self.next = row
                return True
            self.rows.append(row)
            self.depth = seen
        return False


@dataclass(frozen=True, slots=True)
class _List:
    """A list in its order, and how it goes on: from ``start``, then in the record below ``before``, less ``above``."""

    ordered: Sequence[Known]
    start: int
    before: OrderKey | None
    above: Collection[int]
    whole: bool


class Selector:
    """Selects the posts of pages."""

    def __init__(
        self,
        rows: Rows,
        record: Record,
        catalogue: Catalogue,
        table: Table,
        guard: Guard,
        *,
        weights: Weights,
        own_posts: bool,
    ) -> None:
        self._rows = rows
        self._guard = guard
        self._table = table
        self._record = record
        self._catalogue = catalogue
        self._weights = weights
        self._own_posts = own_posts

    async def select(self, viewer: Viewer, look: Look, proposed: Proposed, span: Span) -> Selected | None:
        """Return the rows of a page; None where too many posts stand above it."""
        size, place, most = span
        if place is None and viewer.order == "newest" and (selected := await self._top(viewer, look, proposed, size)):
            return selected
        listed = await self._listed(viewer, proposed, place)
        depth = listed.start
        if place is not None and listed.before == place.key and not listed.whole:
            depth += await self._above(viewer, listed, place, most - depth)
        if depth >= most:
            return None
        page = _Page(size, depth)
        if not await self._fill(page, look, listed.ordered[listed.start :]) and not listed.whole:
            async for older in self._older(viewer, listed):
                if await self._fill(page, look, older):
                    break
        return page.selected

    async def _top(self, viewer: Viewer, look: Look, proposed: Proposed, size: int) -> Selected | None:
        """Return the first page, where the top of what is proposed has it all: most of a timeline is not looked at."""
        if not (nums := proposed.top(size + MORE)):
            return None
        found = await self._found(nums)
        mark = max(proposed.mark, order.boundary(found, proposed.loose))
        page = _Page(size, 0)
        if not await self._fill(page, look, order.newest(viewer, found, mark)):
            return None
        return page.selected

    async def _listed(self, viewer: Viewer, proposed: Proposed, place: Place | None) -> _List:
        found = await self._found(proposed.nums)
        whole = proposed.mark == -inf
        if viewer.order == "ranked":
            return self._ranked(viewer, proposed, found, place, whole=whole)
        ordered = order.newest(viewer, found, proposed.mark)
        before = ordered[-1].key if ordered else None
        if place is not None and (before is None or place.key < before):
            before = place.key
        return _List(ordered, order.below(ordered, place.key if place else None), before, (), whole)

    def _ranked(
        self, viewer: Viewer, proposed: Proposed, found: Sequence[Known | None], place: Place | None, *, whole: bool
    ) -> _List:
        best = order.ranked(viewer, found, self._weights)
        ordered = [one.known for one in best]
        above = frozenset(proposed.nums)
        if place is None:
            return _List(ordered, 0, None, above, whole)
        hidden = place.key.published_ms if place.num in above else None
        start = order.after(best, place.key.post, hidden)
        if start is None:
            return _List(ordered, len(ordered), place.key, above, whole)
        return _List(ordered, start, None, above, whole)

    async def _found(self, nums: Sequence[int]) -> Sequence[Known | None]:
        """Return what is known of posts, from the process's table, else from the catalogue."""
        posts = self._table.posts
        try:
            return [posts[num] for num in nums]
        except KeyError:
            missing = [num for num in nums if num not in posts]
        kept = {num: posts[num] for num in nums if num in posts}
        issue = self._guard.issue()
        read = self._table.put(issue, (await self._catalogue.get(missing)).values())
        return [kept[num] if num in kept else read.get(num) for num in nums]

    async def _above(self, viewer: Viewer, listed: _List, place: Place, most: int) -> int:
        """Return how many posts of the record's part of a list stand at or above a place, up to ``most``."""
        top = None if listed.above or not listed.ordered else listed.ordered[-1].key
        entries = await self._entries(viewer, top, max(0, most) + len(listed.above))
        return sum(1 for entry in entries if entry.key >= place.key and entry.num not in listed.above)

    async def _older(self, viewer: Viewer, listed: _List) -> AsyncIterator[Sequence[Known]]:
        """Yield what the system of record has of a list below what is proposed, newest first."""
        before = listed.before
        while entries := await self._entries(viewer, before, OLDER):
            before = entries[-1].key
            known = [self._table.known(entry) for entry in entries if entry.num not in listed.above]
            yield [one for one in known if one is not None and viewer.admits(one)]

    async def _entries(self, viewer: Viewer, before: OrderKey | None, limit: int) -> list[Entry]:
        READ_THROUGH.labels("page").inc()
        if viewer.only is not None:
            return await self._record.latest(viewer.only, before=before, limit=limit)
        return await self._record.proposals(viewer.user, before=before, limit=limit, own=self._own_posts)

    async def _fill(self, page: _Page, look: Look, posts: Sequence[Known]) -> bool:
        """Put posts on a page, in their order, until it is whole; tell whether it is."""
        at = 0
        while at < len(posts):
            window = posts[at : at + page.size + 1 - len(page.rows) + SPARE]
            at += len(window)
            rows = await self._rows.get(look, window)
            if page.take(window, rows):
                return True
        return False
