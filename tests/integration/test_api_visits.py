"""Visits over the API: whoever was at the edge is active from then on, and what they were shown is noted once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from feeds import keys, scripts
from feeds.ids import shard_of
from feeds.packing import unpacked
from tests.integration.api import Api, open_api


@pytest.fixture
async def api(record_url: str, valkey: str) -> AsyncIterator[Api]:
    """An API over a Valkey, with two users who were not here yet, and three posts."""
    async with open_api(record_url, valkey) as api:
        for user in ("ada", "bob"):
            await api.client.put(f"/api/users/{user}", json={"name": user})
        for number in range(3):
            await api.client.put(f"/api/posts/post-{number}", json={"author": "bob", "title": "t", "content": "c"})
        yield api


def ago(**time: float) -> str:
    """Return a time in the past as the API takes it."""
    return (datetime.now(UTC).replace(microsecond=0) - timedelta(**time)).isoformat()


async def visit(api: Api, *visits: tuple[str, str, list[str]]) -> dict[str, Any]:
    """Tell of visits."""
    body = {"visits": [{"user": user, "at": at, "shown": shown} for user, at, shown in visits]}
    answer = await api.client.post("/api/visits", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def active_ms(api: Api, user: str) -> float:
    """Return when a user was active."""
    return float(await api.redis.zscore(keys.active(shard_of(user)), user) or 0)


async def shown(api: Api, user: str) -> list[str]:
    """Return the posts that a user was shown, those noted last first."""
    (packed,) = await scripts.execute(api.redis, [("HGET", keys.seen(shard_of(user)), user)])
    noted = unpacked(packed or b"")
    posts = await api.record.posts_by_num(noted)
    return [posts[num].id for num in noted]


async def test_who_was_at_the_edge_is_active_since_then(api: Api) -> None:
    before = await api.changes()
    at = ago(hours=5)
    assert await visit(api, ("ada", at, []), ("ada", ago(hours=9), [])) == {"noted": 1, "old": 0, "unknown": []}
    assert await active_ms(api, "ada") == int(datetime.fromisoformat(at).timestamp() * 1000)
    assert await api.record.active_users(since_ms=0, limit=10) == ["ada"]
    assert await api.redis.hexists(keys.base("ada"), "ada")
    assert not await api.redis.hexists(keys.base("bob"), "bob")
    assert await api.changes() == before


async def test_the_same_visits_told_twice_change_nothing(api: Api) -> None:
    """Nor where another page was noted in between."""
    first, second = ("ada", ago(hours=5), ["post-0", "post-1"]), ("ada", ago(hours=3), ["post-2"])
    for told in (first, second, second, first):
        assert (await visit(api, told))["noted"] == 1
    assert await shown(api, "ada") == ["post-2", "post-0", "post-1"]
    assert await active_ms(api, "ada") == int(datetime.fromisoformat(second[1]).timestamp() * 1000)


async def test_who_was_here_later_stays_active_since_then(api: Api) -> None:
    await api.client.put("/api/users/ada/activity")
    now = await active_ms(api, "ada")
    await visit(api, ("ada", ago(hours=5), ["post-0"]))
    assert await active_ms(api, "ada") == now
    assert await shown(api, "ada") == []


async def test_a_clock_that_is_ahead_makes_nobody_active_in_the_future(api: Api) -> None:
    await visit(api, ("ada", ago(hours=-5), []))
    await api.client.put("/api/users/bob/activity")
    assert 0 < await active_ms(api, "ada") <= await active_ms(api, "bob")


async def test_visits_of_long_ago_and_of_nobody_are_counted_apart(api: Api) -> None:
    await api.client.put("/api/users/zoe", json={"name": "Zoe"})
    await api.client.delete("/api/users/zoe")
    found = await visit(api, *[(user, ago(days=31), []) for user in ("ada", "zoe", "who")], ("bob", ago(days=1), []))
    assert (found["noted"], found["old"], sorted(found["unknown"])) == (1, 1, ["who", "zoe"])
    assert await active_ms(api, "ada") == 0


async def test_posts_that_nobody_has_are_not_noted(api: Api) -> None:
    await visit(api, ("ada", ago(hours=1), ["post-9", "post-1"]), ("bob", ago(hours=1), ["post-8"]))
    assert await shown(api, "ada") == ["post-1"]
    assert await shown(api, "bob") == []


@pytest.mark.parametrize(
    ("visits", "field"),
    [
        ([], "visits"),
        ([{"user": "ada", "at": "yesterday"}], "visits[0].at"),
        ([{"user": "Ada!", "at": "2026-11-21T15:04:05Z"}], "visits[0].user"),
        ([{"user": "ada", "at": "2026-11-21T15:04:05Z", "shown": ["p"] * 26}], "visits[0].shown"),
    ],
)
async def test_what_is_no_visit_is_refused(api: Api, visits: list[dict[str, Any]], field: str) -> None:
    answer = await api.client.post("/api/visits", json={"visits": visits})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
