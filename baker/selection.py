"""Selection: which posts a page shows. The timeline proposes; here every candidate is checked again.

Candidates come from the timeline down to its mark, then from the system of record, until the page is full, and one
further shows that there is an older page. So no page is short but the last, and none has a hole.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from math import inf
from typing import NamedTuple

from baker.card import Format
from baker.fragments import Fragments
from baker.metrics import READ_THROUGH
from baker.reads import First, Reads
from baker.shelf import Row, Shelf
from baker.splice import stored
from feeds import copies, keys
from feeds.ids import shard_of
from feeds.model import Candidate, OrderKey
from feeds.timeline import Timeline, Timelines, parse
from feeds.truth import Truth

SPARE = 2
"""Candidates read beyond what a page needs: for those that turn out not to be shown."""

OLDER = 64

UNKNOWN = Row("", "", stored(b""), 0, 0, frozenset(), "", "")
"""Stands for a row that is not on the shelf."""


class Viewer(NamedTuple):
    """Whose list it is, which ``authors`` may be in it, and what is left out."""

    which: keys.List
    user: str
    authors: frozenset[str]
    muted_authors: frozenset[str]
    muted_tags: frozenset[str]
    size: int
    language: str

    def admits(self, author: str) -> bool:
        """Tell whether an author's posts may be in the list."""
        return author in self.authors and author not in self.muted_authors


class Selected(NamedTuple):
    """The rows of a page, and the ``next`` one, which shows that there is an older page; its tag is watched for that.

    ``passed`` counts the candidates from the page's place down to its last row, shown or not.
    """

    rows: Sequence[Row]
    next: Row | None
    passed: int


class _Moved(Exception):  # no error: the page is selected again
    """A candidate's place is not the post's: the timeline is being rewritten."""


class Selector:
    """Selects the posts of pages."""

    def __init__(
        self, reads: Reads, truth: Truth, timelines: Timelines, fragments: Fragments, shelf: Shelf, *, own_posts: bool
    ) -> None:
        self._reads = reads
        self._shelf = shelf
        self._truth = truth
        self._timelines = timelines
        self._fragments = fragments
        self._own_posts = own_posts

    async def timeline(self, viewer: Viewer, first: First, most: int) -> Timeline:
        """Return the timeline that was read, or rebuild it where Redis has none."""
        mark = inf if first.mark is None else float(first.mark)
        if mark == inf:
            READ_THROUGH.labels("timeline").inc()
            return await self._timelines.rebuild(viewer.which, viewer.user)
        found = parse(first.entries)
        if len(first.entries) == 2 * most:  # cut: it is complete as far as it was read
            return Timeline(found, found[-1].published_ms if found else inf)
        return Timeline(found, mark)

    async def depth(self, viewer: Viewer, timeline: Timeline, place: OrderKey, most: int) -> int:
        """Return how many candidates stand at or above a place, counting no further than ``most``."""
        above: Sequence[Candidate] = timeline.candidates
        if place.published_ms <= timeline.mark:
            above = await self._older(viewer, None, most)
        return sum(1 for candidate in above if candidate.key >= place and viewer.admits(candidate.author))

    async def select(self, viewer: Viewer, format: Format, timeline: Timeline, place: OrderKey | None) -> Selected:
        """Return the rows below a place (None: from the top)."""
        if (selected := self._from_shelf(viewer, format, timeline, place)) is not None:
            return selected
        try:
            return await self._select(viewer, format, timeline, place, trusting=True)
        except _Moved:
            return await self._select(viewer, format, Timeline((), inf), place, trusting=False)

    def _from_shelf(
        self, viewer: Viewer, format: Format, timeline: Timeline, place: OrderKey | None
    ) -> Selected | None:
        """Select where the shelf has all that the timeline proposes, at one go; None where it does not do."""
        view = self._shelf.view(format, self._fragments.language(format, viewer.language))
        _, _, authors, muted, topics, size, _ = viewer
        rows: list[Row] = []
        passed, seen = 0, 0
        for published_ms, post, author in timeline.candidates:
            if published_ms <= timeline.mark:
                break
            if author not in authors or author in muted or (place and (published_ms, post) >= place):
                continue
            seen += 1
            if (row := view.get(post, UNKNOWN)) is None:
                continue
            if row is UNKNOWN or row.published_ms != published_ms:
                return None
            if topics and topics & row.topics:
                continue
            if len(rows) == size:
                return Selected(rows, row, passed)
            rows.append(row)
            passed = seen
        return Selected(rows, None, passed) if timeline.mark == -inf else None

    async def _select(
        self,
        viewer: Viewer,
        format: Format,
        timeline: Timeline,
        place: OrderKey | None,
        *,
        trusting: bool,
    ) -> Selected:
        rows: list[Row] = []
        need, passed, seen = viewer.size + 1, 0, 0
        async for chunk in self._candidates(viewer, timeline, place):
            admitted = [candidate for candidate in chunk if viewer.admits(candidate.author)]
            start = 0
            while start < len(admitted):
                window = admitted[start : start + need - len(rows) + SPARE]
                start += len(window)
                found = await self._rows(viewer, format, window, trusting=trusting)
                for candidate in window:
                    seen += 1
                    if (row := _shown(viewer, candidate, found[candidate.post], trusting=trusting)) is None:
                        continue
                    if len(rows) == viewer.size:
                        return Selected(rows, row, passed)
                    rows.append(row)
                    passed = seen
        return Selected(rows, None, passed)

    async def _rows(
        self, viewer: Viewer, format: Format, window: Sequence[Candidate], *, trusting: bool
    ) -> Mapping[str, Row | None]:
        """Return the rows of candidates, by post: from the shelf, else from their copies; None where not shown."""
        language = self._fragments.language(format, viewer.language)
        view = self._shelf.view(format, language)
        missing = [candidate for candidate in window if candidate.post not in view] if trusting else window
        if not missing:
            return view
        kept = {candidate.post: view[candidate.post] for candidate in window if candidate.post in view}
        issue = self._shelf.issue()
        values = await self._copies(viewer, missing, trusting=trusting)
        read = [(c.post, c.author, self._row(viewer, format, c, values)) for c in missing]
        self._shelf.put(issue, format, language, read)
        return {**kept, **{post: row for post, _, row in read}}

    def _row(
        self, viewer: Viewer, format: Format, candidate: Candidate, values: Mapping[str, bytes | None]
    ) -> Row | None:
        post, author = values[keys.post(candidate.post)], values[keys.user(candidate.author)]
        if post is None or author is None or not (copies.is_live(post) and copies.is_live(author)):
            return None
        return self._fragments.get(format, viewer.language, post, author)

    async def _candidates(
        self, viewer: Viewer, timeline: Timeline, place: OrderKey | None
    ) -> AsyncIterator[Sequence[Candidate]]:
        above = [c for c in timeline.complete if place is None or c.key < place]
        if above:
            yield above
            place = above[-1].key
        if timeline.mark == -inf:
            return
        while older := await self._older(viewer, place, OLDER):
            yield older
            place = older[-1].key

    async def _older(self, viewer: Viewer, before: OrderKey | None, limit: int) -> list[Candidate]:
        record = self._truth.record
        READ_THROUGH.labels("page").inc()
        if viewer.which == "author":
            return await record.author_posts(viewer.user, before=before, limit=limit)
        return await record.candidates(viewer.user, before=before, limit=limit, own=self._own_posts)

    async def _copies(
        self, viewer: Viewer, window: Sequence[Candidate], *, trusting: bool
    ) -> Mapping[str, bytes | None]:
        """Return the copies of these posts and their authors, by key, read through where Redis has none.

        The generation is read again with them: they go to the shelf, where nothing may be that was dropped before
        its reading began.
        """
        posts = {keys.post(candidate.post): candidate.post for candidate in window}
        authors = {keys.user(candidate.author): candidate.author for candidate in window}
        current = keys.generation(shard_of(viewer.user))
        values = await self._reads.copies.ask([current, *posts, *authors])
        generation = values[current] or b"0"
        missing = [post for key, post in posts.items() if not trusting or not copies.counts(values[key], generation)]
        unknown = [author for key, author in authors.items() if not copies.counts(values[key], generation)]
        if not missing and not unknown:
            return values
        return {**values, **await self.read_through(missing, unknown, generation)}

    async def read_through(
        self, posts: Sequence[str], users: Sequence[str], generation: bytes
    ) -> dict[str, bytes | None]:
        """Return the copies of what Redis does not have, from the truth; None for what does not exist."""
        found: dict[str, bytes | None] = {keys.post(post): None for post in posts}
        found |= {keys.user(user): None for user in users}
        if posts:
            READ_THROUGH.labels("post").inc(len(posts))
            for post in (await self._truth.posts(posts)).values():
                found[keys.post(post.id)] = copies.of_post(post).value(generation)
        if users:
            READ_THROUGH.labels("user").inc(len(users))
            for user in (await self._truth.users(users)).values():
                found[keys.user(user.id)] = copies.of_user(user).value(generation)
        return found


def _shown(viewer: Viewer, candidate: Candidate, row: Row | None, *, trusting: bool) -> Row | None:
    """Return the row where the viewer sees it. Raises _Moved where its place is not the candidate's."""
    if row is None:
        return None
    if trusting and row.published_ms != candidate.published_ms:
        raise _Moved
    if viewer.muted_tags and viewer.muted_tags & row.topics:
        return None
    return row
