"""The system of record against the reference: after random commands, what it proposes is what the reference has."""

import random
from datetime import datetime
from typing import Any

import pytest

from feeds.command import (
    Block,
    CreatePost,
    DeletePost,
    DeleteUser,
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
from feeds.model import TAG
from feeds.record import Record
from tests.integration.intent import Deed, Intent
from tests.integration.records import Clock, at
from tests.reference import Formula, Source, means_of

USERS = [f"u{number}" for number in range(7)]
TAGS = ["x", "y", "z"]
LINE = 4


def moment(dice: random.Random) -> datetime:
    """Return a time; many are the same."""
    return at(-1000 * dice.randrange(1, 25))


def a_deed(dice: random.Random, intent: Intent, number: int) -> Deed:
    """Return something that a user may do."""
    user, other = dice.sample(sorted(intent.readers), 2)
    post = dice.choice(sorted(intent.posts) or ["p"])
    tag, tags = dice.choice(TAGS), tuple(dice.sample(TAGS, dice.randrange(3)))
    reactions = [
        Reaction(kind=dice.choice(("like", "comment", "view")), by=user, undo=dice.random() < 0.3) for _ in range(2)
    ]
    settings: dict[str, Any] = {
        "muted_authors": tuple(dice.sample(USERS, dice.randrange(3))),
        "muted_tags": tuple(dice.sample(TAGS, dice.randrange(2))),
    }
    new = CreatePost(post=f"p{number:03}", author=user, published=moment(dice), tags=tags, likes=dice.randrange(9))
    deeds: list[Deed] = [
        *([new] * 4),
        EditPost(post=post, published=moment(dice)),
        EditPost(post=post, tags=tags),
        EditPost(post=post, likes=dice.randrange(9)),
        DeletePost(post=post),
        UnpublishPost(post=post),
        PublishPost(post=post),
        *([Follow(user=user, author=other)] * 4),
        Unfollow(user=user, author=other),
        FollowTag(user=user, tag=tag),
        UnfollowTag(user=user, tag=tag),
        Block(user=user, blocked=other),
        Unblock(user=user, blocked=other),
        PutSettings(user=user, **settings),
        React(post=post, reactions=tuple(reactions[:1])),
    ]
    return dice.choice(deeds)


async def compare(record: Record, intent: Intent) -> None:
    """Compare what feeds draw from, and what is proposed, with the reference."""
    world = intent.world
    for user in intent.readers:
        newest = world.newest(user)
        sources = await record.sources(user)
        assert [entry.post for entry in await record.proposals(user, before=None, limit=500, own=True)] == newest
        for limit in (1, 5, 11):
            found = await record.proposals(user, before=None, limit=limit, own=True)
            assert [entry.post for entry in found] == newest[:limit]
        if len(newest) > 3:
            before = found[2].key
            below = await record.proposals(user, before=before, limit=9, own=True)
            assert [entry.post for entry in below] == newest[3:12]
        without = [*sources.authors[:1], *sources.tags[:1]]
        named = {await name_of(record, intent, number) for number in without}
        left = [post for post in newest if intent.draws(user, world.posts[post], named)]
        found = await record.proposals(user, before=None, limit=500, own=True, without=without)
        assert [entry.post for entry in found] == left
        assert len(sources.authors) == len(world.readers[user].authors)
    await compare_likings(record, intent)


async def compare_counts(record: Record, intent: Intent) -> None:
    """Compare counts and averages. Those of a user who was deleted are taken away with the next reaction only."""
    entries = {entry.post: entry for entry in await record.entries(since_ms=0, after=0, limit=5000)}
    live = {name: post for name, post in intent.world.posts.items() if post.live}
    assert {name: (e.likes, e.comments, e.views) for name, e in entries.items()} == {
        name: (post.likes, post.comments, post.views) for name, post in live.items()
    }
    means = await record.averages(0)
    assert (means.likes, means.comments, means.views) == pytest.approx(means_of(intent.world.posts))


async def compare_likings(record: Record, intent: Intent) -> None:
    """Compare whom users like, and which sources are over the line."""
    liked = await record.reactions_of(USERS, since_ms=0)
    by_num = {user.num: name for name, user in (await record.users(USERS)).items()}
    for user in intent.readers:
        assert {by_num[num]: count for num, count in liked.get(user, {}).items()} == intent.liked(user)
    over = {source for source in intent.sources() if intent.followers(source) > LINE}
    near = {source for source in intent.sources() if intent.followers(source) >= 0.9 * LINE}  # falls below that only
    found = (await record.pulled()).sources.values()
    rising = {Source("tag" if one.is_tag else "author", one.name) for one in found if one.state in ("rising", "pull")}
    assert over <= rising <= near


async def name_of(record: Record, intent: Intent, number: int) -> Source:
    """Return which source a number is."""
    if number < TAG:
        users = await record.users(USERS)
        return Source("author", next(name for name, user in users.items() if user.num == number))
    tags: dict[int, str] = {}
    for post in (await record.posts(list(intent.world.posts))).values():
        tags |= dict(zip(post.tag_nums, post.tags, strict=True))
    return Source("tag", tags.get(number, ""))


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_proposed_is_what_the_reference_has(any_record_url: str, clock: Clock, seed: int) -> None:
    record = await Record.open(any_record_url, pull_followers=LINE, rescore=0.0)
    record.clock = clock
    dice, intent = random.Random(seed), Intent(Formula(), cap=10, latest=5)
    for user in USERS:
        await record.apply([PutUser(user=user, name=user)])
        intent.take(PutUser(user=user, name=user))
    for number in range(150):
        deed = a_deed(dice, intent, number)
        if intent.may(deed):
            await record.apply([deed])
            intent.take(deed)
        if number % 30 == 29:
            await compare(record, intent)
            await compare_counts(record, intent)
    gone = dice.choice(USERS)
    await record.apply([DeleteUser(user=gone)])
    intent.take(DeleteUser(user=gone))
    await compare(record, intent)
    await record.close()
