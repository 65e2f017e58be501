"""Join a follow graph with stories, and write them as CSV for ``edgebake import``: the demo's slice, or the whole.

    python scripts/make_demo_data.py FOLLOWS.tsv.gz STORIES.csv.gz [--demo FOLDER] [--whole FOLDER]

No public file has both, so they are joined by rank: the author with most stories is the user with most followers, and
so on. The same input gives the same rows. edgebake/demo/SOURCES.md says where the two files come from.
"""

import argparse
import csv
import gzip
import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from feeds.ids import map_id

AUTHORS = 500
"""The demo's authors: those with most followers who follow some of each other."""
USERS = 2000
STORIES = 3000
FEW = 5
"""Each user of the demo follows at least so many authors who have stories in it."""

HACKER_NEWS = "https://news.ycombinator.com/"

_control = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Graph:
    """Who follows whom, by number."""

    follows: dict[int, set[int]]
    ranked: list[int]  # by followers, the most first


@dataclass(frozen=True, slots=True)
class Story:
    """A story of Hacker News."""

    id: str
    author: str
    title: str
    url: str
    published: str
    likes: int
    comments: int


@dataclass(frozen=True, slots=True)
class World:
    """The graph and the stories, joined. ``names`` has those users who are authors."""

    graph: Graph
    names: dict[int, str]
    stories: list[Story]  # the newest first

    def id(self, user: int) -> str:
        """Return a user's id."""
        return map_id(self.names[user]) if user in self.names else f"s-{user}"

    def display_name(self, user: int) -> str:
        """Return a user's name."""
        return self.names.get(user, f"slashdot {user}")


def read_graph(path: Path) -> Graph:
    """Read ``follower<TAB>followee`` lines under a header."""
    follows: defaultdict[int, set[int]] = defaultdict(set)
    followers: Counter[int] = Counter()
    with gzip.open(path, "rt", encoding="ascii") as lines:
        next(lines)
        for line in lines:
            follower, followee = map(int, line.split())
            follows[follower].add(followee)
            followers[followee] += 1
    users = followers.keys() | follows.keys()
    return Graph(dict(follows), sorted(users, key=lambda user: (-followers[user], user)))


def read_stories(path: Path) -> list[Story]:
    """Read the stories, the newest first."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as lines:
        stories = [_story(row) for row in csv.DictReader(lines)]
    return sorted(stories, key=lambda story: (story.published, story.id), reverse=True)


def _story(row: dict[str, str]) -> Story:
    url = row["url"]
    return Story(
        id=f"hn-{row['id']}",
        author=row["author"],
        title=_control.sub("", row["title"]).strip(),  # one title holds two NULs
        url=HACKER_NEWS + url if url.startswith("item?id=") else url,
        published=row["first_seen_utc"],
        likes=int(row["max_points"]),
        comments=int(row["max_comments"] or 0),
    )


def join(graph: Graph, stories: list[Story]) -> World:
    """Give the authors to the users by rank."""
    counts = Counter(story.author for story in stories)
    authors = sorted(counts, key=lambda author: (-counts[author], author))
    return World(graph, dict(zip(graph.ranked, authors, strict=False)), stories)


def demo_users(world: World) -> tuple[set[int], list[Story]]:
    """Choose the demo's users and stories, so that every feed has several authors who wrote something lately."""
    follows = world.graph.follows
    authors = _each_following_few(set(world.graph.ranked[:AUTHORS]), follows)
    stories = _newest_by(world, authors)
    writers = {user for user in authors if world.names.get(user) in {story.author for story in stories}}
    writers = _each_following_few(writers, follows)
    stories = _newest_by(world, writers)
    readers = [user for user in world.graph.ranked if user not in writers and _count(follows, user, writers) >= FEW]
    readers.sort(key=lambda user: (-_count(follows, user, writers), user))
    # Spread evenly from those who follow most to those who follow few, as real readers do.
    return writers | set(_spread(readers, USERS - len(writers))), stories


def _each_following_few(users: set[int], follows: dict[int, set[int]]) -> set[int]:
    while lonely := {user for user in users if _count(follows, user, users) < FEW}:
        users = users - lonely
    return users


def _count(follows: dict[int, set[int]], user: int, among: set[int]) -> int:
    return len(follows.get(user, set()) & among)


def _newest_by(world: World, users: set[int]) -> list[Story]:
    names = {world.names[user] for user in users if user in world.names}
    return [story for story in world.stories if story.author in names][:STORIES]


def _spread(users: Sequence[int], wanted: int) -> list[int]:
    return [users[place * len(users) // wanted] for place in range(min(wanted, len(users)))]


def user_rows(world: World, users: Iterable[int]) -> list[tuple[str, str]]:
    """Return ``id,name`` rows."""
    return sorted((world.id(user), world.display_name(user)) for user in users)


def follow_rows(world: World, users: set[int]) -> list[tuple[str, str]]:
    """Return ``user,author`` rows of the follows among these users."""
    follows = world.graph.follows
    return sorted((world.id(user), world.id(author)) for user in users for author in follows.get(user, set()) & users)


def post_rows(stories: Iterable[Story]) -> Iterator[tuple[object, ...]]:
    """Return ``id,author,title,url,published,likes,comments`` rows."""
    for story in stories:
        author = map_id(story.author)
        yield story.id, author, story.title, story.url, story.published, story.likes, story.comments


def write(folder: Path, world: World, users: set[int], stories: list[Story], *, packed: bool) -> None:
    """Write users, follows and posts into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    ending = ".csv.gz" if packed else ".csv"
    _write_csv(folder / "users.csv", ("id", "name"), user_rows(world, users))
    _write_csv(folder / f"follows{ending}", ("user", "author"), follow_rows(world, users))
    header = ("id", "author", "title", "url", "published", "likes", "comments")
    _write_csv(folder / f"posts{ending}", header, post_rows(stories))


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO(newline="")
    count = _put(text, header, rows)
    raw = text.getvalue().encode()
    # No name and no time in the gzip header: the same rows are the same bytes.
    path.write_bytes(gzip.compress(raw, 9, mtime=0) if path.suffix == ".gz" else raw)
    print(f"{path}: {count:,} rows, {path.stat().st_size:,} bytes")


def _put(text: TextIO, header: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    count = 0
    for row in rows:
        writer.writerow(row)
        count += 1
    return count


def main() -> None:
    """Read the two files and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("follows", type=Path)
    parser.add_argument("stories", type=Path)
    parser.add_argument("--demo", type=Path, help="write the demo's slice into this folder")
    parser.add_argument("--whole", type=Path, help="write all of it into this folder")
    arguments = parser.parse_args()
    world = join(read_graph(arguments.follows), read_stories(arguments.stories))
    if arguments.demo:
        write(arguments.demo, world, *demo_users(world), packed=True)
    if arguments.whole:
        write(arguments.whole, world, set(world.graph.ranked), world.stories, packed=False)


if __name__ == "__main__":
    main()
