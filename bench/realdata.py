"""What replays read: sequences of requests, who follows whom, and who published when.

The whole data set is in the folder that ``--data`` names (``edgebake/demo/SOURCES.md``); where it is not, the demo's
slice of it. No public file joins a follow graph with posts: the author with most stories is the user with most
followers, and so on down.
"""

import csv
import gzip
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, cycle, islice
from pathlib import Path
from random import Random

from bench.origin import Crowd
from bench.report import Say

SEED = 13
WEEK_S = 604_800
SOURCES = 20
"""Authors that the one feed draws from."""

READERS = 20_000
ZIPF_READS = 76_118
"""As many as the real sequence has."""

GRAPH = "slashdot0902_directed.tsv.gz"
STORIES = "hn_frontpage_stories.csv.gz"
WEB07 = "web07_product_pages.txt.gz"
DEMO = Path(__file__).parents[1] / "edgebake" / "demo"

Read = tuple[float, str]
"""Seconds after the beginning, and whose feed."""

Changes = Sequence[tuple[float, str]]
"""Seconds after the beginning, and what: ``publish <author>``, ``edit <author>``, ``delete <author>``."""


def one_feed(reads: int, changes: int, share: float) -> tuple[Crowd, Iterable[Read], Changes]:
    """Return one reader of 20 authors, their reads in a share of a week, and what these authors publish in it."""
    draw, length = Random(SEED), WEEK_S * share
    crowd = Crowd({"reader": range(1, SOURCES + 1)}, {author: f"author-{author}" for author in range(1, SOURCES + 1)})
    made = [
        (at, f"publish {draw.randint(1, SOURCES)}") for at in sorted(draw.uniform(0, length) for _ in range(changes))
    ]
    return crowd, _arrivals(draw, reads, length), made


def _arrivals(draw: Random, reads: int, length: float) -> Iterator[Read]:
    at = 0.0
    for _ in range(reads):
        at += draw.expovariate(reads / length)
        yield at, "reader"


def crowd_of(data: Path) -> Crowd:
    """Return who follows whom: all of Slashdot, or the demo's slice."""
    numbers: dict[str, int] = {}
    follows: dict[str, list[int]] = {}
    for user, author in _edges(data):
        follows.setdefault(user, []).append(numbers.setdefault(author, len(numbers) + 1))
    return Crowd(follows, {number: name for name, number in numbers.items()})


def _edges(data: Path) -> Iterator[tuple[str, str]]:
    if not (data / GRAPH).exists():
        with gzip.open(DEMO / "follows.csv.gz", "rt", encoding="utf-8", newline="") as file:
            yield from ((row["user"], row["author"]) for row in csv.DictReader(file))
        return
    with gzip.open(data / GRAPH, "rt", encoding="ascii") as file:
        next(file)
        for line in file:
            user, _, author = line.strip().partition("\t")
            yield f"s{user}", f"s{author}"


def changes_of(data: Path, crowd: Crowd, count: int, apart_s: float, *, edits: float = 0.0) -> Changes:
    """Return so many changes, one after the other: the next publishes of the real data, and a share of others.

    Of the others seven in ten edit the last post of their author, three delete it.
    """
    draw = Random(SEED)
    made = []
    for number, author in enumerate(islice(cycle(_publishers(data, crowd)), count), 1):
        kind = "publish" if draw.random() >= edits else draw.choices(("edit", "delete"), (7, 3))[0]
        made.append((number * apart_s, f"{kind} {author}"))
    return made


def _publishers(data: Path, crowd: Crowd) -> list[int]:
    """Return who publishes, in the order of the stories, as a number of the crowd's."""
    whole = data / STORIES
    with gzip.open(whole if whole.exists() else DEMO / "posts.csv.gz", "rt", encoding="utf-8", newline="") as file:
        authors = [row["author"] for row in csv.DictReader(file)]
    followed = sorted(crowd.followers, key=lambda number: (-sum(map(len, crowd.followers[number].values())), number))
    ranked = [author for author, _ in Counter(authors).most_common()]
    number_of = dict(zip(ranked, followed, strict=False))
    return [number_of[author] for author in authors if author in number_of]


def sequences(data: Path, crowd: Crowd, say: Say) -> dict[str, Sequence[str]]:
    """Return sequences of feeds that are read."""
    users = sorted(crowd.follows)
    Random(SEED).shuffle(users)
    found: dict[str, Sequence[str]] = {"Zipf": zipf(users[:READERS], ZIPF_READS, SEED)}
    if not (data / WEB07).exists():
        say(f"web07 is left out: {data / WEB07} is not there (--data)")
        return found
    with gzip.open(data / WEB07, "rt", encoding="utf-8") as file:
        next(file)
        keys = [line.strip() for line in file]
    place = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return {"web07": [users[place[key] % len(users)] for key in keys], **found}


def zipf(users: Sequence[str], count: int, seed: int) -> list[str]:
    """Return so many users, drawn by Zipf's law in their order."""
    bounds = list(accumulate(1 / rank for rank in range(1, len(users) + 1)))
    return Random(seed).choices(users, cum_weights=bounds, k=count)


def ceiling(sequence: Sequence[str]) -> float:
    """Return the hits of a cache without bounds that is never told anything: all but each feed's first."""
    return 1 - len(set(sequence)) / len(sequence)
