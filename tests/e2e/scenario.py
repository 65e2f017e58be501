"""The scenario: what happens to two readers' feeds, and what a viewer sees of it, in lines that edges are compared by.

Each line says what was read, how the edge came by it, its status, the titles that it shows, and how often the origin
was asked meanwhile: its own count of answers, which proves what the edge said.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from redis import Redis

from tests.e2e.running import Running

SETTINGS = {
    "EDGEBAKE_ORIGIN_TIMEOUT": "1",
    "EDGEBAKE_EXPLORE_TTL": "1",
    "EDGEBAKE_STALE_WHILE_REVALIDATE": "0",
    "EDGEBAKE_STALE_IF_ERROR": "120",
}
"""So that /feed/explore expires within the scenario, and the origin's failure is seen before anybody loses patience."""


class Scenario:
    """An `edgebake up` that the scenario happens to, and what was seen."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._posts: dict[str, str] = {}
        self._changes: list[str] = []
        self.seen: list[str] = []

    def run(self) -> list[str]:
        """Let everything happen; return what was seen."""
        for step in STEPS:
            self.seen.append(f"# {step.__name__.replace('_', ' ')}")
            step(self)
        return self.seen

    def write(self, *writes: tuple[str, str, Mapping[str, object] | None]) -> None:
        """Write with method, path and body, and wait until that is live."""
        self._until_live(*[self._running.write(*write) for write in writes])

    def publish(self, author: str, title: str) -> None:
        """Publish a post under its title, and wait until that is live."""
        answer = self._running.api.post("/api/posts", json={"author": author, "title": title})
        assert answer.status_code == 202, answer.text
        self._posts[title] = answer.json()["id"]
        self._until_live(answer.json()["change"])

    def until_all_are_live(self) -> None:
        """Return once all changes so far are live, those too that Redis forgot and that are delivered again."""
        self._running.until_live(*self._changes)

    def _until_live(self, *changes: str) -> None:
        self._changes += changes
        self._running.until_live(*changes)

    def post(self, title: str) -> str:
        """Return the id of the post that was published under a title."""
        return self._posts[title]

    def read(self, name: str, path: str, **headers: str) -> None:
        """Read a path at the edge, and note it with how often the origin was asked."""
        before = self._asked()
        line = self._line(name, path, headers)
        self.seen.append(f"{line}, origin {self._asked() - before}")

    def read_blindly(self, name: str, path: str) -> None:
        """The same while the origin cannot be asked how often it was."""
        self.seen.append(self._line(name, path, {}))

    def outlive(self, path: str) -> None:
        """Read a path that is fresh for a second, and return once it has expired."""
        self._running.read(path)
        time.sleep(2)

    @contextmanager
    def frozen_origin(self) -> Iterator[None]:
        """Let the baker stand still: it takes connections, and answers nothing."""
        pid = self._running.pids()["feeds"]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def flush_redis(self) -> None:
        """Let Redis forget everything."""
        with Redis.from_url(self._running.found["redis"]) as redis:
            redis.flushall()

    def _line(self, name: str, path: str, headers: Mapping[str, str]) -> str:
        answer = self._running.edge.get(path, headers=headers)
        word = answer.headers["x-cache"].partition(" ")[0]
        line = f"{name}: {word} {answer.status_code}"
        if not ("/feed.json" in path and answer.is_success):
            return line
        return f"{line} [{', '.join(item['title'] for item in answer.json()['items'])}]"

    def _asked(self) -> int:
        """Return how many answers have left the origin."""
        lines = self._running.ops.get("/metrics").text.splitlines()
        counted = (line for line in lines if line.startswith("edgebake_answers_total{"))
        return round(sum(float(line.rpartition(" ")[2]) for line in counted))


FAN, STRANGER, EXPLORE = "/feed/fan/feed.json", "/feed/stranger/feed.json", "/feed/explore/feed.json"


def both(scenario: Scenario) -> None:
    """Read both feeds."""
    scenario.read("fan", FAN)
    scenario.read("stranger", STRANGER)


def nobody_is_there(scenario: Scenario) -> None:
    """A user is unknown, twice."""
    scenario.read("fan", FAN)
    scenario.read("fan again", FAN)


def users_come(scenario: Scenario) -> None:
    """They are created; one follows an author, one another."""
    users = ("ada", "bob", "fan", "stranger")
    scenario.write(*[("PUT", f"/api/users/{user}", {"name": user.title()}) for user in users])
    follows = ("fan/follows/ada", "stranger/follows/bob")
    scenario.write(*[("PUT", f"/api/users/{follow}", None) for follow in follows])
    both(scenario)
    both(scenario)


def a_post_is_published(scenario: Scenario) -> None:
    """One of the two draws from its author."""
    scenario.publish("ada", "One")
    both(scenario)
    scenario.read("fan again", FAN)
    scenario.read("fan, without gzip", FAN, **{"Accept-Encoding": "identity"})
    scenario.read("fan, with a cookie and a query", f"{FAN}?a=1", Cookie="a=b")
    scenario.read("the author", "/author/ada/feed.json")
    scenario.read("the post", f"/post/{scenario.post('One')}")


def it_is_edited(scenario: Scenario) -> None:
    """Its title changes."""
    scenario.write(("PATCH", f"/api/posts/{scenario.post('One')}", {"title": "First"}))
    both(scenario)
    scenario.read("the author", "/author/ada/feed.json")


def it_is_deleted(scenario: Scenario) -> None:
    """Another one stays."""
    scenario.publish("ada", "Two")
    scenario.read("fan", FAN)
    scenario.write(("DELETE", f"/api/posts/{scenario.post('One')}", None))
    both(scenario)
    scenario.read("the post", f"/post/{scenario.post('One')}")


def a_user_is_invalidated(scenario: Scenario) -> None:
    """By an operator."""
    scenario.write(("POST", "/api/invalidations", {"scope": "user", "user": "fan"}))
    both(scenario)


def everything_is_invalidated(scenario: Scenario) -> None:
    """By an operator."""
    scenario.write(("POST", "/api/invalidations", {"scope": "global"}))
    both(scenario)
    both(scenario)


def an_author_is_renamed(scenario: Scenario) -> None:
    """Feeds that show their posts show their name."""
    scenario.write(("PUT", "/api/users/ada", {"name": "Ada L."}))
    both(scenario)


def the_origin_is_down(scenario: Scenario) -> None:
    """What is fresh is a hit, what is not stands in for an error, what was never read is one."""
    scenario.outlive(EXPLORE)
    with scenario.frozen_origin():
        scenario.read_blindly("fan", FAN)
        scenario.read_blindly("explore, which has expired", EXPLORE)
        scenario.read_blindly("never read", "/author/bob/feed.json")


def the_origin_is_back(scenario: Scenario) -> None:
    """An error may be kept for a second."""
    time.sleep(1.5)
    scenario.read_blindly("never read", "/author/bob/feed.json")
    scenario.read_blindly("explore", EXPLORE)
    scenario.read("fan", FAN)


def redis_is_flushed(scenario: Scenario) -> None:
    """It knows no artifact any more, so all of them go with the next change."""
    scenario.flush_redis()
    scenario.publish("ada", "Three")
    scenario.until_all_are_live()
    both(scenario)
    both(scenario)


STEPS: tuple[Callable[[Scenario], None], ...] = (
    nobody_is_there,
    users_come,
    a_post_is_published,
    it_is_edited,
    it_is_deleted,
    a_user_is_invalidated,
    everything_is_invalidated,
    an_author_is_renamed,
    the_origin_is_down,
    the_origin_is_back,
    redis_is_flushed,
)
