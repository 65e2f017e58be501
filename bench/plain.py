"""An origin for the edges' bench, a process of its own: answers by path, and counts who asked.

``python -m bench.plain``: prints its port, and ends when its stdin does. ``/feed/hot-…`` is answered at once and may
be kept, ``/feed/cold-…`` after DELAY_S, ``/feed/mine-…`` after DELAY_S and never to be kept; ``/count`` says how often
each path was asked for since the last such question.
"""

import asyncio
import json
import sys
from collections import Counter
from typing import ClassVar

import uvloop

DELAY_S = 0.3
BODY = b"x" * 8192
KEPT = b"cache-control: s-maxage=3600\r\n"
NOT_KEPT = b"cache-control: private, no-store\r\n"


def answer(body: bytes, headers: bytes) -> bytes:
    """Return the bytes of an answer."""
    head = b'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\netag: "1"\r\ncache-tag: g\r\ncontent-length: %d\r\n'
    return head % len(body) + headers + b"\r\n" + body


FEED, MINE = answer(BODY, KEPT), answer(BODY, NOT_KEPT)


class Plain(asyncio.Protocol):
    """A connection of an edge, with one request under way at a time."""

    counts: ClassVar[Counter[str]] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]  # uvloop's are no subclass
        self._head = b""

    def data_received(self, data: bytes) -> None:
        """Answer once the head of a request is whole; none has a body."""
        self._head += data
        while (end := self._head.find(b"\r\n\r\n")) >= 0:
            path = self._head.split(b" ", 2)[1].decode()
            self._head = self._head[end + 4 :]
            self._answer(path)

    def _answer(self, path: str) -> None:
        if path == "/count":
            self._transport.write(answer(json.dumps(self.counts).encode(), NOT_KEPT))
            self.counts.clear()
            return
        self.counts[path] += 1
        told = MINE if path.startswith("/feed/mine-") else FEED
        if path.startswith("/feed/hot-"):
            self._transport.write(told)
        else:
            asyncio.get_running_loop().call_later(DELAY_S, self._transport.write, told)


async def main() -> None:
    """Serve until stdin ends."""
    server = await asyncio.get_running_loop().create_server(Plain, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main())
