"""The shelf: posts ready to be put on a page, kept by each process for as long as the fence knows them unchanged.

A row is read from copies once and guarded by the tags of its post and its author. Every change to what it shows is
recorded under one of these (or ``g``) in *every* shard, after the new copy is readable; and each bake notes its
shard's count together with the log's tail, before it looks here. So a row that is still here was read after every
change up to the bake's count:

- a change recorded after the row was put here took the row away when the tail brought it;
- a change recorded while the row's copies were being read makes ``put`` refuse it (``Issue``);
- a change recorded before that reading began was readable then.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from baker.card import Format
from baker.splice import Part
from cdn import tags

MOST_BYTES = 256_000_000
MOST_TAGS = 50_000
"""Recorded tags that are remembered for readings under way; beyond, all of those are refused."""

OVERHEAD = 1000
"""Bytes that a row takes besides its part, roughly: the objects, and the entries that lead to it."""

Issue = int
"""When a reading of copies began, in records that the process has taken."""

View = tuple[Format, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A post as it stands on a page: its part, and what a bake has to know of it."""

    post: str
    author: str
    part: Part
    published_ms: int
    edited_ms: int
    topics: frozenset[str]
    tag: str
    author_tag: str

    @property
    def size(self) -> int:
        """Bytes that the row takes, roughly."""
        return OVERHEAD + len(self.part.plain) + len(self.part.deflated)


class Shelf:
    """Rows by format and language; a post that must not be shown is kept as None. Watches the fence.

    It is emptied when it would take more than ``most_bytes``.
    """

    def __init__(self, most_bytes: int = MOST_BYTES, most_tags: int = MOST_TAGS) -> None:
        self._most_bytes = most_bytes
        self._most_tags = most_tags
        self._views: dict[View, dict[str, Row | None]] = {}
        self._authors: dict[str, str] = {}
        self._posts: dict[str, set[str]] = defaultdict(set)
        self._records = 0
        self._recorded: dict[str, int] = {}
        self._unsure = 0
        self._bytes = 0

    def view(self, format: Format, language: str) -> Mapping[str, Row | None]:
        """Return the rows that are kept, by post. It changes as the fence brings records."""
        return self._views.setdefault((format, language), {})

    def issue(self) -> Issue:
        """Say that a reading of copies begins; ``put`` wants to know when it did."""
        return self._records

    def put(self, issue: Issue, format: Format, language: str, rows: Iterable[tuple[str, str, Row | None]]) -> None:
        """Keep rows (post, author, row) whose copies were read since ``issue`` and not recorded against since."""
        view = self._views.setdefault((format, language), {})
        for post, author, row in rows:
            newest = max(self._recorded.get(tag, 0) for tag in (tags.post_tag(post), tags.author_tag(author)))
            if max(newest, self._unsure) <= issue:
                self._bytes += _size(row) - (_size(view[post]) if post in view else 0)
                view[post] = row
                self._authors[post] = author
                self._posts[author].add(post)
        if self._bytes > self._most_bytes:
            self.unsure()

    def recorded(self, tag: str) -> None:
        """Let go of the rows that a tag guards."""
        if tag == tags.GLOBAL:
            self.unsure()
            return
        kind, name = tag[:2], tag[2:]
        if kind not in ("p-", "a-"):
            return
        self._records += 1
        self._recorded[tag] = self._records
        for post in (name,) if kind == "p-" else tuple(self._posts.get(name, ())):
            self._drop(post)
        if len(self._recorded) > self._most_tags:
            self._recorded.clear()
            self._unsure = self._records

    def unsure(self) -> None:
        """Let go of everything."""
        self._records += 1
        self._unsure = self._records
        self._recorded.clear()
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
