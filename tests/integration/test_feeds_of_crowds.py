"""Crowds: a source with more followers than the pull line, a crawler, and recalculations amid a storm of posts."""

import asyncio
import gc
import random
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from feeds import keys, scripts
from feeds.change import decode
from feeds.command import CreatePost, EditPost, Follow, PutUser, Unfollow
from feeds.ids import BUCKETS
from feeds.recompute import KIND
from tests.integration.house import kill
from tests.integration.intent import Deed
from tests.integration.reading import read_pages
from tests.integration.rig import Rig, Scale
from tests.reference import Formula

pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <function Connection.__del__:Warning")


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    """Let go of the connections of those who were killed here, and not in somebody else's test."""
    yield
    gc.collect()


CHUNK = 5000
LOOKED_AT = 300


@asynccontextmanager
async def a_rig(url: str, ready: Path, folder: Path, scale: Scale) -> AsyncIterator[Rig]:
    """Open a rig over a new file."""
    shutil.copy(ready, folder / "crowd.db")
    async with Rig.opened(url, folder / "crowd.db", scale) as rig:
        yield rig


async def crowd(rig: Rig, count: int) -> list[str]:
    """Import users who all follow a star, and a few friends who have written something."""
    users = [f"fan-{number:06}" for number in range(count)]
    friends = [f"friend-{number}" for number in range(5)]
    for at in range(0, count, CHUNK):
        some = users[at : at + CHUNK]
        await rig.record.import_users([PutUser(user=user, name=user) for user in ("star", *friends, *some)])
        pairs = [(user, author) for user in some for author in ("star", friends[hash(user[-1:]) % 5])]
        await rig.record.import_follows([Follow(user=user, author=author) for user, author in pairs])
    posts = [CreatePost(post=f"old-{n}", author=friends[n % 5], published=rig.at(n)) for n in range(40)]
    await rig.record.import_posts(posts)
    await rig.begin_long_ago()
    return users


async def timelines(rig: Rig) -> dict[bytes, bytes]:
    """Return every timeline's base, by user, and what is fresh, by key."""
    found: dict[bytes, bytes] = {}
    for shard in keys.ALL_SHARDS:
        reads = [("HGETALL", keys.base_of(shard, bucket)) for bucket in range(BUCKETS)]
        for reply in await scripts.execute(rig.redis, reads):
            found |= scripts.fields(reply)
    async for key in rig.redis.scan_iter("*:fresh:*", count=1000):
        found[key] = repr(await rig.redis.lrange(key.decode(), 0, -1)).encode()
    return found


async def a_star_publishes(rig: Rig, followers: int) -> None:
    """Let an author over the line publish: nothing is written into timelines, and every feed has the post."""
    users = await crowd(rig, followers)
    await rig.recompute("all")
    looked_at = users[:: max(1, len(users) // LOOKED_AT)]
    for user in looked_at:
        assert "news" not in (await read_pages(rig.keeping, user))[0]
    before = await timelines(rig)
    assert len(before) >= followers
    await rig.carry([CreatePost(post="news", author="star", published=rig.at(10_000))])
    after = await timelines(rig)
    own = keys.fresh("star").encode()
    assert {name for name, value in after.items() if before.get(name) != value} <= {own}
    for user in looked_at:
        for baker in (rig.keeping, rig.baker):
            assert (await read_pages(baker, user))[0][0] == "news"


async def test_an_author_over_the_line_writes_into_no_timeline_and_is_in_every_feed(
    valkey: str, sqlite_ready: Path, tmp_path: Path
) -> None:
    async with a_rig(valkey, sqlite_ready, tmp_path, Scale(pull_followers=300)) as rig:
        await a_star_publishes(rig, 301)


@pytest.mark.long
async def test_an_author_with_100_001_followers_writes_into_no_timeline_and_is_in_every_feed(
    valkey: str, sqlite_ready: Path, tmp_path: Path
) -> None:
    async with a_rig(valkey, sqlite_ready, tmp_path, Scale(cap=200, fresh=127, pull_followers=100_000)) as rig:
        await a_star_publishes(rig, 100_001)


async def kept(rig: Rig) -> int:
    """Return how many bytes Redis uses, but for those of its connections: how many there are is a matter of pace."""
    memory = await rig.redis.info("memory")
    return int(memory["used_memory"]) - int(memory["mem_clients_normal"])


async def a_crawler_reads(rig: Rig, feeds: int) -> dict[str, float]:
    """Let a crawler read many feeds; return what Redis has of each kind, and bytes a feed."""
    users = await crowd(rig, feeds)
    await read_pages(rig.baker, "star")  # what all feeds share is there
    before = await kept(rig)
    for at in range(0, feeds, 50):
        await asyncio.gather(*(rig.baker.get(f"/feed/{user}") for user in users[at : at + 50]))
    grown = await kept(rig) - before
    found = dict.fromkeys(("user", "sources", "fresh", "base", "taste"), 0.0)
    async for key in rig.redis.scan_iter("{*}:*", count=1000):
        kind = key.decode().split(":")[1]
        if kind in found:
            found[kind] += await rig.redis.hlen(key) if kind in ("base", "taste") else 1
    return found | {"bytes": grown / feeds}


async def crawled(rig: Rig, feeds: int) -> None:
    """Check what a crawler leaves: nothing but guests and the ledger, for all but those who were made active."""
    found = await a_crawler_reads(rig, feeds)
    few = rig.scale.hourly + 10  # those who wrote something, and the star
    assert found["base"] <= few
    assert found["sources"] <= few
    assert found["user"] <= few
    assert found["fresh"] == found["taste"] == 0
    assert found["bytes"] < 3000, found


async def test_a_crawler_leaves_guests_and_no_timelines(valkey: str, sqlite_ready: Path, tmp_path: Path) -> None:
    async with a_rig(valkey, sqlite_ready, tmp_path, Scale(hourly=20, pull_followers=10**6)) as rig:
        await crawled(rig, 300)


@pytest.mark.long
async def test_a_crawler_of_50_000_feeds_leaves_guests_and_no_timelines(
    valkey: str, sqlite_ready: Path, tmp_path: Path
) -> None:
    async with a_rig(valkey, sqlite_ready, tmp_path, Scale(cap=200, hourly=1000, pull_followers=10**6)) as rig:
        await crawled(rig, 50_000)


class Storm:
    """Posts, edits and follows of many users, as fast as they can be written, delivered by several workers."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig = rig
        self.dice = random.Random(seed)
        self.users = [f"u{number:02}" for number in range(30)]
        self.posts = 0

    async def begin(self) -> None:
        """Let everybody be there and write."""
        for user in self.users:
            await self.rig.apply(PutUser(user=user, name=user))
        for user in self.users:
            authors = self.dice.sample([other for other in self.users if other != user], 8)
            await self.rig.apply(*(Follow(user=user, author=author) for author in authors))
        for _ in range(120):
            await self.rig.apply(self.post())
        await self.rig.begin_long_ago()

    def post(self) -> CreatePost:
        """Return a new post."""
        self.posts += 1
        when = self.rig.at(self.dice.randrange(400))
        author = self.dice.choice(self.users)
        return CreatePost(post=f"p{self.posts:04}", author=author, published=when, likes=self.dice.randrange(20))

    def deed(self) -> Deed:
        """Return what somebody does."""
        user, other = self.dice.sample(self.users, 2)
        moved = EditPost(post=f"p{self.dice.randrange(1, self.posts):04}", published=self.rig.at(self.posts))
        deeds: list[Deed] = [moved, Follow(user=user, author=other), Unfollow(user=user, author=other)]
        return self.post() if self.dice.random() < 0.4 else self.dice.choice(deeds)

    async def rage(self, deeds: int) -> None:
        """Do so much, while three workers deliver it and somebody reads."""
        for _ in range(deeds):
            await self.rig.apply(self.deed())
            await self.rig.collect()
            rows = [self.rig.bag.pop(self.dice.randrange(len(self.rig.bag))) for _ in self.rig.bag[:3]]
            handled = [self.rig.fanout.handle(row.id, decode(row.kind, row.body)) for row in rows]
            reads = [self.rig.read(self.dice.choice(self.users))]
            await asyncio.gather(*handled, *reads)


async def recalculated(rig: Rig, users: str) -> None:
    """Recalculate; the runner dies in the middle, and another one goes on."""
    job = await rig.jobs.create(KIND, {"users": users})
    begun = asyncio.Event()
    rig.ranking.on_shard = lambda done, _: begun.set() if done > 8 else None
    running = asyncio.create_task(rig.runner.perform(job.id, asyncio.Event()))
    await begun.wait()
    await kill(running)  # type: ignore[arg-type]  # whatever it returns
    await rig.redis.delete(f"lease:{keys.job(job.id)}")
    ended = await rig.runner.perform(job.id, asyncio.Event())
    assert ended is not None
    assert ended.state == "done"


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 8))])
async def test_feeds_converge_after_recalculations_at_once_a_death_and_a_storm(
    valkey: str, sqlite_ready: Path, tmp_path: Path, seed: int
) -> None:
    scale = Scale(cap=25, fresh=10, pull_followers=12, formula=Formula(tau=50))
    async with a_rig(valkey, sqlite_ready, tmp_path, scale) as rig:
        storm = Storm(rig, seed)
        await storm.begin()
        await asyncio.gather(recalculated(rig, "all"), rig.recompute("active"), storm.rage(60))
        await rig.rankers.ended()
        await rig.arrive(random.Random(seed))
