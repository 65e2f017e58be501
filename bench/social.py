"""A day of a social network, in the proportions of Stream-Framework's own benchmark of 2016.

A tenth of the users are active in a day. Everything else follows from a user's place in a hundred. Where that benchmark
lets the same first users follow everybody, and read, here followers are drawn: the counts are its own.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bench.crowd import SEED

ACTIVE = 10
"""Of a hundred users are active in a day."""

PAGE = 25
KEPT = 200
"""Posts that both systems keep of a feed; Stream-Framework has no pages beyond."""

BINS = (0, 50, 75, 85, 95, 100)
POSTS = (0, 1, 5, 10, 25)
PAGES = (1, 5, 10, 20, 50)


def of_bins(place: int, values: Sequence[int]) -> int:
    """Return what a user at this place of a hundred does."""
    return next(value for value, (first, end) in zip(values, pairwise(BINS), strict=True) if first <= place < end)


@dataclass(frozen=True)
class Network:
    """A network of so many users, numbered from 1."""

    users: int

    @cached_property
    def active(self) -> Sequence[int]:
        """The users who are active in this day: of each hundred as many of each kind."""
        return [user for user in range(1, self.users + 1) if user // 100 % (100 // ACTIVE) == 0]

    def posts(self, user: int) -> int:
        """Return how many posts an active user writes."""
        return of_bins(user % 100, POSTS)

    def pages(self, user: int) -> int:
        """Return how many pages an active user reads."""
        return of_bins(user % 100, PAGES)

    def audience(self, user: int) -> int:
        """Return how many follow a user."""
        place = user % 100
        if place >= 98:
            return min(self.users - 1, max(self.users // 10, 1000))
        return of_bins(place, (5, 50, 100, *[min(self.users // 20, 1000)] * 2))

    def followers(self, user: int) -> list[int]:
        """Return who follows a user: drawn, the same each time."""
        drawn = random.Random(SEED * self.users + user)
        others = drawn.sample(range(1, self.users), min(self.audience(user), self.users - 1))
        return sorted(other if other < user else other + 1 for other in others)


Row = tuple[int, int, int]
"""A post: author, number, milliseconds."""


class Story:
    """What happens: who follows whom, the posts before this day, those of this day, and the pages that are read."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._draw = random.Random(SEED)
        self.begun_ms = time.time_ns() // 1_000_000

    def figures(self) -> dict[str, float]:
        """Return how large the day is."""
        return {
            "users": self._network.users,
            "active": len(self._network.active),
            "follows": sum(map(len, self.followers.values())),
            "posts before": len(self.before),
            "posts": len(self.today),
            "feeds written": self.reach(self.today),
            "pages read": len(self.pages),
        }

    def reach(self, rows: Sequence[Row]) -> int:
        """Return how many feeds have to be written for these posts."""
        return sum(len(self.followers[author]) for author, _, _ in rows)

    @cached_property
    def followers(self) -> Mapping[int, Sequence[int]]:
        """Followers by author."""
        return {user: self._network.followers(user) for user in range(1, self._network.users + 1)}

    @cached_property
    def before(self) -> Sequence[Row]:
        """The posts of the day before, by everybody as if they had been active: oldest first, 10 s apart."""
        written = self._written(range(1, self._network.users + 1))
        begun = self.begun_ms - 10_000 * (len(written) + 1)
        return [(author, at + 1, begun + 10_000 * at) for at, author in enumerate(written)]

    @cached_property
    def today(self) -> Sequence[Row]:
        """The posts of this day, in the order in which they come, a millisecond apart."""
        first, begun = len(self.before) + 1, self.begun_ms - 5_000
        return [(author, first + at, begun + at) for at, author in enumerate(self._written(self._network.active))]

    def halves(self) -> tuple[Sequence[Row], Sequence[Row]]:
        """Return this day's posts in two halves."""
        half = len(self.today) // 2
        return self.today[:half], self.today[half:]

    @cached_property
    def feeds(self) -> Mapping[int, Sequence[Row]]:
        """What is in each user's feed before this day, newest first."""
        found: dict[int, list[Row]] = {user: [] for user in range(1, self._network.users + 1)}
        for row in reversed(self.before):
            for user in self.followers[row[0]]:
                if len(found[user]) < KEPT:
                    found[user].append(row)
        return found

    @cached_property
    def pages(self) -> Sequence[tuple[int, int]]:
        """The pages that are read, (user, page from 0), as deep as both keep feeds, in no order."""
        read = [
            (user, page)
            for user in self._network.active
            for page in range(min(self._network.pages(user), len(self.feeds[user]) // PAGE))
        ]
        self._draw.shuffle(read)
        return read

    def _written(self, users: Sequence[int]) -> list[int]:
        written = [user for user in users for _ in range(self._network.posts(user))]
        self._draw.shuffle(written)
        return written
