"""Activity over the API: who is here has a timeline from then on."""

from collections.abc import AsyncIterator

import pytest

from feeds import keys
from tests.integration.api import Api, open_api


@pytest.fixture
async def api(record_url: str, valkey: str) -> AsyncIterator[Api]:
    """An API over a Valkey, with two users who were not here yet."""
    async with open_api(record_url, valkey) as api:
        for user in ("ada", "bob"):
            await api.client.put(f"/api/users/{user}", json={"name": user})
        yield api


async def has_timeline(api: Api, user: str) -> bool:
    """Tell whether a user has a timeline."""
    return bool(await api.redis.hexists(keys.base(user), user))


async def test_a_user_who_is_here_gets_a_timeline(api: Api) -> None:
    """And nobody else; the record knows."""
    answer = await api.client.put("/api/users/ada/activity")
    assert (answer.status_code, answer.content) == (204, b"")
    assert (await has_timeline(api, "ada"), await has_timeline(api, "bob")) == (True, False)
    assert await api.record.active_users(since_ms=0, limit=10) == ["ada"]


async def test_activity_makes_no_change(api: Api) -> None:
    """However often it is said, and with an empty object too."""
    before = await api.changes()
    for _ in range(3):
        assert (await api.client.put("/api/users/ada/activity", json={})).status_code == 204
    assert await api.changes() == before


async def test_who_is_not_there_is_not_active(api: Api) -> None:
    """404 for who never was, 410 for who was deleted."""
    await api.client.delete("/api/users/bob")
    for user, status in (("nobody", 404), ("bob", 410)):
        assert (await api.client.put(f"/api/users/{user}/activity")).status_code == status
        assert not await has_timeline(api, user)


async def test_without_redis_activity_is_to_be_said_again(record_url: str) -> None:
    """503 says when."""
    async with open_api(record_url) as api:
        await api.client.put("/api/users/ada", json={"name": "Ada"})
        answer = await api.client.put("/api/users/ada/activity")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "Redis does not answer" in answer.json()["detail"]
