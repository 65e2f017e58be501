"""Posts in the system of record: their life, and which change each step makes."""

from collections.abc import Sequence

import pytest

from feeds.change import Change, PostEdited, PostPublished, PostWithdrawn
from feeds.command import Command, CreatePost, DeletePost, EditPost, PublishPost, UnpublishPost
from feeds.errors import Conflict, Gone, NotFound, Refused
from feeds.ids import is_id
from feeds.model import Post, PostState
from feeds.record import Outcome, Record
from tests.integration.records import NOW, Clock, a_post, at, changes, one, with_users

HOUR = 3_600_000


async def the_post(record: Record, post: str = "p-1") -> Post:
    """Return a post that must be there."""
    found = await record.post(post)
    assert found is not None
    return found


async def test_a_created_post_is_published_now_with_an_id_made_for_it(record: Record) -> None:
    await with_users(record, "ada")
    outcome = await one(record, CreatePost(author="ada", title="Hello", tags=("b", "a", "b"), url="https://e.test/"))
    post = await the_post(record, outcome.subject_id)
    assert is_id(outcome.subject_id)
    assert (post.author, post.title, post.url, post.tags) == ("ada", "Hello", "https://e.test/", ("b", "a"))
    assert (post.state, post.published_ms, post.edited_ms, post.version) == (PostState.PUBLISHED, NOW, NOW, 1)
    assert await changes(record) == [PostPublished(outcome.subject_id, "ada")]


async def test_a_post_by_an_unknown_author_is_refused(record: Record) -> None:
    with pytest.raises(NotFound, match="author is 'eve': there is no such user"):
        await record.apply([a_post("p-1", "eve")])


async def test_the_same_post_again_is_unchanged_and_another_of_its_id_a_conflict(record: Record) -> None:
    await with_users(record, "ada", "bob")
    await record.apply([a_post("p-1")])
    await changes(record)
    assert await one(record, a_post("p-1")) == Outcome("unchanged", None, "p-1", 1)
    with pytest.raises(Conflict, match="there is another post of this id"):
        await record.apply([a_post("p-1", title="Another")])
    with pytest.raises(Conflict, match="author is 'bob'"):
        await record.apply([a_post("p-1", "bob")])
    assert await changes(record) == []


EDITS: list[tuple[str, EditPost, PostEdited | None]] = [
    ("another title", EditPost(post="p-1", title="New"), PostEdited("p-1", "ada", moved=False)),
    ("a count", EditPost(post="p-1", likes=7), PostEdited("p-1", "ada", moved=False)),
    ("other tags move it", EditPost(post="p-1", tags=("x",)), PostEdited("p-1", "ada", moved=True)),
    ("another time moves it", EditPost(post="p-1", published=at(-5)), PostEdited("p-1", "ada", moved=True)),
    ("the same title", EditPost(post="p-1", title="A title"), None),
    ("nothing given", EditPost(post="p-1"), None),
]


@pytest.mark.parametrize(("command", "change"), [row[1:] for row in EDITS], ids=[row[0] for row in EDITS])
async def test_an_edit_makes_the_change_that_readers_see(
    record: Record, command: EditPost, change: PostEdited | None
) -> None:
    await with_users(record, "ada")
    await record.apply([a_post("p-1")])
    await changes(record)
    outcome = await one(record, command)
    assert await changes(record) == ([change] if change else [])
    assert (outcome.status, outcome.version) == (("accepted", 2) if change else ("unchanged", 1))


async def test_an_edit_leaves_what_it_does_not_name(record: Record, clock: Clock) -> None:
    await with_users(record, "ada")
    await record.apply([CreatePost(post="p-1", author="ada", title="A", content="text", tags=("x",), likes=3)])
    clock.ms += 50
    await record.apply([EditPost(post="p-1", title="B")])
    post = await the_post(record)
    assert (post.title, post.content, post.tags, post.likes) == ("B", "text", ("x",), 3)
    assert (post.published_ms, post.edited_ms) == (NOW, NOW + 50)


async def test_likes_do_not_count_as_an_edit_by_the_author(record: Record, clock: Clock) -> None:
    await with_users(record, "ada")
    await record.apply([a_post("p-1")])
    clock.ms += 50
    await record.apply([EditPost(post="p-1", likes=9)])
    assert (await the_post(record)).edited_ms == NOW - 1000


DRAFT = CreatePost(post="p-1", author="ada", draft=True)
LATER = a_post("p-1", ms=HOUR)
PUBLISHED = a_post("p-1")
GONE_OUT: list[Command] = [PUBLISHED, UnpublishPost(post="p-1")]

STEPS: list[tuple[str, Sequence[Command], Command, PostState, Change | None]] = [
    ("a draft is edited", [DRAFT], EditPost(post="p-1", title="B"), PostState.DRAFT, None),
    ("a draft is published", [DRAFT], PublishPost(post="p-1"), PostState.PUBLISHED, PostPublished("p-1", "ada")),
    ("a draft is scheduled", [DRAFT], PublishPost(post="p-1", published=at(HOUR)), PostState.SCHEDULED, None),
    ("a draft is not unpublished", [DRAFT], UnpublishPost(post="p-1"), PostState.DRAFT, None),
    ("a draft is deleted", [DRAFT], DeletePost(post="p-1"), PostState.DELETED, PostWithdrawn("p-1", "ada", True)),
    ("a scheduled post is edited", [LATER], EditPost(post="p-1", title="B"), PostState.SCHEDULED, None),
    (
        "a scheduled post is drawn forward",
        [LATER],
        EditPost(post="p-1", published=at(-1)),
        PostState.PUBLISHED,
        PostPublished("p-1", "ada"),
    ),
    ("a scheduled post is published as planned", [LATER], PublishPost(post="p-1"), PostState.SCHEDULED, None),
    ("a scheduled post is called off", [LATER], UnpublishPost(post="p-1"), PostState.UNPUBLISHED, None),
    (
        "a published post is unpublished",
        [PUBLISHED],
        UnpublishPost(post="p-1"),
        PostState.UNPUBLISHED,
        PostWithdrawn("p-1", "ada", False),
    ),
    (
        "a published post is put off",
        [PUBLISHED],
        EditPost(post="p-1", published=at(HOUR)),
        PostState.SCHEDULED,
        PostWithdrawn("p-1", "ada", False),
    ),
    ("a published post is published", [PUBLISHED], PublishPost(post="p-1"), PostState.PUBLISHED, None),
    (
        "a published post is deleted",
        [PUBLISHED],
        DeletePost(post="p-1"),
        PostState.DELETED,
        PostWithdrawn("p-1", "ada", True),
    ),
    ("an unpublished post is edited", GONE_OUT, EditPost(post="p-1", title="B"), PostState.UNPUBLISHED, None),
    ("an unpublished post is put off", GONE_OUT, EditPost(post="p-1", published=at(1)), PostState.UNPUBLISHED, None),
    (
        "an unpublished post is published again",
        GONE_OUT,
        PublishPost(post="p-1"),
        PostState.PUBLISHED,
        PostPublished("p-1", "ada"),
    ),
    ("an unpublished post is unpublished", GONE_OUT, UnpublishPost(post="p-1"), PostState.UNPUBLISHED, None),
]


@pytest.mark.parametrize(
    ("before", "command", "state", "change"), [row[1:] for row in STEPS], ids=[r[0] for r in STEPS]
)
async def test_a_step_of_a_post_ends_in_its_state_with_its_change(
    record: Record, before: Sequence[Command], command: Command, state: PostState, change: Change | None
) -> None:
    await with_users(record, "ada")
    await record.apply(before)
    await changes(record)
    version = (await the_post(record)).version
    outcome = await one(record, command)
    assert (await the_post(record)).state is state
    assert await changes(record) == ([change] if change else [])
    assert (outcome.change is None) == (change is None)
    assert outcome.version == version + (outcome.status == "accepted")


async def test_a_post_published_again_keeps_its_place(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply([*GONE_OUT, PublishPost(post="p-1")])
    assert (await the_post(record)).published_ms == NOW - 1000


async def test_a_deleted_post_leaves_a_tombstone(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply(
        [CreatePost(post="p-1", author="ada", title="A", content="secret", tags=("x",), url="http://e/")]
    )
    await record.apply([DeletePost(post="p-1")])
    post = await the_post(record)
    assert (post.state, post.author, post.published_ms, post.version) == (PostState.DELETED, "ada", NOW, 2)
    assert (post.title, post.content, post.url, post.tags) == ("", "", None, ())


async def test_a_deleted_post_is_gone_for_every_command_without_a_version(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply([a_post("p-1"), DeletePost(post="p-1")])
    assert (await one(record, DeletePost(post="p-1"))).status == "unchanged"
    for command in (a_post("p-1"), EditPost(post="p-1"), PublishPost(post="p-1"), UnpublishPost(post="p-1")):
        with pytest.raises(Gone, match="this post was deleted"):
            await record.apply([command])


@pytest.mark.parametrize("command", [EditPost(post="p-9"), PublishPost(post="p-9"), DeletePost(post="p-9")])
async def test_an_unknown_post_is_not_found(record: Record, command: Command) -> None:
    with pytest.raises(NotFound, match="post is 'p-9': there is no such post"):
        await record.apply([command])


async def test_a_newer_event_replaces_a_post_and_an_older_one_is_ignored(record: Record) -> None:
    await with_users(record, "ada")
    first = a_post("p-1").model_copy(update={"version": 5})
    newer = a_post("p-1", title="Newer").model_copy(update={"version": 6})
    await record.apply([first])
    assert (await one(record, newer)).status == "accepted"
    assert await one(record, first) == Outcome("ignored", None, "p-1", 2)
    assert await one(record, newer) == Outcome("ignored", None, "p-1", 2)
    assert (await the_post(record)).title == "Newer"


async def test_a_create_that_comes_after_its_deletion_is_ignored(record: Record) -> None:
    await with_users(record, "ada")
    assert (await one(record, DeletePost(post="p-1", version=5))).status == "unchanged"
    assert (await one(record, a_post("p-1").model_copy(update={"version": 4}))).status == "ignored"
    assert await record.post("p-1") is None


async def test_only_a_newer_event_creates_a_deleted_post_again_and_its_version_goes_on(record: Record) -> None:
    await with_users(record, "ada")
    await record.apply([a_post("p-1").model_copy(update={"version": 1}), DeletePost(post="p-1", version=2)])
    await changes(record)
    outcome = await one(record, a_post("p-1").model_copy(update={"version": 3}))
    assert outcome.version == 3
    assert await changes(record) == [PostPublished("p-1", "ada")]


async def test_a_refused_event_does_not_use_up_its_version(record: Record) -> None:
    create = a_post("p-1").model_copy(update={"version": 7})
    with pytest.raises(Refused):
        await record.apply([create])
    await with_users(record, "ada")
    assert (await one(record, create)).status == "accepted"


async def test_scheduled_posts_appear_when_their_time_comes(record: Record, clock: Clock) -> None:
    await with_users(record, "ada")
    await record.apply([a_post("p-1", ms=10), a_post("p-2", ms=20), a_post("p-3", ms=HOUR), a_post("p-4", ms=-1)])
    await changes(record)
    assert await record.publish_due(NOW, 10) == (0, NOW + 10)
    assert await record.publish_due(NOW + 20, 1) == (1, NOW + 20)
    assert await record.publish_due(NOW + 20, 1) == (1, NOW + HOUR)
    assert await changes(record) == [PostPublished("p-1", "ada"), PostPublished("p-2", "ada")]
    post = await the_post(record)
    assert (post.state, post.version) == (PostState.PUBLISHED, 2)


async def test_without_scheduled_posts_nothing_is_due(record: Record) -> None:
    assert await record.publish_due(NOW, 10) == (0, None)
