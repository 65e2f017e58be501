"""Recalculations over the API: queued once, asked after, cancelled."""

from collections.abc import AsyncIterator

import pytest

from feeds.jobs import Jobs
from feeds.recompute import KIND
from publisher.jobs import RECOMPUTE
from tests.integration.api import Api, open_api


@pytest.fixture
async def api(record_url: str, valkey: str) -> AsyncIterator[Api]:
    """An API over a Valkey, with two users. No worker takes its jobs."""
    async with open_api(record_url, valkey) as api:
        for user in ("ada", "bob"):
            await api.client.put(f"/api/users/{user}", json={"name": user})
        yield api


def test_workers_know_the_kind_of_the_jobs_that_the_api_queues() -> None:
    """The API says it by itself: to import what ranks would cost it 16 MB."""
    assert RECOMPUTE == KIND


@pytest.mark.parametrize("users", ["active", "all", ["ada", "bob"]])
async def test_a_recalculation_is_queued_for_a_worker(api: Api, users: object) -> None:
    """With whom it is for."""
    answer = await api.client.post("/api/recompute", json={"users": users})
    job = answer.json()
    assert (answer.status_code, job["kind"], job["state"]) == (202, "recompute", "queued")
    assert await Jobs(api.redis).waiting(["recompute"]) == [job["id"]]
    queued = await Jobs(api.redis).get(job["id"])
    assert queued is not None
    assert queued.params == {"users": users}
    assert (await api.client.get(answer.headers["location"])).json() == job


async def test_active_users_are_recalculated_unless_others_are_named(api: Api) -> None:
    """A body may be left out."""
    job = (await api.client.post("/api/recompute")).json()
    queued = await Jobs(api.redis).get(job["id"])
    assert queued is not None
    assert queued.params == {"users": "active"}


async def test_a_job_tells_how_far_it_is_and_what_came_of_it(api: Api) -> None:
    """As the worker noted it."""
    name = (await api.client.post("/api/recompute")).json()["id"]
    jobs = Jobs(api.redis)
    async with jobs.held(name):
        await jobs.progress(name, 1, 2, 3, total=64)
        running = (await api.client.get(f"/api/jobs/{name}")).json()
        await jobs.progress(name, users=2)
        await jobs.finish(name, "done")
    assert (running["state"], running["done"], running["total"], running["finished"]) == ("running", 3, 64, None)
    done = (await api.client.get(f"/api/jobs/{name}")).json()
    assert (done["state"], done["result"], done["error"]) == ("done", {"users": 2}, "")
    assert done["created"] <= done["started"] <= done["finished"]


async def test_a_job_that_waits_is_cancelled_at_once(api: Api) -> None:
    """And stays so, however often it is asked for."""
    name = (await api.client.post("/api/recompute")).json()["id"]
    for _ in range(2):
        answer = await api.client.delete(f"/api/jobs/{name}")
        assert (answer.status_code, answer.json()["state"], answer.json()["cancelling"]) == (202, "cancelled", False)
    assert await Jobs(api.redis).waiting(["recompute"]) == []


async def test_a_job_that_runs_is_told_to_end(api: Api) -> None:
    """Its worker ends it."""
    name = (await api.client.post("/api/recompute")).json()["id"]
    async with Jobs(api.redis).held(name):
        answer = await api.client.delete(f"/api/jobs/{name}")
        assert (answer.json()["state"], answer.json()["cancelling"]) == ("running", True)


async def test_the_same_idempotency_key_is_the_same_job(api: Api) -> None:
    """For something else it is a conflict, and no job."""
    headers = {"Idempotency-Key": "nightly-1"}
    first = (await api.client.post("/api/recompute", json={"users": "all"}, headers=headers)).json()
    again = (await api.client.post("/api/recompute", json={"users": "all"}, headers=headers)).json()
    assert first == again
    other = await api.client.post("/api/recompute", json={"users": "active"}, headers=headers)
    assert (other.status_code, other.json()["errors"][0]["field"]) == (409, "Idempotency-Key")
    assert await Jobs(api.redis).waiting(["recompute"]) == [first["id"]]


async def test_a_deleted_user_is_not_recalculated(api: Api) -> None:
    """The answer says which, and no job is queued."""
    await api.client.delete("/api/users/bob")
    answer = await api.client.post("/api/recompute", json={"users": ["ada", "bob"]})
    assert (answer.status_code, answer.json()["detail"]) == (422, "users[1]: this user was deleted")
    assert await Jobs(api.redis).waiting(["recompute"]) == []


async def test_a_job_that_is_not_there_is_not_found(api: Api) -> None:
    """Neither to ask after nor to cancel."""
    for method in ("GET", "DELETE"):
        answer = await api.client.request(method, "/api/jobs/recompute-1")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (404, "job")


async def test_without_redis_no_job_is_queued(record_url: str) -> None:
    """503 says when to ask again."""
    async with open_api(record_url) as api:
        for method, path in (("POST", "/api/recompute"), ("GET", "/api/jobs/j1"), ("DELETE", "/api/jobs/j1")):
            answer = await api.client.request(method, path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), path
