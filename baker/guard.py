"""Guards: what a process keeps is let go when its tag is recorded, and not kept where that happened while it was read.

Everything kept is read after an ``issue`` and guarded by tags that every change to it records in *every* shard, after
the new data is readable; and each bake notes its shard's count together with the log's tail, before it looks at what is
kept. So what is still kept was read after every change up to the bake's count:

- a change recorded after it was kept took it away when the tail brought it;
- a change recorded while it was being read makes ``holds`` refuse it (``Issue``);
- a change recorded before that reading began was readable then.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from cdn import tags

MOST_TAGS = 50_000
"""Recorded tags that are remembered for readings under way; beyond, all of those are refused."""

GUARDING = ("p-", "a-", "t-")

Issue = int
"""When a reading began, in records that the process has taken."""


class Kept(Protocol):
    """What is kept under tags."""

    def drop(self, tag: str) -> None:
        """Let go of what a tag guards."""

    def clear(self) -> None:
        """Let go of everything."""


class Guard:
    """Watches the fence for all that a process keeps."""

    def __init__(self, most_tags: int = MOST_TAGS) -> None:
        self._most_tags = most_tags
        self._kept: list[Kept] = []
        self._records = 0
        self._recorded: dict[str, int] = {}
        self._unsure = 0

    def watch(self, kept: Kept) -> None:
        """Tell ``kept`` from now on."""
        self._kept.append(kept)

    def issue(self) -> Issue:
        """Say that a reading begins; ``holds`` wants to know when it did."""
        return self._records

    def holds(self, issue: Issue, guards: Iterable[str]) -> bool:
        """Tell whether what was read since ``issue`` may be kept under these tags: none was recorded since."""
        if self._unsure > issue:
            return False
        return self._records == issue or all(self._recorded.get(tag, 0) <= issue for tag in guards)

    def recorded(self, tag: str) -> None:
        """Let go of what a tag guards; it may have changed."""
        if tag == tags.GLOBAL:
            self.unsure()
            return
        if not tag.startswith(GUARDING):
            return
        self._records += 1
        self._recorded[tag] = self._records
        for kept in self._kept:
            kept.drop(tag)
        if len(self._recorded) > self._most_tags:
            self._recorded.clear()
            self._unsure = self._records

    def unsure(self) -> None:
        """Let go of everything: records may have been missed."""
        self._records += 1
        self._unsure = self._records
        self._recorded.clear()
        for kept in self._kept:
            kept.clear()


def guards_of(post: str, author: str) -> Sequence[str]:
    """Return the tags that guard what is shown of a post."""
    return tags.post_tag(post), tags.author_tag(author)
