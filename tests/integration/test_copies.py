"""Copies: never older than what is known, none comes back from the dead."""

import asyncio
from dataclasses import replace

import pytest

from feeds import copies, keys
from feeds.command import CreatePost, DeletePost, EditPost, PutUser
from feeds.copies import Copy
from feeds.model import (
    TAG,
    Epoch,
    Post,
    PostState,
    Pulled,
    PulledSource,
    Settings,
    Site,
    Sources,
    User,
    UserState,
)
from feeds.truth import Truth
from tests.integration.house import Held, House

P1 = keys.post("p1")


def copy_of(version: int, body: bytes = b"{}", state: bytes = copies.LIVE) -> Copy:
    """Return a copy of post p1."""
    return Copy(P1, version, state, body)


async def kept(house: House, key: str = P1) -> bytes | None:
    """Return the JSON that counts as a copy, or None where Redis has none."""
    value = await house.redis.get(key)
    assert value is None or isinstance(value, bytes)
    generation = await house.redis.get(keys.generation(keys.shard_in(key))) or b"0"
    assert isinstance(generation, bytes)
    return copies.body_of(value) if value is not None and copies.counts(value, generation) else None


async def put(house: House, copy: Copy) -> bool:
    """Write a copy as somebody does who looks, reads the truth and writes."""
    return (await house.copies.put([copy], await house.copies.look())) == [1]


async def drop(house: House) -> None:
    """Drop post p1."""
    await house.copies.drop([P1])


async def with_a_post(house: House) -> None:
    """Let ada have a post, and Redis nothing of it."""
    await house.apply(PutUser(user="ada", name="Ada"), CreatePost(post="p1", author="ada", title="One"))


async def title(house: House) -> str | None:
    """Return the title in the copy of p1."""
    body = await kept(house)
    return copies.read_post(body).title if body else None


async def test_a_newer_copy_replaces_an_older_one_and_never_the_other_way(house: House) -> None:
    assert await put(house, copy_of(2, b'"two"'))
    assert not await put(house, copy_of(1, b'"one"'))
    assert await kept(house) == b'"two"'
    assert await put(house, copy_of(3, b'"three"'))
    assert await kept(house) == b'"three"'


async def test_a_copy_of_the_same_version_is_refused(house: House) -> None:
    assert await put(house, copy_of(2, b'"two"'))
    assert not await put(house, copy_of(2, b'"another"'))
    assert await kept(house) == b'"two"'


async def test_a_dropped_copy_is_gone_and_nothing_is_left_of_it(house: House) -> None:
    await put(house, copy_of(2))
    await drop(house)
    assert await house.redis.exists(P1) == 0


async def test_the_same_version_is_written_again_by_who_saw_the_drop(house: House) -> None:
    await put(house, copy_of(2, b'"old"'))
    await drop(house)
    assert await put(house, copy_of(2, b'"new"'))
    assert await kept(house) == b'"new"'


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_what_was_read_before_the_drop_is_refused_and_said_so(house: House, version: int) -> None:
    await put(house, copy_of(2))
    seen = await house.copies.look()
    await drop(house)
    assert await house.copies.put([copy_of(version)], seen) == [copies.TOO_LATE]
    assert await kept(house) is None


async def test_a_second_drop_refuses_who_saw_the_first(house: House) -> None:
    await drop(house)
    seen = await house.copies.look()
    await drop(house)
    assert await house.copies.put([copy_of(2)], seen) == [copies.TOO_LATE]


async def test_a_drop_in_another_shard_refuses_nobody(house: House) -> None:
    other = next(key for key in (keys.post(f"p{n}") for n in range(9)) if keys.shard_in(key) != keys.shard_in(P1))
    seen = await house.copies.look()
    await house.copies.drop([other])
    assert await house.copies.put([copy_of(2)], seen) == [1]


async def test_an_edit_that_meets_a_drop_of_another_post_is_read_again_and_written(house: House) -> None:
    """Refused for good, it would leave the copy from before the edit, which the drop was not about."""
    await with_a_post(house)
    await house.truth.posts(["p1"])
    neighbour = next(f"q{n}" for n in range(999) if keys.shard_in(keys.post(f"q{n}")) == keys.shard_in(P1))
    held = Held(house.record, "posts")
    await house.apply(EditPost(post="p1", title="Two"))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Truth(house.redis, held).posts(["p1"]))
        await held.reached.wait()
        await house.copies.drop([keys.post(neighbour)])
        held.go.set()
    assert await title(house) == "Two"


async def test_a_new_generation_drops_all_copies(house: House) -> None:
    names = [keys.post(f"p{number}") for number in range(100)]
    await house.copies.put([Copy(name, 1, copies.LIVE, b"{}") for name in names], await house.copies.look())
    assert await kept(house, names[7]) is not None
    await house.copies.drop_all()
    assert [await kept(house, name) for name in names] == [None] * 100


async def test_the_same_version_is_written_again_in_a_new_generation(house: House) -> None:
    await put(house, copy_of(2, b'"old"'))
    await house.copies.drop_all()
    assert not await put(house, copy_of(1))
    assert await put(house, copy_of(2, b'"new"'))
    assert not await put(house, copy_of(2, b'"newest"'))
    assert await kept(house) == b'"new"'


@pytest.mark.parametrize("version", [2, 3])
async def test_what_was_read_before_a_new_generation_is_refused(house: House, version: int) -> None:
    await put(house, copy_of(2))
    seen = await house.copies.look()
    await house.copies.drop_all()
    assert await house.copies.put([copy_of(version)], seen) == [copies.TOO_LATE]


async def test_all_shards_are_of_one_generation_though_somebody_died_half_way(house: House) -> None:
    for shard in range(10):
        await house.redis.set(keys.generation(shard), 1)
    await house.redis.set(keys.GENERATION, 1)
    await house.copies.drop_all()
    assert {await house.redis.get(keys.generation(shard)) for shard in keys.ALL_SHARDS} == {b"2"}


async def test_two_that_drop_everything_at_once_leave_one_generation(house: House) -> None:
    await asyncio.gather(*(house.copies.drop_all() for _ in range(5)))
    assert {await house.redis.get(keys.generation(shard)) for shard in keys.ALL_SHARDS} == {b"5"}


async def test_a_tombstone_is_a_copy_that_is_not_live(house: House) -> None:
    await put(house, copy_of(2, b"{}", copies.DELETED))
    value = await house.redis.get(P1)
    assert isinstance(value, bytes)
    assert not copies.is_live(value)
    assert await kept(house) == b"{}"
    assert not await put(house, copy_of(1, b'{"alive": true}'))


async def test_a_deleted_post_leaves_a_tombstone_that_keeps_its_place(house: House) -> None:
    await with_a_post(house)
    await house.fan_out()
    published = (await house.record.posts(["p1"]))["p1"].published_ms
    await house.fan_out(DeletePost(post="p1"))
    body = await kept(house)
    assert body is not None
    tombstone = copies.read_post(body)
    assert (tombstone.state, tombstone.published_ms, tombstone.title) == (PostState.DELETED, published, "")


async def test_a_slow_read_through_does_not_undo_an_edit(house: House) -> None:
    await with_a_post(house)
    held = Held(house.record, "posts")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Truth(house.redis, held).posts(["p1"]))
        await held.reached.wait()
        await house.fan_out(EditPost(post="p1", title="Two"))
        held.go.set()
    assert await title(house) == "Two"


async def test_a_slow_read_through_does_not_raise_a_deleted_post(house: House) -> None:
    await with_a_post(house)
    held = Held(house.record, "posts")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Truth(house.redis, held).posts(["p1"]))
        await held.reached.wait()
        await house.fan_out(DeletePost(post="p1"))
        held.go.set()
    value = await house.redis.get(P1)
    assert isinstance(value, bytes)
    assert not copies.is_live(value)


@pytest.mark.parametrize("everything", [False, True], ids=["the post", "everything"])
async def test_a_slow_read_through_does_not_undo_a_drop(house: House, everything: bool) -> None:
    await with_a_post(house)
    held = Held(house.record, "posts")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Truth(house.redis, held).posts(["p1"]))
        await held.reached.wait()
        house.by_hand("UPDATE posts SET title = 'By hand' WHERE id = 'p1'")
        await (house.copies.drop_all() if everything else drop(house))
        held.go.set()
    assert await title(house) == "By hand"


async def test_what_does_not_exist_leaves_no_copy(house: House) -> None:
    assert await house.truth.posts(["p1"]) == {}
    assert await house.truth.users(["ada"]) == {}
    assert await house.redis.keys("*:p1") + await house.redis.keys("*:ada") == []


USER = User(
    "ada", "Ada", "About", UserState.LIVE, Settings("de", ("bob", "eve"), ("tag",), 10, "newest", "private"), 7, 3, 12
)
POST = Post(
    "p1", "ada", 'A "title"', "https://example.org/", "<p>", "html", ("a", "b"), 5, 6, PostState.PUBLISHED, 1, 2, 3, 4
)
POST = replace(POST, num=9, author_num=12, tag_nums=(TAG | 1, TAG | 2))


def test_resources_are_read_as_they_were_written() -> None:
    site = Site("Title", "de", "https://example.org/", "abc", 3)
    sources = Sources("ada", 12, (1, 2), (TAG | 1,), (2,), (TAG | 3,), (10, 32), 5, ("bob", "x-eve_1", "größe"))
    epoch = Epoch(3, 1.5, 2.5, 3.5)
    pulled = Pulled(2, {7: PulledSource("bob", False, "pull", 99), TAG | 1: PulledSource("cats", True, "rising", 98)})
    assert copies.read_user(copies.of_user(USER).body) == USER
    found = copies.read_post(copies.of_post(POST).body)
    assert (found, found.entry) == (POST, POST.entry)
    assert copies.read_sources("ada", copies.of_sources(sources).value(b"4")) == sources
    assert copies.read_site(copies.of_site(site).body) == site
    assert copies.read_epoch(copies.of_epoch(epoch).body) == epoch
    assert copies.read_pulled(copies.of_pulled(pulled).body) == {7: ("bob", "pull"), TAG | 1: ("cats", "rising")}


@pytest.mark.parametrize("state", [state for state in PostState if state is not PostState.PUBLISHED])
def test_a_post_that_is_in_no_feed_is_a_tombstone(state: PostState) -> None:
    assert copies.of_post(replace(POST, state=state)).state == copies.DELETED
    assert copies.of_post(POST).state == copies.LIVE


async def test_a_header_names_the_content(house: House) -> None:
    for version, body in ((1, b'"one"'), (2, b'"two"'), (3, b'"two"')):
        await put(house, copy_of(version, body))
        assert await house.redis.get(P1) == copy_of(version, body).value(b"0")


async def test_what_is_read_for_a_guest_leaves_no_copy(house: House) -> None:
    await with_a_post(house)
    await house.truth.users(["ada"], keep=False)
    await house.truth.sources("ada", keep=False)
    assert await house.redis.keys("*ada") == []
