"""Reactions: each is counted once, and a post is scored anew when they are enough."""

import asyncio

import pytest

from feeds.change import PostScored
from feeds.command import CreatePost, DeletePost, DeleteUser, EditPost, PutUser, React, Reaction
from feeds.errors import Gone, NotFound
from feeds.model import Epoch
from feeds.record import Outcome, Record
from feeds.writes.reactions import moved_by, moved_enough
from tests.integration.records import NOW, Clock, a_post, changes, number, one, with_users


@pytest.fixture(autouse=True)
async def people(record: Record) -> None:
    """Ada wrote a post; bob and eve may react to it."""
    await with_users(record, "ada", "bob", "eve")
    await record.apply([a_post("p-1")])
    await changes(record)


def likes(*users: str, undo: bool = False, post: str = "p-1") -> React:
    """Return the command by which users like a post."""
    return React(post=post, reactions=tuple(Reaction(kind="like", by=user, undo=undo) for user in users))


def views(first: int, last: int) -> React:
    """Return the command by which nobody known views a post, each time under an id of its own."""
    return React(post="p-1", reactions=tuple(Reaction(kind="view", id=f"v{n}") for n in range(first, last)))


async def counts(record: Record, post: str = "p-1") -> tuple[int, int, int]:
    """Return what a post shows."""
    found = await record.post(post)
    assert found is not None
    return found.likes, found.comments, found.views


async def test_a_reaction_is_counted_and_makes_a_new_version_that_no_feed_hears_of(record: Record) -> None:
    outcome = await one(record, likes("bob"))
    assert (outcome.status, outcome.subject_id, outcome.version) == ("accepted", "p-1", 2)
    assert await changes(record) == [PostScored(("p-1",))]
    assert await counts(record) == (1, 0, 0)
    post = await record.post("p-1")
    assert post is not None
    assert (post.version, post.edited_ms) == (2, NOW - 1000)


async def test_the_same_reaction_delivered_twice_is_counted_once(record: Record) -> None:
    comment = Reaction(kind="comment", by="bob", id="c1")
    await record.apply([React(post="p-1", reactions=(comment, comment, Reaction(kind="comment", by="bob", id="c2")))])
    assert await counts(record) == (0, 2, 0)
    again = await one(record, React(post="p-1", reactions=(comment,)))
    assert again == Outcome("unchanged", None, "p-1", 2)
    assert await counts(record) == (0, 2, 0)


async def test_reactions_wait_until_they_make_a_difference(record: Record) -> None:
    await record.apply([EditPost(post="p-1", views=99)])
    await changes(record)
    outcome = await one(record, views(0, 9))
    assert (outcome.status, outcome.change, outcome.version) == ("accepted", None, 2)
    assert await counts(record) == (0, 0, 99)
    await record.apply([views(9, 10)])  # the tenth of a hundred
    assert await counts(record) == (0, 0, 109)
    assert await changes(record) == [PostScored(("p-1",))]


async def test_counts_that_are_given_replace_what_was_waiting(record: Record) -> None:
    await record.apply([EditPost(post="p-1", views=99, likes=99)])
    await record.apply([views(0, 9), likes("bob", "eve")])
    await record.apply([EditPost(post="p-1", views=99)])
    await record.apply([views(9, 10), EditPost(post="p-1", likes=0), likes("ada")])
    assert await counts(record) == (1, 0, 100)


async def test_a_post_that_is_replaced_keeps_the_counts_that_are_not_given(record: Record) -> None:
    await record.apply([likes("bob", "eve")])
    await record.import_posts([CreatePost(post="p-1", author="ada", title="New")])
    assert await counts(record) == (2, 0, 0)
    await record.import_posts([CreatePost(post="p-1", author="ada", title="Newer", likes=7, views=1)])
    assert await counts(record) == (7, 0, 1)


async def test_an_undone_reaction_counts_no_longer_and_never_again(record: Record) -> None:
    await record.apply([likes("bob", "eve"), likes("bob", undo=True)])
    assert await counts(record) == (1, 0, 0)
    assert (await one(record, likes("bob", undo=True))).status == "unchanged"
    assert (await one(record, likes("bob"))).status == "unchanged"
    assert await counts(record) == (1, 0, 0)


async def test_an_undoing_that_comes_first_wins(record: Record) -> None:
    assert (await one(record, likes("bob", undo=True))).status == "unchanged"
    assert (await one(record, likes("bob"))).status == "unchanged"
    assert await counts(record) == (0, 0, 0)


async def test_reactions_to_or_by_what_is_not_there_are_refused(record: Record) -> None:
    with pytest.raises(NotFound, match="post is 'q': there is no such post"):
        await record.apply([likes("bob", post="q")])
    with pytest.raises(NotFound, match=r"reactions\[1\].by is 'who'"):
        await record.apply([likes("bob", "who")])
    await record.apply([DeletePost(post="p-1")])
    with pytest.raises(Gone, match="deleted"):
        await record.apply([likes("bob")])


async def test_a_hidden_post_collects_reactions_that_nobody_hears_of(record: Record) -> None:
    await record.apply([CreatePost(post="d", author="ada", draft=True)])
    await record.apply([likes("bob", post="d")])
    assert await counts(record, "d") == (1, 0, 0)
    assert await changes(record) == []


async def test_a_deleted_users_reactions_are_taken_back(record: Record) -> None:
    await record.apply([likes("bob", "eve"), DeleteUser(user="bob")])
    assert await record.reactions_of(["bob"], since_ms=0) == {}
    assert (await one(record, likes("bob"))).status == "unchanged"
    await record.apply([likes("ada")])
    assert await counts(record) == (2, 0, 0)  # bob's fewer, ada's more


async def test_a_deleted_post_forgets_its_reactions(record: Record) -> None:
    await record.apply([likes("bob"), a_post("p-2"), likes("bob", post="p-2")])
    await record.apply([DeletePost(post="p-1"), DeleteUser(user="ada"), PutUser(user="ada", name="Ada")])
    assert await record.reactions_of(["bob"], since_ms=0) == {}
    await record.apply([a_post("p-1").model_copy(update={"version": 1}), likes("bob")])
    assert await counts(record) == (1, 0, 0)


async def test_reactions_at_once_are_all_counted(record: Record, any_record_url: str) -> None:
    other = await Record.open(any_record_url)
    writers = [record, other]
    await asyncio.gather(*(writers[n % 2].apply([views(n * 10, n * 10 + 15)]) for n in range(10)))
    await other.close()
    await record.apply([EditPost(post="p-1", title="New")])
    shown = await counts(record)
    await record.apply([views(1000, 1100)])
    assert 80 < shown[2] <= 105
    assert await counts(record) == (0, 0, 205)


async def test_reactions_name_the_authors_whom_a_user_cares_for(record: Record, clock: Clock) -> None:
    await record.apply([a_post("b-1", "bob"), a_post("p-2")])
    comment = Reaction(kind="comment", by="eve", id="c")
    view = Reaction(kind="view", by="eve")
    await record.apply([likes("eve"), likes("eve", post="p-2"), React(post="b-1", reactions=(comment, view))])
    clock.ms += 1000
    await record.apply([likes("bob"), likes("eve", post="p-2", undo=True)])
    ada, bob = await number(record, "ada"), await number(record, "bob")
    assert await record.reactions_of(["eve", "bob", "who"], since_ms=0) == {"eve": {ada: 1, bob: 1}, "bob": {ada: 1}}
    assert await record.reactions_of(["eve", "bob"], since_ms=NOW + 1) == {"bob": {ada: 1}}
    assert await record.reacted_since(NOW) == ["bob", "eve"]
    assert await record.reacted_since(NOW, after="bob") == ["eve"]
    assert await record.reacted_since(NOW + 1001) == []


async def test_averages_are_over_published_posts_of_late(record: Record) -> None:
    assert await record.averages(NOW + 1) == Epoch()
    await record.apply([a_post("p-2", ms=-5), CreatePost(post="d", author="ada", draft=True, likes=99)])
    await record.apply([EditPost(post="p-1", likes=3, comments=4), EditPost(post="p-2", likes=0, views=5)])
    assert await record.averages(0) == Epoch(0, 1.5, 2.0, 2.5)
    assert await record.averages(NOW - 5) == Epoch(0, 0.0, 0.0, 5.0)


async def test_an_epoch_freezes_averages_until_the_next(record: Record) -> None:
    assert await record.epoch() == Epoch()
    assert await record.begin_epoch(Epoch(0, 1.5, 2.0, 2.5)) == Epoch(1, 1.5, 2.0, 2.5)
    assert await record.begin_epoch(Epoch(7, 1.0, 2.0, 3.0)) == Epoch(2, 1.0, 2.0, 3.0)
    assert await record.epoch() == Epoch(2, 1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("shown", "now", "enough"),
    [
        ((0, 0, 0), (1, 0, 0), True),
        ((9, 0, 0), (10, 0, 0), True),  # exactly a tenth
        ((10, 0, 0), (11, 0, 0), False),
        ((99, 99, 99), (105, 105, 110), True),
        ((99, 0, 0), (89, 0, 0), True),  # fewer count too
        ((99, 0, 0), (99, 0, 0), False),
    ],
)
def test_counts_moved_enough_by_a_tenth(shown: tuple[int, int, int], now: tuple[int, int, int], enough: bool) -> None:
    assert moved_enough(shown, now, 0.1) is enough


def test_what_is_noted_already_moves_nothing_unless_it_is_undone() -> None:
    like, comment, view = (0, "a", ""), (1, "a", "1"), (2, "", "v")
    assert moved_by({like: False, comment: True, view: True}, {like: False, comment: False}) == [0, -1, 0]
    assert moved_by({like: False, comment: False, view: False}, {like: True}) == [0, 1, 1]
