"""The feeds port behind the server that it runs on: requests byte by byte, as nobody's library would write them."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edgebake.serving import Server
from feeds.command import EditPost
from tests.integration.baking import Baker, ada_follows_grace
from tests.integration.house import House

Answered = tuple[int, dict[str, str], bytes]


@asynccontextmanager
async def served(baker: Baker) -> AsyncIterator[int]:
    """Serve a baker at a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(baker.app, date=True)
        running = asyncio.create_task(server.serve(sockets=[listening]))
        await server.listening.wait()
        yield listening.getsockname()[1]
        server.should_exit = True
        await running


async def exchange(port: int, *requests: bytes) -> list[Answered]:
    """Send requests over one connection; return what came until it was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"".join(requests))
    async with asyncio.timeout(10):
        received = await reader.read()
    writer.close()
    await writer.wait_closed()
    answers = []
    for method in [request.split(b" ")[0] for request in requests]:
        head, _, received = received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        bodiless = method == b"HEAD" or status.split()[1] == "304"
        length = 0 if bodiless else int(headers["content-length"])
        answers.append((int(status.split()[1]), headers, received[:length]))
        received = received[length:]
    assert received == b""
    return answers


def request(line: str, *headers: str, close: bool = True) -> bytes:
    """Return a request."""
    lines = [line, "Host: origin.example", *headers, *(["Connection: close"] if close else [])]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def test_requests_on_one_connection_are_answered_in_turn(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    async with served(baker) as port:
        get, head, again, missing, last = await exchange(
            port,
            request("GET /feed/ada HTTP/1.1", close=False),
            request("HEAD /feed/ada HTTP/1.1", close=False),
            request("GET /feed/ada HTTP/1.1", "If-None-Match: *", "Accept-Encoding: gzip", close=False),
            request("HEAD /feed/eve HTTP/1.1", close=False),
            request("GET /feed/EVE HTTP/1.1"),
        )
    assert [answer[0] for answer in (get, head, again, missing, last)] == [200, 200, 304, 404, 404]
    assert get[1]["content-length"] == head[1]["content-length"] == str(len(get[2]))
    assert not {"content-length", "content-encoding", "content-type"} & again[1].keys()


async def test_an_old_client_gets_the_whole_and_the_end(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    async with served(baker) as port:
        ((status, headers, body),) = await exchange(port, b"GET /feed/ada/feed.json HTTP/1.0\r\n\r\n")
    assert status == 200
    assert int(headers["content-length"]) == len(body)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("//feed/ada", 404),  # an authority, some would say
        ("/feed//ada", 404),
        ("/feed/ada/", 404),
        ("/feed/%61da", 404),
        ("/feed/ada%0d%0aX-Evil:%20yes", 404),
        ("/feed/ada?utm_source=x", 200),  # what is not in the cache key changes nothing
        ("/feed/" + "a" * 4000, 404),
    ],
)
async def test_a_target_is_read_as_it_is_spelt(house: House, baker: Baker, target: str, status: int) -> None:
    await ada_follows_grace(house)
    async with served(baker) as port:
        ((answered, headers, _),) = await exchange(port, request(f"GET {target} HTTP/1.1"))
    assert answered == status
    assert "x-evil" not in headers


async def test_header_lists_in_several_lines_are_one_list(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    async with served(baker) as port:
        ((_, packed, _),) = await exchange(
            port, request("GET /feed/ada HTTP/1.1", "Accept-Encoding: gzip", "Accept-Encoding: br")
        )
        ((status, _, _),) = await exchange(
            port,
            request(
                "GET /feed/ada HTTP/1.1",
                'If-None-Match: "other"',
                f"If-None-Match: {packed['etag']}",
                "Accept-Encoding: gzip",
            ),
        )
    assert packed["content-encoding"] == "gzip"
    assert status == 304


async def test_a_client_who_leaves_while_it_is_baked_leaves_no_trace(house: House, baker: Baker) -> None:
    await ada_follows_grace(house)
    hold = baker.hold("proposals")
    async with served(baker) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request("GET /feed/ada HTTP/1.1"))
        await hold.reached.wait()
        writer.transport.abort()
        await house.read(EditPost(post="post-0001", title="New"))
        hold.go.set()
        ((status, _, body),) = await exchange(port, request("GET /feed/ada HTTP/1.1"))
    assert status == 200
    assert b"New" in body
