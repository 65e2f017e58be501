"""The load generator: keep-alive connections with one request under way on each, as an edge asks its origin.

Requests are prebuilt bytes and answers are counted, not parsed, on plain sockets without asyncio: some 10 µs of CPU a
request, so that it is not what is measured. Each connection has paths of its own, so that no two ask for one at once
and share its bake.
"""

import re
import select
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from types import TracebackType
from typing import Self

BUFFER = 1 << 18
HEAD = 8192
"""Bytes in which the head of an answer ends: 50 cache tags of 66 characters are 3,300."""
PATIENCE_S = 10.0

CRLF = b"\r\n"

_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_MARKED = b"edgebake-late: "


class LoadError(Exception):
    """The server under load did not answer as it should; its figures would mean nothing."""


@dataclass(slots=True)
class Load:
    """What came of a load. Latencies are in seconds, from the moment at which a request was meant to be sent."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    """By how much the generator itself sent later than it meant to."""
    cpu_s: float = 0.0
    received: int = 0
    others: Counter[str] = field(default_factory=Counter)
    """Answers of another status than 200."""
    marked: int = 0
    """Answers that were marked late."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    @property
    def answer_bytes(self) -> float:
        """Bytes of an answer, head and body."""
        return self.received / len(self.latencies)


def request(path: str, encoding: str = "") -> bytes:
    """Return the bytes of a GET."""
    accept = f"Accept-Encoding: {encoding}\r\n" if encoding else ""
    return f"GET {path} HTTP/1.1\r\nHost: origin.test\r\n{accept}\r\n".encode()


class _Connection:
    __slots__ = ("answer", "asked", "head", "left", "own", "requests", "sent", "socket")

    def __init__(self, port: int, requests: Sequence[bytes]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.requests: Iterator[bytes] = cycle(requests)
        self.own = len(requests)
        self.asked = 0
        self.sent = 0.0
        self.head = b""
        self.answer = b""
        self.left = 0

    def send(self, meant: float) -> None:
        """Send the next request, which was meant to be sent at that time."""
        self.sent = meant
        self.asked += 1
        self.socket.sendall(next(self.requests))

    def receive(self, buffer: memoryview) -> tuple[int, bool]:
        """Take what has come; return how many bytes, and whether they end the answer."""
        count = self.socket.recv_into(buffer)
        if not count:
            raise LoadError("the server closed a connection under load")
        if self.left:
            self.left -= count
            return count, not self.left
        earlier = len(self.head)
        self.head += bytes(buffer[: min(count, HEAD)])
        end = self.head.find(b"\r\n\r\n")
        if end < 0:
            return count, False
        self.answer, self.head = self.head[:end], b""
        self.left = _length(self.answer) - (earlier + count - end - 4)
        return count, not self.left


def _length(head: bytes) -> int:
    """Return the length of an answer's body."""
    found = _LENGTH.search(head)
    if found is None:
        raise LoadError(f"an answer has no length: {head.partition(CRLF)[0].decode()!r}")
    return int(found[1])


class Generator:
    """Connections to one server, over which loads are run.

    A ``strict`` one raises LoadError for any answer but a 200; another counts them.
    """

    def __init__(self, port: int, requests: Sequence[bytes], connections: int, *, strict: bool = True) -> None:
        self._strict = strict
        self._selector = selectors.DefaultSelector()
        self._buffer = memoryview(bytearray(BUFFER))
        count = min(connections, len(requests))
        self._connections = [_Connection(port, requests[at::count]) for at in range(count)]
        for connection in self._connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for connection in self._connections:
            connection.socket.close()
        self._selector.close()

    def flat_out(self, seconds: float) -> Load:
        """Ask as fast as the answers come, on all connections: the top rate."""
        until = time.perf_counter() + seconds
        return self._run(lambda _, now: now < until)

    def each_once(self) -> Load:
        """Ask for each path once, as fast as the answers come."""
        for connection in self._connections:
            connection.asked = 0
        return self._run(lambda connection, _: connection.asked < connection.own)

    def at_rate(self, rate: float, seconds: float) -> Load:
        """Ask at a constant rate, whether or not the answers come (an open loop).

        A request that finds all connections taken waits, and its waiting counts.
        """
        total = round(rate * seconds)
        return self._at_rate(rate, lambda asked: asked < total)

    def at_rate_while(self, rate: float, more: Callable[[], bool]) -> Load:
        """Ask at a constant rate for as long as ``more`` says so; see ``at_rate``."""
        return self._at_rate(rate, lambda _: more())

    def _at_rate(self, rate: float, more: Callable[[int], bool]) -> Load:
        load = Load()
        idle = deque(self._connections)
        waiting: deque[float] = deque()
        cpu, begun = time.process_time(), time.perf_counter()
        asked = 0
        while (going_on := more(asked)) or len(load.latencies) < asked:
            now = time.perf_counter()
            if self._strict and waiting and now > waiting[0] + PATIENCE_S:
                raise LoadError(f"the server does not keep up with {rate:.0f} requests a second")
            while begun + asked / rate <= now and more(asked):
                waiting.append(begun + asked / rate)
                asked += 1
            while waiting and idle:
                load.late.append(time.perf_counter() - waiting[0])
                idle.popleft().send(waiting.popleft())
            self._sleep(begun + asked / rate - time.perf_counter() if going_on else PATIENCE_S)
            for connection in self._answered(load, 0):
                load.latencies.append(time.perf_counter() - connection.sent)
                idle.append(connection)
        load.seconds = time.perf_counter() - begun
        load.cpu_s = time.process_time() - cpu
        return load

    def _run(self, more: Callable[[_Connection, float], bool]) -> Load:
        """Ask on every connection for as long as there is ``more`` to ask on it, then wait for what is under way."""
        load = Load()
        cpu, begun = time.process_time(), time.perf_counter()
        for connection in self._connections:
            connection.send(time.perf_counter())
        busy = len(self._connections)
        while busy:
            for connection in self._answered(load, PATIENCE_S):
                now = time.perf_counter()
                load.latencies.append(now - connection.sent)
                if more(connection, now):
                    connection.send(now)
                else:
                    busy -= 1
        load.seconds = time.perf_counter() - begun
        load.cpu_s = time.process_time() - cpu
        return load

    def _answered(self, load: Load, patience: float) -> list[_Connection]:
        """Return the connections whose answers are complete."""
        ready = self._selector.select(patience)
        if not ready and patience:
            raise LoadError(f"the server did not answer within {patience:g} s")
        done: list[_Connection] = []
        for key, _ in ready:
            connection: _Connection = key.data
            count, complete = connection.receive(self._buffer)
            load.received += count
            if complete:
                self._note(load, connection.answer)
                done.append(connection)
        return done

    def _note(self, load: Load, head: bytes) -> None:
        status = head[9:12].decode()
        if status != "200":
            if self._strict:
                raise LoadError(f"an answer under load was {head.partition(CRLF)[0].decode()!r}")
            load.others[status] += 1
        elif _MARKED in head:
            load.marked += 1

    def _sleep(self, seconds: float) -> None:
        """Wait for answers, no longer than this: ``select`` counts in microseconds where epoll has milliseconds."""
        if seconds > 0:
            select.select([self._selector], [], [], seconds)
