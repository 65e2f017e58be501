"""A crowd at a running `edgebake up`: writers at the API, readers at the edge; and what the record says they see."""

import asyncio
import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from feeds.record import Record
from tests.e2e.running import Running, until

AUTHORS = ("ann", "bob", "cat")
READERS = ("ada", "eve", "kim", "max")
PAUSE_S = 0.02
MOST_POSTS = 500
"""Posts at a time. A feed shows 1,000 at most, in 40 pages, so each of them can be looked for at the edge."""
PATHS = tuple(f"/feed/{user}/feed.json" for user in (*AUTHORS, *READERS))
Page = list[tuple[str, str]]


class Crowd:
    """Writers and readers. ``changes`` are those that the API accepted; ``posts`` what they are about."""

    def __init__(self, running: Running, seed: int) -> None:
        self.running = running
        self.changes: list[str] = []
        self.posts: dict[str, str | None] = {}
        """Title by post; None: it was deleted, or may have been."""
        self.reads = 0
        self._chance = random.Random(seed)
        self._stop = threading.Event()

    def settle(self) -> None:
        """Let the users be there, and follow each other."""
        made = [
            self.running.write("PUT", f"/api/users/{user}", {"name": user.title()}) for user in (*AUTHORS, *READERS)
        ]
        made += [self.running.write("PUT", f"/api/users/{user}/follows/{who}") for user in READERS for who in AUTHORS]
        self.running.until_live(*made)

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let them write and read until the block ends. What fails is tried by nobody again."""
        self._stop.clear()
        threads = [threading.Thread(target=self._loop, args=(act,)) for act in (self._write, self._read, self._read)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def recovered(self, seconds: float = 60) -> float:
        """Return how many seconds it takes until all that was accepted up to now is live, and not to be replayed."""
        began, newest = time.monotonic(), self._ask("SELECT max(row) FROM outbox")
        query = "SELECT count(*) FROM outbox WHERE row <= ? AND (live_ms IS NULL OR relayed_ms IS NULL)"
        until(lambda: self._ask(query, newest) == 0, "all that was accepted is live", seconds)
        return time.monotonic() - began

    def check(self) -> None:
        """Compare the record with what was accepted, and every feed at the edge with the record.

        Again, where the API went on meanwhile with a request that its client has given up.
        """
        newest = -1
        while newest != (newest := self._ask("SELECT max(row) FROM outbox")):
            self.recovered()
            record, edge = asyncio.run(self._by_record()), {path: self._at_edge(path) for path in PATHS}
        shown = {post for page in record.values() for post, _ in page}
        lost = [post for post, title in self.posts.items() if title is not None and post not in shown]
        assert lost == [], f"{len(lost)} posts that were accepted are in no feed"
        stale = [path for path in PATHS if edge[path] != record[path]]
        for path in stale:
            print(_difference(path, edge[path], record[path]))
        assert not stale, f"stale at the edge: {stale}"

    def _ask(self, query: str, *values: int) -> int:
        """Return a number out of the system of record."""
        with contextlib.closing(sqlite3.connect(self.running.found["database"].partition("///")[2])) as database:
            ((number,),) = database.execute(query, values)
        return int(number or 0)

    def _loop(self, act: Any) -> None:
        with httpx.Client(timeout=5) as client:
            while not self._stop.wait(PAUSE_S):
                try:
                    act(client)
                except httpx.HTTPError:
                    self._stop.wait(0.1)

    def _write(self, client: httpx.Client) -> None:
        """Publish, edit or delete. What may have been done although no answer came is not reckoned with."""
        base, token = self.running.found["api"], self.running.found["token"]
        there = [post for post, title in self.posts.items() if title is not None]
        kind = self._chance.choice(_kinds(len(there)))
        title = f"Title {len(self.changes)}"
        if kind == "publish":
            method, path, body = "POST", "/api/posts", {"author": self._chance.choice(AUTHORS), "title": title}
        else:
            post = self._chance.choice(there)
            self.posts[post] = None if kind == "delete" else title
            method, path, body = ("DELETE" if kind == "delete" else "PATCH"), f"/api/posts/{post}", {"title": title}
        answer = client.request(
            method,
            base + path,
            json=body if method != "DELETE" else None,
            headers={"Authorization": f"Bearer {token}"},
        )
        if answer.status_code == 202:
            told = answer.json()
            self.changes.append(told["change"])
            if kind == "publish":
                self.posts[told["id"]] = title

    def _read(self, client: httpx.Client) -> None:
        client.get(self.running.found["edge"] + random.choice(PATHS))
        self.reads += 1

    def _at_edge(self, path: str) -> Page:
        """Return all pages of a feed as the edge has them."""
        found: Page = []
        url: str | None = path
        while url:
            feed = self._answer(httpx.URL(url).raw_path.decode()).json()
            found += [(item["id"].rpartition("/")[2], item["title"]) for item in feed["items"]]
            url = feed.get("next_url")
        return found

    def _answer(self, path: str) -> httpx.Response:
        """Read at the edge, again where the origin is too busy to answer in time."""
        answers: list[httpx.Response] = []

        def is_answered() -> bool:
            answers.append(self.running.edge.get(path))
            return answers[-1].status_code == 200

        until(is_answered, f"{path} is answered")
        return answers[-1]

    async def _by_record(self) -> dict[str, Page]:
        record = await Record.open(self.running.found["database"], migrate=False)
        try:
            return {path: await _page(record, path.split("/")[2]) for path in PATHS}
        finally:
            await record.close()


def _kinds(posts: int) -> list[str]:
    """Return what may be done where so many posts are there, each as likely."""
    if posts <= 3:
        return ["publish"]
    return ["publish", "publish", "edit", "delete"] if posts < MOST_POSTS else ["edit", "delete"]


def _difference(path: str, edge: Page, record: Page) -> str:
    """Return where a feed at the edge is another than by the record."""
    place = next(
        (at for at, (one, other) in enumerate(zip(edge, record, strict=False)) if one != other),
        len(min(edge, record, key=len)),
    )
    here, there = edge[place : place + 3], record[place : place + 3]
    return (
        f"{path}: {len(edge)} posts, {len(record)} by the record; from the {place}th on {here}, by the record {there}"
    )


async def _page(record: Record, user: str) -> Page:
    entries = await record.proposals(user, before=None, limit=2000, own=True)
    posts = await record.posts([entry.post for entry in entries])
    return [(entry.post, posts[entry.post].title) for entry in entries]
