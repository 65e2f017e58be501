"""The order of a list: which of the posts that are proposed it shows, and in which order. Pure functions."""

from collections.abc import Iterable, Sequence
from math import inf, log1p
from typing import NamedTuple

from baker.table import Known
from feeds.model import OrderKey, Sources, Taste
from feeds.ranking import MOST_SHOWN, Order, Weights, spread


class Viewer(NamedTuple):
    """Who may be in a list, and what is left out, as source numbers. ``user`` is whose list it is.

    ``taste`` is the user's own part of ranking. ``only`` is the source of a list that shows all of one source.
    """

    user: str
    authors: frozenset[int]
    topics: frozenset[int]
    hidden: frozenset[int]
    muted: frozenset[int]
    taste: Taste
    order: Order
    only: int | None = None

    def admits(self, known: Known) -> bool:
        """Tell whether a post may be in the list."""
        if self.only is not None:
            return True
        drawn = known.author in self.authors or not self.topics.isdisjoint(known.tags)
        return drawn and known.author not in self.hidden and self.muted.isdisjoint(known.tags)


class Proposed(NamedTuple):
    """What is proposed: post numbers, and the mark above which they are all there is (newest first).

    In a ranked list they are what is ranked; the rest follows newest first, unless the mark is -inf: then nothing does.
    The first ``loose`` numbers stand in no order; the others were newest first when their timeline was made, and a post
    that got another place since was pushed, so it is among the loose.
    """

    nums: Sequence[int]
    mark: float
    loose: int = 0

    def with_lists(self, lists: Iterable["Proposed"]) -> "Proposed":
        """Return this with the posts of pulled sources, each once; complete above the highest mark."""
        first = dict.fromkeys(self.nums[: self.loose])
        mark = self.mark
        for other in lists:
            first.update(dict.fromkeys(other.nums))
            mark = max(mark, other.mark)
        nums = dict(first)
        nums.update(dict.fromkeys(self.nums[self.loose :]))
        return Proposed(list(nums), mark, len(first))

    def top(self, count: int) -> Sequence[int]:
        """Return the loose numbers and ``count`` of the others; nothing where these are all."""
        end = self.loose + count
        return self.nums[:end] if end < len(self.nums) else ()


NOTHING = Proposed((), inf)
"""Proposes nothing, so that all comes from the system of record."""


class Ranked(NamedTuple):
    """A post with its place in a ranked list; compares as the list does."""

    rank_ms: int
    post: str
    known: Known


def viewer(sources: Sources, taste: Taste, order: Order, *, own: bool) -> Viewer:
    """Return the viewer of a user's feed."""
    authors = frozenset((*sources.authors, sources.num)) if own else frozenset(sources.authors)
    hidden = frozenset((*sources.muted_authors, *sources.blocked))
    return Viewer(sources.user, authors, frozenset(sources.tags), hidden, frozenset(sources.muted_tags), taste, order)


def all_of(user: str, source: int) -> Viewer:
    """Return the viewer of a list of all that one source has."""
    nobody: frozenset[int] = frozenset()
    return Viewer(user, nobody, nobody, nobody, nobody, Taste({}, {}), "newest", source)


def everything() -> Viewer:
    """Return the viewer of all that there is, by score alone."""
    return all_of("", 0)._replace(order="ranked")


def newest(viewer: Viewer, found: Iterable[Known | None], mark: float) -> list[Known]:
    """Return the posts above the mark that a list shows, newest first."""
    _, authors, topics, hidden, muted, _, _, only = viewer
    if only is None and not (topics or hidden or muted):  # the usual case, at a third of the time
        shown = [known for known in found if known and known[0] > mark and known[3] in authors]
    else:
        admits = viewer.admits
        shown = [known for known in found if known and known[0] > mark and admits(known)]
    shown.sort(reverse=True)
    return shown


def ranked(viewer: Viewer, found: Iterable[Known | None], weights: Weights) -> list[Ranked]:
    """Return the posts that a list shows, best first, no more than ``in_a_row`` by one author together."""
    admits = viewer.admits
    best = sorted(
        [Ranked(rank_ms(viewer, known, weights), known.post, known) for known in found if known and admits(known)],
        reverse=True,
    )
    order = spread([one.known.author for one in best], weights.in_a_row)
    return [best[index] for index in order]


def rank_ms(viewer: Viewer, known: Known, weights: Weights) -> int:
    """Return a post's rank for a user: its score and the user's own part, as ``feeds.ranking.part_s`` has it."""
    liked = 0.0 if viewer.topics.isdisjoint(known.tags) else weights.tags
    liked += weights.authors * log1p(viewer.taste.authors.get(known.author, 0))
    shown = weights.shown * min(viewer.taste.shown.get(known.num, 0), MOST_SHOWN)
    return known.score_ms + 1000 * round(weights.tau_s * (liked - shown))


def boundary(found: Sequence[Known | None], loose: int) -> float:
    """Return the time above which the top of what is proposed newest first is all there is, inf where nothing tells."""
    return next((known.published_ms for known in reversed(found[loose:]) if known), inf)


def below(ordered: Sequence[Known], place: OrderKey | None) -> int:
    """Return the index of the first post that stands below a place in a list that is newest first."""
    if place is None:
        return 0
    return next((index for index, known in enumerate(ordered) if known[:2] < place), len(ordered))


def after(ordered: Sequence[Ranked], post: str, rank: int | None) -> int | None:
    """Return the index behind a post in a ranked list; of one that is hidden (its ``rank`` is known) where it stood.

    None: it is not among what is ranked.
    """
    for index, one in enumerate(ordered):
        if one.post == post:
            return index + 1
    if rank is None:
        return None
    return next((index for index, one in enumerate(ordered) if (one.rank_ms, one.post) < (rank, post)), len(ordered))
