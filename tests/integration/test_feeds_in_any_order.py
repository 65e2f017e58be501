"""Whatever happens in whatever order, feeds end as the reference has them.

Hypothesis draws what users do and when the change of each deed is delivered: late, twice, out of order, side by side
with bakes, recalculations and purges that take turns with it at every trip and may be killed. Caps are small, so that
timelines are trimmed and marks matter. Once all is delivered, every feed is compared.
"""

import asyncio
import gc
import random
import shutil
from collections.abc import Coroutine, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from feeds.command import (
    Block,
    CreatePost,
    DeletePost,
    EditPost,
    Follow,
    FollowTag,
    PublishPost,
    PutSettings,
    PutUser,
    React,
    Reaction,
    Unblock,
    Unfollow,
    UnfollowTag,
    UnpublishPost,
)
from tests.integration.intent import Deed
from tests.integration.rig import Rig, Scale
from tests.integration.schedule import Act

pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <function Connection.__del__:Warning")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Let go of the connections of those who were killed here, and not in somebody else's test."""
    yield
    gc.collect()


T = TypeVar("T")

USERS = ["ada", "bob", "cat", "dan", "eve", "fay"]
TAGS = ["x", "y"]
people, tags = st.sampled_from(USERS), st.sampled_from(TAGS)
some_tags = st.lists(tags, max_size=2, unique=True).map(tuple)
moments = st.integers(0, 40)
which = st.integers(0, 999)
seeds = st.integers(0, 2**16)


class Town(RuleBasedStateMachine):
    """Six users who do things, and the rig that carries what they do."""

    url: str
    ready: Path
    there: Path

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.posts = 0
        self.folder = TemporaryDirectory(dir=self.there)
        file = Path(self.folder.name) / "town.db"
        shutil.copy(self.ready, file)
        self.opened = Rig.opened(self.url, file, Scale())
        self.rig = self.run(self.opened.__aenter__())

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Run to the end what is done."""
        return self.runner.run(doing)

    def teardown(self) -> None:
        """Compare at the end, and close all."""
        try:
            self.run(self.rig.arrive(random.Random(0)))
        finally:
            self.run(self.opened.__aexit__(None, None, None))
            self.runner.close()
            self.folder.cleanup()

    def do(self, deed: Deed) -> None:
        """Do something that makes sense."""
        if self.rig.intent.may(deed):
            self.run(self.rig.apply(deed))

    def post_of(self, number: int) -> str:
        """Return one of the posts that are there."""
        names = sorted(self.rig.intent.posts)
        return names[number % len(names)] if names else "none"

    @initialize(follows=st.sets(st.tuples(people, people), max_size=12), timed=st.lists(moments, max_size=25))
    def settle_down(self, follows: set[tuple[str, str]], timed: list[int]) -> None:
        """Everybody is there, follows somebody, has written something, and has been read."""
        for user in USERS:
            self.do(PutUser(user=user, name=user))
        for user, author in sorted(follows):
            self.do(Follow(user=user, author=author))
        for number, moment in enumerate(timed):
            self.publish(USERS[number % len(USERS)], moment, ("x",) if number % 4 == 0 else (), 0)
        self.run(self.rig.deliver_all(random.Random(0)))

    @rule(author=people, moment=moments, tags=some_tags, likes=st.sampled_from([0, 0, 3, 50]))
    def publish(self, author: str, moment: int, tags: tuple[str, ...], likes: int) -> None:
        """Somebody writes."""
        self.posts += 1
        when = self.rig.at(moment)
        self.do(CreatePost(post=f"p{self.posts:03}", author=author, published=when, tags=tags, likes=likes))

    @rule(post=which, moment=moments)
    def move(self, post: int, moment: int) -> None:
        """A post gets another time."""
        self.do(EditPost(post=self.post_of(post), published=self.rig.at(moment)))

    @rule(post=which, tags=some_tags)
    def retag(self, post: int, tags: tuple[str, ...]) -> None:
        """A post gets other tags."""
        self.do(EditPost(post=self.post_of(post), tags=tags))

    @rule(post=which)
    def withdraw(self, post: int) -> None:
        """A post is taken back."""
        self.do(UnpublishPost(post=self.post_of(post)))

    @rule(post=which)
    def publish_again(self, post: int) -> None:
        """A post that was taken back is there again."""
        self.do(PublishPost(post=self.post_of(post)))

    @rule(post=which)
    def delete(self, post: int) -> None:
        """A post is deleted."""
        self.do(DeletePost(post=self.post_of(post)))

    @rule(user=people, author=people)
    def follow(self, user: str, author: str) -> None:
        """Somebody follows an author."""
        self.do(Follow(user=user, author=author))

    @rule(user=people, author=people)
    def unfollow(self, user: str, author: str) -> None:
        """Somebody follows an author no longer."""
        self.do(Unfollow(user=user, author=author))

    @rule(user=people, tag=tags, following=st.booleans())
    def follow_tag(self, user: str, tag: str, following: bool) -> None:
        """Somebody follows a tag, or no longer."""
        self.do(FollowTag(user=user, tag=tag) if following else UnfollowTag(user=user, tag=tag))

    @rule(tag=tags, author=people, following=st.booleans())
    def crowd(self, tag: str, author: str, following: bool) -> None:
        """Everybody follows an author and a tag, or nobody any more: a source crosses the line."""
        for user in USERS:
            if following:
                self.do(Follow(user=user, author=author))
                self.do(FollowTag(user=user, tag=tag))
            else:
                self.do(Unfollow(user=user, author=author))
                self.do(UnfollowTag(user=user, tag=tag))

    @rule(
        user=people,
        muted=st.sampled_from([(), (), ("bob",), ("ada", "cat")]),
        muted_tags=st.sampled_from([(), (), ("x",), ("y",)]),
        size=st.sampled_from([1, 4, 25]),
        order=st.sampled_from(["newest", "ranked", "ranked", "default"]),
    )
    def choose(self, user: str, muted: tuple[str, ...], muted_tags: tuple[str, ...], size: int, order: str) -> None:
        """Somebody changes their settings."""
        fields: dict[str, Any] = {"muted_authors": muted, "muted_tags": muted_tags, "page_size": size, "order": order}
        self.do(PutSettings(user=user, **fields))

    @rule(user=people, other=people, blocking=st.booleans())
    def block(self, user: str, other: str, blocking: bool) -> None:
        """Somebody blocks somebody, or no longer."""
        self.do(Block(user=user, blocked=other) if blocking else Unblock(user=user, blocked=other))

    @rule(
        user=people,
        post=which,
        kind=st.sampled_from(["like", "comment", "view"]),
        undo=st.booleans(),
        repeated=st.booleans(),
    )
    def react(self, user: str, post: int, kind: Any, undo: bool, repeated: bool) -> None:
        """Somebody reacts to a post, or takes that back; perhaps it is told twice."""
        reaction = Reaction(kind=kind, by=user, undo=undo)
        self.do(React(post=self.post_of(post), reactions=(reaction,) * (1 + repeated)))

    @rule(seed=seeds, count=st.integers(1, 4))
    def deliver_some(self, seed: int, count: int) -> None:
        """Some changes are delivered, some of them not for the last time."""
        self.run(self.rig.deliver_some(random.Random(seed), count))

    @rule(user=people)
    def read(self, user: str) -> None:
        """Somebody reads their feed."""
        self.run(self.rig.read(user))

    @rule()
    def recompute(self) -> None:
        """All is ranked anew."""
        self.run(self.rig.recomputed())

    @rule(users=st.sets(people, min_size=1, max_size=4))
    def leave(self, users: set[str]) -> None:
        """Some have not been there for long, and their timelines are purged. They return when they next read."""
        self.run(self.rig.leave(users))
        self.run(self.rig.activity.purge())

    @rule()
    def cross(self) -> None:
        """Time passes for sources on their way over the line."""
        self.run(self.rig.cross())

    @rule(
        seed=seeds,
        readers=st.lists(people, max_size=3),
        writers=st.lists(st.tuples(people, moments, some_tags), max_size=2),
        followers=st.lists(st.tuples(people, people, st.booleans()), max_size=2),
        moved=st.lists(st.tuples(which, moments), max_size=2),
        ranking=st.integers(0, 2),
        leaving=st.sets(people, max_size=2),
    )
    def all_at_once(
        self,
        *,
        seed: int,
        readers: list[str],
        writers: list[tuple[str, int, tuple[str, ...]]],
        followers: list[tuple[str, str, bool]],
        moved: list[tuple[int, int]],
        ranking: int,
        leaving: set[str],
    ) -> None:
        """Writes, deliveries, bakes, recalculations and a purge take turns at every trip; some are killed."""
        rig = self.rig
        deeds: list[Deed] = []
        for (user, author), following in {(user, author): yes for user, author, yes in followers}.items():
            deeds.append(Follow(user=user, author=author) if following else Unfollow(user=user, author=author))
        places = {self.post_of(post): moment for post, moment in moved}  # two of one post would come in any order
        deeds += [EditPost(post=post, published=rig.at(moment)) for post, moment in places.items()]
        deeds = [deed for deed in deeds if rig.intent.may(deed)]
        for author, moment, tags in writers:
            self.posts += 1
            deeds.append(CreatePost(post=f"p{self.posts:03}", author=author, published=rig.at(moment), tags=tags))
        rig.intend(*deeds)
        self.run(rig.leave(leaving))
        acts = [Act(f"write {deed.kind}", rig.write_and_deliver(deed)) for deed in deeds]
        acts += [Act(f"read {user}", rig.read(user)) for user in readers]
        acts += [Act("rank", rig.recompute(), may_die=True) for _ in range(ranking)]
        acts += [Act("purge", rig.purge(), may_die=True)] if leaving else []
        self.run(rig.side_by_side(random.Random(seed), acts))

    @rule(seed=seeds)
    def catch_up(self, seed: int) -> None:
        """All is delivered; feeds are compared."""
        self.run(self.rig.deliver_all(random.Random(seed)))
        self.run(self.rig.compare())


def machine(url: str, ready: Path, there: Path) -> type[Town]:
    """Return a town over a Valkey, with SQLite files in a folder."""
    return type("Here", (Town,), {"url": url, "ready": ready, "there": there})


HERE = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def test_feeds_end_as_the_reference_has_them(valkey: str, sqlite_ready: Path, tmp_path: Path) -> None:
    found = settings(max_examples=5, stateful_step_count=20, **HERE)  # type: ignore[arg-type]  # as it names them
    run_state_machine_as_test(machine(valkey, sqlite_ready, tmp_path), settings=found)


@pytest.mark.long
def test_feeds_end_as_the_reference_has_them_at_length(valkey: str, sqlite_ready: Path, tmp_path: Path) -> None:
    found = settings(max_examples=600, stateful_step_count=60, **HERE)  # type: ignore[arg-type]  # as it names them
    run_state_machine_as_test(machine(valkey, sqlite_ready, tmp_path), settings=found)
