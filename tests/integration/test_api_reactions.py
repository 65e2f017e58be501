"""Reactions over the API: each counts once, and shows when it makes a difference."""

from collections.abc import AsyncIterator, Mapping

import pytest

from tests.integration.api import Api, open_api


@pytest.fixture
async def api(record_url: str) -> AsyncIterator[Api]:
    """An API with two users and a post with 100 likes."""
    async with open_api(record_url) as api:
        for user in ("ada", "bob"):
            await api.client.put(f"/api/users/{user}", json={"name": user})
        await api.client.put("/api/posts/p1", json={"author": "ada", "likes": 100})
        yield api


async def react(api: Api, *reactions: Mapping[str, object]) -> dict[str, object]:
    """Say what readers did with the post, and return what became of it."""
    answer = await api.client.post("/api/posts/p1/reactions", json={"reactions": reactions})
    assert answer.status_code == 202, answer.text
    document: dict[str, object] = answer.json()
    assert ("location" in answer.headers) == (document["change"] is not None)
    return document


async def counts(api: Api) -> tuple[int, int, int]:
    """Return the likes, comments and views that the post shows."""
    shown = (await api.client.get("/api/posts/p1")).json()
    return shown["likes"], shown["comments"], shown["views"]


async def test_a_batch_is_counted_and_makes_one_change(api: Api) -> None:
    """The change belongs to the post."""
    before = await api.changes()
    views = [{"kind": "view", "id": f"v{at}"} for at in range(50)]
    written = await react(api, *views, {"kind": "like", "by": "bob"}, {"kind": "comment", "by": "bob", "id": "c1"})
    assert (written["status"], written["subject"], written["id"]) == ("accepted", "post p1", "p1")
    assert await counts(api) == (101, 1, 50)
    assert await api.changes() == before + 1


async def test_a_batch_that_comes_twice_counts_once(api: Api) -> None:
    """In one request, and in two."""
    batch: list[dict[str, object]] = [{"kind": "view", "id": "v1"}, {"kind": "like", "by": "bob"}]
    await react(api, *batch, *batch)
    assert (await react(api, *batch))["status"] == "unchanged"
    assert await counts(api) == (101, 0, 1)


async def test_a_like_among_a_hundred_is_kept_and_not_shown_yet(api: Api) -> None:
    """It makes no change until the share that is set has come together."""
    before = await api.changes()
    written = await react(api, {"kind": "like", "by": "bob"})
    assert (written["status"], written["change"]) == ("accepted", None)
    assert (await counts(api), await api.changes()) == ((100, 0, 0), before)
    await react(api, *({"kind": "like", "id": f"l{at}"} for at in range(10)))
    assert (await counts(api), await api.changes()) == ((111, 0, 0), before + 1)


async def test_what_is_taken_back_stays_so(api: Api) -> None:
    """However late the reaction itself comes."""
    await react(api, {"kind": "comment", "by": "bob", "id": "c1"})
    await react(api, {"kind": "comment", "by": "bob", "id": "c1", "undo": True})
    await react(api, {"kind": "comment", "by": "bob", "id": "c2", "undo": True})
    assert (await react(api, {"kind": "comment", "by": "bob", "id": "c2"}))["status"] == "unchanged"
    assert await counts(api) == (100, 0, 0)


async def test_reactions_to_many_posts_come_in_one_request(api: Api) -> None:
    """As commands; where one names nobody none is kept."""
    await api.client.put("/api/posts/p2", json={"author": "bob"})
    commands: list[dict[str, object]] = [
        {"kind": "react", "post": post, "reactions": [{"kind": "view", "id": "v"}, {"kind": "like", "by": "ada"}]}
        for post in ("p1", "p2")
    ]
    wrong = {"kind": "react", "post": "p1", "reactions": [{"kind": "like", "id": "x"}, {"kind": "like", "by": "cy"}]}
    refused = await api.client.post("/api/changes", json={"commands": [*commands, wrong]})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "commands[2].reactions[1].by"
    assert await counts(api) == (100, 0, 0)
    answer = await api.client.post("/api/changes", json={"commands": commands})
    assert [row["status"] for row in answer.json()["results"]] == ["accepted", "accepted"]
    assert await counts(api) == (101, 0, 1)


async def test_a_deleted_post_takes_no_reactions(api: Api) -> None:
    """It is gone."""
    await api.client.delete("/api/posts/p1")
    answer = await api.client.post("/api/posts/p1/reactions", json={"reactions": [{"kind": "view", "id": "v"}]})
    assert answer.status_code == 410
