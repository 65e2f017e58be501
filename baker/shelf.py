"""The shelf: posts ready to be put on a page, kept by each process for as long as the fence knows them unchanged.

A row is read from copies once, and guarded by the tags of its post and its author (``guard``).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from baker.card import Format
from baker.guard import Guard, Issue, guards_of
from baker.splice import Part

MOST_BYTES = 256_000_000

OVERHEAD = 1000
"""Bytes that a row takes besides its part, roughly: the objects, and the entries that lead to it."""

View = tuple[Format, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A post as it stands on a page: its part, and what a bake has to know of it."""

    post: str
    num: int
    author: str
    part: Part
    edited_ms: int
    tag: str
    author_tag: str

    @property
    def size(self) -> int:
        """Bytes that the row takes, roughly."""
        return OVERHEAD + len(self.part.plain) + len(self.part.deflated)


class Shelf:
    """Rows by format and language; a post that must not be shown is kept as None.

    It is emptied when it would take more than ``most_bytes``.
    """

    def __init__(self, guard: Guard, most_bytes: int = MOST_BYTES) -> None:
        self._guard = guard
        self._most_bytes = most_bytes
        self._views: dict[View, dict[str, Row | None]] = {}
        self._authors: dict[str, str] = {}
        self._posts: dict[str, set[str]] = defaultdict(set)
        self._bytes = 0
        guard.watch(self)

    def view(self, format: Format, language: str) -> Mapping[str, Row | None]:
        """Return the rows that are kept, by post. It changes as the fence brings records."""
        return self._views.setdefault((format, language), {})

    def put(self, issue: Issue, format: Format, language: str, rows: Iterable[tuple[str, str, Row | None]]) -> None:
        """Keep rows (post, author, row) whose copies were read since ``issue`` and not recorded against since."""
        view = self._views.setdefault((format, language), {})
        for post, author, row in rows:
            if self._guard.holds(issue, guards_of(post, author)):
                self._bytes += _size(row) - (_size(view[post]) if post in view else 0)
                view[post] = row
                self._authors[post] = author
                self._posts[author].add(post)
        if self._bytes > self._most_bytes:
            self.clear()

    def drop(self, tag: str) -> None:
        """Let go of the rows that a tag guards."""
        kind, name = tag[:2], tag[2:]
        if kind == "p-":
            self._drop(name)
        elif kind == "a-":
            for post in tuple(self._posts.get(name, ())):
                self._drop(post)

    def clear(self) -> None:
        """Let go of everything."""
        self._authors.clear()
        self._posts.clear()
        self._bytes = 0
        for view in self._views.values():
            view.clear()

    def _drop(self, post: str) -> None:
        if (author := self._authors.pop(post, None)) is None:
            return
        self._posts[author].discard(post)
        if not self._posts[author]:
            del self._posts[author]
        for view in self._views.values():
            if post in view:
                self._bytes -= _size(view.pop(post))


def _size(row: Row | None) -> int:
    return OVERHEAD if row is None else row.size
