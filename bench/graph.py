"""Who follows whom, and who wrote what: the graph of Slashdot with the stories of Hacker News, or the demo's slice."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from bench.bulk import FOLLOWS, MAKE, STORIES, rows
from edgebake.beginning import DEMO, DEMO_FILES


@dataclass(frozen=True, slots=True)
class World:
    """Who follows whom: each user's authors, by number; and who wrote each post, the oldest first."""

    follows: Sequence[Sequence[int]]
    authors: Sequence[int]

    @property
    def users(self) -> int:
        """How many users there are."""
        return len(self.follows)


def whole(data: Path) -> World | None:
    """Return the graph of Slashdot with the stories of Hacker News, joined as `bench import` joins them.

    None where the folder has no such files. Users are numbered by followers: who has most is the first.
    """
    if not (data / FOLLOWS).exists() or not (data / STORIES).exists():
        return None
    spec = spec_from_file_location("make_demo_data", MAKE)
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    sys.modules[spec.name] = made
    spec.loader.exec_module(made)
    joined = made.join(made.read_graph(data / FOLLOWS), made.read_stories(data / STORIES))
    number = {user: at for at, user in enumerate(joined.graph.ranked, start=1)}
    author = {name: number[user] for user, name in joined.names.items()}
    follows = [sorted(number[one] for one in joined.graph.follows.get(user, ())) for user in joined.graph.ranked]
    return World(follows, [author[story.author] for story in reversed(joined.stories) if story.author in author])


def demo() -> World:
    """Return the demo's slice of that."""
    files = {kind: DEMO / name for kind, name in DEMO_FILES}
    number = {user: at for at, (user, *_) in enumerate(rows(files["users"]), start=1)}
    follows: list[list[int]] = [[] for _ in number]
    for user, author in rows(files["follows"]):
        follows[number[user] - 1].append(number[author])
    posts = sorted((published, post, author) for post, author, _, _, published, *_ in rows(files["posts"]))
    return World([sorted(authors) for authors in follows], [number[author] for _, _, author in posts])
