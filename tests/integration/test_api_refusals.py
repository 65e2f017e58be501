"""Bad input: each a clear problem, nothing kept, nothing crashed."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feeds.command import Reaction
from publisher.app import ENDPOINTS
from publisher.endpoint import Endpoint
from tests.integration.api import TOKEN, Api, open_api

JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def api(record_url: str) -> AsyncIterator[Api]:
    """An API with one user and one post."""
    async with open_api(record_url) as api:
        await api.client.put("/api/users/ada", json={"name": "Ada"})
        await api.client.put("/api/posts/p1", json={"author": "ada", "title": "One"})
        yield api


def post_with(**fields: object) -> bytes:
    """Return a post as JSON with some fields its own way."""
    return json.dumps({"author": "ada", **fields}).encode()


def reacted(**fields: object) -> bytes:
    """Return reactions as JSON: one, a view unless it says otherwise."""
    return json.dumps({"reactions": [{"kind": "view", **fields}]}).encode()


REFUSED: list[tuple[str, str, str, bytes, int, str]] = [
    # why it is here, method, path, body, status, what the answer names
    ("cut off", "POST", "/api/posts", b'{"author": "ada"', 400, "line 1, column"),
    ("broken on line 3", "POST", "/api/posts", b'{\n"author":\n oops}', 400, "line 3, column"),
    ("no body", "POST", "/api/posts", b"", 400, "empty"),
    ("two documents", "POST", "/api/posts", b'{"author":"ada"} {}', 400, "line 1, column"),
    ("NaN is not JSON", "POST", "/api/posts", b'{"author":"ada","likes":NaN}', 400, "line 1"),
    ("infinity by size", "POST", "/api/posts", b'{"author":"ada","likes":1e999}', 400, "infinity"),
    ("not UTF-8", "POST", "/api/posts", b'{"author":"ada","title":"\xff"}', 400, "UTF-8"),
    ("half a surrogate pair", "POST", "/api/posts", b'{"author":"ada","title":"\\ud800"}', 400, "surrogate"),
    ("a raw NUL", "POST", "/api/posts", b'{"author":"ada","title":"\x00"}', 400, "control character"),
    ("a byte order mark", "POST", "/api/posts", b'\xef\xbb\xbf{"author":"ada"}', 400, "BOM"),
    ("a name twice", "POST", "/api/posts", b'{"author":"ada","author":"bob"}', 400, "author"),
    ("deep beyond the parser", "POST", "/api/posts", b"[" * 100_000, 400, "depth"),
    ("deep beyond the second parser", "POST", "/api/posts", b"[" * 1000 + b"]" * 1000, 400, "deep"),
    ("deep where a field is", "POST", "/api/posts", post_with(title=json.loads("[" * 90 + "]" * 90)), 422, "title"),
    ("an array", "POST", "/api/posts", b"[]", 422, "body"),
    ("a number", "POST", "/api/posts", b"1", 422, "body"),
    ("unknown field", "POST", "/api/posts", post_with(titel="x"), 422, "titel"),
    ("kind is the path's to say", "POST", "/api/posts", post_with(kind="delete_post"), 422, "kind"),
    ("missing field", "POST", "/api/posts", b"{}", 422, "author"),
    ("an id is text", "POST", "/api/posts", post_with(author=1), 422, "author"),
    ("text for a number", "POST", "/api/posts", post_with(likes="3"), 422, "likes"),
    ("a fraction of a like", "POST", "/api/posts", post_with(likes=1.5), 422, "likes"),
    ("true is no number", "POST", "/api/posts", post_with(likes=True), 422, "likes"),
    ("fewer than none", "POST", "/api/posts", post_with(likes=-1), 422, "likes"),
    ("beyond what JavaScript counts", "POST", "/api/posts", post_with(likes=2**53), 422, "likes"),
    ("a number of 30 digits", "POST", "/api/posts", post_with(likes=10**30), 422, "likes"),
    ("a number of 5,000 digits", "POST", "/api/posts", b'{"author":"ada","likes":' + b"9" * 5000 + b"}", 400, ""),
    ("yes is no boolean", "POST", "/api/posts", post_with(draft="yes"), 422, "draft"),
    ("null where text is", "POST", "/api/posts", post_with(title=None), 422, "title"),
    ("a title of two lines", "POST", "/api/posts", post_with(title="a\nb"), 422, "title"),
    ("Unicode's line end", "POST", "/api/posts", post_with(title="a\u2028b"), 422, "title"),
    ("an escape in a title", "POST", "/api/posts", post_with(title="a\x1b[31mb"), 422, "U+001B"),
    ("a NUL in the content", "POST", "/api/posts", post_with(content="a\x00b"), 422, "U+0000"),
    ("a long title", "POST", "/api/posts", post_with(title="x" * 501), 422, "title"),
    ("a script for a URL", "POST", "/api/posts", post_with(url="javascript:alert(1)"), 422, "url"),
    ("a URL with a line end", "POST", "/api/posts", post_with(url="https://a.example/\nSet-Cookie: a"), 422, "url"),
    ("a URL without a host", "POST", "/api/posts", post_with(url="https:///a"), 422, "url"),
    ("21 tags", "POST", "/api/posts", post_with(tags=["t"] * 21), 422, "tags"),
    ("the second tag", "POST", "/api/posts", post_with(tags=["a", ""]), 422, "tags[1]"),
    ("a time without a zone", "POST", "/api/posts", post_with(published="2026-01-01T00:00:00"), 422, "published"),
    ("a day", "POST", "/api/posts", post_with(published="2026-01-01"), 422, "published"),
    ("digits for a time", "POST", "/api/posts", post_with(published="1700000000"), 422, "published"),
    ("a number for a time", "POST", "/api/posts", post_with(published=1_700_000_000), 422, "published"),
    ("before computers", "POST", "/api/posts", post_with(published="1066-10-14T00:00:00Z"), 422, "published"),
    ("beyond four digits", "POST", "/api/posts", post_with(published="9999-12-31T23:59:59-10:00"), 422, "published"),
    ("the 30th of February", "POST", "/api/posts", post_with(published="2026-02-30T00:00:00Z"), 422, "published"),
    ("an id of capitals", "POST", "/api/posts", post_with(post="P1"), 422, "post"),
    ("an id with a line end", "POST", "/api/posts", post_with(post="p2\n"), 422, "post"),
    ("an id with a header in it", "POST", "/api/posts", post_with(post="p\r\nX-A: b"), 422, "post"),
    ("an id of 65", "POST", "/api/posts", post_with(post="p" * 65), 422, "post"),
    ("the author of the body is not there", "POST", "/api/posts", post_with(author="nobody"), 422, "author"),
    ("user is the path's to say", "PUT", "/api/users/ada", b'{"user":"bob","name":"B"}', 422, "user"),
    ("a name of nothing", "PUT", "/api/users/ada", b'{"name":""}', 422, "name"),
    ("no body where one is needed", "PUT", "/api/users/ada/settings", b"", 400, "empty"),
    ("26 to a page", "PUT", "/api/users/ada/settings", b'{"page_size":26}', 422, "page_size"),
    ("an order to come", "PUT", "/api/users/ada/settings", b'{"order":"top"}', 422, "order"),
    ("seen by friends", "PUT", "/api/users/ada/settings", b'{"feed_visibility":"friends"}', 422, "feed_visibility"),
    ("no such language tag", "PUT", "/api/users/ada/settings", b'{"language":"<b>"}', 422, "language"),
    ("to follow oneself", "PUT", "/api/users/ada/follows/ada", b"", 422, "ada"),
    ("to follow nobody", "PUT", "/api/users/ada/follows/nobody", b"", 404, "author"),
    ("a tag of nothing", "PUT", "/api/users/ada/tags/", b"", 422, "tag"),
    ("a tag of spaces", "PUT", "/api/users/ada/tags/%20%20", b"", 422, "tag"),
    ("a tag of 65", "PUT", f"/api/users/ada/tags/{'t' * 65}", b"", 422, "tag"),
    ("a NUL in a tag", "PUT", "/api/users/ada/tags/a%00b", b"", 422, "U+0000"),
    ("a tag that is no UTF-8", "PUT", "/api/users/ada/tags/%FF", b"", 422, "UTF-8"),
    ("a tag with a line end", "PUT", "/api/users/ada/tags/a%0Ab", b"", 404, "nothing at this path"),
    ("tag is the path's to say", "PUT", "/api/users/ada/tags/a", b'{"tag":"b"}', 422, "tag"),
    ("nobody follows a tag", "PUT", "/api/users/nobody/tags/a", b"", 404, "user"),
    ("no reactions", "POST", "/api/posts/p1/reactions", b'{"reactions":[]}', 422, "reactions"),
    ("no body of reactions", "POST", "/api/posts/p1/reactions", b"", 400, "empty"),
    ("a reaction like no other", "POST", "/api/posts/p1/reactions", reacted(kind="clap"), 422, "reactions[0].kind"),
    ("one that could not be told from its copy", "POST", "/api/posts/p1/reactions", reacted(), 422, "by or id"),
    ("nobody's like", "POST", "/api/posts/p1/reactions", reacted(by="nobody"), 422, "reactions[0].by"),
    ("an id of two lines", "POST", "/api/posts/p1/reactions", reacted(id="a\nb"), 422, "reactions[0].id"),
    ("an empty id", "POST", "/api/posts/p1/reactions", reacted(id=""), 422, "reactions[0].id"),
    ("a reaction has no time", "POST", "/api/posts/p1/reactions", reacted(id="a", at=1), 422, "reactions[0].at"),
    ("reactions to nothing", "POST", "/api/posts/nothing/reactions", reacted(id="a"), 404, "post"),
    (
        "1,001 reactions",
        "POST",
        "/api/posts/p1/reactions",
        json.dumps({"reactions": [{"kind": "view", "id": str(at)} for at in range(1001)]}).encode(),
        422,
        "1000",
    ),
    ("activity has no time", "PUT", "/api/users/ada/activity", b'{"at":1}', 422, "at"),
    ("to rank everyone", "POST", "/api/recompute", b'{"users":"everyone"}', 422, "users"),
    ("to rank a number", "POST", "/api/recompute", b'{"users":7}', 422, "users"),
    ("to rank none", "POST", "/api/recompute", b'{"users":[]}', 422, "users"),
    ("to rank whom no id names", "POST", "/api/recompute", b'{"users":["ada","Bob"]}', 422, "users[1]"),
    ("to rank nobody", "POST", "/api/recompute", b'{"users":["ada","nobody"]}', 422, "users[1]"),
    (
        "to rank 10,001",
        "POST",
        "/api/recompute",
        json.dumps({"users": ["ada"] * 10_001}).encode(),
        422,
        "at most 10000 items",
    ),
    ("to edit nothing", "PATCH", "/api/posts/nothing", b'{"title":"T"}', 404, "post"),
    ("to move a post to an author", "PATCH", "/api/posts/p1", b'{"author":"ada"}', 422, "author"),
    ("a body where an empty object would do", "DELETE", "/api/posts/p1", b'{"really":true}', 422, "really"),
    ("no commands", "POST", "/api/changes", b'{"commands":[]}', 422, "commands"),
    ("commands that are none", "POST", "/api/changes", b'{"commands":{}}', 422, "commands"),
    ("no kind", "POST", "/api/changes", b'{"commands":[{}]}', 422, "commands[0]"),
    ("an unknown kind", "POST", "/api/changes", b'{"commands":[{"kind":"drop"}]}', 422, "commands[0]"),
    (
        "the title of the second",
        "POST",
        "/api/changes",
        b'{"commands":[{"kind":"delete_post","post":"p1"},{"kind":"create_post","author":"ada","title":7}]}',
        422,
        "commands[1].title",
    ),
    (
        "1,001 commands",
        "POST",
        "/api/changes",
        json.dumps({"commands": [{"kind": "delete_post", "post": "p1"}] * 1001}).encode(),
        422,
        "commands",
    ),
    ("a scope of its own", "POST", "/api/invalidations", b'{"scope":"planet"}', 422, "scope"),
    ("whose scope", "POST", "/api/invalidations", b'{"scope":"user"}', 422, "user"),
    ("whose global", "POST", "/api/invalidations", b'{"scope":"global","user":"ada"}', 422, "user"),
    ("an id of capitals in the path", "GET", "/api/users/ADA", b"", 422, "user"),
    ("a line end in the path", "PUT", "/api/users/ada%0A", b'{"name":"A"}', 422, "user"),
    ("a header in the path", "GET", "/api/changes/c%0D%0AX-A:%20b", b"", 422, "change"),
    ("a NUL in the path", "DELETE", "/api/posts/p1%00", b"", 422, "post"),
    ("what is no UTF-8 in the path", "GET", "/api/users/%FF", b"", 422, "user"),
    ("a line end after the path", "PUT", "/api/users/ada/settings%0A", b"{}", 404, "nothing at this path"),
    ("a slash in an id", "DELETE", "/api/posts/p1%2Fpublish%2F", b"", 404, "nothing at this path"),
    ("a slash too many", "GET", "/api/users/ada/", b"", 404, "nothing at this path"),
    ("no such path", "GET", "/api/feeds", b"", 404, "nothing at this path"),
    ("outside of the API", "GET", "/metrics", b"", 404, "nothing at this path"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
async def test_bad_input_is_a_clear_problem_and_nothing_is_kept(
    api: Api, row: tuple[str, str, str, bytes, int, str]
) -> None:
    """Each row says why it is there."""
    _, method, path, body, status, named = row
    before = await api.changes()
    answer = await api.client.request(method, path, content=body, headers=JSON)
    problem = answer.json()
    assert (answer.status_code, problem["status"]) == (status, status), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert named in json.dumps(problem, ensure_ascii=False)
    assert {"type", "title", "detail"} <= problem.keys()
    if status == 422:
        assert all({"field", "value", "reason"} == error.keys() for error in problem["errors"])
        assert problem["errors"]
    assert "x-a" not in answer.headers
    assert await api.changes() == before


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({}, "Content-Type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "urlencoded"),  # what curl -d sends
        ({"Content-Type": "text/json"}, "text/json"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, "gzip"),
    ],
)
async def test_another_content_type_is_415(api: Api, headers: Mapping[str, str], named: str) -> None:
    """The answer says what to send."""
    answer = await api.client.put("/api/users/bob", content=b'{"name":"Bob"}', headers=dict(headers))
    assert (answer.status_code, answer.headers["content-type"]) == (415, "application/problem+json")
    assert named in answer.json()["detail"]
    assert (await api.client.get("/api/users/bob")).status_code == 404


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/x+json"])
async def test_json_by_another_name_is_taken(api: Api, content_type: str) -> None:
    """Parameters and case do not matter."""
    headers = {"Content-Type": content_type}
    assert (await api.client.put("/api/users/bob", content=b'{"name":"Bob"}', headers=headers)).status_code == 202


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "TRACE"])
async def test_a_wrong_method_is_405_and_says_which_are_right(api: Api, method: str) -> None:
    """All of the path's methods, not those of one route."""
    answer = await api.client.request(method, "/api/users/ada")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")
    assert answer.headers["allow"] == "DELETE, GET, PATCH, PUT"


@pytest.mark.parametrize(
    ("given_header", "challenge"),
    [
        ("", 'Bearer realm="edgebake"'),
        ("Basic YWRhOmFkYQ==", 'Bearer realm="edgebake"'),
        (f"Bearer{TOKEN}", 'Bearer realm="edgebake"'),
        ("Bearer wrong", 'Bearer realm="edgebake", error="invalid_token"'),
        (f"Bearer {TOKEN}x", 'Bearer realm="edgebake", error="invalid_token"'),
        ("Bearer ", 'Bearer realm="edgebake", error="invalid_token"'),
        ("Bearer \xff", 'Bearer realm="edgebake", error="invalid_token"'),  # not ASCII
    ],
)
async def test_without_the_token_nothing_is_read_or_written(api: Api, given_header: str, challenge: str) -> None:
    """Reads, writes and unknown paths alike."""
    headers = {b"Authorization": given_header.encode("latin-1")}
    for method, path in (("GET", "/api"), ("GET", "/api/users/ada"), ("DELETE", "/api/users/ada"), ("GET", "/api/x")):
        answer = await api.client.request(method, path, headers=headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, challenge), path
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await api.client.get("/api/users/ada")).status_code == 200


async def test_the_scheme_of_the_token_ignores_case(api: Api) -> None:
    """RFC 9110 §11.1."""
    assert (await api.client.get("/api", headers={"Authorization": f"bearer {TOKEN}"})).status_code == 200


async def test_openapi_needs_no_token(api: Api) -> None:
    """It says nothing that is secret."""
    answer = await api.client.get("/api/openapi.json", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["openapi"]) == (200, "3.1.0")


@pytest.mark.parametrize("key", ["", "k" * 129, "two words", "caf\xe9"])
async def test_a_bad_idempotency_key_is_refused(api: Api, key: str) -> None:
    """1 to 128 visible ASCII characters."""
    headers = {b"Idempotency-Key": key.encode("latin-1")}
    answer = await api.client.post("/api/posts", json={"author": "ada", "post": "p2"}, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert (await api.client.get("/api/posts/p2")).status_code == 404


async def test_many_errors_are_counted_and_a_long_value_is_cut(api: Api) -> None:
    """An answer is never much larger than it helps."""
    commands = [{"kind": "rename_user", "user": "ada", "name": "x" * 900}] * 500
    problem = (await api.client.post("/api/changes", json={"commands": commands})).json()
    assert (len(problem["errors"]), problem["errors_omitted"]) == (100, 400)
    assert problem["errors"][0]["value"] == "x" * 200 + "…"


async def test_a_value_is_said_back_as_text(api: Api) -> None:
    """Markup in a value comes back in JSON, whose type no browser takes for a page."""
    answer = await api.client.put("/api/users/bob", json={"name": {"<script>": 1}})
    assert answer.json()["errors"][0] == {
        "field": "name",
        "value": '{"<script>":1}',
        "reason": "must be a valid string",
    }


PLACES = [endpoint for endpoint in ENDPOINTS if endpoint.method != "GET"]
BODIES_OF = [endpoint.body for endpoint in PLACES if endpoint.body is not None]
FIELDS = sorted({"commands"}.union(Reaction.model_fields, *(body.model_fields for body in BODIES_OF)))
WORDS = ["ada", "p1", "create_post", "put_user", "global", "user", "private", "view", "all", "2026-01-01T00:00:00Z"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(WORDS)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5)
)
BODIES = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=8).map(lambda value: json.dumps(value).encode())
NAMES = st.sampled_from(["ada", "bob", "p1"]) | st.text(min_size=1, max_size=5).filter(lambda text: text.strip("."))


def test_no_body_and_no_path_crashes_the_api(tmp_path: Path, valkey: str) -> None:
    """Whatever comes in, what goes out is an answer below 500, and a problem where it is refused."""
    with asyncio.Runner() as runner:
        opened = open_api(f"sqlite+aiosqlite:///{tmp_path}/edgebake.db", valkey)
        api = runner.run(opened.__aenter__())
        try:

            @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
            @given(st.sampled_from(PLACES), NAMES, BODIES | st.binary(max_size=60))
            def ask(endpoint: Endpoint, name: str, body: bytes) -> None:
                runner.run(_ask(api, endpoint.method, _path(endpoint.path, name), body))

            ask()
        finally:
            runner.run(opened.__aexit__(None, None, None))


def _path(template: str, name: str) -> str:
    quoted = "".join(f"%{byte:02X}" for byte in name.encode("utf-8", "replace"))
    for part in ("user", "author", "blocked", "post", "change", "tag", "job"):
        template = template.replace("{" + part + "}", quoted)
    return template


async def _ask(api: Api, method: str, path: str, body: bytes) -> None:
    answer = await api.client.request(method, path, content=body, headers=JSON)
    assert answer.status_code < 500, (method, path, body, answer.text)
    if answer.status_code not in (202, 204):
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
