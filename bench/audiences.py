"""Authors with many followers, all of them active: in a system of record, and with something in their feeds."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from bench.crowd import name
from bench.trips import Command
from feeds import keys, packing
from feeds.command import Follow, PutUser
from feeds.ids import shard_of
from feeds.record import Record

CHUNK = 5000
KEPT = 200
"""Posts of a timeline's base."""
FRESH = 15
"""Fresh posts of a user before the first round: half a day's (``contents.PUSHED``)."""
OLD = 10_000_000
"""Numbers of posts from here on are only in feeds: nobody looks them up."""

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Author:
    """An author, by the bench's own number, and their followers."""

    number: int
    followers: Sequence[str]

    @property
    def id(self) -> str:
        """The author's id; ``FOLLOWERS`` builds the same from the number."""
        return f"w{self.number}"


FOLLOWERS = "SELECT user FROM follows WHERE author = 'w' || ?"
"""Reads a list from the system of record, as one who has no copy of it does."""


def authors(sizes: Sequence[tuple[int, int]]) -> dict[int, list[Author]]:
    """Return, for each (followers, authors), so many authors with so many followers each; theirs do not overlap."""
    found: dict[int, list[Author]] = {}
    for size, count in sizes:
        first = 1_000_000 * (len(found) + 1)
        found[size] = [
            Author(first + at, [name(at * size + follower) for follower in range(size)]) for at in range(count)
        ]
    return found


async def recorded(record: Record, audience: Sequence[Author]) -> Sequence[str]:
    """Write authors, followers and follows into the system of record; all are active. Return the followers."""
    followers = list(dict.fromkeys(chain.from_iterable(author.followers for author in audience)))
    people = [*followers, *(author.id for author in audience)]
    for some in chunks(people):
        await record.import_users([PutUser(user=user, name=user) for user in some])
    follows = [(follower, author.id) for author in audience for follower in author.followers]
    for rows in chunks(follows):
        await record.import_follows([Follow(user=user, author=author) for user, author in rows])
    for some in chunks(people):
        await record.activate(some, now_ms())
    return followers


def timelines(users: Sequence[str]) -> Iterator[Command]:
    """Yield the commands that give each of these users a timeline: they are active, with a base and fresh posts."""
    base = packing.pack_timeline("newest", 0, now_ms() - 10**9, range(OLD, OLD + KEPT))
    for user in users:
        yield ("ZADD", keys.active(shard_of(user)), now_ms(), user)
        yield ("HSET", keys.base(user), user, base)
    fresh = [packing.pack_fresh(OLD + KEPT + at, 0) for at in range(FRESH)]
    for user in users:
        yield ("RPUSH", keys.fresh(user), *fresh)


def copied(entries: Iterable[tuple[int, int]], names: Iterable[str]) -> Iterator[Command]:
    """Yield the commands that give each of these keys the same sorted set of (score, member)."""
    yield ("ZADD", "bench:filled", *chain.from_iterable(entries))
    for key in names:
        yield ("COPY", "bench:filled", key)
    yield ("DEL", "bench:filled")


def chunks(rows: Sequence[Row], size: int = CHUNK) -> Iterator[Sequence[Row]]:
    """Yield rows, so many at a time."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def now_ms() -> int:
    """Return the time."""
    return time.time_ns() // 1_000_000
