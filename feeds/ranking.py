"""Ranking: a post's score, which does not age, and a user's own part, which the last recalculation froze.

A score is a time: the moment the post was published, moved forward by what readers did with it. One ``tau`` forward is
worth as much as being younger by ``tau``, so scores are compared for ever without being computed again
(docs/ranking.md). Boosts and parts are whole seconds, so that every process has the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log1p
from typing import Literal

from feeds.model import Entry, Epoch, Taste

Order = Literal["newest", "ranked"]

MOST_SHOWN = 10
"""Recalculations that count: a post shown more often is not lowered further."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each part counts, in units of ``tau_s`` seconds. All zero is newest first.

    ``in_a_row``: posts by one author that may follow each other in a ranked feed.
    """

    tau_s: int = 43_200
    likes: float = 0.5
    comments: float = 0.5
    views: float = 0.25
    tags: float = 0.5
    authors: float = 0.25
    shown: float = 0.5
    in_a_row: int = 3


def boost_s(entry: Entry, epoch: Epoch, weights: Weights) -> int:
    """Return the seconds by which its engagement moves a post forward: ``tau * sum(weight * ln(1 + n / mean))``.

    A mean below 1 counts as 1, or a platform's first like would outdo a day.
    """
    engagement = (
        weights.likes * log1p(entry.likes / max(epoch.likes, 1.0))
        + weights.comments * log1p(entry.comments / max(epoch.comments, 1.0))
        + weights.views * log1p(entry.views / max(epoch.views, 1.0))
    )
    return round(weights.tau_s * engagement)


def part_s(entry: Entry, taste: Taste, followed_tags: Iterable[int], weights: Weights) -> int:
    """Return the user's own part: affinity to a followed tag and to the author, less what was shown."""
    tagged = not set(entry.tags).isdisjoint(followed_tags)
    return part_of(tagged, taste.authors.get(entry.author, 0), taste.shown.get(entry.num, 0), weights)


def part_of(tagged: bool, reactions: int, shown: int, weights: Weights) -> int:
    """Return the own part in seconds of a post that has a followed tag or not, by its author's and its own counts."""
    liked = weights.tags if tagged else 0.0
    liked += weights.authors * log1p(reactions)
    return round(weights.tau_s * (liked - weights.shown * min(shown, MOST_SHOWN)))


def rank_ms(entry: Entry, epoch: Epoch, taste: Taste, followed_tags: Iterable[int], weights: Weights) -> int:
    """Return a post's place in a user's ranked feed, higher first; ties by id, as everywhere."""
    return entry.published_ms + 1000 * (boost_s(entry, epoch, weights) + part_s(entry, taste, followed_tags, weights))


def spread(authors: Sequence[int], in_a_row: int) -> list[int]:
    """Return the order (as indices) in which posts by these authors are shown, at most ``in_a_row`` by one together.

    The best post that may come next does. Where only one author is left, their posts follow each other after all.
    """
    waiting = list(range(len(authors)))
    order: list[int] = []
    last, run = -1, 0
    while waiting:
        at = 0
        if run >= in_a_row:
            at = next((i for i, index in enumerate(waiting) if authors[index] != last), 0)
        index = waiting.pop(at)
        run = run + 1 if authors[index] == last else 1
        last = authors[index]
        order.append(index)
    return order
