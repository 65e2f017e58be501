"""The catalogue: newest version wins, generations count, drops are for good, what is missing is read through."""

import pytest

from feeds import catalogue, keys, scripts
from feeds.catalogue import Catalogue
from feeds.command import CreatePost, EditPost, PutUser, UnpublishPost
from feeds.model import TAG, Entry
from tests.integration.house import House
from tests.integration.records import at

ENTRY = Entry(300, "p1", 7, 1_700_000_000_000, 1, 2, 3, (TAG | 1, TAG | 2), True, 2)


@pytest.fixture
def entries(house: House) -> Catalogue:
    """The catalogue."""
    return house.truth.catalogue


async def put(entries: Catalogue, house: House, *given: Entry) -> int:
    """Write entries as somebody does who looks, reads the truth and writes."""
    return await entries.put(given, await house.copies.look())


async def with_posts(house: House, count: int) -> None:
    """Let ada publish posts, and Redis have nothing of them."""
    posts = [
        CreatePost(post=f"p{n}", author="ada", title="One", published=at(-n), tags=("cats",)) for n in range(count)
    ]
    await house.apply(PutUser(user="ada", name="Ada"), *posts)


async def test_an_entry_is_read_as_it_was_written(house: House, entries: Catalogue) -> None:
    assert await put(entries, house, ENTRY) == 1
    assert await entries.kept([300, 301]) == {300: ENTRY}


@pytest.mark.parametrize("version", [1, 2])
async def test_what_is_no_newer_is_refused(house: House, entries: Catalogue, version: int) -> None:
    await put(entries, house, ENTRY)
    assert await put(entries, house, ENTRY._replace(version=version, likes=99)) == 0
    assert await entries.kept([300]) == {300: ENTRY}


async def test_a_newer_version_takes_an_entrys_place(house: House, entries: Catalogue) -> None:
    await put(entries, house, ENTRY)
    newer = ENTRY._replace(version=3, live=False)
    assert await put(entries, house, newer) == 1
    assert await entries.kept([300]) == {300: newer}


async def test_a_new_generation_makes_all_entries_old_and_takes_the_same_version(
    house: House, entries: Catalogue
) -> None:
    await put(entries, house, ENTRY)
    seen = await house.copies.look()
    await house.copies.drop_all()
    assert await entries.kept([300]) == {}
    assert await scripts.execute(house.redis, catalogue.writes([ENTRY], seen)) == [-1]
    assert await put(entries, house, ENTRY._replace(version=1)) == 1
    assert (await entries.kept([300]))[300].version == 1


async def test_what_was_read_before_a_drop_is_refused(house: House, entries: Catalogue) -> None:
    await put(entries, house, ENTRY)
    seen = await house.copies.look()
    await entries.drop([300])
    assert await entries.put([ENTRY], seen) == 0
    assert await entries.kept([300]) == {}
    assert await put(entries, house, ENTRY) == 1


async def test_what_is_missing_is_read_through_and_written_back(house: House, entries: Catalogue) -> None:
    await with_posts(house, 2)
    posts = await house.record.posts(["p0", "p1"])
    nums = [post.num for post in posts.values()]
    assert await entries.get([*nums, 999]) == {post.num: post.entry for post in posts.values()}
    assert set(await entries.kept(nums)) == set(nums)


async def test_an_entry_is_written_wherever_a_copy_is(house: House, entries: Catalogue) -> None:
    await with_posts(house, 1)
    await house.fan_out()
    post = (await house.record.posts(["p0"]))["p0"]
    assert await entries.kept([post.num]) == {post.num: post.entry}
    await house.fan_out(UnpublishPost(post="p0"))
    assert (await entries.kept([post.num]))[post.num].live is False


async def test_a_sweep_writes_what_is_missing_or_old_of_the_published_posts(house: House, entries: Catalogue) -> None:
    await with_posts(house, 300)
    nums = await entries.fill(0)
    assert len(await entries.kept(nums)) == 300
    await house.apply(EditPost(post="p7", title="Two"), UnpublishPost(post="p8"))
    assert len(await entries.fill(0)) == 299
    edited = (await house.record.posts(["p7"]))["p7"]
    assert (await entries.kept([edited.num]))[edited.num].version == edited.version
    newest = (await house.record.posts(["p0"]))["p0"]
    await house.copies.drop_all()
    assert list(await entries.fill(newest.published_ms)) == [newest.num]
    assert len(await entries.kept(nums)) == 1


async def test_a_chunk_is_kept_in_few_bytes(house: House, entries: Catalogue) -> None:
    """A value of more than 64 bytes and Redis would take three times the memory for all of the chunk."""
    given = [ENTRY._replace(num=num, post=f"post-{num:06}") for num in range(keys.CHUNK)]
    await put(entries, house, *given)
    assert await house.redis.object("ENCODING", keys.chunk(0)) == b"listpack"
