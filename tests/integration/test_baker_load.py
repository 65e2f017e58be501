"""A baker under load: who waits, who gets what was baked last, who is told to come again, and what must never leave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import pytest
from redis.exceptions import ConnectionError as RedisGone

from baker import metrics
from baker.oven import Bounds, Oven
from baker.reporter import Reporter
from cdn import keys
from cdn.errors import RedisForgot
from cdn.load import Load
from feeds.command import (
    Command,
    DeletePost,
    DeleteUser,
    EditPost,
    PutSettings,
    RenameUser,
    UnpublishPost,
)
from feeds.ids import shard_of
from tests.integration.baking import (
    Baker,
    Hold,
    bakes,
    before,
    config,
    follows,
    held,
    late,
    open_bakers,
    post,
    tags_of,
    titles,
    turns,
    users,
)
from tests.integration.house import House

DAN = "/feed/dan/feed.json"
SHARD = shard_of("dan")
BRIEFLY = "s-maxage=2, stale-while-revalidate=0, stale-if-error=0"
AGAIN = ("1", "no-store")
PATIENT = Bounds(at_once=2, queue=1, patience_s=60.0)
HASTY = Bounds(at_once=1, queue=5, patience_s=1.0)


def feed(user: str) -> str:
    """Return the path of a user's feed."""
    return f"/feed/{user}/feed.json"


def shed() -> float:
    """Return how many were shed in this process."""
    return sum(float(metrics.SHED.labels(why)._value.get()) for why in ("queue", "time"))


def again(answer: httpx.Response) -> bool:
    """Tell whether an answer says to ask again a little later, and may be kept by nobody."""
    return answer.status_code == 503 and (answer.headers["retry-after"], answer.headers["cache-control"]) == AGAIN


async def readers(house: House) -> None:
    """Make users who follow grace, who wrote three posts long ago."""
    names = ("ada", "bob", "cay", "dan", "eve")
    following = [command for name in names for command in follows(name, "grace")]
    await before(house, *users(*names, "grace"), *following, *(post(number) for number in range(3)))


@asynccontextmanager
async def open_baker(house: House, bounds: Bounds) -> AsyncIterator[Baker]:
    """Open a baker with these bounds."""
    async with open_bakers(house, config(bounds=bounds)) as (opened,):
        yield opened


@asynccontextmanager
async def full(baker: Baker) -> AsyncIterator[list["asyncio.Task[httpx.Response]"]]:
    """Let as many bakes as may be made at once be under way, and one wait, until the end of the block."""
    async with AsyncExitStack() as stack:
        reading: list[asyncio.Task[httpx.Response]] = []
        for name in ("ada", "bob"):
            hold = baker.hold("proposals")
            stack.callback(hold.go.set)
            reading.append(asyncio.create_task(baker.get(feed(name))))
            await held(hold)
        reading.append(asyncio.create_task(baker.get(feed("cay"))))
        await waits(1)
        yield reading
    for answer in await asyncio.gather(*reading):
        assert answer.status_code == 200


async def waits(bakes: int) -> None:
    """Wait until so many bakes wait for their turn."""
    async with asyncio.timeout(10):
        while metrics.WAITING._value.get() != bakes:
            await turns()


async def in_the_end(baker: Baker, path: str) -> httpx.Response:
    """Ask for a path until it is not to be asked for again."""
    async with asyncio.timeout(10):
        while again(answer := await baker.get(path)):
            await turns()
    return answer


async def outdated(house: House, baker: Baker) -> httpx.Response:
    """Let dan's feed be baked, and then outdated without anything in it being another; return the old one."""
    old = await in_the_end(baker, DAN)
    assert len(titles(old)) == 3
    await house.recorded("u-dan", shards=[SHARD])
    return old


async def test_a_bake_beyond_those_at_once_waits_for_its_turn(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        baked = bakes()
        async with full(baker) as (ada, bob, cay):
            await turns()
            assert not cay.done()
            assert baker.turnstile.passed.count("proposals") == 2
        assert bakes() == baked + 3
        assert [len(titles(task.result())) for task in (ada, bob, cay)] == [3, 3, 3]


async def test_a_bake_that_fails_gives_its_turn_to_the_next(house: House) -> None:
    await readers(house)
    async with open_baker(house, Bounds(at_once=1, queue=5, patience_s=60.0)) as baker:
        hold = baker.hold("proposals")
        failing = asyncio.create_task(baker.get(feed("ada")))
        await held(hold)
        waiting = asyncio.create_task(baker.get(feed("bob")))
        await waits(1)
        hold.error = RedisGone("gone")
        hold.go.set()
        assert again(await failing)
        assert len(titles(await waiting)) == 3


async def test_who_finds_the_queue_full_and_was_never_baked_is_told_to_come_again(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        before_it = shed()
        async with full(baker):
            assert again(await baker.get(DAN))
            assert again(await baker.get(DAN, "HEAD"))
            assert shed() == before_it + 2
        assert len(titles(await baker.get(DAN))) == 3


async def test_who_finds_the_queue_full_gets_what_was_baked_last_for_two_seconds(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        old = await outdated(house, baker)
        counted, baked = late(), bakes()
        async with full(baker):
            answers = await asyncio.gather(*(baker.get(DAN) for _ in range(5)))
            assert {answer.content for answer in answers} == {old.content}
            assert {answer.headers["edgebake-late"] for answer in answers} == {"2"}
            assert {answer.headers["cache-control"] for answer in answers} == {BRIEFLY}
            assert tags_of(answers[0]) == tags_of(old)
            assert bakes() == baked
        assert late() == counted + 5
        fresh = await baker.get(DAN)
        assert "edgebake-late" not in fresh.headers
        assert fresh.headers["cache-control"] == old.headers["cache-control"]


async def test_what_is_marked_late_can_be_revalidated_by_nobody(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        old = await outdated(house, baker)
        async with full(baker):
            head = await baker.get(DAN, "HEAD")
            known = await baker.get(DAN, if_none_match=old.headers["etag"])
    assert (head.status_code, head.content, known.status_code, known.content) == (200, b"", 200, old.content)
    for answer in (head, known):
        assert (answer.headers["edgebake-late"], answer.headers["cache-control"]) == ("2", BRIEFLY)
        assert "etag" not in answer.headers  # a 304 would leave the mark with an edge


async def test_what_leaves_in_place_of_a_bake_is_not_registered_and_makes_nothing_pending(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        carried = tags_of(await outdated(house, baker))
        async with full(baker):
            await baker.get(DAN)  # it tries the fence once more, and so is registered
            await house.recorded(*carried)
            assert (await baker.get(DAN)).headers["edgebake-late"] == "2"
            assert (await house.recorded(*carried, shards=[SHARD]))[SHARD] == 0


async def test_a_private_feed_is_not_answered_with_what_was_baked_last(house: House) -> None:
    await readers(house)
    await house.read(PutSettings(user="dan", feed_visibility="private"))
    async with open_baker(house, PATIENT) as baker:
        private = "/private/dan/feed.json"
        assert len(titles(await in_the_end(baker, private))) == 3
        await house.recorded("u-dan", shards=[SHARD])
        async with full(baker):
            assert again(await baker.get(private))
        assert len(titles(await baker.get(private))) == 3


@pytest.mark.parametrize("guard", ["!u-dan", "!p-post-0001", "!a-grace"])
async def test_nothing_of_which_something_was_deleted_or_made_private_leaves(house: House, guard: str) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        await outdated(house, baker)
        await house.recorded(guard)
        async with full(baker):
            assert again(await baker.get(DAN))


@pytest.mark.parametrize(
    ("command", "leaves"),
    [
        (DeletePost(post="post-0001"), False),
        (UnpublishPost(post="post-0001"), False),
        (PutSettings(user="dan", feed_visibility="private"), False),
        (DeleteUser(user="dan"), False),
        (DeleteUser(user="grace"), False),  # the author of what the feed shows
        (EditPost(post="post-0001", title="New"), True),
        (PutSettings(user="dan", page_size=1), True),
        (RenameUser(user="grace", name="Admiral"), True),
        (post(9), True),
        (PutSettings(user="eve", feed_visibility="private"), True),  # somebody else's
    ],
    ids=lambda value: type(value).__name__,
)
async def test_changes_that_delete_or_hide_hold_back_what_was_baked_before(
    house: House, command: Command, leaves: bool
) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        await outdated(house, baker)
        await house.read(command)
        async with full(baker):
            answer = await baker.get(DAN)
            assert (again(answer), answer.headers.get("edgebake-late")) == ((False, "2") if leaves else (True, None))


async def test_a_guard_that_comes_between_two_answers_stops_the_second(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        await outdated(house, baker)
        async with full(baker):
            assert (await baker.get(DAN)).headers["edgebake-late"] == "2"
            await house.recorded("!p-post-0001")
            assert again(await baker.get(DAN))


async def test_the_guards_of_others_and_edits_let_it_leave(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        await outdated(house, baker)
        await house.recorded("!u-eve", "!p-post-9999", "!a-eve", "p-post-0001", "a-grace")
        async with full(baker):
            assert (await baker.get(DAN)).headers["edgebake-late"] == "2"


async def test_where_the_log_does_not_reach_back_nothing_leaves(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        await outdated(house, baker)
        await house.redis.set(keys.fence(SHARD)[2], int(await house.redis.get(keys.count(SHARD)) or 0))
        async with full(baker):
            assert again(await baker.get(DAN))


async def test_what_needs_no_bake_never_waits(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        kept = await baker.get(feed("eve"))
        async with full(baker):
            answers = [await baker.get(feed("eve")), await baker.get("/feed/eve/"), await baker.get(DAN, "POST")]
            assert [answer.status_code for answer in answers] == [200, 404, 405]
            assert answers[0].content == kept.content
            assert "edgebake-late" not in answers[0].headers


async def test_a_bake_that_takes_too_long_is_waited_for_no_longer_and_still_kept(house: House) -> None:
    await readers(house)
    async with open_baker(house, HASTY) as baker:
        baked, hold = bakes(), baker.hold("proposals")
        reading = [asyncio.create_task(baker.get(feed("ada"))) for _ in range(5)]
        await held(hold)
        assert all(again(answer) for answer in await asyncio.gather(*reading))
        assert again(await baker.get(feed("ada")))  # at once, for the same bake is still under way
        hold.go.set()
        assert len(titles(await in_the_end(baker, feed("ada")))) == 3
        assert bakes() == baked + 1


async def test_those_who_wait_too_long_for_a_turn_get_what_was_baked_last_and_cost_no_bake(house: House) -> None:
    await readers(house)
    async with open_baker(house, Bounds(at_once=1, queue=5, patience_s=1.2)) as baker:
        old = await outdated(house, baker)
        baked, hold = bakes(), baker.hold("proposals")
        slow = asyncio.create_task(baker.get(feed("ada")))
        await held(hold)
        answers = await asyncio.gather(*(baker.get(DAN) for _ in range(3)))
        assert {(answer.headers["edgebake-late"], answer.content) for answer in answers} == {("2", old.content)}
        assert again(await slow)
        hold.go.set()
        await in_the_end(baker, feed("ada"))
        assert bakes() == baked + 1


@pytest.mark.parametrize("what", ["before first", "before copies", "before fence"])
async def test_a_redis_that_does_not_answer_is_waited_for_no_longer_than_an_edge_waits(house: House, what: str) -> None:
    await readers(house)
    async with open_baker(house, HASTY) as baker:
        holds = [baker.hold(what) for _ in range(2)]
        began = asyncio.get_running_loop().time()
        assert again(await baker.get(DAN))
        assert asyncio.get_running_loop().time() - began < 5  # a trip has 5 s, an edge less
        for hold in holds:
            hold.go.set()
        assert len(titles(await in_the_end(baker, DAN))) == 3


async def test_where_redis_does_not_tell_of_guards_nothing_leaves(house: House) -> None:
    await readers(house)
    async with open_baker(house, PATIENT) as baker:
        await outdated(house, baker)
        async with full(baker):
            with baker.turnstile.refuse("before tail", RedisGone("gone")):
                assert again(await baker.get(DAN))
            assert (await baker.get(DAN)).headers["edgebake-late"] == "2"


def forgetting(baker: Baker, what: str, times: int) -> list[Hold]:
    """Let Redis have forgotten what it was told, at the next so many trips of a kind."""
    holds = [baker.hold(what) for _ in range(times)]
    for hold in holds:
        hold.error = RedisForgot("test")
        hold.go.set()
    return holds


@pytest.mark.parametrize("what", ["before first", "before fence"])
async def test_a_bake_begins_again_where_redis_forgot(house: House, baker: Baker, what: str) -> None:
    await readers(house)
    forgetting(baker, what, 2)
    assert len(titles(await baker.get(DAN))) == 3


async def test_what_memory_keeps_is_baked_anew_where_redis_forgot(house: House, baker: Baker) -> None:
    await readers(house)
    await baker.get(DAN)
    baked = bakes()
    forgetting(baker, "before fence", 1)
    assert len(titles(await baker.get(DAN))) == 3
    assert bakes() == baked + 1


async def test_a_redis_that_forgets_again_and_again_is_answered_for_with_503(house: House, baker: Baker) -> None:
    await readers(house)
    forgetting(baker, "before fence", 3)
    assert again(await baker.get(DAN))
    assert len(titles(await baker.get(DAN))) == 3


async def test_a_loaded_baker_reports_no_headroom_and_one_that_ends_nothing(house: House) -> None:
    load, oven = Load(house.redis), Oven(Bounds(at_once=1, queue=4))
    reporter = Reporter(load, oven)
    await reporter.report()
    assert (await load.headroom()).wide
    oven.shed()
    await reporter.report()
    assert not (await load.headroom()).wide
    reporter.begin()
    await reporter.close()
    assert not await house.redis.exists(keys.ORIGIN_LOAD)


async def test_an_idle_baker_reports_each_time_for_a_roll_waits_for_it(house: House) -> None:
    oven = Oven(Bounds(at_once=1, queue=4))
    reporter = Reporter(Load(house.redis), oven)
    for _ in range(3):
        await reporter.report()
        assert await house.redis.delete(keys.ORIGIN_LOAD) == 1
