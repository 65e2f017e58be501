"""A population from real data: who follows whom from Slashdot, stories from Hacker News, joined by rank.

No public file has both, nor tags, views, reactions, mutes or blocks: those are *invented* here, by dice that fall the
same each time. ``World`` of ``tests.reference`` and the system of record are filled from the same rows.
"""

import csv
import gzip
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from edgebake.beginning import DEMO, DEMO_FILES
from feeds.command import Block, Command, CreatePost, Follow, FollowTag, PutSettings, PutUser, React, Reaction
from feeds.record import Record
from tests.reference import Formula, Liking, Reader, Source, World, Written

TAGS = [f"tag {number:02}" for number in range(60)]
"""Invented. The first are on many posts, the last on few."""

MAKE = Path(__file__).parents[2] / "scripts" / "make_demo_data.py"
CHUNK = 5000
KINDS: tuple[Literal["like", "comment", "view"], ...] = ("like", "comment", "view")


@dataclass(frozen=True, slots=True)
class Story:
    """A row of posts, with what was invented: tags and views."""

    post: str
    author: str
    title: str
    published_ms: int
    likes: int
    comments: int
    views: int
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Habits:
    """What is invented for one user who is looked at."""

    user: str
    muted_authors: tuple[str, ...]
    muted_tags: tuple[str, ...]
    blocked: tuple[str, ...]
    reactions: tuple[str, ...]  # posts, some more than once
    page_size: int


@dataclass
class Population:
    """All rows, and the habits of the users who are looked at. Stories are moved in time: the newest is an hour old."""

    users: Sequence[str]
    follows: Sequence[tuple[str, str]]
    stories: Sequence[Story]
    now_ms: int
    tag_follows: Sequence[tuple[str, str]] = ()
    habits: dict[str, Habits] = field(default_factory=dict)

    def pulled(self, line: int) -> set[Source]:
        """Return the sources with more followers than ``line``."""
        blocked = {frozenset((one.user, other)) for one in self.habits.values() for other in one.blocked}
        authors = Counter(author for user, author in self.follows if frozenset((user, author)) not in blocked)
        tags = Counter(tag for _, tag in self.tag_follows)
        over = {Source("author", author) for author, count in authors.items() if count > line}
        return over | {Source("tag", tag) for tag, count in tags.items() if count > line}

    def world(self, line: int, formula: Formula, cap: int) -> World:
        """Return the reference of the users who are looked at."""
        posts = {
            story.post: Written(
                story.post,
                story.author,
                story.published_ms,
                frozenset(story.tags),
                story.likes,
                story.comments,
                story.views,
            )
            for story in self.stories
        }
        writers = {story.post: story.author for story in self.stories}
        readers = {user: self._reader(user, writers) for user in self.habits}
        world = World(readers, posts, pulled=self.pulled(line), formula=formula, cap=cap)
        for user, author in self.follows:
            if user in world.readers:
                world.readers[user].authors.add(author)
        for user, tag in self.tag_follows:
            if user in world.readers:
                world.readers[user].tags.add(tag)
        for user, habits in self.habits.items():
            for other in habits.blocked:
                world.block(user, other)
            for at, post in enumerate(habits.reactions):
                world.posts[post].likes += at % 2 == 0
                world.posts[post].comments += at % 2
        return world

    def _reader(self, user: str, writers: Mapping[str, str]) -> Reader:
        habits = self.habits[user]
        liked = Counter(writers[post] for post in habits.reactions)
        return Reader(
            muted_authors=set(habits.muted_authors),
            muted_tags=set(habits.muted_tags),
            page_size=habits.page_size,
            liking=Liking(dict(liked)),
        )

    async def load(self, record: Record) -> None:
        """Put everything into a system of record: the rows by imports, the habits by commands."""
        for users in _chunks(self.users):
            await record.import_users([PutUser(user=user, name=user) for user in users])
        for follows in _chunks(self.follows):
            await record.import_follows([Follow(user=user, author=author) for user, author in follows])
        for stories in _chunks(self.stories):
            await record.import_posts([_created(story) for story in stories])
        for tag_follows in _chunks(self.tag_follows):
            await record.import_tag_follows([FollowTag(user=user, tag=tag) for user, tag in tag_follows])
        for some in _chunks(self.commands(), 500):
            await record.apply(some)

    def commands(self) -> Iterator[Command]:
        """Yield the commands of the habits."""
        for user, habits in self.habits.items():
            yield self.settings(user, "ranked")
            yield from (Block(user=user, blocked=other) for other in habits.blocked)
            for at, post in enumerate(habits.reactions):
                reaction = Reaction(kind=KINDS[at % 2], by=user, id=str(at))
                yield React(post=post, reactions=(reaction,))

    def settings(self, user: str, order: str) -> PutSettings:
        """Return the command for a user's settings, in which only the order differs."""
        habits = self.habits[user]
        return PutSettings(
            user=user,
            order=order,  # type: ignore[arg-type]  # one of the literals
            muted_authors=habits.muted_authors,
            muted_tags=habits.muted_tags,
            page_size=habits.page_size,
        )


def demo(stories: int) -> Population:
    """Return the demo's slice, with so many of its newest stories."""
    found = _population(*(DEMO / name for _, name in DEMO_FILES))
    found.stories = sorted(found.stories, key=lambda story: story.published_ms, reverse=True)[:stories]
    return found


def whole(data: Path, folder: Path) -> Population:
    """Return the whole graph with all stories; ``data`` has the two files, ``folder`` gets the joined rows."""
    sources = (data / "slashdot0902_directed.tsv.gz", data / "hn_frontpage_stories.csv.gz")
    subprocess.run([sys.executable, MAKE, *sources, "--whole", folder], check=True)
    return _population(*(folder / f"{kind}.csv" for kind, _ in DEMO_FILES))


def _population(users: Path, follows: Path, posts: Path) -> Population:
    dice, now_ms = random.Random(7), time.time_ns() // 1_000_000
    rows = list(_rows(posts))
    later_ms = now_ms - 3_600_000 - max(_published_ms(row) for row in rows)
    stories = [_story(row, later_ms, dice) for row in rows]
    names = [row["id"] for row in _rows(users)]
    pairs = [(row["user"], row["author"]) for row in _rows(follows)]
    tag_follows = [(user, tag) for user in names for tag in sorted(_some_tags(dice, dice.choice((0, 0, 1, 3))))]
    return Population(names, pairs, stories, now_ms, tag_follows)


def look_at(population: Population, count: int) -> None:
    """Choose users to look at, and invent their habits: every tenth of those who follow most, the others at random."""
    dice = random.Random(11)
    follows: defaultdict[str, list[str]] = defaultdict(list)
    for user, author in population.follows:
        follows[user].append(author)
    by_author: defaultdict[str, list[str]] = defaultdict(list)
    for story in population.stories:
        by_author[story.author].append(story.post)
    busiest = sorted(follows, key=lambda user: (-len(follows[user]), user))[: count // 10]
    rest = dice.sample(sorted(set(population.users) - set(busiest)), count - len(busiest))
    writers = sorted(by_author)
    for user in (*busiest, *rest):
        population.habits[user] = _habits(dice, user, sorted(follows[user]), by_author, writers)


def _habits(
    dice: random.Random, user: str, authors: Sequence[str], by_author: dict[str, list[str]], writers: Sequence[str]
) -> Habits:
    written = [author for author in authors if author in by_author]
    liked = [dice.choice(written or writers) for _ in range(dice.choice((0, 3, 12)))]
    others = sorted({*_few(dice, authors, 1), *_few(dice, writers, 2)} - {user})
    return Habits(
        user,
        tuple(sorted({*_few(dice, authors, 2), *_few(dice, writers, 1)})),
        tuple(sorted(_some_tags(dice, dice.choice((0, 0, 1, 2))))),
        tuple(others) if dice.random() < 0.3 else (),
        tuple(dice.choice(by_author[author]) for author in liked),
        dice.choice((25, 25, 25, 10, 7)),
    )


def _few(dice: random.Random, names: Sequence[str], most: int) -> list[str]:
    return dice.sample(names, min(dice.randrange(most + 1), len(names)))


def _some_tags(dice: random.Random, count: int) -> set[str]:
    return {TAGS[min(int(dice.expovariate(0.1)), len(TAGS) - 1)] for _ in range(count)}


def moment(published_ms: int) -> datetime:
    """Return a time."""
    return datetime.fromtimestamp(published_ms / 1000, UTC)


def _published_ms(row: dict[str, str]) -> int:
    return round(datetime.fromisoformat(row["published"]).timestamp() * 1000)


def _story(row: dict[str, str], later_ms: int, dice: random.Random) -> Story:
    likes, comments = int(row["likes"]), int(row["comments"])
    tags = tuple(sorted(_some_tags(dice, dice.choice((0, 1, 2, 3)))))
    views = likes * dice.randrange(5, 60)
    return Story(row["id"], row["author"], row["title"], _published_ms(row) + later_ms, likes, comments, views, tags)


def _created(story: Story) -> CreatePost:
    return CreatePost(
        post=story.post,
        author=story.author,
        title=story.title,
        published=moment(story.published_ms),
        tags=story.tags,
        likes=story.likes,
        comments=story.comments,
        views=story.views,
    )


def _rows(path: Path) -> Iterator[dict[str, str]]:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def _chunks(rows: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    left = iter(rows)
    while chunk := list(islice(left, size)):
        yield chunk
