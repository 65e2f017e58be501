"""A rig: everything between a command and a page, over a real Valkey and SQLite, driven by hand and compared.

Changes are taken from the outbox into a bag, from which a test delivers them to fan-out in whatever order, twice, or
side by side with bakes, recalculations and purges that take turns (``schedule``). ``Intent`` is moved on with each
command, so that the reference knows what feeds must be in the end.
"""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import httpx
from redis.asyncio import Redis

from baker.bake import Limits
from baker.kitchen import Audience, Config, create_app
from baker.oven import Bounds
from cdn.ledger import Ledger
from feeds import affected, keys, packing, scripts
from feeds.activity import Activity
from feeds.change import decode
from feeds.command import Command
from feeds.fanout import Fanout
from feeds.followers import Followers
from feeds.ids import shard_of
from feeds.jobs import Jobs
from feeds.outbox import OutboxRow
from feeds.progress import Board, now_ms
from feeds.ranking import Weights
from feeds.recompute import KIND, Recompute
from feeds.recompute import Limits as RankLimits
from feeds.record import Record
from feeds.runner import Runner
from feeds.stream import Group
from feeds.timeline import Timelines
from invalidator.recorder import Recorder
from templates import FOLDER
from tests.emptied import emptied
from tests.integration.baking import PUBLIC_URL, Baker, Spelt, Turnstile
from tests.integration.intent import Deed, Intent
from tests.integration.reading import read_pages
from tests.integration.schedule import Act, Rankers, TurnsRecord, redis_with_turns, take_turns
from tests.reference import Formula, Liking, Source, World

START_MS = 1_600_000_000_000
FORMULA = Formula(tau=10, in_a_row=2)
DAY_MS = 86_400_000


@dataclass(frozen=True)
class Scale:
    """How large a rig's timelines are, from how many followers on a source is pulled, and how feeds are ranked.

    ``hourly``: how many users bakes make active in an hour.
    """

    cap: int = 12
    fresh: int = 4
    pull_followers: int = 4
    formula: Formula = FORMULA
    hourly: int = 1_000_000

    @property
    def weights(self) -> Weights:
        """The weights that stand in the formula."""
        f = self.formula
        return Weights(f.tau, f.likes, f.comments, f.views, f.tags, f.authors, f.shown, f.in_a_row)


class Rig:
    """All parts over one Valkey and one SQLite file, and what the reference says of them.

    Three bakers: one keeps what it bakes; one forgets it; to one, whoever has no timeline is a guest.
    """

    def __init__(
        self, url: str, redis: Redis, record: Record, *, file: Path, scale: Scale, bakers: Sequence[Baker]
    ) -> None:
        self.redis = redis
        self.record = record
        self.file = file
        self.scale = scale
        self.keeping, self.baker, self.hosting = bakers
        self.timelines = Timelines(redis, record, cap=scale.cap, most_fresh=scale.fresh, weights=scale.weights)
        self.activity = Activity(
            redis, record, Followers(redis, record), self.timelines, days=30, per_hour=scale.hourly, linger_ms=DAY_MS
        )
        self.fanout = Fanout(redis, record, self.timelines, self.activity, linger_ms=0)
        self.recorder = Recorder(redis, Ledger(redis, ["main"]), Board(redis, record), "rig", wake=lambda: None)
        self.jobs = Jobs(redis)
        self.rankers = Rankers()
        self.ranking = Recompute(redis, url, record, RankLimits(cap=scale.cap, order="ranked", weights=scale.weights))
        self.ranking.open_pool = self.rankers.open
        self.runner = Runner(redis, self.ranking)
        self._affected = Group(redis, keys.AFFECTED, "invalidator", "rig")
        self.intent = Intent(scale.formula, cap=scale.cap, latest=127, default="ranked")
        self.bag: list[OutboxRow] = []
        self.delivered: list[OutboxRow] = []
        self.highest: dict[str, int] = {}
        """The most posts that each user's feed had since the last recalculation."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, file: Path, scale: Scale) -> AsyncIterator["Rig"]:
        """Open a rig over a Valkey, which is emptied, and a SQLite file that has the tables."""
        async with AsyncExitStack() as stack:
            redis = redis_with_turns(url)
            stack.push_async_callback(redis.aclose)
            await emptied(redis)
            line = scale.pull_followers
            record = await TurnsRecord.open(f"sqlite:///{file}", migrate=False, pull_followers=line, rescore=0.0)
            stack.push_async_callback(record.close)
            limits = Limits(max_pages=10_000, order="ranked", weights=scale.weights)
            hourly = Audience(per_hour=scale.hourly, linger_ms=DAY_MS)
            nobody = Audience(per_hour=0, linger_ms=DAY_MS)
            bakers = []
            for memory, audience in ((64_000_000, hourly), (1, hourly), (1, nobody)):
                config = Config(
                    FOLDER,
                    PUBLIC_URL,
                    memory_bytes=memory,
                    timeline_cap=scale.cap,
                    audience=audience,
                    limits=limits,
                    bounds=Bounds(patience_s=60.0),  # a busy machine is no finding here
                )
                app, renderer = create_app(redis, record, config)
                http = await stack.enter_async_context(httpx.AsyncClient(transport=Spelt(app)))
                bakers.append(Baker(app, http, Turnstile(), renderer.version))
            yield cls(url, redis, record, file=file, scale=scale, bakers=bakers)

    @staticmethod
    def at(second: int) -> datetime:
        """Return the time that is so many seconds after the first posts."""
        return datetime.fromtimestamp(START_MS / 1000 + second, UTC)

    async def apply(self, *deeds: Deed) -> None:
        """Do what users do."""
        await self.record.apply(deeds)
        self.intend(*deeds)

    def intend(self, *deeds: Deed) -> None:
        """Tell the reference what users do."""
        for deed in deeds:
            self.intent.take(deed)
        for user in self.intent.readers:
            self.highest[user] = max(self.highest.get(user, 0), len(self.intent.world.newest(user)))

    async def collect(self) -> None:
        """Take what is in the outbox."""
        rows = await self.record.outbox_take(10_000)
        await self.record.outbox_relayed([row.row for row in rows])
        self.bag += rows

    async def deliver(self, row: OutboxRow) -> None:
        """Hand a change to fan-out; from now on it may come again."""
        await self.fanout.handle(row.id, decode(row.kind, row.body))
        self.delivered.append(row)
        if row in self.bag:
            self.bag.remove(row)

    async def note(self) -> None:
        """Let the recorder take what fan-out reported."""
        await self._affected.create()
        if entries := await self._affected.read(10_000, 1):
            await self.recorder.record([affected.read(fields) for _, fields in entries])
            await self._affected.done([name for name, _ in entries])

    async def deliver_some(self, dice: random.Random, count: int) -> None:
        """Deliver some changes, in any order, some again."""
        await self.collect()
        for row in self.some(dice, count):
            await self.deliver(row)
        await self.note()

    def some(self, dice: random.Random, count: int) -> list[OutboxRow]:
        """Return some changes that wait, and now and then one that was delivered before."""
        old = self.delivered[-20:]
        chosen = dice.sample(self.bag, min(count, len(self.bag)))
        return [*chosen, *dice.sample(old, min(len(old), dice.choice((0, 0, 1, 2))))]

    async def deliver_all(self, dice: random.Random) -> None:
        """Deliver all there is, also what comes of it, and let sources arrive where they are going."""
        await self.collect()
        while self.bag:
            await self.deliver_some(dice, len(self.bag))
            await self.collect()

    async def cross(self) -> None:
        """Let sources that have risen be pulled."""
        await self.record.cross_due(now_ms() + 1, 0)

    async def read(self, user: str) -> None:
        """Let a user read their feed, wherever they are sent to. What is read may be old; it is there."""
        for baker in (self.keeping, self.baker):
            await baker.get(f"/feed/{user}")

    async def leave(self, users: Collection[str]) -> None:
        """Let users have been away for so long that the next purge takes their timelines."""
        long_ago = now_ms() - 60 * DAY_MS
        await self.redis.delete(keys.CUTOFF)  # else time would run backwards: no purge has been this far yet
        for user in users:
            await self.redis.zadd(keys.active(shard_of(user)), {user: long_ago}, xx=True)
        await asyncio.to_thread(self._note_activity, users, long_ago)

    def _note_activity(self, users: Collection[str], active_ms: int) -> None:
        with closing(sqlite3.connect(self.file, timeout=10)) as connection, connection:
            noted = [(active_ms, user) for user in users]
            connection.executemany("UPDATE activity SET active_ms = ? WHERE user = ?", noted)

    async def purge(self) -> None:
        """Let go of the timelines of those who were away."""
        await self.activity.purge()

    async def recompute(self, users: str = "active") -> None:
        """Rank anew the feeds of all users, or of those who are active."""
        job = await self.jobs.create(KIND, {"users": users})
        found = await self.runner.perform(job.id, asyncio.Event())
        assert found is not None
        assert found.state == "done", found.error

    async def recomputed(self, users: str = "active") -> None:
        """Rank all anew, and forget how large feeds were before."""
        await self.recompute(users)
        self.highest = {user: len(self.intent.world.newest(user)) for user in self.intent.readers}

    async def write_and_deliver(self, deed: Deed) -> None:
        """Do what a user does, and deliver what is in the outbox then."""
        await self.record.apply([deed])
        await self.collect()
        while self.bag:
            row = self.bag.pop()
            await self.fanout.handle(row.id, decode(row.kind, row.body))
            self.delivered.append(row)

    async def side_by_side(self, dice: random.Random, acts: Iterable[Act]) -> None:
        """Let acts take turns with deliveries; what is killed is delivered another time."""
        await self.collect()
        rows = self.some(dice, 3)
        deliveries = [Act(f"deliver {row.kind}", self.deliver(row), may_die=True) for row in rows]
        await take_turns([*deliveries, *acts], dice)
        await self.rankers.ended()
        await self.note()

    async def begin_long_ago(self) -> None:
        """Take what was done so far for done long ago: nothing is delivered, and sources over the line are pulled."""
        await self.collect()
        self.bag.clear()
        await self.cross()
        await self.deliver_all(random.Random(0))

    async def carry(self, commands: Sequence[Command]) -> None:
        """Apply commands, of which the reference knows, and deliver them."""
        for at in range(0, len(commands), 100):
            await self.record.apply(commands[at : at + 100])
        await self.deliver_all(random.Random(0))

    async def pulled(self) -> set[Source]:
        """Return the sources that are pulled, or about to be or not."""
        found = (await self.record.pulled()).sources.values()
        return {Source("tag" if source.is_tag else "author", source.name) for source in found}

    async def freeze(self, world: World) -> None:
        """Tell a reference the averages that the last recalculation froze."""
        epoch = await self.record.epoch()
        world.means = (epoch.likes, epoch.comments, epoch.views)

    async def arrive(self, dice: random.Random) -> None:
        """Deliver all, compare, rank all anew, and compare again."""
        await self.deliver_all(dice)
        await self.compare()
        while await self.record.cross_due(now_ms() + 1, 0):
            await self.deliver_all(dice)
        await self.recomputed("all")
        await self.compare(ranked=True)

    async def compare(self, *, ranked: bool = False) -> None:
        """Compare every feed. Nothing waits to be delivered.

        ``ranked``: all was just recalculated, so that ranked feeds must be right too where posts are left out of what
        is ranked; else these must have the right posts.
        """
        await self._look()
        for user, reader in self.intent.readers.items():
            expected = self.intent.world.pages(user, 10_000)
            if reader.order == "newest":
                await self._same(user, expected, self.baker, self.keeping, self.hosting)
            elif ranked or self.highest[user] <= self.intent.world.cap:
                await self._same(user, expected, self.baker, self.hosting)
            else:
                await self._same_posts(user, expected, self.baker, self.hosting)

    async def _same(self, user: str, expected: list[list[str]], *bakers: Baker) -> None:
        for baker in bakers:
            pages = await read_pages(baker, user)
            assert pages == expected, f"{user} at {self._name(baker)}: {pages}, not {expected}"

    async def _same_posts(self, user: str, expected: list[list[str]], *bakers: Baker) -> None:
        for baker in bakers:
            pages = await read_pages(baker, user)
            assert list(map(len, pages)) == list(map(len, expected))
            assert sorted(chain(*pages)) == sorted(chain(*expected)), f"{user} at {self._name(baker)}"

    def _name(self, baker: Baker) -> str:
        return {id(self.keeping): "keeping", id(self.baker): "baker", id(self.hosting): "hosting"}[id(baker)]

    async def _look(self) -> None:
        """Tell the reference what the last recalculation froze, and which sources are pulled."""
        world, record = self.intent.world, self.record
        await self.freeze(world)
        world.pulled = await self.pulled()
        users = await record.users(sorted(self.intent.readers))
        names = {user.num: name for name, user in users.items()}
        nums = {post.num: post.id for post in (await record.posts(sorted(world.posts))).values()}
        for user, reader in self.intent.readers.items():
            (packed,) = await scripts.execute(self.redis, [("HGET", keys.taste(user), user)])
            taste = packing.read_taste(packed)
            authors = {names[num]: count for num, count in taste.authors.items() if num in names}
            reader.liking = Liking(authors, {nums[num]: count for num, count in taste.shown.items()})
