"""A slow, obvious reference of every user's feed: what docs/ranking.md and the glossary say, in plain Python.

It shares no code with what it is compared with, and asks no database: it looks at every post of the world for each
feed. A world is who follows what, who hides whom, which posts there are with their counts, and what the last
recalculation froze: the averages (``means``) and each user's taste.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import log
from typing import Literal, NamedTuple

Counts = tuple[float, float, float]
"""Likes, comments, views."""


class Source(NamedTuple):
    """What a feed draws from."""

    kind: Literal["author", "tag"]
    name: str


@dataclass
class Written:
    """A post. ``live`` is False for whatever is in no feed: drafts, scheduled, unpublished and deleted posts."""

    post: str
    author: str
    published_ms: int
    tags: frozenset[str] = frozenset()
    likes: int = 0
    comments: int = 0
    views: int = 0
    live: bool = True


@dataclass
class Liking:
    """A user's taste: how often they reacted to each author's posts, and how often each post was found shown."""

    authors: dict[str, int] = field(default_factory=dict)
    shown: dict[str, int] = field(default_factory=dict)


@dataclass
class Reader:
    """A user as a reader. ``order`` is "newest" or "ranked"."""

    authors: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)
    muted_authors: set[str] = field(default_factory=set)
    muted_tags: set[str] = field(default_factory=set)
    page_size: int = 25
    order: str = "newest"
    liking: Liking = field(default_factory=Liking)


@dataclass(frozen=True)
class Formula:
    """The weights of docs/ranking.md, in units of ``tau`` seconds."""

    tau: int = 43_200
    likes: float = 0.5
    comments: float = 0.5
    views: float = 0.25
    tags: float = 0.5
    authors: float = 0.25
    shown: float = 0.5
    in_a_row: int = 3


@dataclass
class World:
    """All there is. ``blocks`` are pairs of who blocks whom, ``latest`` how many posts a pulled list has."""

    readers: dict[str, Reader] = field(default_factory=dict)
    posts: dict[str, Written] = field(default_factory=dict)
    blocks: set[tuple[str, str]] = field(default_factory=set)
    pulled: set[Source] = field(default_factory=set)
    means: Counts = (0.0, 0.0, 0.0)
    formula: Formula = Formula()
    cap: int = 200
    latest: int = 127
    own_posts: bool = True
    shelves: dict[Source, list[Written]] | None = None
    """Posts by source, once ``settle`` has sorted them: a large world that changes no more is read faster."""

    def settle(self) -> None:
        """Sort the posts by source; nothing may change after."""
        self.shelves = defaultdict(list)
        for post in self.posts.values():
            for source in sources_of(post):
                self.shelves[source].append(post)

    def block(self, user: str, other: str) -> None:
        """Let a user block another: neither follows the other any more."""
        self.blocks.add((user, other))
        for one, two in ((user, other), (other, user)):
            if one in self.readers:
                self.readers[one].authors.discard(two)

    def feed(self, user: str) -> list[str]:
        """Return the ids of all posts of a user's feed in the order that the user has set."""
        return self.ranked(user) if self.readers[user].order == "ranked" else self.newest(user)

    def pages(self, user: str, most: int) -> list[list[str]]:
        """Return the pages of a user's feed, at most so many; an empty feed is one empty page."""
        size = self.readers[user].page_size
        feed = self.feed(user)
        return [feed[at : at + size] for at in range(0, len(feed), size)][:most] or [[]]

    def newest(self, user: str) -> list[str]:
        """Return all posts of a user's feed, newest first, ties by id, both descending."""
        mine = [post for post in self._looked_at(user) if self.belongs(user, post)]
        return [post.post for post in sorted(mine, key=_newest_first, reverse=True)]

    def ranked(self, user: str) -> list[str]:
        """Return all posts of a user's feed: the ranked ones, best first, then the others, newest first."""
        newest = self.newest(user)
        members = self.members(user)
        best = sorted(members, key=lambda post: (self.rank_ms(user, post), post), reverse=True)
        return [*self._spread(best), *(post for post in newest if post not in members)]

    def members(self, user: str) -> set[str]:
        """Return which posts are ranked: the best of the newest candidates, and what the pulled sources have newest."""
        drawn = [post for post in self.newest(user) if self._is_pushed(user, self.posts[post])]
        best = sorted(drawn[: 2 * self.cap], key=lambda post: (self.rank_ms(user, post), post), reverse=True)
        return {*best[: self.cap], *self._pulled_for(user)}

    def is_cut(self, user: str) -> bool:
        """Tell whether posts of a feed are left out of what is ranked."""
        return len(self.members(user)) < len(self.newest(user))

    def belongs(self, user: str, post: Written) -> bool:
        """Tell whether a post is in a user's feed: from a source of theirs, and neither muted nor blocked."""
        reader = self.readers[user]
        if not post.live or not any(self._draws(user, source) for source in sources_of(post)):
            return False
        if post.author in reader.muted_authors or post.tags & reader.muted_tags:
            return False
        return (user, post.author) not in self.blocks and (post.author, user) not in self.blocks

    def rank_ms(self, user: str, post_id: str) -> int:
        """Return a post's rank for a user: its score and the user's own part."""
        post = self.posts[post_id]
        seconds = self.boost_s(post) + self.part_s(self.readers[user], post)
        return post.published_ms + seconds * 1000

    def boost_s(self, post: Written) -> int:
        """Return ``tau * sum(w * ln(1 + n / mean))`` in whole seconds; a mean below 1 counts as 1."""
        formula = self.formula
        weights = (formula.likes, formula.comments, formula.views)
        counts = (post.likes, post.comments, post.views)
        terms = [w * log(1 + n / max(mean, 1)) for w, n, mean in zip(weights, counts, self.means, strict=True)]
        return round(formula.tau * sum(terms))

    def part_s(self, reader: Reader, post: Written) -> int:
        """Return affinity to tags and author, less what was shown (ten times at most), in whole seconds."""
        formula = self.formula
        tags = formula.tags if post.tags & reader.tags else 0
        author = formula.authors * log(1 + reader.liking.authors.get(post.author, 0))
        shown = formula.shown * min(10, reader.liking.shown.get(post.post, 0))
        return round(formula.tau * (tags + author - shown))

    def _looked_at(self, user: str) -> Iterable[Written]:
        if self.shelves is None:
            return self.posts.values()
        reader = self.readers[user]
        sources = [
            *(Source("author", name) for name in (*reader.authors, user)),
            *(Source("tag", name) for name in reader.tags),
        ]
        return {post.post: post for source in sources for post in self.shelves.get(source, ())}.values()

    def _draws(self, user: str, source: Source) -> bool:
        if source.kind == "tag":
            return source.name in self.readers[user].tags
        return source.name in self.readers[user].authors or (self.own_posts and source.name == user)

    def _is_pushed(self, user: str, post: Written) -> bool:
        """Tell whether a source that is not pulled brings a post into a user's timeline."""
        return any(self._draws(user, source) for source in sources_of(post) if source not in self.pulled)

    def _pulled_for(self, user: str) -> Iterator[str]:
        for source in self.pulled:
            if self._draws(user, source):
                yield from (post for post in self._latest(source) if self.belongs(user, self.posts[post]))

    def _latest(self, source: Source) -> list[str]:
        """Return the newest posts of a source: as many as its list has, all newer than the first that it has not."""
        posts = self.posts.values() if self.shelves is None else self.shelves.get(source, ())
        found = [post for post in posts if post.live and source in sources_of(post)]
        found.sort(key=_newest_first, reverse=True)
        mark = found[self.latest].published_ms if len(found) > self.latest else -1
        return [post.post for post in found[: self.latest] if post.published_ms > mark]

    def _spread(self, best: Sequence[str]) -> list[str]:
        """Return posts so that at most so many by one author stand together: always the best that may come next."""
        waiting, order = list(best), list[str]()
        most = self.formula.in_a_row
        while waiting:
            last = [self.posts[post].author for post in order[-most:]]
            barred = last[0] if len(last) == most and len(set(last)) == 1 else None
            chosen = next((post for post in waiting if self.posts[post].author != barred), waiting[0])
            waiting.remove(chosen)
            order.append(chosen)
        return order


def sources_of(post: Written) -> list[Source]:
    """Return the sources that have a post: its author and its tags."""
    return [Source("author", post.author), *(Source("tag", tag) for tag in post.tags)]


def means_of(posts: Mapping[str, Written]) -> Counts:
    """Return the averages of likes, comments and views over the posts that are in feeds."""
    live = [post for post in posts.values() if post.live]
    count = max(1, len(live))
    return (
        sum(post.likes for post in live) / count,
        sum(post.comments for post in live) / count,
        sum(post.views for post in live) / count,
    )


def _newest_first(post: Written) -> tuple[int, str]:
    return post.published_ms, post.post
