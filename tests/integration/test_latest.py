"""The newest posts of sources: read through, pushed to while they are kept, complete above their mark."""

import asyncio
from math import inf

import pytest

from feeds import keys
from feeds.command import CreatePost, EditPost, PutUser
from feeds.latest import KEEP_S, Latest, Posts
from feeds.model import TAG, Entry
from tests.integration.house import Held, House
from tests.integration.records import at

BOB = 7
CAP = 3


@pytest.fixture
def latest(house: House) -> Latest:
    """Lists of at most three posts."""
    return Latest(house.redis, house.record, cap=CAP)


async def with_posts(house: House, **ms: int) -> int:
    """Let bob have these posts, published so many milliseconds after the clock's beginning; return bob's number."""
    await house.apply(
        PutUser(user="bob", name="Bob"),
        *(CreatePost(post=post, author="bob", title=post, published=at(when)) for post, when in ms.items()),
    )
    return (await house.record.users(["bob"]))["bob"].num


async def posts(house: House, found: Posts) -> list[str]:
    """Return the ids of posts."""
    known = await house.record.posts_by_num(found.nums)
    return [known[num].id for num in found.nums]


def an_entry(num: int, published_ms: int) -> Entry:
    """Return an entry of which only number and time matter."""
    return Entry(num, f"p{num}", BOB, published_ms, 0, 0, 0, (), True, 1)


async def lay_out(house: House, mark: float, **times: int) -> None:
    """Lay out bob's list: p1=5 is post 1 at 5 ms."""
    await house.redis.zadd(keys.latest(BOB), {"!": mark, **{post[1:]: when for post, when in times.items()}})


async def test_what_is_not_kept_is_read_from_the_record(house: House, latest: Latest) -> None:
    bob = await with_posts(house, p1=-20, p2=-10)
    read = (await latest.read([bob]))[bob]
    assert (await posts(house, read), read.mark) == (["p2", "p1"], -inf)
    assert (await latest.kept([bob]))[bob] == read
    assert 0 < await house.redis.ttl(keys.latest(bob)) <= KEEP_S


async def test_of_many_posts_the_newest_are_kept_and_the_mark_says_so(house: House, latest: Latest) -> None:
    bob = await with_posts(house, p1=-40, p2=-30, p3=-20, p4=-10)
    read = (await latest.read([bob]))[bob]
    assert await posts(house, read) == ["p4", "p3", "p2"]
    assert read.mark == (await house.record.posts(["p1"]))["p1"].published_ms


async def test_a_source_without_posts_is_kept_too(house: House, latest: Latest) -> None:
    assert await latest.read([TAG | 9]) == {TAG | 9: Posts([], -inf)}
    await latest.push(an_entry(1, 5), [TAG | 9])
    assert await latest.read([TAG | 9]) == {TAG | 9: Posts([1], -inf)}


async def test_a_push_creates_no_list(house: House, latest: Latest) -> None:
    await latest.push(an_entry(1, 5), [BOB])
    assert not await house.redis.exists(keys.latest(BOB))


async def test_over_the_cap_the_oldest_leave_together_and_the_mark_rises(house: House, latest: Latest) -> None:
    await lay_out(house, -inf, p1=1, p2=1, p3=3)
    await latest.push(an_entry(4, 4), [BOB])
    assert (await latest.kept([BOB]))[BOB] == Posts([4, 3], 1)
    await latest.push(an_entry(5, 1), [BOB])
    assert (await latest.kept([BOB]))[BOB] == Posts([4, 3], 1)


async def test_times_only_rise_whatever_the_order_of_pushes(house: House, latest: Latest) -> None:
    await lay_out(house, -inf, p1=1, p2=2)
    await latest.push(an_entry(1, 9), [BOB])
    await latest.push(an_entry(1, 3), [BOB])
    assert (await latest.kept([BOB]))[BOB].nums == [1, 2]


async def test_what_is_published_while_the_record_is_read_is_in_the_list(house: House) -> None:
    """Interleaving 5a: a list that came to be with its installation would miss it."""
    bob = await with_posts(house, p1=-20)
    held = Held(house.record, "latest")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(Latest(house.redis, held).read([bob]))
        await held.reached.wait()
        await house.fan_out(CreatePost(post="p2", author="bob", title="p2", published=at(-10)))
        held.go.set()
    assert await posts(house, (await Latest(house.redis, house.record).kept([bob]))[bob]) == ["p2", "p1"]


@pytest.mark.parametrize("everything", [False, True], ids=["the source", "everything"])
async def test_a_list_dropped_while_the_record_is_read_stays_dropped(house: House, everything: bool) -> None:
    bob = await with_posts(house, p1=-20)
    held = Held(house.record, "latest")
    lists = Latest(house.redis, held)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(lists.read([bob]))
        await held.reached.wait()
        await (lists.drop_all() if everything else lists.drop([bob]))
        held.go.set()
    assert not await house.redis.exists(keys.latest(bob))


async def test_a_post_that_moved_up_is_pushed_to_its_author_and_its_tags(house: House, latest: Latest) -> None:
    bob = await with_posts(house, p1=-40, p2=-10)
    await house.apply(EditPost(post="p1", tags=("cats",)))
    await house.fan_out()
    (cats,) = (await house.record.posts(["p1"]))["p1"].tag_nums
    await latest.read([bob, cats])
    await house.fan_out(EditPost(post="p1", published=at(-5), tags=("cats",)))
    found = await latest.read([bob, cats])
    assert [await posts(house, found[source]) for source in (bob, cats)] == [["p1", "p2"], ["p1"]]


async def test_a_full_list_is_kept_in_few_bytes(house: House) -> None:
    lists = Latest(house.redis, house.record)
    await lay_out(house, -inf)
    for num in range(200):
        await lists.push(an_entry(num, num), [BOB])
    assert await house.redis.object("ENCODING", keys.latest(BOB)) == b"listpack"
    assert len((await lists.kept([BOB]))[BOB].nums) == 127
