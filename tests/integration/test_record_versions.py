"""A team's events arrive twice and out of order: the end is the same."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.command import (
    Block,
    Command,
    CreatePost,
    DeletePost,
    Follow,
    FollowTag,
    PutSettings,
    PutSite,
    PutUser,
    Unfollow,
    UnfollowTag,
)
from feeds.errors import Refused
from feeds.record import Record
from tests.integration.records import Clock, at

USERS = ["ada", "bob", "eve"]
AUTHORS = {"p-1": "ada", "p-2": "bob"}
"""A post's author never changes."""

PEOPLE = st.sampled_from(USERS)
PAIRS = st.permutations(USERS).map(lambda users: users[:2])
TAGS = st.sets(st.sampled_from(["cats", "dogs"])).map(lambda tags: tuple(sorted(tags)))
TITLES = st.sampled_from(["One", "Two"])

EVENTS: st.SearchStrategy[Command] = st.one_of(
    st.builds(PutUser, user=PEOPLE, name=TITLES),
    st.builds(PutSettings, user=PEOPLE, muted_tags=TAGS, page_size=st.integers(1, 25)),
    st.builds(
        lambda post, **more: CreatePost(post=post, author=AUTHORS[post], **more),
        post=st.sampled_from(sorted(AUTHORS)),
        title=TITLES,
        tags=TAGS,
        published=st.sampled_from([at(-5), at(-1), at(1000)]),
        draft=st.booleans(),
    ),
    st.builds(DeletePost, post=st.sampled_from(sorted(AUTHORS))),
    PAIRS.map(lambda pair: Follow(user=pair[0], author=pair[1])),
    PAIRS.map(lambda pair: Unfollow(user=pair[0], author=pair[1])),
    st.builds(FollowTag, user=PEOPLE, tag=st.sampled_from(["cats", "dogs"])),
    st.builds(UnfollowTag, user=PEOPLE, tag=st.sampled_from(["cats", "dogs"])),
    st.builds(PutSite, title=TITLES),
)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Command], list[Command]]:
    """Return events in their order, each with the version that its source gave it, and how they arrived."""
    events = draw(st.lists(EVENTS, min_size=1, max_size=12))
    numbered = [event.model_copy(update={"version": version}) for version, event in enumerate(events)]
    again = draw(st.lists(st.sampled_from(numbered), max_size=4))
    return numbered, draw(st.permutations(numbered + again))


async def proposed(record: Record, user: str) -> list[str]:
    """Return the posts that are proposed for a user's feed."""
    return [entry.post for entry in await record.proposals(user, before=None, limit=9, own=True)]


async def state(record: Record) -> dict[str, Any]:
    """Return all that readers can see, without what counts the writes."""
    users = await record.users(USERS)
    posts = await record.posts(sorted(AUTHORS))
    return {
        "users": {user.id: (user.name, user.settings) for user in users.values()},
        "follows": {user: (await record.follows(user)).authors for user in USERS},
        "posts": {
            post.id: (post.title, post.tags, post.state, post.published_ms)
            for post in posts.values()
            if post.state != "deleted"
        },
        "muted": {user: await proposed(record, user) for user in USERS},
        "site": (await record.site()).title,
    }


async def after(url: str, events: Sequence[Command]) -> dict[str, Any]:
    """Return the state after the events, while every version only rises."""
    record = await Record.open(url)
    record.clock = Clock()
    await record.apply([PutUser(user=user, name="Zero") for user in USERS])
    versions: dict[str, int] = {}
    for event in events:
        outcome = (await record.apply([event]))[0]
        is_follow = isinstance(event, Follow | Unfollow | FollowTag | UnfollowTag)
        subject = f"{'follows' if is_follow else 'row'} {outcome.subject_id}"
        assert outcome.version >= versions.get(subject, 0)
        versions[subject] = outcome.version
    found = await state(record)
    await record.close()
    return found


@settings(max_examples=40, deadline=None)
@given(deliveries())
def test_events_twice_and_out_of_order_end_as_they_do_in_order(
    sqlite_ready: Path, delivery: tuple[list[Command], list[Command]]
) -> None:
    in_order, arrived = delivery
    with TemporaryDirectory() as folder:
        for name in ("a", "b"):
            shutil.copy(sqlite_ready, f"{folder}/{name}.db")
        expected = asyncio.run(after(f"sqlite:///{folder}/a.db", in_order))
        assert asyncio.run(after(f"sqlite:///{folder}/b.db", arrived)) == expected


async def test_an_event_refused_for_what_it_names_succeeds_when_that_has_come(record: Record) -> None:
    """A source that sends refused events again needs no order at all."""
    events: list[Command] = [
        Follow(user="ada", author="bob", version=1),
        CreatePost(post="p-1", author="ada", title="One", published=at(-1), version=1),
        Block(user="ada", blocked="eve", version=1),
        *(PutUser(user=user, name="Zero", version=1) for user in USERS),
    ]
    waiting = events
    rounds = 0
    while waiting:
        refused = []
        for event in waiting:
            try:
                await record.apply([event])
            except Refused:
                refused.append(event)
        waiting = refused
        rounds += 1
    assert rounds == 2
    assert (await record.follows("ada")).authors == ("bob",)
    assert await record.post("p-1") is not None
