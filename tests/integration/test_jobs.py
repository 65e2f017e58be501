"""Jobs: queued once, held by one, cancelled, and gone on with by whoever comes next."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from feeds import keys
from feeds.jobs import Jobs


@pytest.fixture
async def redis(valkey: str) -> AsyncIterator[Redis]:
    """A client of a Valkey that holds nothing."""
    client = Redis.from_url(valkey, protocol=2, socket_timeout=None)
    yield client
    await client.aclose()


async def test_a_job_is_queued_held_and_done(redis: Redis) -> None:
    jobs = Jobs(redis)
    job = await jobs.create("recompute", {"mode": "all"})
    assert (job.state, job.params, job.done) == ("queued", {"mode": "all"}, 0)
    assert await jobs.waiting(["recompute"]) == [job.id]
    async with jobs.held(job.id) as held:
        assert held is not None
        await jobs.progress(job.id, 1, 2, total=64)
        running = await jobs.get(job.id)
        assert running is not None
        assert (running.state, running.done, running.total) == ("running", 2, 64)
        await jobs.progress(job.id, 3, users=2)
        await jobs.progress(job.id, 4, users=1)
        await jobs.finish(job.id, "done")
    done = await jobs.get(job.id)
    assert done is not None
    assert (done.state, done.result) == ("done", {"users": 3})
    assert await jobs.waiting(["recompute"]) == []


async def test_a_job_is_held_by_one_only(redis: Redis) -> None:
    jobs = Jobs(redis)
    job = await jobs.create("recompute", {})
    async with jobs.held(job.id) as first, jobs.held(job.id) as second:
        assert first is not None
        assert second is None


async def test_whoever_comes_next_finds_the_parts_and_notes_of_one_who_was_killed(redis: Redis) -> None:
    jobs = Jobs(redis)
    job = await jobs.create("recompute", {})
    async with jobs.held(job.id):
        await jobs.progress(job.id, 7, total=64)
        await jobs.note(job.id, epoch=4)
    async with jobs.held(job.id) as held:
        assert held is not None
        assert held.job.parts == {7}
        assert held.job.notes == {"epoch": "4"}


async def test_a_job_that_nobody_works_on_is_cancelled_at_once(redis: Redis) -> None:
    jobs = Jobs(redis)
    job = await jobs.create("recompute", {})
    cancelled = await jobs.cancel(job.id)
    assert cancelled is not None
    assert cancelled.state == "cancelled"
    assert await jobs.waiting(["recompute"]) == []


async def test_whoever_works_on_a_job_that_is_cancelled_is_told(redis: Redis) -> None:
    jobs = Jobs(redis)
    job = await jobs.create("recompute", {})
    async with jobs.held(job.id) as held:
        assert held is not None
        cancelling = await jobs.cancel(job.id)
        assert cancelling is not None
        assert (cancelling.state, cancelling.cancelling) == ("running", True)
        await held.stop.wait()
        assert held.cancelled


async def test_whoever_lost_the_lease_is_told(redis: Redis) -> None:
    jobs = Jobs(redis)
    job = await jobs.create("recompute", {})
    async with jobs.held(job.id) as held:
        assert held is not None
        await redis.set(f"lease:{keys.job(job.id)}", "another")
        await held.stop.wait()
        assert not held.cancelled


async def test_a_job_that_was_stopped_goes_on_when_it_is_asked_for_again(redis: Redis) -> None:
    jobs = Jobs(redis)
    job = await jobs.create("recompute", {})
    await jobs.progress(job.id, 3)
    await jobs.finish(job.id, "stopped")
    async with jobs.held(job.id) as held:
        assert held is None
    again = await jobs.again(job.id)
    assert again is not None
    assert again.state == "queued"
    assert again.parts == {3}
    assert await redis.ttl(keys.job(job.id)) == -1
    async with jobs.held(job.id) as held:
        assert held is not None


async def test_a_job_that_is_run_here_is_left_to_others_once_it_is_held(redis: Redis) -> None:
    jobs = Jobs(redis)
    job = await jobs.create("recompute", {}, here=True)
    assert await jobs.waiting(["recompute"]) == []
    async with jobs.held(job.id):
        assert await jobs.waiting(["recompute"]) == [job.id]


async def test_a_job_of_one_name_is_queued_once(redis: Redis) -> None:
    jobs = Jobs(redis)
    await jobs.create("recompute", {}, name="recompute-1")
    await jobs.finish("recompute-1", "done")
    assert (await jobs.create("recompute", {}, name="recompute-1")).state == "done"
    assert await jobs.waiting(["recompute"]) == []


async def test_an_unknown_job_is_none(redis: Redis) -> None:
    jobs = Jobs(redis)
    assert await jobs.get("nothing") is None
    assert await jobs.cancel("nothing") is None
