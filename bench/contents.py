"""What Redis holds of a crowd, in the forms that feeds are kept in: as `bench memory` writes it, part by part."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.crowd import FOLLOWS, MOST_FOLLOWERS, SEED, Crowd, degrees, name
from bench.trips import Command
from cdn.fence import Leaving
from feeds import copies, keys, packing
from feeds.followers import KEEP_S
from feeds.ids import shard_of
from feeds.model import TAG, Entry, Post, PostState, Settings, Sources, Taste, User, UserState

POSTS = 150_000
AUTHORS = 20_000
"""Who wrote these posts."""
TAGS = 2_000
KEPT = 200
"""Posts of a timeline."""
PUSHED = 30
"""Fresh posts of a user: about a day's, where a recalculation comes every night."""
LIKED, SHOWN, PAGE, SEEN_BY = 10, 50, 25, 0.1
CARRIED = 50
"""Cache tags of an artifact, at the most."""
HORIZON_MS = 90_000
NOW_MS = 1_790_000_000_000
GENERATION = b"1"
POOL = 499
"""Different packed values that are drawn from: more would take no other memory, only longer to make."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of what Redis holds: what it is called, what writes it, and a key of it to look at."""

    name: str
    commands: Callable[[], Iterable[Command]]


class Contents:
    """What is written, of a crowd."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._users = crowd.looked_at()
        self._draw = np.random.default_rng(SEED)
        self._follows = degrees(crowd.users, FOLLOWS, 2_000)
        self._followers = degrees(crowd.users, FOLLOWS, MOST_FOLLOWERS)

    @property
    def users(self) -> Sequence[tuple[int, str]]:
        """The users that are looked at: number and id."""
        return self._users

    def follows(self, num: int) -> int:
        """Return how many a user follows, by their number."""
        return int(self._follows[num - 1])

    def parts(self) -> list[Part]:
        """Return the parts, in the order in which they are written."""
        return [
            Part("timelines: bases", self.bases),
            Part(f"timelines: {PUSHED} fresh posts each", self.fresh),
            Part("follows: sources", self.sources),
            Part("profiles and settings", self.profiles),
            Part("tastes", self.tastes),
            Part("posts seen, of a tenth", self.seen),
            Part("activity", self.active),
            Part("lists of active followers", self.followers),
            Part("catalogue", self.catalogue),
            Part("copies of posts, no bodies", self.posts),
            Part("newest posts of sources", self.latest),
        ]

    def bases(self) -> Iterator[Command]:
        """Yield the bases: a hash a bucket."""
        pool = [packing.pack_timeline("ranked", 1_234_567, NOW_MS, nums) for nums in self._post_nums(KEPT)]
        yield from self._by_bucket(keys.base, lambda num: pool[num % POOL])

    def fresh(self, count: int = PUSHED) -> Iterator[Command]:
        """Yield what is fresh: a list a user."""
        pool = [[packing.pack_fresh(num, 1_234_567 + num) for num in nums] for nums in self._post_nums(count)]
        for num, user in self._users:
            yield ("RPUSH", keys.fresh(user), *pool[num % POOL])

    def sources(self) -> Iterator[Command]:
        """Yield what each user follows: a power law."""
        for num, user in self._users:
            authors = tuple(self._draw.integers(1, self._crowd.users, self._follows[num - 1]).tolist())
            tags = tuple(TAG | tag for tag in range(1, 1 + num % 5))
            names = (*map(name, authors), *(f"tag-{tag ^ TAG}" for tag in tags))
            copy = copies.of_sources(Sources(user, num, authors, tags, (), (), (), 3, names))
            yield ("SET", copy.key, copy.value(GENERATION))

    def profiles(self) -> Iterator[Command]:
        """Yield the copies of users: a name, a line about them, nothing muted."""
        for num, user in self._users:
            about = "Writes about databases, and what they are for." if num % 2 else ""
            copy = copies.of_user(User(user, f"Name {num}", about, UserState.LIVE, Settings(), 2, 1, num))
            yield ("SET", copy.key, copy.value(GENERATION))

    def tastes(self) -> Iterator[Command]:
        """Yield the tastes: authors whose posts a user reacted to, posts that they were shown."""
        authors = self._draw.integers(1, self._crowd.users, (POOL, LIKED)).tolist()
        shown = self._post_nums(SHOWN)
        pairs = zip(authors, shown, strict=True)
        pool = [packing.pack_taste(Taste(dict.fromkeys(a, 3), dict.fromkeys(s, 1))) for a, s in pairs]
        yield from self._by_bucket(keys.taste, lambda num: pool[num % POOL])

    def seen(self) -> Iterator[Command]:
        """Yield what users saw since the last recalculation: those who came."""
        pool = [packing.numbers(nums) for nums in self._post_nums(PAGE)]
        for num, user in self._users[:: round(1 / SEEN_BY)]:
            yield ("HSET", keys.seen(shard_of(user)), user, pool[num % POOL])

    def active(self) -> Iterator[Command]:
        """Yield when each user was last active."""
        for num, user in self._users:
            yield ("ZADD", keys.active(shard_of(user)), NOW_MS - num * 1000, user)

    def followers(self) -> Iterator[Command]:
        """Yield the lists of followers: one a source, as if all had written in this day."""
        for source in self._crowd.numbers(self._crowd.users):
            drawn = self._draw.integers(1, self._crowd.users, self._followers[source - 1]).tolist()
            yield ("SET", keys.followers(source), _listed(map(name, drawn)), "EX", KEEP_S)

    def catalogue(self) -> Iterator[Command]:
        """Yield the catalogue's chunks."""
        for chunk in self._crowd.numbers(POSTS // keys.CHUNK):
            words: list[Any] = []
            for num in range(chunk * keys.CHUNK, (chunk + 1) * keys.CHUNK):
                words += [num, packing.pack_entry(_entry(num), 1)]
            yield ("HSET", keys.chunk(chunk), *words)

    def posts(self) -> Iterator[Command]:
        """Yield the copies of posts: a title, a link, two tags."""
        for num in range(1, POSTS + 1):
            if shard_of(f"hn-{33_000_000 + num}") < self._crowd.shards:
                copy = copies.of_post(_post(num))
                yield ("SET", copy.key, copy.value(GENERATION))

    def latest(self) -> Iterator[Command]:
        """Yield the newest posts of each author, as their pages keep them."""
        for author in self._crowd.numbers(AUTHORS):
            words: list[Any] = [NOW_MS - 10**9, "!"]
            for num in range(author, POSTS + 1, AUTHORS):
                words += [NOW_MS - num * 1000, num]
            yield ("ZADD", keys.latest(author), *words)

    def _post_nums(self, count: int) -> list[list[int]]:
        """Return lists to draw from, of so many numbers of posts each."""
        return [self._draw.choice(POSTS, count, replace=False).tolist() for _ in range(POOL)]

    def _by_bucket(self, key: Callable[[str], str], value: Callable[[int], bytes]) -> Iterator[Command]:
        for num, user in self._users:
            yield ("HSET", key(user), user, value(num))


def answer(user: str, follows: int, draw: random.Random) -> Leaving:
    """Return the answer of a full page of a user's, with the tags of as many sources as find room."""
    shard = shard_of(user)
    shown = [f"p-hn-{33_000_000 + draw.randint(1, POSTS)}" for _ in range(PAGE)]
    own = ["g", f"s-{shard:02x}", f"u-{user}"]
    room = CARRIED - len(own) - PAGE
    over = follows > room
    sources = draw.sample(range(1, AUTHORS + 1), room - 1 if over else follows)
    tags = [*own, *(["o"] if over else []), *shown, *(f"a-{name(source)}" for source in sources)]
    return Leaving(shard, 0, frozenset(), tags, HORIZON_MS, user, tuple(sources) if over else None)


def _listed(users: Iterable[str]) -> bytes:
    """Return a list of followers as ``feeds.followers`` keeps it."""
    by_shard: dict[int, list[str]] = {}
    for user in users:
        by_shard.setdefault(shard_of(user), []).append(user)
    return b"R%s\n%s\n" % (GENERATION, b"\n\n".join("\n".join(section).encode() for section in by_shard.values()))


def _entry(num: int) -> Entry:
    """Return a post as the catalogue has it."""
    tags = (TAG | num % TAGS, TAG | (num * 7 + 1) % TAGS)
    return Entry(
        num, f"hn-{33_000_000 + num}", num % AUTHORS + 1, NOW_MS - num * 1000, num % 300, num % 90, 0, tags, True, 2
    )


def _post(num: int) -> Post:
    """Return a story."""
    entry = _entry(num)
    return Post(
        id=entry.post,
        author=name(entry.author),
        title=f"Show HN: A title of the usual length, which is so much: {num}",
        url=f"https://example.org/articles/2022/11/03/a-title-of-the-usual-length-{num}/",
        content="",
        content_type="text",
        tags=("databases", f"tag-{num % TAGS}"),
        published_ms=entry.published_ms,
        edited_ms=entry.published_ms,
        state=PostState.PUBLISHED,
        likes=entry.likes,
        comments=entry.comments,
        views=0,
        version=entry.version,
        num=num,
        author_num=entry.author,
        tag_nums=entry.tags,
    )
