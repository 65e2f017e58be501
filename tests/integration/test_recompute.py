"""Recalculations: the timelines that rebuilds would give, nothing lost on the way, two at once, killed and resumed."""

import asyncio
from collections.abc import Iterable
from math import inf
from typing import Any

import pytest

from feeds import keys, packing, scripts
from feeds.change import Reranked
from feeds.command import CreatePost, Follow, FollowTag, PutSettings, PutUser, React, Reaction
from feeds.ids import bucket_of, shard_of
from feeds.jobs import Held, Jobs, State
from feeds.mapper import Piece, Shard
from feeds.model import Pulled, Taste
from feeds.packing import Timeline
from feeds.ranking import Order
from feeds.rankshard import Options
from feeds.recompute import KIND, Limits, Recompute
from feeds.record import Record
from feeds.runner import TRIES, Runner
from feeds.tastes import Tastes, shown
from feeds.wire import Wire
from tests.integration.house import House
from tests.integration.records import at, changes

READERS = ("ada", "bea", "cem", "dee")
NOBODY = Taste({}, {})


class Paused(Record):
    """The system of record, whose sources that are pulled are read when a test says so: after number and posts are."""

    def __init__(self, record: Record) -> None:
        super().__init__(record._database)
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    async def pulled(self) -> Pulled:
        """Read the sources that are pulled, and wait."""
        found = await super().pulled()
        self.reached.set()
        await self.go.wait()
        return found


async def with_readers(house: House) -> None:
    """Let readers, all active, follow writers and a tag; one reads newest first, the others by rank."""
    await house.fan_out(
        *(PutUser(user=user, name=user.title()) for user in (*READERS, "wim", "xia", "yan")),
        *(Follow(user=user, author=author) for user in READERS for author in ("wim", "xia")),
        *(PutSettings(user=user, order="newest" if user == "bea" else "ranked") for user in READERS),
        PutSettings(user="dee", order="ranked", muted_authors=("xia",)),
        FollowTag(user="cem", tag="rare"),
    )
    for user in READERS:
        await house.activity.seen(user)


async def publish(house: House, *posts: str, author: str = "wim", ms: int = -9000, **also: Any) -> None:
    """Publish posts, one second after the other."""
    made = (
        CreatePost(post=post, author=author, title=post, published=at(ms + 1000 * i), **also)
        for i, post in enumerate(posts)
    )
    await house.fan_out(*made)


def recompute_of(house: House, redis_url: str, record: Record | None = None, **limits: Any) -> Recompute:
    """Return recalculations in one process, which keep three posts."""
    return Recompute(house.redis, redis_url, record or house.record, Limits(cap=3, processes=1, **limits))


async def run(house: House, recompute: Recompute, users: object = "active", stop: asyncio.Event | None = None) -> str:
    """Run a new job, and return its id."""
    job = await Jobs(house.redis).create(KIND, {"users": users})
    await Runner(house.redis, recompute).perform(job.id, stop or asyncio.Event())
    return job.id


async def bases(house: House, users: Iterable[str] = READERS) -> dict[str, Timeline]:
    """Return the bases of users' timelines, posts sorted."""
    packed = await scripts.execute(house.redis, [("HGET", keys.base(user), user) for user in users])
    found = {user: packing.read_timeline(value) for user, value in zip(users, packed, strict=True) if value}
    return {user: timeline._replace(nums=sorted(timeline.nums)) for user, timeline in found.items()}


async def nums(house: House, *posts: str) -> list[int]:
    """Return the numbers of posts, sorted."""
    return sorted(post.num for post in (await house.record.posts(posts)).values())


async def taste_of(house: House, user: str) -> Taste:
    """Return a user's taste."""
    (packed,) = await scripts.execute(house.redis, [("HGET", keys.taste(user), user)])
    return packing.read_taste(packed)


async def members(house: House, user: str) -> set[int]:
    """Return what a user's timeline proposes: base and fresh."""
    fresh = await scripts.execute(house.redis, [("LRANGE", keys.fresh(user), 0, -1)])
    return {*(await bases(house, [user]))[user].nums, *packing.read_fresh(fresh[0])}


async def test_a_recalculation_makes_the_timelines_that_rebuilds_make(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1", "p2", "p3", "p4", "p5")
    await publish(house, "q1", "q2", author="xia", ms=-6500)
    await publish(house, "r1", author="yan", ms=-6000, tags=("rare",))
    await run(house, recompute_of(house, valkey))
    made, epoch = await bases(house), await house.record.epoch()
    assert epoch.number == 1
    for user in READERS:
        sources = await house.record.sources(user)
        order: Order = "newest" if user == "bea" else "ranked"
        timelines = type(house.timelines)(house.redis, house.record, cap=3)
        wanted = await timelines.propose(sources, order, NOBODY, epoch, ())
        assert made[user]._replace(snapshot=0) == wanted._replace(nums=sorted(wanted.nums))


async def test_posts_that_come_while_it_runs_stay_beside_the_base(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    paused = Paused(house.record)
    running = asyncio.create_task(run(house, recompute_of(house, valkey, paused)))
    await paused.reached.wait()
    await publish(house, "p2", ms=-500)
    paused.go.set()
    await running
    assert (await bases(house))["ada"].nums == await nums(house, "p1")
    assert await members(house, "ada") == set(await nums(house, "p1", "p2"))


async def test_what_was_pushed_before_it_is_in_the_base_alone(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    await run(house, recompute_of(house, valkey))
    assert (await bases(house))["ada"].nums == await nums(house, "p1")
    assert await house.redis.exists(keys.fresh("ada")) == 0


async def test_of_two_at_once_the_one_that_began_later_wins(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    paused = Paused(house.record)
    slow = asyncio.create_task(run(house, recompute_of(house, valkey, paused)))
    await paused.reached.wait()
    await publish(house, "p2", ms=-500)
    await run(house, recompute_of(house, valkey))
    after = await bases(house)
    paused.go.set()
    job = await Jobs(house.redis).get(await slow)
    assert await bases(house) == after
    assert after["ada"].nums == await nums(house, "p1", "p2")
    assert job is not None
    assert job.result["newer"] == len(READERS)


async def test_whoever_resumes_a_job_does_what_is_left_of_it(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    stop, told = asyncio.Event(), list[int]()
    recompute = recompute_of(house, valkey)

    def on_shard(done: int, total: int) -> None:
        assert total == 64
        told.append(done)
        if done == 20:
            stop.set()

    recompute.on_shard = on_shard
    job = await run(house, recompute, stop=stop)
    left = await Jobs(house.redis).get(job)
    assert left is not None
    assert (left.state, left.done) == ("running", 20)
    ended = await Runner(house.redis, recompute).perform(job, asyncio.Event())
    assert ended is not None
    assert (ended.state, ended.done) == ("done", 64)
    assert told == [*range(21), *range(20, 65)]
    assert (await house.record.epoch()).number == 1
    assert {timeline.order for timeline in (await bases(house)).values()} == {"newest", "ranked"}


async def test_one_that_is_stopped_here_is_taken_by_nobody_before_it_is(
    house: House, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_readers(house)
    job = await Jobs(house.redis).create(KIND, {}, here=True)
    taken, finish, stop = list[Held | None](), Jobs.finish, asyncio.Event()

    async def finishing(jobs: Jobs, job: str, state: State) -> None:
        async with jobs.held(job) as by_another:
            taken.append(by_another)
        await finish(jobs, job, state)

    monkeypatch.setattr(Jobs, "finish", finishing)
    stop.set()
    ended = await Runner(house.redis, recompute_of(house, valkey)).perform(job.id, stop, here=True)
    assert ended is not None
    assert ended.state == "stopped"
    assert taken == [None]
    assert await Jobs(house.redis).waiting([KIND]) == []


async def test_a_job_that_is_cancelled_ends_between_two_shards(house: House, valkey: str) -> None:
    await with_readers(house)
    job = await Jobs(house.redis).create(KIND, {})
    async with Jobs(house.redis).held(job.id) as held:
        assert held is not None
        held.stop.set()
        assert not await recompute_of(house, valkey).run(held, asyncio.Event())


async def test_all_users_get_timelines_where_that_is_asked_for(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    await run(house, recompute_of(house, valkey))
    assert set(await bases(house, ["ada", "wim"])) == {"ada"}
    await run(house, recompute_of(house, valkey), "all")
    assert (await bases(house, ["wim"]))["wim"].nums == await nums(house, "p1")
    await publish(house, "p2", ms=-500)
    assert await members(house, "wim") == set(await nums(house, "p1", "p2"))


async def test_timelines_of_active_users_that_redis_has_lost_come_back(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    await house.redis.flushall()
    await run(house, recompute_of(house, valkey))
    assert {user: timeline.nums for user, timeline in (await bases(house)).items()} == {
        user: await nums(house, "p1") for user in READERS
    }


async def test_named_users_are_recalculated_alone(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    await run(house, recompute_of(house, valkey), ["ada", "wim", "ghost"])
    found = await bases(house, [*READERS, "wim"])
    assert {user: timeline.order for user, timeline in found.items()} == {
        "ada": "ranked",
        "bea": None,
        "cem": None,
        "dee": None,
    }


async def test_a_timeline_that_is_dropped_while_it_is_ranked_stays_dropped(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    number = bucket_of("ada")
    shard = Shard(shard_of("ada"), None, await house.timelines.numbers.take(), "newest", Options(snapshot=1).pack())
    await house.truth.sources("ada")
    await house.truth.users(["ada"])
    wire = Wire.opened(valkey)
    wire.load_scripts()
    piece = Piece(wire, shard, [number])
    piece.read()
    assert piece.buckets[0].users == [b"ada"]
    await house.timelines.drop(["ada"])
    assert piece.write(iter([packing.pack_timeline("ranked", shard.snapshot, -inf, [1])])) == 0
    wire.close()
    assert (await bases(house))["ada"].order is None


async def test_first_pages_are_counted_once_and_lower_what_they_showed(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1", "p2", "p3", "p4")
    newest = await nums(house, "p4")
    await house.redis.hset(keys.seen(shard_of("ada")), "ada", packing.numbers(newest))
    await run(house, recompute_of(house, valkey))
    await run(house, recompute_of(house, valkey))
    taste = await taste_of(house, "ada")
    assert taste == Taste({}, {newest[0]: 1})
    assert (await bases(house))["ada"].nums == await nums(house, "p1", "p2", "p3")
    assert (await bases(house))["cem"].nums == await nums(house, "p2", "p3", "p4")


async def test_a_page_that_was_noted_since_is_counted_by_the_next_one(house: House) -> None:
    shard, tastes = shard_of("ada"), Tastes(house.redis)
    await house.redis.hset(keys.seen(shard), "ada", packing.numbers([1]))
    calls = [scripts.call(scripts.TASTE, (keys.taste("ada"), keys.seen(shard)), "ada", "", packing.numbers([2]), b"x")]
    assert await scripts.execute(house.redis, calls) == [0]
    assert await tastes.show(shard) == 1
    assert await tastes.show(shard) == 0


async def test_authors_whose_posts_somebody_reacted_to_are_in_their_taste(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    await publish(house, "q1", author="xia")
    await house.fan_out(React(post="p1", reactions=(Reaction(kind="like", by="ada"),)))
    await run(house, recompute_of(house, valkey))
    await house.fan_out(React(post="q1", reactions=(Reaction(kind="comment", by="ada", id="c1"),)))
    await run(house, recompute_of(house, valkey))
    taste = await taste_of(house, "ada")
    writers = await house.record.sources_of(["wim", "xia"])
    assert taste.authors == {writers["wim"].num: 1, writers["xia"].num: 1}


def test_a_taste_keeps_the_newest_posts_that_were_shown() -> None:
    taste = shown(Taste({7: 1}, dict.fromkeys(range(1, 257), 1)), [500, 500, 2])
    assert taste.authors == {7: 1}
    assert len(taste.shown) == 256
    assert (taste.shown[500], taste.shown[2], 1 in taste.shown) == (1, 2, False)


@pytest.mark.parametrize(
    ("rerank", "told"),
    [
        ("ttl", []),
        ("shards", [Reranked(tuple(range(64)), ())]),
        ("items", [Reranked((), ("ada", "bea", "cem", "dee"))]),
    ],
)
async def test_edges_are_told_what_the_setting_says(
    house: House, valkey: str, rerank: str, told: list[Reranked]
) -> None:
    await with_readers(house)
    await publish(house, "p1")
    said: list[str] = []
    recompute = recompute_of(house, valkey, rerank=rerank)
    recompute.say = said.append
    await run(house, recompute)
    found = await changes(house.record)
    assert [
        Reranked(change.shards, tuple(sorted(change.users))) for change in found if isinstance(change, Reranked)
    ] == told
    assert [("$0.00" in text) for text in said] == [True] * len(told)


async def test_the_schedule_queues_one_job_for_all_runners(house: House, valkey: str) -> None:
    runners = [Runner(house.redis, recompute_of(house, valkey), every_s=100) for _ in range(2)]
    for now in (1_000_000, 1_099_999, 1_100_000, 1_100_000, 1_150_000):
        for runner in runners:
            await runner.schedule(now)
    waiting = await Jobs(house.redis).waiting([KIND])
    assert waiting == ["recompute-1000000"]
    await Jobs(house.redis).finish(waiting[0], "failed")
    await runners[0].schedule(1_200_000)
    assert await Jobs(house.redis).waiting([KIND]) == ["recompute-1100000"]


async def test_a_job_that_fails_is_tried_again_and_then_says_why(house: House) -> None:
    job = await Jobs(house.redis).create(KIND, {})
    nowhere = Recompute(house.redis, "unix:///nowhere/at/all", house.record, Limits(processes=1))
    states = [await Runner(house.redis, nowhere).perform(job.id, asyncio.Event()) for _ in range(TRIES)]
    assert [state.state for state in states if state] == ["running", "running", "failed"]
    assert states[-1] is not None
    assert "nowhere" in states[-1].error


async def test_a_storm_of_posts_while_it_runs_ends_in_what_a_rebuild_gives(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p0")
    running = asyncio.create_task(run(house, recompute_of(house, valkey), "all"))
    stormy = [f"s{number}" for number in range(30)]
    for number, post in enumerate(stormy):
        await publish(house, post, author="wim" if number % 2 else "xia", ms=-8000 + 100 * number)
    await running
    for user in ("ada", "bea", "cem"):
        assert await newest_of(house, user) == await nums(house, *stormy[-3:])


async def newest_of(house: House, user: str) -> list[int]:
    """Return the newest three posts that a timeline proposes, sorted; of a dropped one, those of its rebuild."""
    if (await bases(house, [user]))[user].order is None:
        sources, epoch = await house.record.sources(user), await house.record.epoch()
        await house.timelines.rebuild(sources, "newest", NOBODY, epoch, ())
    found = await house.truth.catalogue.get(list(await members(house, user)))
    newest = sorted(found.values(), key=lambda entry: entry.key, reverse=True)[:3]
    return sorted(entry.num for entry in newest)


async def test_posts_whose_entries_were_dropped_are_ranked_all_the_same(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1", "p2")
    await house.copies.drop_all()
    await house.truth.catalogue.drop(await nums(house, "p1"))
    await run(house, recompute_of(house, valkey))
    assert (await bases(house))["ada"].nums == await nums(house, "p1", "p2")


async def test_timelines_say_that_posts_are_missing_which_redis_keeps_no_more(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    await publish(house, "old", ms=-3 * 86_400_000)
    await run(house, recompute_of(house, valkey, post_days=2))
    kept = (await bases(house))["ada"]
    assert kept.nums == []  # the test's clock stands still: by now both are old
    assert kept.mark > 0


async def test_a_pulled_source_is_left_out_once_it_is_pulled_alone(house: House, valkey: str) -> None:
    await with_readers(house)
    await publish(house, "p1")
    await publish(house, "q1", author="xia")
    number = (await house.record.sources("wim")).num
    house.by_hand(f"INSERT INTO pulled (source, state, since_ms, version) VALUES ({number}, 'pull', 0, 1)")  # noqa: S608
    await run(house, recompute_of(house, valkey))
    assert (await bases(house))["ada"].nums == await nums(house, "q1")
