"""A day of a social network, in the proportions of Stream-Framework's own benchmark of 2016.

A tenth of the users are active in a day. Everything else follows from a user's place in a hundred. Where that benchmark
lets the same first users follow everybody, and read, here followers are drawn: the counts are its own.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from bench.crowd import SEED

ACTIVE = 10
"""Of a hundred users are active in a day."""

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
