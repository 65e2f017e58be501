"""An origin on a clock that the bench sets: feeds that draw from authors, the fence, and the whole way of a change.

Fence, ledger, pending set, plan and drain loop are the product's own, over a Valkey; a page's tags are chosen by the
baker's own function. A page is a number, that of the newest change that its feed shows, so anybody can tell how old
an answer is.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import nlargest
from typing import Any, NamedTuple, cast

from redis.asyncio import Redis

from baker.drawn import Drawn, Draws, filled
from baker.freshness import Freshness
from baker.guard import Guard
from baker.table import Known
from bench.tiers import Cdn, Events, Reply
from bench.timed import Clock
from cdn import scripts, tags
from cdn.edge import Batch, Receipt
from cdn.fence import TRANSIT_MS, Fence, Leaving
from cdn.ledger import ALL_SHARDS, Ledger, Readers, Tags
from cdn.load import Headroom
from cdn.local.config import CLOUDFRONT
from cdn.local.decision import Life
from cdn.local.invalidations import Invalidations
from cdn.local.objects import Key, Object
from cdn.local.results import Result
from cdn.pending import CallBudget, Flag
from feeds.ids import shard_of
from feeds.model import Sources
from feeds.progress import Board, Waiting
from invalidator.drain import Drain
from invalidator.plan import Limits

PAGE = 25
BAKE_S = 0.02
READABLE_S = 0.005
"""Seconds from a write to its record: relay, stream and fan-out of an idle system."""

CALL_MS = 2000
POLL_S = 2.0
LATEST = 200
NEVER = 1 << 62
LATE = b"late"
LATE_CONTROL = "s-maxage=1, stale-while-revalidate=0, stale-if-error=0"
UNKEPT = Life(0.0, 0.0, 0.0, 0.0)


class Post(NamedTuple):
    """A post, by the change that published it: its number, its author's, and its id."""

    number: int
    author: int
    id: str


@dataclass(slots=True)
class Crowd:
    """Who draws from whom. ``follows``: a user's authors, as numbers; ``names``: an author's id by number."""

    follows: Mapping[str, Sequence[int]]
    names: Mapping[int, str]
    followers: dict[int, dict[int, list[str]]] = field(default_factory=dict)
    """Author → shard → users."""

    def __post_init__(self) -> None:
        for user, authors in self.follows.items():
            for author in authors:
                self.followers.setdefault(author, {}).setdefault(shard_of(user), []).append(user)

    def readers(self, author: int) -> Iterable[str]:
        """Return who draws from an author."""
        return (user for users in self.followers.get(author, {}).values() for user in users)


class Press:
    """What feeds show: the number of the newest change in each, and the posts of their first pages."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd = crowd
        self.changes = 0
        self.shows: dict[str, int] = {}
        """User → the newest change that their feed shows."""
        self.live: dict[str, int] = {}
        """User → the newest live change that their feed shows."""
        self._latest: dict[int, deque[Post]] = {}
        self._draws = Draws(own=False)
        self._drawn: dict[str, Drawn] = {}

    def publish(self, author: int) -> Post:
        """Let an author publish."""
        self.changes += 1
        made = Post(self.changes, author, f"post-{self.changes}")
        self._latest.setdefault(author, deque(maxlen=LATEST)).append(made)
        self.touch(self.crowd.readers(author))
        return made

    def last(self, author: int) -> Post | None:
        """Return an author's last post."""
        latest = self._latest.get(author)
        return latest[-1] if latest else None

    def edit(self, post: Post, *, gone: bool) -> list[str]:
        """Edit or delete a post; return whose first page shows or showed it."""
        self.changes += 1
        shown = [user for user in self.crowd.readers(post.author) if post in self.page(user)]
        self.touch(shown)
        if gone:
            self._latest[post.author].remove(post)
        return shown

    def touch(self, users: Iterable[str]) -> None:
        """Let feeds show the newest change."""
        for user in users:
            self.shows[user] = self.changes

    def page(self, user: str) -> list[Post]:
        """Return the posts of a feed's first page."""
        latest = self._latest
        return nlargest(PAGE, (post for author in self.crowd.follows[user] for post in latest.get(author, ())))

    def drawn(self, user: str) -> Drawn:
        """Return what a feed draws from."""
        if (found := self._drawn.get(user)) is None:
            authors = tuple(sorted(self.crowd.follows[user]))
            names = tuple(self.crowd.names[author] for author in authors)
            found = self._drawn[user] = self._draws.of(Sources(user, 0, authors, (), (), (), (), 1, names))
        return found


@dataclass(frozen=True, slots=True)
class Stage:
    """What everything happens on."""

    redis: Redis
    clock: Clock
    events: Events
    press: Press
    freshness: Freshness


class Origin:
    """Bakes, and lets pass what the fence lets pass."""

    def __init__(self, stage: Stage) -> None:
        self._redis = stage.redis
        self._press = stage.press
        self._events = stage.events
        self._freshness = stage.freshness
        self._fence = Fence(stage.redis, Guard())
        self.bakes = self.late = 0

    def ask(self, key: Key, reply: Reply) -> None:
        """Answer a request, once it is baked and has passed."""
        self._events.after(0, partial(self._bake, key, reply, 1))

    async def _bake(self, key: Key, reply: Reply, bake: int) -> None:
        """Note the count, read, and leave when it is baked."""
        self.bakes += 1
        user = user_of(key)
        command = self._fence.note(shard_of(user))
        (said,) = await scripts.execute(self._redis, [command])
        noted = self._fence.noted(shard_of(user), command, said)
        made, leaving = self._made(key, user, noted)
        self._events.after(BAKE_S, partial(self._leave, key, reply, bake, made, leaving))

    async def _leave(self, key: Key, reply: Reply, bake: int, made: Object, leaving: Leaving) -> None:
        if (await self._fence.passes([leaving]))[0] is not None:
            reply(made, Result.MISS)
        elif bake == 1:
            await self._bake(key, reply, 2)
        else:
            self.late += 1
            late = Object(200, LATE_CONTROL, None, UNKEPT, key, LATE, (), (), made.tags)
            reply(late, Result.MISS)

    def _made(self, key: Key, user: str, noted: int) -> tuple[Object, Leaving]:
        press, shard = self._press, shard_of(user)
        posts, drawn = press.page(user), press.drawn(user)
        own = [tags.GLOBAL, tags.shard_tag(shard), tags.user_tag(user), *(tags.post_tag(post.id) for post in posts)]
        found = filled(own, drawn, (), [_known(post) for post in posts])
        body = b"%d" % press.shows.get(user, 0)
        control = self._freshness.header.decode()
        made = Object(200, control, b'"' + body + b'"', UNKEPT, key, body, (), (), frozenset(found.tags))
        depends = frozenset((*own, *drawn.tags))
        horizon = self._freshness.horizon_ms
        return made, Leaving(shard, noted, depends, found.tags, horizon, user, found.carried)


class Edge:
    """The port to a ``Cdn``, with quotas, rate and delays as the local edge has them. A refusal ends the bench."""

    name = "main"
    max_items = 3000

    def __init__(self, cdn: Cdn, clock: Clock) -> None:
        self._cdn = cdn
        self._api = Invalidations(CLOUDFRONT, (), clock)
        self.calls = self.most = 0

    async def check(self) -> None:
        """Nothing is amiss."""

    async def invalidate(self, batch: Batch) -> Receipt:
        """Take a batch, as CloudFront would."""
        items = [f"#{tag}" for tag in batch.tags]
        taken = self._api.create(batch.id, items)
        self.calls += 1
        self.most = max(self.most, sum(len(running.items) for running in self._api.in_progress()))
        self._cdn.invalidate(items)
        return Receipt(taken.id, complete=False)

    async def is_complete(self, invalidation: str) -> bool:
        """Tell whether it is reported complete."""
        return self._api.is_complete(self._api.get(invalidation))

    async def close(self) -> None:
        """Nothing is open."""


class Notes:
    """Which changes are readable and not live: the part of ``feeds.progress.Board`` that the drain loop asks."""

    def __init__(self, press: Press) -> None:
        self._press = press
        self._waiting: dict[str, Waiting] = {}
        self._users: dict[str, Sequence[str]] = {}
        self.made = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def readable(self, number: int, counts: Mapping[int, int], users: Sequence[str]) -> None:
        """Note a change."""
        self._waiting[str(number)] = Waiting(str(number), counts, sent=False, readable_ms=NEVER)
        self._users[str(number)] = users

    async def waiting(self, limit: int) -> list[Waiting]:
        """Return those that are not live."""
        return list(self._waiting.values())[:limit]

    async def sent(self, changes: Sequence[str]) -> None:
        """Nobody asks."""

    async def live(self, changes: Sequence[str], epoch: int | None = None) -> None:
        """From now on nobody may see what was before."""
        for change in changes:
            del self._waiting[change]
            for user in self._users.pop(change):
                self._press.live[user] = max(self._press.live.get(user, 0), int(change))


class Purse:
    """Counts items; there is no limit."""

    def __init__(self) -> None:
        self.first = self.taps = 0

    async def left(self) -> int | None:
        """Any number."""
        return None

    async def spent(self, first: int, taps: int, batch: str) -> None:
        """Count the items of a batch."""
        self.first += first
        self.taps += taps


class Wide:
    """An origin with headroom."""

    async def headroom(self) -> Headroom:
        """Tell that there is room."""
        return Headroom(wide=True, wait_ms=0.0, known=True, at_ms=0)


class Desk:
    """The way of a change: readable, recorded, sent, live."""

    def __init__(self, stage: Stage, cdn: Cdn) -> None:
        redis = stage.redis
        self._press = stage.press
        self._events = stage.events
        self._clock = stage.clock
        self.edge = Edge(cdn, stage.clock)
        self.notes = Notes(stage.press)
        self.purse = Purse()
        self._ledger = Ledger(redis, [self.edge.name])
        forgotten = stage.freshness.horizon_ms + TRANSIT_MS
        limits = Limits(3000, forgotten, TRANSIT_MS, 25_000, tap_all=len(cdn.tiers) > 1)
        budget = CallBudget(redis, "bench", CALL_MS)
        board = cast(Board, self.notes)
        self._drain = Drain(redis, self.edge, board, budget, limits, poll_s=POLL_S, origin=Wide(), money=self.purse)
        self._due = float("inf")

    async def make(self, change: str) -> None:
        """Make a change: ``publish <author>``, or ``edit`` or ``delete`` the last post of one; else nothing happens."""
        kind, author = change.split()
        if kind == "publish":
            await self._publish(int(author))
        elif (post := self._press.last(int(author))) is not None:
            flags = Flag.URGENT if kind == "delete" else Flag.PLAIN
            shown = self._press.edit(post, gone=kind == "delete")
            needs = {shard: Tags({tags.post_tag(post.id): flags}) for shard in ALL_SHARDS}
            await self._record(self._press.changes, needs, shown)

    async def _publish(self, author: int) -> None:
        """Drop the author's tag, and by name the readers whose answers carry none of theirs."""
        press = self._press
        post = press.publish(author)
        dropped = (tags.author_tag(press.crowd.names[author]), tags.post_tag(post.id))
        needs = {shard: Tags(dict.fromkeys(dropped, Flag.PLAIN)) for shard in ALL_SHARDS}
        for shard, users in press.crowd.followers.get(author, {}).items():
            needs[shard].readers.append(Readers((author,), "\n".join(users)))
        await self._record(post.number, needs, list(press.crowd.readers(author)))

    async def _record(self, number: int, needs: Mapping[int, Tags], users: Sequence[str]) -> None:
        recorded = await self._ledger.record(needs)
        self.notes.readable(number, {shard: found.count for shard, found in recorded.items()}, users)
        self._wake(READABLE_S)

    def _wake(self, seconds: float) -> None:
        when = self._clock.now + seconds
        if when < self._due:
            self._due = when
            self._events.after(seconds, partial(self._step, when))

    async def _step(self, when: float) -> None:
        """Let the drain loop do what is due, unless it was to do so earlier meanwhile."""
        if when != self._due:
            return
        self._due = float("inf")
        wait = await self._drain.step()
        if self.notes:
            self._wake(max(wait, POLL_S) if wait > 0 else READABLE_S)


def key_of(user: str) -> Key:
    """Return the cache key of a user's feed."""
    return Key(f"/feed/{user}", "gzip")


def user_of(key: Key) -> str:
    """Return whose feed a cache key is of."""
    return key.path[6:]


def on_the_clock(clock: Clock) -> None:
    """Let the running event loop take the time from a clock: nothing in it sleeps."""
    loop: Any = asyncio.get_running_loop()
    loop.time = clock


def _known(post: Post) -> Known:
    return Known(post.number, post.id, post.number, post.author, frozenset(), 0)
