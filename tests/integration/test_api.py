"""The write API does what it is asked, and says what came of it."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from feeds.progress import Progress, now_ms
from feeds.refusing import Refusing
from tests.integration.api import Api, open_api


@pytest.fixture
async def api(record_url: str) -> AsyncIterator[Api]:
    """An API with two users."""
    async with open_api(record_url) as api:
        for user, name in (("ada", "Ada"), ("bob", "Bob")):
            assert (await api.client.put(f"/api/users/{user}", json={"name": name})).status_code == 202
        yield api


async def test_a_user_put_is_read_back(api: Api) -> None:
    """A user is as they were put."""
    answer = await api.client.put("/api/users/cy", json={"name": "Cy", "about": "Reads"})
    assert answer.status_code == 202
    written = answer.json()
    assert written | {"change": "?"} == {
        "status": "accepted",
        "change": "?",
        "subject": "user cy",
        "id": "cy",
        "version": 1,
        "notes": [],
    }
    assert answer.headers["location"] == f"/api/changes/{written['change']}"
    shown = await api.client.get("/api/users/cy")
    assert shown.json() == {"id": "cy", "name": "Cy", "about": "Reads", "version": 1}
    assert shown.headers["cache-control"] == "no-store"


async def test_the_same_user_again_is_unchanged_and_makes_no_change(api: Api) -> None:
    """What is so already needs no change."""
    before = await api.changes()
    answer = await api.client.put("/api/users/ada", json={"name": "Ada"})
    assert (answer.status_code, answer.json()["status"], answer.json()["change"]) == (202, "unchanged", None)
    assert "location" not in answer.headers
    assert await api.changes() == before


async def test_a_renamed_user_keeps_the_rest(api: Api) -> None:
    """PATCH changes the name alone."""
    await api.client.put("/api/users/ada", json={"name": "Ada", "about": "Counts"})
    assert (await api.client.patch("/api/users/ada", json={"name": "Ada L."})).status_code == 202
    shown = (await api.client.get("/api/users/ada")).json()
    assert (shown["name"], shown["about"]) == ("Ada L.", "Counts")


async def test_a_deleted_user_is_gone_and_an_unknown_one_is_not_found(api: Api) -> None:
    """410 says that somebody was there."""
    await api.client.post("/api/posts", json={"post": "p1", "author": "ada"})
    assert (await api.client.delete("/api/users/ada")).status_code == 202
    for path in ("/api/users/ada", "/api/users/ada/settings", "/api/users/ada/follows", "/api/posts/p1"):
        assert (await api.client.get(path)).status_code == 410, path
    for path in ("/api/users/nobody", "/api/users/nobody/settings", "/api/posts/nothing", "/api/changes/none"):
        assert (await api.client.get(path)).status_code == 404, path
    assert (await api.client.patch("/api/users/nobody", json={"name": "N"})).status_code == 404
    assert (await api.client.patch("/api/users/ada", json={"name": "N"})).status_code == 410


async def test_settings_are_replaced_and_visibility_is_explained(api: Api) -> None:
    """Where feed_visibility is set, the answer says that posts stay public."""
    answer = await api.client.put("/api/users/ada/settings", json={"feed_visibility": "private", "page_size": 10})
    assert answer.status_code == 202
    (note,) = answer.json()["notes"]
    assert "posts" in note
    assert "public" in note
    shown = (await api.client.get("/api/users/ada/settings")).json()
    assert (shown["feed_visibility"], shown["page_size"], shown["language"]) == ("private", 10, "en")
    quiet = await api.client.put("/api/users/ada/settings", json={"muted_authors": ["bob"], "muted_tags": ["Rust"]})
    assert quiet.json()["notes"] == []
    shown = (await api.client.get("/api/users/ada/settings")).json()
    assert (shown["muted_authors"], shown["muted_tags"], shown["page_size"]) == (["bob"], ["rust"], 25)


async def test_follow_unfollow_and_block(api: Api) -> None:
    """A block ends a follow and keeps it from coming back."""
    follow = "/api/users/ada/follows/bob"
    assert (await api.client.put(follow)).json()["subject"] == "follows of ada"
    assert (await api.client.get("/api/users/ada/follows")).json()["authors"] == ["bob"]
    assert (await api.client.delete(follow)).status_code == 202
    assert (await api.client.get("/api/users/ada/follows")).json()["authors"] == []
    await api.client.put(follow)
    assert (await api.client.put("/api/users/bob/blocks/ada")).status_code == 202
    assert (await api.client.get("/api/users/ada/follows")).json()["authors"] == []
    assert (await api.client.put(follow)).is_client_error
    assert (await api.client.delete("/api/users/bob/blocks/ada")).status_code == 202
    assert (await api.client.put(follow)).status_code == 202


async def test_tags_are_followed_whatever_is_in_them(api: Api) -> None:
    """Case and spaces at the ends do not count; slashes and the like do."""
    before = await api.changes()
    for path in ("Rust", "c%2B%2B", "tcp%2Fip", "%20%C3%A9t%C3%A9%20"):
        answer = await api.client.put(f"/api/users/ada/tags/{path}")
        assert (answer.status_code, answer.json()["subject"]) == (202, "follows of ada")
    assert (await api.client.put("/api/users/ada/tags/rust")).json()["status"] == "unchanged"
    await api.client.put("/api/users/ada/follows/bob")
    shown = (await api.client.get("/api/users/ada/follows")).json()
    assert (shown["authors"], shown["tags"]) == (["bob"], ["c++", "rust", "tcp/ip", "été"])
    assert await api.changes() == before + 5


async def test_a_tag_is_unfollowed(api: Api) -> None:
    """Once; the second time nothing is left to do."""
    for tag in ("tcp%2Fip", "rust"):
        await api.client.put(f"/api/users/ada/tags/{tag}")
    assert (await api.client.delete("/api/users/ada/tags/tcp%2Fip")).json()["status"] == "accepted"
    assert (await api.client.delete("/api/users/ada/tags/tcp%2Fip")).json()["status"] == "unchanged"
    assert (await api.client.delete("/api/users/ada/tags/never")).json()["status"] == "unchanged"
    assert (await api.client.get("/api/users/ada/follows")).json()["tags"] == ["rust"]


async def test_a_follow_of_a_tag_that_comes_late_is_ignored(api: Api) -> None:
    """Versions belong to the user and the tag."""
    tag = "/api/users/ada/tags/rust"
    assert (await api.client.request("DELETE", tag, json={"version": 2})).status_code == 202
    assert (await api.client.put(tag, json={"version": 1})).json()["status"] == "ignored"
    assert (await api.client.get("/api/users/ada/follows")).json()["tags"] == []


@pytest.mark.parametrize("order", ["newest", "ranked", "default"])
async def test_a_user_chooses_the_order_of_their_feed(api: Api, order: str) -> None:
    """Or leaves it to the deployment, as who says nothing does."""
    await api.client.put("/api/users/ada/settings", json={"order": order})
    assert (await api.client.get("/api/users/ada/settings")).json()["order"] == order
    assert (await api.client.get("/api/users/bob/settings")).json()["order"] == "default"


async def test_a_post_gets_an_id_where_none_is_given(api: Api) -> None:
    """The answer says which."""
    answer = await api.client.post("/api/posts", json={"author": "ada", "title": "One", "tags": ["Maths", "maths"]})
    assert answer.status_code == 202
    name = answer.json()["id"]
    assert answer.json()["subject"] == f"post {name}"
    shown = (await api.client.get(f"/api/posts/{name}")).json()
    assert (shown["author"], shown["title"], shown["tags"], shown["state"]) == ("ada", "One", ["maths"], "published")


async def test_a_post_is_edited_unpublished_published_and_deleted(api: Api) -> None:
    """The whole life of a post."""
    await api.client.post("/api/posts", json={"post": "p1", "author": "ada", "title": "One", "likes": 3})
    await api.client.patch("/api/posts/p1", json={"title": "Uno"})
    shown = (await api.client.get("/api/posts/p1")).json()
    assert (shown["title"], shown["likes"]) == ("Uno", 3)
    for verb, state in (("unpublish", "unpublished"), ("publish", "published")):
        assert (await api.client.post(f"/api/posts/p1/{verb}")).status_code == 202
        assert (await api.client.get("/api/posts/p1")).json()["state"] == state
    assert (await api.client.delete("/api/posts/p1")).status_code == 202
    assert (await api.client.get("/api/posts/p1")).status_code == 410
    assert (await api.client.patch("/api/posts/p1", json={"title": "Back"})).status_code == 410


async def test_a_post_in_the_future_is_scheduled(api: Api) -> None:
    """It appears on time."""
    body = {"author": "ada", "title": "Later", "published": "2999-01-01T00:00:00+01:00"}
    await api.client.put("/api/posts/p1", json=body)
    shown = (await api.client.get("/api/posts/p1")).json()
    assert (shown["state"], shown["published"]) == ("scheduled", "2998-12-31T23:00:00Z")


async def test_a_put_post_is_created_and_then_replaced(api: Api) -> None:
    """What is left out takes its default again."""
    body = {"author": "ada", "title": "One", "content": "<p>Hi</p>", "published": "2020-01-01T00:00:00Z"}
    assert (await api.client.put("/api/posts/p1", json=body)).json()["status"] == "accepted"
    assert (await api.client.put("/api/posts/p1", json=body)).json()["status"] == "unchanged"
    answer = await api.client.put("/api/posts/p1", json={"author": "ada", "title": "Two"})
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    shown = (await api.client.get("/api/posts/p1")).json()
    assert (shown["title"], shown["content"], shown["published"]) == ("Two", "", "2020-01-01T00:00:00Z")


async def test_a_put_draft_takes_a_published_post_out_and_back(api: Api) -> None:
    """Each step is one change."""
    body = {"author": "ada", "title": "One"}
    await api.client.put("/api/posts/p1", json=body)
    before = await api.changes()
    hidden = await api.client.put("/api/posts/p1", json={**body, "title": "Two", "draft": True})
    assert hidden.json()["change"]
    assert (await api.client.get("/api/posts/p1")).json()["state"] == "unpublished"
    again = await api.client.put("/api/posts/p1", json={**body, "title": "Three"})
    assert again.json()["change"]
    shown = (await api.client.get("/api/posts/p1")).json()
    assert (shown["state"], shown["title"]) == ("published", "Three")
    assert await api.changes() == before + 2


async def test_a_post_keeps_its_author(api: Api) -> None:
    """Another author's PUT is a conflict."""
    await api.client.put("/api/posts/p1", json={"author": "ada", "title": "One"})
    answer = await api.client.put("/api/posts/p1", json={"author": "bob", "title": "Mine"})
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["field"] == "author"
    assert (await api.client.post("/api/posts", json={"post": "p1", "author": "ada"})).status_code == 409


async def test_the_site_is_replaced_and_read(api: Api) -> None:
    """What every page shows."""
    answer = await api.client.put("/api/site", json={"title": "Ours", "home_page_url": "https://example.org/"})
    assert (answer.status_code, answer.json()["subject"]) == (202, "site")
    shown = (await api.client.get("/api/site")).json()
    assert (shown["title"], shown["home_page_url"]) == ("Ours", "https://example.org/")


async def test_a_batch_is_kept_and_older_versions_are_ignored(api: Api) -> None:
    """A team's events arrive twice and out of order."""
    commands = [
        {"kind": "put_user", "user": "cy", "name": "Cy 2", "version": 2},
        {"kind": "put_user", "user": "cy", "name": "Cy 1", "version": 1},
        {"kind": "create_post", "post": "p1", "author": "cy", "title": "One", "version": 7},
        {"kind": "put_settings", "user": "cy", "feed_visibility": "private"},
    ]
    answer = await api.client.post("/api/changes", json={"commands": commands})
    assert answer.status_code == 202
    document = answer.json()
    assert [row["status"] for row in document["results"]] == ["accepted", "ignored", "accepted", "accepted"]
    assert len(document["notes"]) == 1
    assert (await api.client.get("/api/users/cy")).json()["name"] == "Cy 2"
    again = (await api.client.post("/api/changes", json={"commands": commands[:3]})).json()
    assert [row["status"] for row in again["results"]] == ["ignored"] * 3


async def test_a_batch_with_one_refused_command_keeps_nothing(api: Api) -> None:
    """The error names the command."""
    before = await api.changes()
    commands = [
        {"kind": "put_user", "user": "cy", "name": "Cy"},
        {"kind": "follow", "user": "cy", "author": "nobody"},
    ]
    answer = await api.client.post("/api/changes", json={"commands": commands})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["field"], error["value"]) == ("commands[1].author", "nobody")
    assert (await api.client.get("/api/users/cy")).status_code == 404
    assert await api.changes() == before


async def test_an_invalidation_with_an_id_is_done_once(api: Api) -> None:
    """The id names the change."""
    body = {"scope": "user", "user": "ada", "id": "deploy-42"}
    first = (await api.client.post("/api/invalidations", json=body)).json()
    again = (await api.client.post("/api/invalidations", json=body)).json()
    assert (first["status"], first["change"], first["subject"]) == ("accepted", "deploy-42", "user ada")
    assert again["status"] == "unchanged"
    everything = (await api.client.post("/api/invalidations", json={"scope": "global"})).json()
    assert everything["subject"] == "everything"


async def test_a_change_says_how_far_it_is(record_url: str) -> None:
    """Times are RFC 3339, and milliseconds since it was accepted."""
    at = {"accepted": 1_700_000_000_000, "readable": 1_700_000_000_020, "sent": 1_700_000_000_045}
    progress = Progress("c1", "post-edited", "post p1", "sent", at)  # type: ignore[arg-type]  # the keys are states

    async def progress_of(change: str) -> Progress | None:
        return progress if change == "c1" else None

    async with open_api(record_url, progress=progress_of) as api:
        assert (await api.client.get("/api/changes/c1")).json() == {
            "id": "c1",
            "kind": "post-edited",
            "subject": "post p1",
            "state": "sent",
            "accepted": {"at": "2023-11-14T22:13:20Z", "ms": 0},
            "readable": {"at": "2023-11-14T22:13:20.020000Z", "ms": 20},
            "sent": {"at": "2023-11-14T22:13:20.045000Z", "ms": 45},
            "live": None,
            "shards_left": None,
            "parked": None,
        }


async def test_the_location_of_a_write_is_its_change(api: Api) -> None:
    """The link works."""
    answer = await api.client.put("/api/users/cy", json={"name": "Cy"})
    change = (await api.client.get(answer.headers["location"])).json()
    assert (change["kind"], change["subject"], change["state"]) == ("user-created", "user cy", "accepted")


async def test_the_same_idempotency_key_gives_the_same_answer(api: Api) -> None:
    """A post is made once, however often it is sent."""
    headers = {"Idempotency-Key": "order-66"}
    body = {"author": "ada", "title": "Once"}
    first = await api.client.post("/api/posts", json=body, headers=headers)
    before = await api.changes()
    again = await api.client.post("/api/posts", json=body, headers=headers)
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert await api.changes() == before


async def test_the_same_idempotency_key_for_something_else_is_a_conflict(api: Api) -> None:
    """Another body, and the same body at another path."""
    headers = {"Idempotency-Key": "order-66"}
    await api.client.post("/api/posts", json={"author": "ada", "post": "p1"}, headers=headers)
    before = await api.changes()
    other = await api.client.post("/api/posts", json={"author": "ada", "post": "p2"}, headers=headers)
    assert (other.status_code, other.json()["errors"][0]["field"]) == (409, "Idempotency-Key")
    elsewhere = await api.client.post("/api/posts/p1/unpublish", headers=headers)
    assert elsewhere.status_code == 409
    assert await api.changes() == before


async def test_a_refused_request_does_not_use_up_its_idempotency_key(api: Api) -> None:
    """It may be mended and sent again."""
    headers = {"Idempotency-Key": "k"}
    refused = await api.client.post("/api/posts", json={"author": "nobody"}, headers=headers)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "author")
    assert (await api.client.post("/api/posts", json={"author": "ada"}, headers=headers)).status_code == 202


async def test_writes_are_refused_while_the_roof_says_so(record_url: str) -> None:
    """Reads go on, and so do writes that somebody must not wait for."""
    refusing = Refusing("the month's items are spent: raise the limit", now_ms() + 90_000)

    said: list[Refusing] = []

    async def refuse() -> Refusing | None:
        return said[0] if said else None

    async with open_api(record_url, refuse=refuse) as api:
        await api.client.put("/api/users/ada", json={"name": "Ada"})
        await api.client.put("/api/users/bob", json={"name": "Bob"})
        said.append(refusing)
        before = await api.changes()
        answer = await api.client.put("/api/users/cy", json={"name": "Cy"})
        assert (answer.status_code, answer.json()["detail"]) == (503, refusing.reason)
        assert 80 < int(answer.headers["retry-after"]) <= 90
        assert (await api.client.get("/api/site")).status_code == 200
        assert await api.changes() == before
        assert (await api.client.put("/api/users/ada/blocks/bob")).status_code == 202
        assert (await api.client.delete("/api/users/bob")).status_code == 202
        said.clear()
        assert (await api.client.put("/api/users/cy", json={"name": "Cy"})).status_code == 202


async def test_a_published_post_can_be_made_a_draft_while_writes_are_refused(record_url: str) -> None:
    """The API replaces it by unpublishing and editing; the edit alone would be refused."""
    refusing: list[Refusing] = []

    async def refuse() -> Refusing | None:
        return refusing[0] if refusing else None

    async with open_api(record_url, refuse=refuse) as api:
        await api.client.put("/api/users/ada", json={"name": "Ada"})
        await api.client.put("/api/posts/p1", json={"author": "ada", "title": "Secret"})
        refusing.append(Refusing("spent", now_ms() + 90_000))
        assert (await api.client.put("/api/posts/p1", json={"author": "ada", "title": "Other"})).status_code == 503
        draft = {"author": "ada", "title": "Other", "draft": True}
        assert (await api.client.put("/api/posts/p1", json=draft)).status_code == 202
        shown = (await api.client.get("/api/posts/p1")).json()
        assert (shown["state"], shown["title"]) == ("unpublished", "Other")


async def test_a_record_that_gives_no_turn_is_503(api: Api, tmp_path: Path) -> None:
    """Another process holds the database; the write may be tried again."""
    other = sqlite3.connect(tmp_path / "edgebake.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = await api.client.put("/api/users/cy", json={"name": "Cy"})
    other.execute("ROLLBACK")
    other.close()
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.headers["retry-after"] == "1"
    assert (await api.client.get("/api/users/cy")).status_code == 404


async def test_the_index_lists_every_path(api: Api) -> None:
    """And OpenAPI is among them."""
    links = (await api.client.get("/api")).json()["links"]
    assert links["openapi.json"] == "/api/openapi.json"
    assert "/api/users/{user}/follows/{author}" in links.values()


async def test_a_head_is_a_get(api: Api) -> None:
    """Without a body of its own making."""
    assert (await api.client.head("/api/users/ada")).status_code == 200
    assert (await api.client.head("/api/users/nobody")).status_code == 404
