"""Drives Stream-Framework over JSON lines: `python -m bench.streamframework.driver SOCKET shipped|mended CAP`.

One object a line on stdin names what to ``do``; one line on stdout answers it, with seconds measured on this side.
Ends when stdin does. Runs in the environment that ``environment`` makes.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from bench.streamframework import shims

shims.install()

from bench.streamframework.framework import BenchManager, activity, opened  # noqa: E402 - it needs the shims

Asked = dict[str, Any]


class Driver:
    """What can be asked for."""

    def __init__(self, manager: BenchManager) -> None:
        self._manager = manager

    def followers(self, asked: Asked) -> Asked:
        """Take lists of followers into memory: author → users."""
        self._manager.database = None
        self._manager.lists |= {int(author): users for author, users in asked["lists"].items()}
        return {}

    def record(self, asked: Asked) -> Asked:
        """Read each list of followers from a SQLite file from now on, or where none is named, from memory again."""
        self._manager.database = sqlite3.connect(asked["file"]) if asked.get("file") else None
        self._manager.query = asked.get("query", "")
        return {}

    def insert(self, asked: Asked) -> Asked:
        """Store activities of posts, which feeds name."""
        self._manager.feed("").insert_activities([activity(*post) for post in asked["posts"]])
        return {}

    def fill(self, asked: Asked) -> Asked:
        """Give a user these posts ([author, post, milliseconds]), and each of ``users`` a copy of that feed."""
        feed = self._manager.feed(asked["user"])
        made = [activity(*post) for post in asked["posts"]]
        if made:
            feed.add_many(made, trim=False)
        server = feed.timeline_storage.get_cache(feed.key).redis
        for start in range(0, len(asked["users"]), 1000):
            pipeline = server.pipeline(transaction=False)
            for user in asked["users"][start : start + 1000]:
                pipeline.execute_command("COPY", feed.key, self._manager.feed(user).key)
            pipeline.execute()
        return {}

    def publish(self, asked: Asked) -> Asked:
        """Publish posts ([author, post, milliseconds]) one after the other; ``rate`` a second, or as fast as it goes.

        ``delays``: from when a post was due until the last feed had it; ``members``: what feeds have it as.
        """
        posts, rate = asked["posts"], asked.get("rate")
        begun, cpu = time.perf_counter(), time.process_time()
        delays = [self._publish(post, begun + at / rate if rate else None) for at, post in enumerate(posts)]
        return {
            "delays": delays,
            "seconds": time.perf_counter() - begun,
            "cpu_s": time.process_time() - cpu,
            "members": [str(activity(*post).serialization_id) for post in posts],
        }

    def _publish(self, post: Sequence[int], due: float | None) -> float:
        if due is None:
            due = time.perf_counter()
        time.sleep(max(0.0, due - time.perf_counter()))
        self._manager.add_user_activity(post[0], activity(*post))
        return time.perf_counter() - due

    def read(self, asked: Asked) -> Asked:
        """Read pages ([user, start, stop]), activities and all."""
        latencies, counts = [], []
        begun = time.perf_counter()
        for user, start, stop in asked["pages"]:
            sent = time.perf_counter()
            counts.append(len(self._manager.feed(user)[start:stop]))
            latencies.append(time.perf_counter() - sent)
        return {"latencies": latencies, "counts": counts, "seconds": time.perf_counter() - begun}

    def feed(self, asked: Asked) -> Asked:
        """Return the numbers of all posts in a user's feed, newest first."""
        return {"posts": [shown.object_id for shown in self._manager.feed(asked["user"])[:100_000]]}


def main() -> None:
    """Answer until stdin ends."""
    socket, kind, cap = sys.argv[1:]
    driver = Driver(opened(socket, kind, int(cap)))
    for line in sys.stdin:
        asked: Asked = json.loads(line)
        do: Callable[[Asked], Asked] = getattr(driver, asked["do"])
        print(json.dumps(do(asked)), flush=True)


if __name__ == "__main__":
    main()
