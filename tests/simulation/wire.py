"""The wire between processes and Redis: a connection beneath redis-py, so that all of the real client code runs.

What is sent arrives later, in the order of its connection, and perhaps in two pieces between which others come. A
connection may break at any time: before a trip arrives, or after it was done and before its replies are back.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from redis._parsers import BaseParser
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Broken
from redis.exceptions import ResponseError

from tests.simulation.loop import Handle, Loop, Process
from tests.simulation.redis import Refusal, Server

Trip = list[list[bytes]]
parse_error: Callable[[str], ResponseError] = BaseParser.parse_error


@dataclass(slots=True)
class Weather:
    """How bad the network is: seconds that a message takes on average, shares of trips that are slow, cut in two and
    broken."""

    mean_s: float = 0.02
    slow: float = 0.02
    slow_s: float = 1.5
    cut: float = 0.1
    broken: float = 0.0

    def delay(self, random: Random) -> float:
        """Draw how long a message takes."""
        if random.random() < self.slow:
            return random.uniform(0, self.slow_s)
        return random.expovariate(1 / self.mean_s)


@dataclass(eq=False, slots=True)
class Session:
    """One connection, as both ends see it."""

    network: "Network"
    owner: Process
    open: bool = True
    arrived: float = 0.0
    returned: float = 0.0
    replies: deque[Any] = field(default_factory=deque)
    waiter: asyncio.Future[None] | None = None
    channels: set[bytes] = field(default_factory=set)

    def deliver(self, replies: Iterable[Any]) -> None:
        """Bring replies to the client."""
        self.replies.extend(replies)
        self.wake()

    def wake(self) -> None:
        """Let whoever reads look again."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def readable(self) -> None:
        """Wait until there is a reply. Raises Broken where there will be none."""
        while not self.replies:
            if not self.open:
                raise Broken("Connection closed by server.")
            self.waiter = asyncio.get_running_loop().create_future()
            await self.waiter

    def close(self) -> None:
        """Break: whoever reads is told, once what came before is read."""
        self.open = False
        self.network.sessions.pop(self, None)
        self.wake()


@dataclass(eq=False, slots=True)
class Blocked:
    """A client that waits for a stream, and what it asks for again when something came."""

    session: Session
    words: list[bytes]
    handle: Handle | None = None


class Network:
    """Carries what processes say to Redis, and back. ``heard`` is told of each command that was done, and its reply.

    ``distant`` are processes, by name, whose messages have another weather.
    """

    def __init__(self, loop: Loop, random: Random, server: Server, weather: Weather) -> None:
        self.loop = loop
        self.server = server
        self.weather = weather
        self.sessions: dict[Session, None] = {}
        self.distant: dict[str, Weather] = {}
        self.trips = 0
        self.is_up = True
        self.heard: Callable[[Process, list[bytes], Any], None] = lambda who, words, reply: None
        self._random = random
        self._blocked: dict[bytes, list[Blocked]] = {}

    def delay(self) -> float:
        """Draw how long a message takes."""
        return self.weather.delay(self._random)

    def _delay(self, owner: Process) -> float:
        """Draw how long a message from or to a process takes."""
        return self.distant.get(owner.name, self.weather).delay(self._random)

    async def connect(self) -> Session:
        """Open a connection. Raises Broken where nobody answers."""
        await asyncio.sleep(self.delay())
        if not self.is_up or self._random.random() < self.weather.broken:
            raise Broken("Error connecting")
        session = Session(self, self.loop.here())
        self.sessions[session] = None
        return session

    def send(self, session: Session, trip: Trip) -> None:
        """Send commands; their replies come to the session."""
        self.trips += 1
        fate = self._random.random()
        if fate < self.weather.broken / 2:
            self.loop.outside_later(self._delay(session.owner), session.close)
            return
        session.arrived = max(session.arrived, self.loop.time() + self._delay(session.owner))
        lost = fate < self.weather.broken
        if len(trip) > 1 and self._random.random() < self.weather.cut:
            middle = self._random.randrange(1, len(trip))
            self._send_at(session, trip[:middle], lost=False)
            session.arrived += self._delay(session.owner)
            trip = trip[middle:]
        self._send_at(session, trip, lost=lost)

    def _send_at(self, session: Session, trip: Trip, *, lost: bool) -> None:
        self.loop.outside_at(session.arrived, self._arrive, session, trip, lost)

    def _arrive(self, session: Session, trip: Trip, lost: bool) -> None:
        """Do what came; what a client sent before it died is done too."""
        if not self.is_up or not session.open:
            session.close()
            return
        replies: list[Any] = []
        for words in trip:
            replies += self._do(session, words)
        if self.server.store.fed:
            self._feed()
        if lost:
            self.loop.outside_later(self._delay(session.owner), session.close)
        elif replies:
            self._return(session, replies)

    def _return(self, session: Session, replies: list[Any]) -> None:
        session.returned = max(session.returned, self.loop.time() + self._delay(session.owner))
        self.loop.outside_at(session.returned, session.deliver, replies)

    def _do(self, session: Session, words: list[bytes]) -> list[Any]:
        name = words[0].upper()
        if name == b"XREADGROUP":
            return self._read(session, words)
        if name == b"SUBSCRIBE":
            session.channels.update(words[1:])
            return [[b"subscribe", channel, 1] for channel in words[1:]]
        if name == b"UNSUBSCRIBE":
            session.channels.clear()
            return [[b"unsubscribe", None, 0]]
        if name == b"PUBLISH":
            return [self.publish(words[1], words[2])]
        reply = answer(self.server, words)
        self.heard(session.owner, words, reply)
        return [reply]

    def publish(self, channel: bytes, message: bytes) -> int:
        """Send a message to all who listen; return to how many."""
        listening = [session for session in self.sessions if channel in session.channels]
        for session in listening:
            self._return(session, [[b"message", channel, message]])
        return len(listening)

    def _read(self, session: Session, words: list[bytes]) -> list[Any]:
        """Read a stream; wait where there is nothing."""
        reply = answer(self.server, words)
        options = [word.upper() for word in words]
        if reply is not None or b"BLOCK" not in options:
            return [reply]
        stream = words[options.index(b"STREAMS") + 1]
        waiting = Blocked(session, words)
        self._blocked.setdefault(stream, []).append(waiting)
        block_s = int(words[options.index(b"BLOCK") + 1]) / 1000

        def give_up() -> None:
            if waiting in self._blocked.get(stream, ()):
                self._blocked[stream].remove(waiting)
                self._return(session, [None])

        waiting.handle = self.loop.call_later(block_s, give_up)
        return []

    def _feed(self) -> None:
        """Give those who wait what came, in the order of their coming."""
        fed, self.server.store.fed = self.server.store.fed, []
        for stream in dict.fromkeys(fed):
            for waiting in list(self._blocked.get(stream, ())):
                if not waiting.session.open:
                    self._blocked[stream].remove(waiting)
                elif (reply := answer(self.server, waiting.words)) is not None:
                    self._blocked[stream].remove(waiting)
                    self._return(waiting.session, [reply])

    def hang_up(self, owner: Process) -> None:
        """Let the server notice, some time, that a process is dead."""
        for session in [session for session in self.sessions if session.owner is owner]:
            self.loop.outside_later(self.delay(), session.close)

    def break_all(self) -> None:
        """Break every connection: the server is another, or not there."""
        for session in list(self.sessions):
            session.close()
        self._blocked.clear()


def answer(server: Server, words: Sequence[bytes]) -> Any:
    """Return a reply as redis-py's parser gives it: an error as an exception."""
    try:
        return server.execute(words)
    except Refusal as refusal:
        return parse_error(str(refusal))


def encoded(word: object) -> bytes:
    """Return a word of a command as it travels."""
    if isinstance(word, bytes):
        return word
    return repr(word).encode() if isinstance(word, float) else str(word).encode()


def _packed(words: Iterable[object]) -> list[bytes]:
    """Return the words of a command as they travel; redis-py names some commands by two words."""
    packed = [word.encode() if type(word) is str else encoded(word) for word in words]
    return [*packed[0].split(b" "), *packed[1:]] if b" " in packed[0] else packed


class Wire(AbstractConnection):
    """A connection of redis-py over the simulated network."""

    def __init__(self, *, network: Network, **kwargs: Any) -> None:
        super().__init__(driver_info=None, **kwargs)
        self._network = network
        self._session: Session | None = None

    @property
    def is_connected(self) -> bool:
        """Tell whether there is a connection, for all that this end knows."""
        return self._session is not None

    async def connect(self) -> None:
        """Connect, and do what is to be done first."""
        if self._session is not None and not self._session.open and not self._session.replies:
            self._session = None  # the pool looks whether something can be read, and finds the end
        if self._session is not None:
            return
        self._session = await self._network.connect()
        try:
            if self.redis_connect_func is not None:
                await self.redis_connect_func(self)
        except BaseException:
            await self.disconnect()
            raise
        for reference in self._connect_callbacks:
            if callback := reference():
                await callback(self)

    async def disconnect(self, *_: Any, **__: Any) -> None:
        """Let go of the connection."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def pack_command(self, *words: Any) -> Any:
        """Return a command as its words."""
        return [_packed(words)]

    def pack_commands(self, commands: Iterable[Iterable[Any]]) -> Any:
        """Return commands as their words."""
        return [_packed(words) for words in commands]

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send commands."""
        if self._session is None:
            await self.connect()
        assert self._session is not None
        if not self._session.open:
            await self.disconnect()
            raise Broken("Error while writing to socket")
        self._network.send(self._session, command)

    async def read_response(  # as redis-py has it
        self,
        disable_decoding: bool = False,
        timeout: float | None = None,  # noqa: ASYNC109
        **_: Any,
    ) -> Any:
        """Return the next reply. Raises ResponseError where it is one, Broken where there will be none."""
        session = self._session
        if session is None:
            raise Broken("Connection closed by server.")
        try:
            if timeout is None or timeout == math.inf:
                await session.readable()
            else:
                async with asyncio.timeout(timeout):
                    await session.readable()
        except TimeoutError:
            return None
        except BaseException:
            await self.disconnect()
            raise
        reply = session.replies.popleft()
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    async def can_read(self) -> bool:
        """Tell whether something came that nobody has read."""
        return self._session is not None and bool(self._session.replies)

    def repr_pieces(self) -> list[tuple[str, Any]]:
        """Say which connection this is."""
        return [("simulated", id(self))]

    async def _connect(self) -> None:
        raise NotImplementedError

    def _host_error(self) -> str:
        return "simulated"


class Pool(ConnectionPool):
    """A pool without the locks, clocks and events of redis-py's, which take longer than a whole trip here."""

    async def get_connection(self, command_name: Any = None, *keys: Any, **options: Any) -> AbstractConnection:
        """Return a connection that is open."""
        connection = self._available_connections.pop() if self._available_connections else self._made()
        try:
            await connection.connect()  # type: ignore[no-untyped-call]  # redis-py
        except BaseException:
            self._available_connections.append(connection)
            raise
        return connection

    def _made(self) -> AbstractConnection:
        made: AbstractConnection = self.make_connection()  # type: ignore[no-untyped-call]  # redis-py
        return made

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back."""
        self._available_connections.append(connection)


def client(network: Network, on_connect: Any = None) -> Redis:
    """Return a client of a process of its own."""
    return Redis(connection_pool=Pool(Wire, network=network, redis_connect_func=on_connect, protocol=2))
