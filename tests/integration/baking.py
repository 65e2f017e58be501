"""Bakers over a house: a test reads through HTTP, holds what a baker waits for, and sees what left."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Collection, Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import feedparser  # type: ignore[import-untyped]  # has no types
import httpx
import lxml.html
import orjson
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import UnixDomainSocketConnection

from baker import metrics
from baker.app import Feeds
from baker.kitchen import Config, create_app
from baker.oven import Bounds
from baker.reads import TEXTS
from cdn import epoch
from cdn import scripts as cdn_scripts
from edgebake.wiring import packed
from feeds import scripts as feeds_scripts
from feeds.command import Command, CreatePost, Follow, PutUser
from feeds.model import Entry, OrderKey, Post, Site, Sources, User
from feeds.record import Record
from templates import FOLDER
from tests.integration.house import House

PUBLIC_URL = "https://feeds.example.org"
START_MS = 1_600_000_000_000
ENDINGS = {"html": "", "json": "/feed.json", "atom": "/feed.atom"}

Trip = Literal["first", "copies", "fence", "tail"]
"""What a baker asks Redis for in one trip."""


@dataclass
class Hold:
    """One who is held: is there once ``reached`` is set, goes on at ``go``, or fails with ``error`` then."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None


class Turnstile:
    """Lets through whoever comes, but for those that a test holds or turns away."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self._held: dict[str, list[Hold]] = {}
        self._refused: dict[str, Exception] = {}

    def hold(self, name: str) -> Hold:
        """Hold the next one of this name; asked twice, the one after it too."""
        hold = Hold()
        self._held.setdefault(name, []).append(hold)
        return hold

    @contextmanager
    def refuse(self, name: str, error: Exception) -> Iterator[None]:
        """Turn away everybody of this name."""
        self._refused[name] = error
        yield
        del self._refused[name]

    async def through(self, name: str) -> None:
        """Go through, once that is allowed."""
        self.passed.append(name)
        if name in self._refused:
            raise self._refused[name]
        if held := self._held.get(name):
            hold = held.pop(0)
            hold.reached.set()
            await hold.go.wait()
            if hold.error is not None:
                raise hold.error


class SlowRecord(Record):
    """The system of record behind a turnstile: what is held has been read, and is not told yet."""

    def __init__(self, record: Record, turnstile: Turnstile) -> None:
        super().__init__(record._database)
        self._turnstile = turnstile

    async def users(self, ids: Sequence[str]) -> dict[str, User]:
        """Read users."""
        found = await super().users(ids)
        await self._turnstile.through("users")
        return found

    async def posts(self, ids: Sequence[str]) -> dict[str, Post]:
        """Read posts."""
        found = await super().posts(ids)
        await self._turnstile.through("posts")
        return found

    async def sources_of(self, users: Sequence[str]) -> dict[str, Sources]:
        """Read what users' feeds draw from."""
        found = await super().sources_of(users)
        await self._turnstile.through("sources")
        return found

    async def site(self) -> Site:
        """Read the site."""
        found = await super().site()
        await self._turnstile.through("site")
        return found

    async def proposals(
        self, user: str, *, before: OrderKey | None, limit: int, own: bool, without: Collection[int] = ()
    ) -> list[Entry]:
        """Read what is proposed for a feed."""
        found = await super().proposals(user, before=before, limit=limit, own=own, without=without)
        await self._turnstile.through("proposals")
        return found


class SlowConnection(UnixDomainSocketConnection):
    """A connection behind a turnstile: ``before`` a trip Redis was asked nothing, ``after`` it answered all."""

    def __init__(self, turnstile: Turnstile, **settings: Any) -> None:
        super().__init__(**settings)
        self._turnstile = turnstile
        self._trip: Trip | None = None

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        """Send commands."""
        sent = command.encode() if isinstance(command, str) else command
        packed = sent if isinstance(sent, bytes) else b"".join(sent)
        self._trip = next((trip for word, trip in _TRIPS.items() if word in packed), None)
        if self._trip is not None:
            await self._through(f"before {self._trip}")
        await super().send_packed_command(packed, check_health)

    async def read_response(self, *words: Any, **settings: Any) -> Any:
        """Return the next reply. Redis answers what came in one piece in one piece: with the first, all are there."""
        reply = await super().read_response(*words, **settings)
        if self._trip is not None:
            trip, self._trip = self._trip, None
            await self._through(f"after {trip}")
        return reply

    async def _through(self, name: str) -> None:
        try:
            await self._turnstile.through(name)
        except BaseException:
            await self.disconnect(nowait=True)
            raise


_TRIPS: dict[bytes, Trip] = {
    feeds_scripts.READ.encode(): "first",
    b"\r\nMGET\r\n": "copies",
    cdn_scripts.PASS.encode(): "fence",
    cdn_scripts.TAIL.encode(): "tail",  # alone: with others it is a first trip
}


class Spelt(httpx.AsyncBaseTransport):
    """Calls an application with the path as the request spells it (``target``), though it be no path at all."""

    def __init__(self, app: Feeds) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request."""
        raw_path: bytes = request.extensions["target"]
        scope = {
            "type": "http",
            "method": request.method,
            "path": raw_path.decode("latin-1"),
            "raw_path": raw_path,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
        }
        sent: list[Any] = []

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, _nothing_comes, send)
        start, body = sent
        return httpx.Response(start["status"], headers=start["headers"], stream=httpx.ByteStream(body["body"]))


async def _nothing_comes() -> MutableMapping[str, Any]:
    return {"type": "http.disconnect"}


@dataclass
class Baker:
    """One replica of the feeds port, and the turnstile before what it reads."""

    app: Feeds
    http: httpx.AsyncClient
    turnstile: Turnstile
    version: str

    async def get(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """Ask for a path as it is spelt; headers are given as ``if_none_match``."""
        return await self.http.send(self._request(path, method, headers))

    async def raw(self, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
        """Ask for a path; return the answer and its body as it was sent, compressed perhaps."""
        answer = await self.http.send(self._request(path, "GET", headers), stream=True)
        return answer, b"".join([chunk async for chunk in answer.aiter_raw()])

    def _request(self, path: str, method: str, headers: Mapping[str, str]) -> httpx.Request:
        named = {"accept-encoding": ""} | {name.replace("_", "-"): value for name, value in headers.items()}
        spelt = {"target": path.encode("latin-1")}
        return self.http.build_request(method, PUBLIC_URL, headers=named, extensions=spelt)

    def hold(self, name: str) -> Hold:
        """Hold the next trip or read of this name."""
        return self.turnstile.hold(name)


@asynccontextmanager
async def open_bakers(house: House, *configs: Config) -> AsyncIterator[list[Baker]]:
    """Open replicas of the baker over a house, one for each config."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(_open_baker(house, config)) for config in configs]


@asynccontextmanager
async def _open_baker(house: House, config: Config) -> AsyncIterator[Baker]:
    turnstile = Turnstile()
    loads = [("SCRIPT", "LOAD", text) for text in TEXTS.values()]  # or each first trip would be made twice
    await feeds_scripts.execute(house.redis, loads)
    await house.truth.pulled()  # or the first bake would read it, and begin again
    settings = house.redis.connection_pool.connection_kwargs
    slow = SlowConnection if house.compare is None else packed(SlowConnection, house.compare)
    redis = Redis.from_pool(ConnectionPool(connection_class=slow, turnstile=turnstile, **settings))
    app, renderer = create_app(redis, SlowRecord(house.record, turnstile), config)
    async with httpx.AsyncClient(transport=Spelt(app)) as http:
        yield Baker(app, http, turnstile, renderer.version)
    await app.close()
    async with asyncio.timeout(10):
        while redis.connection_pool._in_use_connections:  # a trip that nobody waits for any longer
            await turns()
    await redis.aclose()


def config(**settings: Any) -> Config:
    """Return a baker's config; what is not said is the default, but that a bake may be held for long."""
    return Config(FOLDER, PUBLIC_URL, **{"bounds": Bounds(patience_s=60.0)} | settings)


def at(ms: int) -> datetime:
    """Return the time that is ``ms`` after the first posts."""
    return datetime.fromtimestamp((START_MS + ms) / 1000, UTC)


def post(number: int, author: str = "grace", **fields: Any) -> CreatePost:
    """Return the command that creates ``post-<number>``, a second newer than the one before."""
    values: dict[str, Any] = {"title": f"Title {number}", "published": at(number * 1000)} | fields
    return CreatePost(post=f"post-{number:04}", author=author, **values)


def users(*names: str) -> list[Command]:
    """Return the commands that create users."""
    return [PutUser(user=name, name=name.title()) for name in names]


def follows(user: str, *authors: str) -> list[Command]:
    """Return the commands that let a user follow authors."""
    return [Follow(user=user, author=author) for author in authors]


async def before(house: House, *commands: Command) -> None:
    """Apply commands to the record as if long ago: no Redis that is here now ever heard of them."""
    await house.apply(*commands)
    rows = await house.record.outbox_take(10_000)
    await house.record.outbox_relayed([row.row for row in rows])


async def ada_follows_grace(house: House, posts: int = 3) -> None:
    """Make ada, who follows grace, who wrote posts long ago."""
    await before(house, *users("ada", "grace"), *follows("ada", "grace"), *(post(number) for number in range(posts)))


async def held(hold: Hold) -> None:
    """Wait until somebody is held."""
    async with asyncio.timeout(10):
        await hold.reached.wait()


async def turns() -> None:
    """Let everything go on that waits for nothing but its turn."""
    for _ in range(10):
        await asyncio.sleep(0)


async def meanwhile(house: House, hold: Hold, *commands: Command) -> None:
    """While somebody is held, make a change and let it be recorded; then let them go."""
    await held(hold)
    await house.read(*commands)
    hold.go.set()


async def forgotten(house: House) -> None:
    """Let Redis lose everything, and begin its second epoch."""
    await house.redis.flushall()
    await cdn_scripts.execute(house.redis, [*epoch.raised(2), epoch.made(2, "another")])


async def during(house: House, hold: Hold, reading: Awaitable[httpx.Response], *commands: Command) -> httpx.Response:
    """Return an answer that was held while a change was made and recorded."""
    answer, _ = await asyncio.gather(reading, meanwhile(house, hold, *commands))
    return answer


def bakes() -> float:
    """Return how many bakes there were in this process."""
    return _total(metrics.BAKES)


def late() -> float:
    """Return how many answers left late in this process."""
    return _total(metrics.LATE)


def _total(metric: Any) -> float:
    return float(sum(s.value for family in metric.collect() for s in family.samples if s.name.endswith("_total")))


def tags_of(answer: httpx.Response) -> list[str]:
    """Return an answer's cache tags."""
    return answer.headers["cache-tag"].split(",")


def titles(answer: httpx.Response) -> list[str]:
    """Return the titles on a page, top down, in whatever format it is."""
    kind = answer.headers["content-type"]
    if "json" in kind:
        return [item.get("title", "") for item in orjson.loads(answer.content)["items"]]
    if "atom" in kind:
        return [entry.title for entry in feedparser.parse(answer.content).entries]
    return _found(answer, "//article/h2/a/text()")


def _found(answer: httpx.Response, expression: str) -> list[str]:
    found: Any = lxml.html.fromstring(answer.content).xpath(expression)
    return [str(text) for text in found]


def next_path(answer: httpx.Response) -> str | None:
    """Return the path of the older page that a page names, in whatever format it is."""
    kind = answer.headers["content-type"]
    if "json" in kind:
        found = orjson.loads(answer.content).get("next_url")
    elif "atom" in kind:
        found = next((link.href for link in feedparser.parse(answer.content).feed.links if link.rel == "next"), None)
    else:
        found = next(iter(_found(answer, "//a[@rel='next']/@href")), None)
    return None if found is None else str(found).removeprefix(PUBLIC_URL)


async def pages(baker: Baker, path: str) -> list[list[str]]:
    """Follow older pages to the end; return the titles of each."""
    found = []
    here: str | None = path
    while here is not None:
        answer = await baker.get(here)
        assert answer.status_code == 200, here
        found.append(titles(answer))
        here = next_path(answer)
    return found


async def ledger(house: House, shard: int) -> set[str]:
    """Return the tags that the ledger of a shard has, those of living users with them."""
    (users,) = await feeds_scripts.execute(house.redis, [("HKEYS", f"{{{shard:02x}}}:living")])
    names = [key async for key in house.redis.scan_iter(f"{{{shard:02x}}}:ledger:*") if not key.endswith(b"span")]
    replies = await feeds_scripts.execute(house.redis, [("SMEMBERS", name) for name in names])
    return {tag.decode() for tags in replies for tag in tags} | {f"u-{user.decode()}" for user in users}
