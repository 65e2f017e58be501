"""A town: writers and readers over a house, a cache before two bakers, and the staff that carries changes."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson

from cdn import keys as cdn_keys
from cdn.edge import Batch, Receipt
from edgebake.enduring import endured
from feeds import keys
from feeds.command import (
    Command,
    CreatePost,
    DeletePost,
    EditPost,
    Follow,
    Invalidate,
    PublishPost,
    PutSettings,
    PutUser,
    RenameUser,
    Unfollow,
    UnpublishPost,
)
from feeds.errors import Refused
from feeds.fanout import Fanout
from feeds.relay import Relay
from feeds.worker import Worker
from invalidator.recorder import Recorder
from tests.integration.baking import Baker, config, open_bakers, tags_of
from tests.integration.house import LINGER_MS, FakeEdge, House, kill, until
from tests.integration.records import at

LEASE_MS = 60
TRANSIT_MS = 300
LONGEST_WAY_S = 0.1
AUTHORS = ["ann", "bob", "cat"]
READERS = ["ada", "eve", "kim", "max"]
PATHS = [
    *(f"/feed/{user}/feed.json" for user in (*AUTHORS, *READERS)),
    *(f"/author/{author}/feed.json" for author in AUTHORS),
]

Loop = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


class Cache(FakeEdge):
    """An edge that keeps what it is given, even what was dropped while it was on its way.

    An answer that took longer than the transit time is cut off.
    """

    def __init__(self, way_s: Callable[[], float]) -> None:
        """``way_s`` draws the seconds that an answer is on its way."""
        super().__init__()
        self.way_s = way_s
        self.kept: dict[str, httpx.Response] = {}

    async def invalidate(self, batch: Batch) -> Receipt:
        """Drop what carries one of the tags."""
        receipt = await super().invalidate(batch)
        self.kept = {path: kept for path, kept in self.kept.items() if not set(batch.tags) & set(tags_of(kept))}
        return receipt

    async def read(self, baker: Baker, path: str) -> None:
        """Read a path through the edge. What lives for a second or two, marked late, is not kept here."""
        if path in self.kept:
            return
        began = asyncio.get_running_loop().time()
        answer = await baker.get(path)
        await asyncio.sleep(self.way_s())
        in_time = asyncio.get_running_loop().time() - began <= TRANSIT_MS / 1000
        if answer.status_code < 500 and "edgebake-late" not in answer.headers and in_time:
            self.kept[path] = answer


def shown(answer: httpx.Response) -> list[tuple[str, str]]:
    """Return what a JSON feed shows: titles and authors' names."""
    if answer.status_code != 200:
        return []
    return [(item["title"], item["authors"][0]["name"]) for item in orjson.loads(answer.content)["items"]]


async def truth(house: House, path: str) -> list[tuple[str, str]]:
    """Return what a path must show, by the system of record alone."""
    _, kind, user, _ = path.split("/")
    record = house.record
    if kind == "author":
        found = await record.latest((await record.users([user]))[user].num, before=None, limit=25)
    else:
        found = await record.proposals(user, before=None, limit=25, own=True)
    posts = await record.posts([entry.post for entry in found])
    users = await record.users(list({post.author for post in posts.values()}))
    return [(posts[entry.post].title, users[posts[entry.post].author].name) for entry in found]


class Staff:
    """The processes that carry changes, each of which may be killed, and is started again."""

    def __init__(self, house: House, chance: random.Random, *, enduring: bool = False) -> None:
        """``enduring``: where Redis does not answer, they begin again, as those of ``edgebake work`` do."""
        self._house = house
        self._enduring = enduring
        self._chance = chance
        self._stop = asyncio.Event()
        self._number = 0
        self.tasks: dict[str, asyncio.Task[None]] = {}
        for part in ("relay", "fanout 1", "fanout 2", "recorder 1", "recorder 2", "drain"):
            self._start(part)

    async def kill_one(self) -> None:
        """Kill one, and start another in its place. Leases run out at once."""
        part = self._chance.choice(list(self.tasks))
        await kill(self.tasks[part])
        await self._house.redis.delete(keys.RELAY_LEASE, cdn_keys.lease("main"))
        self._start(part)

    async def end(self) -> None:
        """Stop all, and raise what any of them raised."""
        self._stop.set()
        await asyncio.gather(*self.tasks.values())

    def _start(self, part: str) -> None:
        self._number += 1
        loop = self._loop(part.partition(" ")[0], f"{part} {self._number}")
        self.tasks[part] = asyncio.create_task(endured(loop, self._stop) if self._enduring else loop(self._stop))

    def _loop(self, part: str, name: str) -> Loop:
        house = self._house
        match part:
            case "relay":
                return Relay(house.redis, house.record).run
            case "fanout":
                fanout = Fanout(house.redis, house.record, house.timelines, house.activity, linger_ms=LINGER_MS)
                return Worker(house.redis, fanout, name, lease_ms=LEASE_MS).run
            case "recorder":
                return Recorder(house.redis, house.ledger, house.board, name, wake=lambda: None, lease_ms=LEASE_MS).run
            case _:
                return house.drain_of(house.edge).run


class Town:
    """Writers and readers over a house, with a cache before two bakers."""

    def __init__(self, house: House, bakers: list[Baker], chance: random.Random, posts: list[str]) -> None:
        self.house = house
        self.bakers = bakers
        self.chance = chance
        self.posts = posts
        self.edits = 0

    @property
    def cache(self) -> Cache:
        """The edge."""
        assert isinstance(self.house.edge, Cache)
        return self.house.edge

    def command(self) -> Command:
        """Return something that a user may do."""
        self.edits += 1
        author, reader = self.chance.choice(AUTHORS), self.chance.choice([*READERS, *AUTHORS])
        post = self.chance.choice(self.posts)
        when = at(-self.chance.randrange(1, 1000) * 1000)
        muted = tuple(self.chance.sample(AUTHORS, self.chance.randrange(2)))
        title = f"Title {self.edits}"
        choices: list[Command] = [
            CreatePost(post=f"post-{self.edits}", author=author, title=title, published=when),
            CreatePost(post=f"post-{self.edits}", author=author, title=title, published=when),
            EditPost(post=post, title=title),
            EditPost(post=post, published=when),
            UnpublishPost(post=post),
            PublishPost(post=post),
            DeletePost(post=post),
            RenameUser(user=author, name=f"Name {self.edits}"),
            RenameUser(user=author, name=f"Name {self.edits}"),
            Follow(user=reader, author=author),
            Unfollow(user=reader, author=author),
            PutSettings(user=reader, muted_authors=muted),
            Invalidate(scope="user", user=reader),
            Invalidate(scope="global") if self.edits % 10 == 0 else EditPost(post=post, title=title),
        ]
        return self.chance.choice(choices)

    async def write(self) -> None:
        """Do something, and wait until it is live."""
        try:
            change = await (self._import() if self.chance.random() < 0.1 else self._apply())
        except Refused:
            return
        await self.house.redis.publish(keys.WAKE_RELAY, "")
        if change is not None:
            await until(lambda: self._is_live(change), seconds=20)

    async def _apply(self) -> str | None:
        command = self.command()
        (outcome,) = await self.house.apply(command)
        if isinstance(command, CreatePost):
            self.posts.append(outcome.subject_id)
        return outcome.change

    async def _import(self) -> str | None:
        """Import a new name, a new post and another title, or a follow."""
        self.edits += 1
        author, reader, title = self.chance.choice(AUTHORS), self.chance.choice(READERS), f"Title {self.edits}"
        record, of_author = self.house.record, f"{author}-1"
        posts = [CreatePost(post=post, author=author, title=title) for post in (of_author, f"post-{self.edits}")]
        match self.chance.randrange(3):
            case 0:
                imported = await record.import_users([PutUser(user=author, name=f"Name {self.edits}")])
            case 1:
                imported = await record.import_posts(posts)
            case _:
                imported = await record.import_follows([Follow(user=reader, author=author)])
        return imported.change

    async def _is_live(self, change: str) -> bool:
        return await self.house.state(change) == "live"

    async def read(self, stop: asyncio.Event) -> None:
        """Read whatever the cache does not have, again and again."""
        while not stop.is_set():
            await self.cache.read(self.chance.choice(self.bakers), self.chance.choice(PATHS))
            await asyncio.sleep(0)

    async def check(self) -> None:
        """Compare what the cache has with the truth. Nothing changes meanwhile."""
        for path, kept in list(self.cache.kept.items()):
            assert shown(kept) == await truth(self.house, path), f"{path} is stale"


@asynccontextmanager
async def open_town(house: House, seed: int) -> AsyncIterator[Town]:
    """Open a town of a few users."""
    chance = random.Random(seed)
    house.edge = Cache(lambda: chance.uniform(0, LONGEST_WAY_S))
    house.travel(TRANSIT_MS)
    async with open_bakers(house, config(), config()) as bakers:
        await house.apply(*(PutUser(user=user, name=user.title()) for user in (*AUTHORS, *READERS)))
        await house.apply(*(Follow(user=user, author=author) for user in READERS for author in ("ann", "bob")))
        posts = {f"{author}-{number}": author for author in AUTHORS for number in range(5)}
        await house.apply(*(CreatePost(post=post, author=posts[post], title="One", published=at(0)) for post in posts))
        yield Town(house, bakers, chance, list(posts))


@asynccontextmanager
async def at_work(town: Town, readers: int, *, enduring: bool = False) -> AsyncIterator[Staff]:
    """Let the staff carry changes and readers read, until the block ends; nobody is left behind."""
    staff, stop = Staff(town.house, town.chance, enduring=enduring), asyncio.Event()
    reading = [asyncio.create_task(town.read(stop)) for _ in range(readers)]
    try:
        yield staff
        stop.set()
        await asyncio.gather(*reading)
        await staff.end()
    finally:
        for task in (*reading, *staff.tasks.values()):
            await kill(task)
