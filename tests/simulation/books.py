"""The system of record of the simulation: in memory, with transactions that commit out of order.

``Books`` is what is durable: the data after each commit, and the outbox. ``Desk`` is what one process has of it: the
methods of ``feeds.record.Record`` that the product calls, each over a network that takes its time and may fail.
(The real record takes some hundred times as long for each. ``tests/integration`` holds that one to its promises.)
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, TypeVar

from feeds.change import Change, encode, kind_of, subject_of
from feeds.errors import RecordUnavailable
from feeds.model import TAG, Entry, Epoch, OrderKey, Post, PostState, Pulled, PulledSource, Site, Sources, User
from feeds.outbox import ChangeRow, OutboxRow
from feeds.redis_epoch import AHEAD, RedisEpoch
from tests.simulation.wire import Weather

T = TypeVar("T")


@dataclass(frozen=True)
class Data:
    """The data after a commit. ``follows``: user → source numbers; ``follow_versions``: how often that changed."""

    users: Mapping[str, User] = field(default_factory=dict)
    posts: Mapping[str, Post] = field(default_factory=dict)
    follows: Mapping[str, frozenset[int]] = field(default_factory=dict)
    follow_versions: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, int] = field(default_factory=dict)
    pulled: Mapping[int, PulledSource] = field(default_factory=dict)
    pulled_version: int = 0
    site: Site = field(default_factory=Site)

    def name_of(self, source: int) -> str:
        """Return a source's name."""
        if source & TAG:
            return next(name for name, number in self.tags.items() if number == source)
        return next(user.id for user in self.users.values() if user.num == source)

    def number_of(self, name: str, kind: str = "author") -> int:
        """Return the number of an author or a tag; 0 for an unknown one."""
        if kind == "tag":
            return self.tags.get(name, 0)
        return self.users[name].num if name in self.users else 0

    def sources(self, user: str) -> Sources:
        """Return what a user's feed draws from."""
        if (known := self.users.get(user)) is None:
            return Sources(user, 0, (), (), (), (), (), 0)
        drawn = sorted(self.follows.get(user, ()))
        muted_authors = sorted(filter(None, (self.number_of(name) for name in known.settings.muted_authors)))
        muted_tags = sorted(filter(None, (self.number_of(name, "tag") for name in known.settings.muted_tags)))
        authors, tags = [one for one in drawn if one < TAG], [one for one in drawn if one >= TAG]
        version = known.version + self.follow_versions.get(user, 0)
        lists = (tuple(authors), tuple(tags), tuple(muted_authors), tuple(muted_tags), ())
        return Sources(user, known.num, *lists, version, tuple(map(self.name_of, (*authors, *tags))))

    def draws(self, user: str, *, own: bool) -> set[int]:
        """Return the source numbers that a user's feed shows posts of."""
        found = self.sources(user)
        wanted = {*found.authors, *found.tags} | ({found.num} if own and found.num else set())
        return wanted - set(found.muted_authors) - set(found.muted_tags)

    def feed(self, user: str, *, own: bool, without: Collection[int] = ()) -> list[Post]:
        """Return the published posts of a user's feed, newest first."""
        wanted = self.draws(user, own=own) - set(without)
        found = self.sources(user)
        out, muted = set(found.muted_authors), set(found.muted_tags)
        shown = [
            post
            for post in self.posts.values()
            if post.state is PostState.PUBLISHED
            and post.author_num not in out
            and not muted.intersection(post.tag_nums)
            and wanted.intersection((post.author_num, *post.tag_nums))
        ]
        return sorted(shown, key=lambda post: post.key, reverse=True)

    def of_source(self, source: int) -> list[Post]:
        """Return a source's published posts, newest first."""
        shown = [
            post
            for post in self.posts.values()
            if post.state is PostState.PUBLISHED and source in (post.author_num, *post.tag_nums)
        ]
        return sorted(shown, key=lambda post: post.key, reverse=True)


@dataclass(slots=True)
class Row:
    """A row of the outbox. ``commit`` is the number of the commit that wrote it."""

    row: int
    id: str
    change: Change
    accepted_ms: int
    commit: int
    relayed_ms: int | None = None
    live_ms: int | None = None


@dataclass(slots=True)
class Transaction:
    """A write that has begun: it has its row's number, and commits when it commits."""

    row: int


class Books:
    """What is durable. ``on_live`` is told of changes as they become live."""

    def __init__(self, data: Data, clock: Callable[[], int]) -> None:
        self.states = [data]
        self.rows: dict[int, Row] = {}
        self.active: dict[str, int] = {}
        self.epoch = RedisEpoch()
        self.clock = clock
        self.on_live: Callable[[Row], None] = lambda row: None
        self._rows = 0

    @property
    def data(self) -> Data:
        """The data as it is."""
        return self.states[-1]

    def begin(self) -> Transaction:
        """Begin a write: others that begin later may commit earlier."""
        self._rows += 1
        return Transaction(self._rows)

    def commit(self, unit: Transaction, write: Callable[[Data], tuple[Data, Change] | None]) -> Row | None:
        """Commit a write with the row of its change; None where there was nothing to do."""
        done = write(self.data)
        if done is None:
            return None
        data, change = done
        self.states.append(data)
        name = f"c{unit.row}"
        row = self.rows[unit.row] = Row(unit.row, name, change, self.clock(), len(self.states) - 1)
        return row

    def row_of(self, change: str) -> Row | None:
        """Return the row of a change."""
        return self.rows.get(int(change[1:]))


class Desk:
    """The record as one process reaches it."""

    def __init__(self, random: Random, books: Books, weather: Weather) -> None:
        self.books = books
        self.on_commit: Callable[[], None] = lambda: None
        self._random = random
        self._weather = weather

    async def _pause(self) -> None:
        await asyncio.sleep(self._weather.delay(self._random))

    async def _do(self, work: Callable[[], T]) -> T:
        """Do something in one transaction. Raises RecordUnavailable, and then it may be done or not."""
        await self._pause()
        fate = self._random.random()
        if fate < self._weather.broken / 2:
            raise RecordUnavailable("the database is away")
        done = work()
        await self._pause()
        if fate < self._weather.broken:
            raise RecordUnavailable("the database went away")
        return done

    async def write(self, write: Callable[[Data], tuple[Data, Change] | None]) -> Row | None:
        """Write, as the API does: begin, and commit some time later."""
        unit = self.books.begin()
        await self._pause()
        return await self._do(lambda: self.books.commit(unit, write))

    # Reads.

    async def user(self, user: str) -> User | None:
        return await self._do(lambda: self.books.data.users.get(user))

    async def users(self, ids: Sequence[str]) -> dict[str, User]:
        return await self._do(lambda: _some(self.books.data.users, ids))

    async def post(self, post: str) -> Post | None:
        return await self._do(lambda: self.books.data.posts.get(post))

    async def posts(self, ids: Sequence[str]) -> dict[str, Post]:
        return await self._do(lambda: _some(self.books.data.posts, ids))

    async def posts_by_num(self, nums: Sequence[int]) -> dict[int, Post]:
        return await self._do(lambda: {post.num: post for post in self.books.data.posts.values() if post.num in nums})

    async def site(self) -> Site:
        return await self._do(lambda: self.books.data.site)

    async def epoch(self) -> Epoch:
        return await self._do(Epoch)

    async def pulled(self) -> Pulled:
        return await self._do(lambda: Pulled(self.books.data.pulled_version, dict(self.books.data.pulled)))

    async def sources(self, user: str) -> Sources:
        return await self._do(lambda: self.books.data.sources(user))

    async def sources_of(self, users: Sequence[str]) -> dict[str, Sources]:
        return await self._do(lambda: {user: self.books.data.sources(user) for user in users})

    async def followers(
        self, source: int, *, after: str = "", limit: int = 5000, active_since_ms: int | None = None
    ) -> list[str]:
        def read() -> list[str]:
            since, active = active_since_ms or 0, self.books.active
            found = [user for user in self.books.data.users if source in self.books.data.draws(user, own=False)]
            known = (user for user in found if active_since_ms is None or active.get(user, -1) >= since)
            return sorted(user for user in known if user > after)[:limit]

        return await self._do(read)

    async def followers_among(self, nums: Sequence[int], users: Sequence[str]) -> list[str]:
        def read() -> list[str]:
            data = self.books.data
            return sorted(user for user in users if user in data.users and data.draws(user, own=False) & set(nums))

        return await self._do(read)

    async def followers_of_sources(self, nums: Sequence[int]) -> list[str]:
        def read() -> list[str]:
            return sorted(user for user, drawn in self.books.data.follows.items() if drawn & set(nums))

        return await self._do(read)

    async def proposals(
        self, user: str, *, before: OrderKey | None, limit: int, own: bool, without: Collection[int] = ()
    ) -> list[Entry]:
        return await self._do(lambda: _entries(self.books.data.feed(user, own=own, without=without), before, limit))

    async def latest(self, source: int, *, before: OrderKey | None, limit: int) -> list[Entry]:
        return await self._do(lambda: _entries(self.books.data.of_source(source), before, limit))

    async def post_ids(self, author: str, *, after: str = "", limit: int = 1000, hidden: bool = False) -> list[str]:
        def read() -> list[str]:
            posts = self.books.data.posts.values()
            mine = [post for post in posts if post.author == author]
            return sorted(p.id for p in mine if p.id > after and (hidden or p.state is PostState.PUBLISHED))[:limit]

        return await self._do(read)

    async def change(self, change: str) -> ChangeRow | None:
        def read() -> ChangeRow | None:
            if (row := self.books.row_of(change)) is None:
                return None
            words = (row.id, kind_of(row.change), subject_of(row.change), row.accepted_ms)
            return ChangeRow(*words, row.relayed_ms is not None, row.live_ms)

        return await self._do(read)

    # Bookkeeping.

    async def activate(self, users: Sequence[str], now_ms: int) -> None:
        def write() -> None:
            for user in users:
                if user in self.books.data.users:
                    self.books.active[user] = max(now_ms, self.books.active.get(user, 0))

        await self._do(write)

    async def publish_due(self, now_ms: int, limit: int) -> tuple[int, int | None]:
        return 0, None

    async def cross_due(self, now_ms: int, linger_ms: int) -> int:
        return 0

    async def outbox_prune(self, before_ms: int) -> int:
        return 0

    async def outbox_take(self, limit: int) -> list[OutboxRow]:
        def read() -> list[OutboxRow]:
            waiting = [row for _, row in sorted(self.books.rows.items()) if row.relayed_ms is None][:limit]
            return [_taken(row) for row in waiting]

        return await self._do(read)

    async def outbox_relayed(self, rows: Sequence[int]) -> None:
        def write() -> None:
            for row in rows:
                if self.books.rows[row].relayed_ms is None:
                    self.books.rows[row].relayed_ms = self.books.clock()

        await self._do(write)

    async def outbox_live(self, live: Mapping[str, int], epoch: int | None = None) -> set[str]:
        def write() -> set[str]:
            if epoch is not None and self.books.epoch.replayed > epoch:
                return set()
            rows = [row for change in live if (row := self.books.row_of(change)) is not None]
            for row in rows:
                if row.live_ms is None:
                    row.live_ms = live[row.id]
                    self.books.on_live(row)
            return {row.id for row in rows}

        return await self._do(write) if live else set()

    async def redis_epoch(self) -> RedisEpoch:
        return await self._do(lambda: self.books.epoch)

    async def next_redis_epoch(self, token: str, known: int) -> RedisEpoch:
        def write() -> RedisEpoch:
            found = self.books.epoch
            if found.token != token:
                self.books.epoch = replace(found, number=max(found.number, known) + 1, token=token)
            return self.books.epoch

        return await self._do(write)

    async def reserve_log(self, number: int) -> int:
        def write() -> int:
            if self.books.epoch.log < number + AHEAD // 2:
                self.books.epoch = replace(self.books.epoch, log=number + AHEAD)
            return self.books.epoch.log

        return await self._do(write)

    async def replay(self, epoch: int, *, margin_ms: int, kept_ms: int | None = None) -> int:
        def write() -> int:
            found = self.books.epoch
            if found.replayed >= epoch:
                return 0
            self.books.epoch = replace(found, number=max(found.number, epoch), replayed=epoch)
            rows = self.books.rows.values()
            newest = max((row.live_ms or 0 for row in rows), default=0)
            since = min(newest, kept_ms or newest) - margin_ms
            again = [r for r in rows if r.relayed_ms is not None and (r.live_ms is None or r.live_ms > since)]
            for row in again:
                row.relayed_ms = row.live_ms = None
            return len(again)

        return await self._do(write)

    async def parked_count(self) -> int:
        return 0

    async def park(self, change: str, tries: int, error: str) -> bool:
        raise AssertionError(f"{change} is parked after {tries} tries, for {error}")

    async def items(self, account: str) -> list[Any]:
        return []

    async def raise_items(self, account: str, counted: Any) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the product calls Record.{name}, which the simulation has not")


def _some(known: Mapping[str, T], ids: Iterable[str]) -> dict[str, T]:
    return {one: known[one] for one in ids if one in known}


def _taken(row: Row) -> OutboxRow:
    kind, subject = kind_of(row.change), subject_of(row.change)
    return OutboxRow(row.row, row.id, kind, encode(row.change), row.accepted_ms, subject)


def _entries(posts: Iterable[Post], before: OrderKey | None, limit: int) -> list[Entry]:
    return [post.entry for post in posts if before is None or post.key < before][:limit]
