"""The shelf: no row is older than what a bake's count has seen recorded, and all of them take a bounded room."""

import random
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import pytest
from redis.asyncio import Redis

from baker.guard import MOST_TAGS, Guard
from baker.shelf import MOST_BYTES, OVERHEAD, Row, Shelf, View
from baker.splice import part
from cdn import scripts
from cdn.fence import Fence

HTML: View = ("html", "en")
AUTHORS = {"one": "grace", "two": "grace", "three": "alan"}
T = TypeVar("T")


def row(post: str, body: bytes = b"", *, version: int = 0, author_version: int = 0) -> Row:
    """Return a row, which notes in its numbers which versions it shows."""
    author = AUTHORS.get(post, "grace")
    return Row(post, author_version, author, part(body), version, f"p-{post}", f"a-{author}")


class Watched(Shelf):
    """A shelf with a guard of its own, which watches the fence."""

    def __init__(self, most_bytes: int = MOST_BYTES, most_tags: int = MOST_TAGS) -> None:
        self.guard = Guard(most_tags)
        super().__init__(self.guard, most_bytes)
        self.issue = self.guard.issue
        self.recorded = self.guard.recorded
        self.unsure = self.guard.unsure


def shelf_of(*posts: str) -> Watched:
    """Return a shelf with rows of these posts."""
    shelf = Watched()
    shelf.put(shelf.issue(), *HTML, [(post, AUTHORS[post], row(post)) for post in posts])
    return shelf


def test_a_post_recorded_takes_its_row_from_every_view() -> None:
    shelf = shelf_of(*AUTHORS)
    shelf.put(shelf.issue(), "json", "", [("one", "grace", None), ("two", "grace", row("two"))])
    shelf.recorded("p-one")
    assert set(shelf.view(*HTML)) == {"two", "three"}
    assert set(shelf.view("json", "")) == {"two"}


def test_an_author_recorded_takes_the_rows_of_all_their_posts_the_hidden_ones_too() -> None:
    shelf = shelf_of(*AUTHORS)
    shelf.put(shelf.issue(), "json", "", [("one", "grace", None)])
    shelf.recorded("a-grace")
    assert set(shelf.view(*HTML)) == {"three"}
    assert not shelf.view("json", "")


def test_everything_recorded_or_records_missed_take_every_row() -> None:
    for clear in (partial(Guard.recorded, tag="g"), Guard.unsure):
        shelf = shelf_of(*AUTHORS)
        clear(shelf.guard)
        assert not shelf.view(*HTML)


def test_what_guards_no_row_takes_none() -> None:
    shelf = shelf_of(*AUTHORS)
    issue = shelf.issue()
    for tag in ("u-one", "u-grace", "s-00", "o", "t-0123", "p-other", "a-other", ""):
        shelf.recorded(tag)
    shelf.put(issue, "json", "", [("one", "grace", row("one"))])
    assert set(shelf.view(*HTML)) == set(AUTHORS)
    assert set(shelf.view("json", "")) == {"one"}


def test_a_row_whose_reading_began_before_a_record_is_refused_and_the_next_one_is_taken() -> None:
    for tag in ("p-one", "a-grace", "g"):
        shelf = Watched()
        issue = shelf.issue()
        shelf.recorded(tag)
        shelf.put(issue, *HTML, [("one", "grace", row("one"))])
        assert not shelf.view(*HTML), tag
        shelf.put(shelf.issue(), *HTML, [("one", "grace", row("one"))])
        assert set(shelf.view(*HTML)) == {"one"}, tag


def test_a_view_shows_what_is_taken_away_after_it_was_asked_for() -> None:
    shelf = shelf_of("one")
    view = shelf.view(*HTML)
    shelf.recorded("p-one")
    assert "one" not in view


def test_more_records_than_are_remembered_refuse_all_readings_under_way() -> None:
    shelf = Watched(most_tags=10)
    issue = shelf.issue()
    for number in range(11):
        shelf.recorded(f"p-{number}")
    shelf.put(issue, *HTML, [("0", "grace", row("0")), ("other", "grace", row("other"))])
    assert not shelf.view(*HTML)
    shelf.put(shelf.issue(), *HTML, [("other", "grace", row("other"))])
    assert set(shelf.view(*HTML)) == {"other"}


def test_any_number_of_posts_takes_no_more_than_its_bytes() -> None:
    shelf = Watched(10 * OVERHEAD)
    for number in range(1000):
        shelf.put(shelf.issue(), *HTML, [(f"post-{number}", f"author-{number}", None)])
        assert len(shelf.view(*HTML)) <= 10


def test_rows_put_and_taken_away_again_and_again_fill_nothing() -> None:
    shelf = Watched(5 * OVERHEAD)
    shelf.put(shelf.issue(), *HTML, [("three", "alan", row("three"))])
    for _ in range(100):
        shelf.put(shelf.issue(), *HTML, [("one", "grace", row("one")), ("two", "grace", row("two"))])
        shelf.put(shelf.issue(), *HTML, [("one", "grace", row("one"))])
        shelf.recorded("p-one")
        shelf.recorded("a-grace")
    assert set(shelf.view(*HTML)) == {"three"}


@dataclass
class Log:
    """A shard's fence as Redis keeps it, and all that was ever recorded there."""

    count: int = 0
    floor: int = 0
    newest: dict[str, int] = field(default_factory=dict)
    history: list[tuple[int, str, int]] = field(default_factory=list)

    def record(self, tag: str, version: int) -> None:
        """Record a tag, which says that its copy is readable at this version."""
        self.count += 1
        self.newest[tag] = self.count
        self.history.append((self.count, tag, version))

    def trim(self) -> None:
        """Forget the oldest record."""
        if self.newest:
            self.floor = min(self.newest.values())
            self.newest = {tag: count for tag, count in self.newest.items() if count > self.floor}

    def reply(self, since: int) -> list[object]:
        """Answer a note, as the script does."""
        asked = since not in (-1, self.count)
        records = [(tag, count) for tag, count in self.newest.items() if asked and count > since]
        return [self.count, self.floor, *(word for tag, count in records for word in (tag.encode(), count))]


class Walk:
    """A process and its Redis: changes, their records in one shard after the other, notes and readings that take long.

    Each step is one that may be taken at any time; what is under way lies in a list until somebody takes it up.
    """

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.taken: list[str] = []
        self.versions = dict.fromkeys([*(f"p-{post}" for post in AUTHORS), "a-grace", "a-alan"], 0)
        self.logs = [Log() for _ in range(3)]
        self.noted = [0] * 3
        self.shelf = Watched(most_tags=4)
        self.fence = Fence(Redis(), self.shelf.guard)  # it is never asked: replies are ours
        self.unrecorded: list[tuple[str, int, int]] = []
        self.sent: list[tuple[int, scripts.Command]] = []
        self.served: list[tuple[int, scripts.Command, list[object]]] = []
        self.begun: list[tuple[int, str]] = []
        self.read_: list[tuple[int, Row]] = []

    def step(self) -> None:
        """Take one step."""
        name = self.dice.choice(self.steps)
        self.taken.append(name)
        getattr(self, name)()

    steps = ("change", "record", "record", "another", "trim", "send", "serve", "hear", "hear", "begin", "read", "put")

    def change(self) -> None:
        """A post or an author is readable at a new version; each shard is to hear of it."""
        tag = self.dice.choice(list(self.versions))
        self.versions[tag] += 1
        self.unrecorded += [(tag, self.versions[tag], shard) for shard in range(3)]

    def record(self) -> None:
        """One shard hears of a change."""
        for tag, version, shard in self._some(self.unrecorded):
            self.logs[shard].record(tag, version)

    def another(self) -> None:
        """A shard hears of what no row shows."""
        self.dice.choice(self.logs).record("u-ada", 0)

    def trim(self) -> None:
        """A shard's log is too long."""
        self.dice.choice(self.logs).trim()

    def send(self) -> None:
        """A bake sends its note."""
        shard = self.dice.randrange(3)
        self.sent.append((shard, self.fence.note(shard)))

    def serve(self) -> None:
        """Redis answers a note."""
        for shard, command in self._some(self.sent):
            self.served.append((shard, command, self.logs[shard].reply(command[-1])))

    def hear(self) -> None:
        """The process takes the answer, though others overtook it."""
        for shard, command, reply in self._some(self.served):
            self.noted[shard] = max(self.noted[shard], self.fence.noted(shard, command, reply))

    def begin(self) -> None:
        """A bake is about to read copies."""
        self.begun.append((self.shelf.issue(), self.dice.choice(list(AUTHORS))))

    def read(self) -> None:
        """Redis gives the copies of a post and its author."""
        for issue, post in self._some(self.begun):
            version, author_version = self.versions[f"p-{post}"], self.versions[f"a-{AUTHORS[post]}"]
            self.read_.append((issue, row(post, version=version, author_version=author_version)))

    def put(self) -> None:
        """The bake puts its row on the shelf."""
        for issue, found in self._some(self.read_):
            self.shelf.put(issue, *HTML, [(found.post, found.author, found)])

    def stale(self) -> list[tuple[int, str, Row]]:
        """Return the rows that a bake sees which noted a count at which something newer was recorded."""
        return [
            (shard, tag, found)
            for shard, log in enumerate(self.logs)
            for count, tag, version in log.history
            for found in self.shelf.view(*HTML).values()
            if found is not None and count <= self.noted[shard]
            if {found.tag: found.edited_ms, found.author_tag: found.num}.get(tag, version) < version
        ]

    def _some(self, waiting: list[T]) -> list[T]:
        return [waiting.pop(self.dice.randrange(len(waiting)))] if waiting else []


@pytest.mark.parametrize("seed", range(4))
def test_no_row_is_older_than_what_was_recorded_up_to_a_bakes_count(seed: int) -> None:
    dice = random.Random(seed)
    shown = 0
    for _ in range(200):
        walk = Walk(dice)
        for _ in range(120):
            walk.step()
            assert not walk.stale(), walk.taken
            shown += len(walk.shelf.view(*HTML))
    assert shown > 1000  # or the shelf would be right by being empty
