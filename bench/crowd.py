"""A made-up crowd: users by shard, whom they follow, who follows them. Power laws, drawn once, the same in each run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from feeds.ids import SHARDS, shard_of

SEED = 7
FOLLOWS = 30
"""Follows of a user, on average."""
MOST_FOLLOWERS = 100_000
"""A source with more is pulled, and has no list."""


def name(num: int) -> str:
    """Return the id of the user of that number: eight characters, as names are."""
    return f"u{num:07d}"


def degrees(count: int, mean: float, most: int, exponent: float = 2.1) -> Sequence[int]:
    """Return how many each of ``count`` has, follows or followers: a power law of that mean, none over ``most``."""
    drawn = np.random.default_rng(SEED).pareto(exponent - 1, count) + 1
    for _ in range(30):  # what is cut off at the top is given to all
        drawn = np.minimum(drawn * (mean * count / drawn.sum()), most)
    found: list[int] = np.maximum(drawn.round(), 1).astype(int).tolist()
    return found


@dataclass(frozen=True, slots=True)
class Crowd:
    """So many ``users``, of whom those in the first ``shards`` of 64 shards are looked at: a part that scales."""

    users: int
    shards: int = SHARDS

    @property
    def share(self) -> float:
        """How much of the whole is looked at."""
        return self.shards / SHARDS

    def looked_at(self) -> list[tuple[int, str]]:
        """Return the users in these shards: number and id."""
        named = ((num, name(num)) for num in range(1, self.users + 1))
        return [(num, user) for num, user in named if shard_of(user) < self.shards]

    def numbers(self, most: int) -> Iterator[int]:
        """Yield the numbers from 1 to ``most`` (of sources, of chunks) whose keys are in these shards."""
        return (number for number in range(1, most + 1) if number % SHARDS < self.shards)
