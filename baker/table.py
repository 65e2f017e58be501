"""The table: what a process knows of the catalogue, for as long as the fence knows it unchanged."""

from collections.abc import Collection
from typing import NamedTuple

from baker.guard import Guard, Issue
from cdn import tags
from feeds.model import Entry, Epoch, OrderKey
from feeds.ranking import Weights, boost_s

MOST = 1_000_000
"""Posts that a process knows at most: then it begins again. Some 300 bytes each."""


class Known(NamedTuple):
    """A published post as selection sees it. It compares as the feed does: newest first, ties by id."""

    published_ms: int
    post: str
    num: int
    author: int
    tags: frozenset[int]
    score_ms: int

    @property
    def key(self) -> OrderKey:
        """The post's place in a list that is newest first."""
        return OrderKey(self.published_ms, self.post)


class Table:
    """Posts by number; one that is in no feed is kept as None. Scores are those of one ranking epoch."""

    def __init__(self, guard: Guard, weights: Weights, most: int = MOST) -> None:
        self._guard = guard
        self._weights = weights
        self._most = most
        self._epoch = Epoch()
        self._nums: dict[str, int] = {}
        self.posts: dict[int, Known | None] = {}
        """What is known. It changes as the fence brings records."""
        guard.watch(self)

    def begin(self, epoch: Epoch) -> None:
        """Let go of everything where another epoch has begun: its averages give other scores."""
        if epoch != self._epoch:
            self.clear()
            self._epoch = epoch

    def put(self, issue: Issue, entries: Collection[Entry]) -> dict[int, Known | None]:
        """Keep entries that were read since ``issue`` and not recorded against since. Return all, kept or not."""
        found = {entry.num: self.known(entry) for entry in entries}
        if len(self.posts) + len(found) > self._most:
            self.clear()
        for entry in entries:
            if self._guard.holds(issue, (tags.post_tag(entry.post),)):
                self.posts[entry.num] = found[entry.num]
                self._nums[entry.post] = entry.num
        return found

    def drop(self, tag: str) -> None:
        """Let go of the post that a tag guards."""
        if tag.startswith("p-") and (num := self._nums.pop(tag[2:], None)) is not None:
            self.posts.pop(num, None)

    def clear(self) -> None:
        """Let go of everything."""
        self.posts.clear()
        self._nums.clear()

    def known(self, entry: Entry) -> Known | None:
        """Return an entry as selection sees it, None for a post that is in no feed."""
        if not entry.live:
            return None
        score_ms = entry.published_ms + 1000 * boost_s(entry, self._epoch, self._weights)
        return Known(entry.published_ms, entry.post, entry.num, entry.author, frozenset(entry.tags), score_ms)
