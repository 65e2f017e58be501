"""bench stampede: every feed is cached and read; then all of them are dropped at once, or shard by shard."""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

import httpx

from bench.load import Generator, Load, request
from bench.report import Report, Say, machine, percentile, rounded
from bench.running import NotLive, Running, up
from feeds.command import CreatePost, Follow, PutUser
from feeds.record import Record

READERS = 256
"""Connections to the edge: so many readers may wait at once."""
FEW = 16
"""Those over which feeds are read for the first time, and made anew between two phases: nobody is shed."""
AUTHORS = 40
FOLLOWED = 4
"""Authors whom a reader follows, besides the one whom all of them follow."""
POSTS = 400
STAR = "star"
CHUNK = 5000
SEED = 7
PATIENCE_S = 900.0
LOOK_S = 0.05
BELOW_MS = 100.0
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured, and with which settings. ``sample``: feeds by which the rate is chosen."""

    feeds: int
    sample: int
    settings: Mapping[str, object]


QUICK = Effort(500, 500, {"rolling_interval": 0.1})
FULL = Effort(20_000, 2_000, {"feed_ttl": 3600, "edge_memory_mb": 2048})
"""So many feeds are read once in some minutes: with a short life they would expire as often as they are read."""
CALM_S = 20.0
"""How long feeds are read where nothing happens."""


class Write(NamedTuple):
    """A write, as the API takes it, and how many ``times`` the rate of the others is read at meanwhile."""

    method: str
    path: str
    body: Mapping[str, object]
    times: int = 1


SPARED = 3
"""Where copies and timelines stay, a bake reads nothing from the system of record, and takes a third of the time."""

GLOBAL = Write("POST", "/api/invalidations", {"scope": "global"})
PHASES = {
    "nothing happens": None,
    "global, plain": GLOBAL,
    "global, rolling": Write("POST", "/api/invalidations", {"scope": "global", "rolling": True}),
    "the site is renamed": Write("PUT", "/api/site", {"title": "Another title"}, SPARED),
    "publish to all": Write(
        "POST", "/api/posts", {"post": "news", "author": STAR, "title": "News for everybody"}, SPARED
    ),
}


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    effort = FULL if full else QUICK
    with up(activations=10**6, recompute_every=0, purge_every=0, **effort.settings) as running:
        say(f"{effort.feeds} readers, who all follow one author")
        asyncio.run(_populate(running.found["database"], effort.feeds))
        running.until_live(PATIENCE_S)
        return _Run(running, effort, say).measure()


async def _populate(database: str, feeds: int) -> None:
    """Write authors and their posts, and readers who follow some of them, and one all."""
    draw = random.Random(SEED)
    authors = [f"author-{number}" for number in range(AUTHORS)]
    record = await Record.open(database, migrate=False)
    try:
        people = [PutUser(user=user, name=user) for user in (STAR, *authors, *readers(feeds))]
        for some in _chunks(people):
            await record.import_users(some)
        posts = [_post(number, draw.choice(authors)) for number in range(POSTS)]
        await record.import_posts(posts)
        follows = chain.from_iterable(
            [Follow(user=user, author=author) for author in (STAR, *draw.sample(authors, FOLLOWED))]
            for user in readers(feeds)
        )
        for some_follows in _chunks(list(follows)):
            await record.import_follows(some_follows)
    finally:
        await record.close()


def readers(feeds: int) -> list[str]:
    """Return the readers."""
    return [f"reader-{number}" for number in range(feeds)]


def _post(number: int, author: str) -> CreatePost:
    published = datetime.fromtimestamp(START + 60 * number, UTC)
    title = f"Post {number} by {author}, with a title as long as titles are"
    return CreatePost(post=f"post-{number}", author=author, title=title, published=published)


def _chunks(rows: Sequence[Any]) -> list[Sequence[Any]]:
    return [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]


class _Run:
    """The measurement."""

    def __init__(self, running: Running, effort: Effort, say: Say) -> None:
        self._running = running
        self._effort = effort
        self._say = say
        self._http = httpx.Client(trust_env=False, timeout=30.0)
        self._report = Report("stampede", machine() | {"feeds": effort.feeds})

    def measure(self) -> Report:
        """Let every feed be cached; drop them in one way after the other while they are read."""
        rate = self._rate()
        self._report.figures["reads a second"] = rounded(rate)
        self._say(f"{rate:.0f} reads a second; every feed is baked for the first time")
        for name, write in PHASES.items():
            self._phase(name, rate * (write.times if write else 1), write)
            if write is None and self._report.figures[name]["bakes"]:
                raise RuntimeError("feeds were baked where nothing happened: the edge did not have them all")
        rolling = self._report.figures["global, rolling"]
        self._report.below("p99 while rolling, in ms", rolling["p99 ms"], BELOW_MS)
        phases = [row for row in self._report.figures.values() if isinstance(row, Mapping)]
        self._report.below("answers with a 5xx", sum(row["5xx"] for row in phases), 1)
        return self._report

    def _rate(self) -> float:
        """Return how many feeds the origin bakes a second after a global invalidation."""
        sample = self._effort.sample
        self._say(f"{sample:,} feeds are baked, and baked again")
        self._cached(sample)
        self._written(GLOBAL)
        return self._cached(sample)

    def _cached(self, feeds: int = 0) -> float:
        """Ask for feeds, else all, until the edge has them; return how many it got a second at first."""
        load = first = self._each_once(feeds)
        while load.others or load.marked:
            load = self._each_once(feeds)
        return (len(first.latencies) - first.others.total() - first.marked) / first.seconds

    def _each_once(self, feeds: int) -> Load:
        return self._generated(lambda generator: generator.each_once(), FEW, feeds)

    def _generated(self, load: Callable[[Generator], Load], connections: int = READERS, feeds: int = 0) -> Load:
        users = readers(feeds or self._effort.feeds)
        random.Random(SEED).shuffle(users)
        requests = [request(f"/feed/{user}/feed.json", "gzip") for user in users]
        with Generator(self._running.port("edge"), requests, connections, strict=False) as generator:
            return load(generator)

    def _phase(self, name: str, rate: float, write: Write | None) -> None:
        """Read at a constant rate while something is written, until it is live and every feed was asked for again.

        Not so long where nothing is written.
        """
        self._say(name)
        self._cached()
        before = self._counts()
        over = threading.Event()
        round_s = self._effort.feeds / rate if write else CALM_S
        with ThreadPoolExecutor(1) as pool:
            begun = time.monotonic()
            reading = pool.submit(self._generated, lambda g: g.at_rate_while(rate, lambda: not over.is_set()))
            try:
                sent, live = self._written(write) if write else (0.0, 0.0)
                time.sleep(max(0.0, begun + round_s - time.monotonic()))
            finally:
                over.set()
        counts = {what: count - before[what] for what, count in self._counts().items()}
        row = _row(reading.result(), counts) | {"sent s": rounded(sent), "live s": rounded(live)}
        self._report.figures[name] = row
        self._say(", ".join(f"{what} {figure:,}" for what, figure in row.items()))

    def _written(self, write: Write) -> tuple[float, float]:
        """Write, and return the seconds until the change was sent, and live. Raises NotLive."""
        begun = time.monotonic()
        found = self._running.found
        token = {"Authorization": f"Bearer {found['token']}"}
        answer = self._http.request(write.method, found["api"] + write.path, json=write.body, headers=token)
        change = answer.raise_for_status().json()["change"]
        while time.monotonic() < begun + PATIENCE_S:
            progress = self._http.get(f"{found['api']}/api/changes/{change}", headers=token).raise_for_status().json()
            if progress["live"]:
                return progress["sent"]["ms"] / 1000, progress["live"]["ms"] / 1000
            time.sleep(LOOK_S)
        raise NotLive(f"{write.body} is not live after {PATIENCE_S:g} s")

    def _counts(self) -> dict[str, float]:
        """Return what the baker counts."""
        counts = {"bakes": 0.0, "shed": 0.0, "read through": 0.0}
        for line in self._http.get(self._running.found["ops"] + "/metrics").text.splitlines():
            for what in counts:
                if line.startswith(f"edgebake_{what.replace(' ', '_')}_total{{"):
                    counts[what] += float(line.rpartition(" ")[2])
        return counts


def _row(load: Load, counts: Mapping[str, float]) -> dict[str, Any]:
    times = [seconds * 1000 for seconds in load.latencies]
    return {
        "a second": rounded(load.rate),
        "reads": len(times),
        "bakes": round(counts["bakes"]),
        "read through": round(counts["read through"]),
        "p50 ms": rounded(percentile(times, 0.5)),
        "p99 ms": rounded(percentile(times, 0.99)),
        "max ms": rounded(max(times)),
        "5xx": sum(count for status, count in load.others.items() if status >= "500"),
        "late": load.marked,
        "shed": round(counts["shed"]),
    }
