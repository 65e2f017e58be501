"""The write API behind a real server: bodies over the limit, and bytes that are no HTTP of ours."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import orjson
import pytest
import uvicorn
from redis.asyncio import Redis

from feeds.record import Record
from publisher.app import create_app
from tests.integration.api import NOBODY, TOKEN, behind

MAX_BODY = 1000


@dataclass(frozen=True, slots=True)
class Served:
    """An API at a port, and its record."""

    port: int
    record: Record

    async def exchange(self, *pieces: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send bytes as they are and return status, headers and body of the answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))
        finally:
            writer.close()


@pytest.fixture
async def served(record_url: str) -> AsyncIterator[Served]:
    """The API at a free port, with a limit of 1,000 bytes a body."""
    record = await Record.open(record_url)
    app = create_app(record, **behind(record, Redis.from_url(NOBODY)), max_body=MAX_BODY)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", http="httptools"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield Served(listener.getsockname()[1], record)
        finally:
            server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await serving
            await record.close()


def head(*lines: str) -> bytes:
    """Return the head of a PUT of a user with the token."""
    common = ("PUT /api/users/ada HTTP/1.1", "Host: api", f"Authorization: Bearer {TOKEN}")
    return "\r\n".join([*common, "Content-Type: application/json", *lines, "", ""]).encode()


async def test_a_body_that_says_to_be_too_large_is_refused_unread(served: Served) -> None:
    """The answer comes before a byte of the body is sent."""
    status, headers, body = await served.exchange(head("Content-Length: 1001"))
    assert (status, headers["content-type"]) == (413, "application/problem+json")
    assert "1000 bytes" in orjson.loads(body)["detail"]
    assert "connection" not in headers


async def test_a_huge_body_is_cut_off(served: Served) -> None:
    """The connection is not kept for gigabytes that nobody reads."""
    status, headers, _ = await served.exchange(head("Content-Length: 99999999999"))
    assert (status, headers["connection"]) == (413, "close")


async def test_a_body_without_a_length_is_refused_when_it_passes_the_limit(served: Served) -> None:
    """However it is sent; its end is not waited for."""
    chunk = b"1f4\r\n" + b" " * 500 + b"\r\n"
    status, headers, _ = await served.exchange(head("Transfer-Encoding: chunked"), chunk, chunk, b"1\r\n ")
    assert (status, headers["connection"]) == (413, "close")
    assert await served.record.user("ada") is None


async def test_a_body_at_the_limit_is_taken(served: Served) -> None:
    """The limit is the last that passes."""
    body = b'{"name":"Ada"}'.ljust(MAX_BODY)
    status, _, answer = await served.exchange(head(f"Content-Length: {MAX_BODY}"), body)
    assert (status, orjson.loads(answer)["status"]) == (202, "accepted")


async def test_a_connection_serves_on_after_a_refused_body(served: Served) -> None:
    """A client that sent too much can send less, over the same connection."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", headers=headers) as client:
        assert (await client.put("/api/users/ada", json={"name": "x" * 5000})).status_code == 413
        assert (await client.put("/api/users/ada", json={"name": "Ada"})).status_code == 202


async def test_a_client_that_leaves_in_the_middle_of_a_body_leaves_nothing(served: Served) -> None:
    """Nothing of it was kept, and the server goes on."""
    _, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head("Content-Length: 500") + b'{"name":"Ada"}')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    status, _, _ = await served.exchange(head("Content-Length: 16"), b'{"name":"Grace"}')
    assert status == 202
    user = await served.record.user("ada")
    assert user is not None
    assert (user.name, user.version) == ("Grace", 1)


@pytest.mark.parametrize("path", ["/api/users/ada%0D%0AX-Injected:%20yes", "/api/changes/%0a", "/api/posts/%00"])
async def test_nothing_of_an_id_reaches_a_header(served: Served, path: str) -> None:
    """An id outside the grammar is said back in JSON alone."""
    status, headers, body = await served.exchange(
        f"GET {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    assert (status, "x-injected" in headers) == (422, False)
    assert orjson.loads(body)["errors"][0]["reason"].startswith("an id is")


async def test_a_tag_comes_through_a_server_as_it_was_sent(served: Served) -> None:
    """Slashes, plus signs and letters beyond ASCII; what is no UTF-8 is refused."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{served.port}", headers=headers) as client:
        await client.put("/api/users/ada", json={"name": "Ada"})
        for path, status in (("tcp%2Fip", 202), ("c%2B%2B", 202), ("%C3%89t%C3%A9", 202), ("%C3", 422)):
            assert (await client.put(f"/api/users/ada/tags/{path}")).status_code == status
    assert (await served.record.follows("ada")).tags == ("c++", "tcp/ip", "été")


async def test_without_the_token_the_body_is_not_read(served: Served) -> None:
    """401 comes first."""
    request = b"PUT /api/users/ada HTTP/1.1\r\nHost: api\r\nContent-Length: 500\r\n\r\n"
    status, headers, _ = await served.exchange(request)
    assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="edgebake"')
