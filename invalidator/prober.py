"""The prober: follows changes, reads the feeds that they concern through the edge, and asks again. What Polaris is to
Meta's caches.

It belongs to no consumer group and writes nothing, so it is in nobody's way. It reads the change stream as it grows;
what the stream dropped before it came by is counted (*unseen*). What it took up it follows to its last look.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from cdn.pending import Minted, PendingSet
from feeds import keys, scripts
from feeds.change import Change, Undecodable, decode
from feeds.errors import RecordUnavailable
from feeds.parts import chunks
from feeds.progress import counts_of
from feeds.record import Record
from feeds.stream import Entry, came
from invalidator.audit import (
    LOOKS_S,
    NOTHING,
    PLAIN,
    RIGHT,
    SOFT,
    Answer,
    Case,
    Look,
    Miss,
    Probe,
    Seen,
    holds,
    look_at,
    past_threshold,
    tags_of,
)
from invalidator.panel import Panel
from invalidator.reference import page_of
from invalidator.shown import Page, differ
from invalidator.tally import Tally
from invalidator.viewer import Viewer

OPEN = 500
"""Changes that are followed at once; more are passed over, and counted."""

REMEMBERED = 10_000
"""Changes of which a second entry in the stream is known: the relay may number one twice."""

AT_ONCE = 500
BLOCK_MS = 250
WATCH_S = 0.05
TAP_LOOK_S = 1.0
"""Seconds between two looks where the first items of a change are complete and second taps are awaited."""

WARM_AT_ONCE = 4
"""Feeds that are read at once at the beginning: each is a bake, perhaps."""

AGAIN_S = 2.5
AGAIN = 3
"""A last look that says nothing (late, no answer) is made again, so often and after so long."""

RETRY_S = 1.0
T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is read: feeds in the panel, feeds a change, seconds after acceptance; ``once``: changes, 0 for no end.

    ``life_s``: how long an edge may serve a feed, stale while it refreshes it included. ``order`` and ``own_posts``
    are the deployment's.
    """

    life_s: int
    feeds: int = 100
    a_change: int = 3
    looks_s: tuple[float, ...] = LOOKS_S
    once: int = 0
    order: str = "newest"
    own_posts: bool = True


class Prober:
    """Probes one edge. ``closing`` ends the taking up of changes, ``stop`` ends everything."""

    def __init__(
        self, redis: Redis, record: Record, viewer: Viewer, pending: Sequence[PendingSet], effort: Effort
    ) -> None:
        """The time is the viewer's."""
        self._redis = redis
        self._record = record
        self._viewer = viewer
        self._now_ms = viewer.now_ms
        self._pending = pending
        self._effort = effort
        self._panel = Panel(redis, record, effort.feeds)
        self._open: dict[str, Case] = {}
        self._moved: dict[str, asyncio.Event] = {}
        self._known: OrderedDict[str, None] = OrderedDict()
        self._came: asyncio.Queue[tuple[str, Change]] = asyncio.Queue()
        self._taken = 0
        self.tally = Tally(effort.looks_s)
        self.ready = asyncio.Event()
        self.closing = asyncio.Event()
        self.stop = asyncio.Event()

    async def run(self) -> Tally:
        """Probe until ``closing``, then until every change that was taken up had its last look, or ``stop``."""
        await self._panel.fill()
        for users in chunks(self._panel.users, WARM_AT_ONCE):
            await asyncio.gather(*map(self._read, users))
        self._cases = asyncio.TaskGroup()
        async with asyncio.TaskGroup() as helpers:
            helpers.create_task(self._watch())
            helpers.create_task(self._keep_warm())
            async with self._cases:
                self._cases.create_task(self._take_up_all())
                await self._follow()
            self.stop.set()
        if self._open:
            self.tally.fate("open", len(self._open))
        return self.tally

    @property
    def awaited(self) -> int:
        """How many of the changes that it took up are not live, as far as it knows."""
        return sum(not case.known_ms for case in self._open.values())

    # Which changes

    async def _follow(self) -> None:
        """Take up changes as they come into the stream."""
        position, added = await self._position()
        read = 0
        self.ready.set()
        while not self.closing.is_set() and not self.stop.is_set():
            entries = await self._entries(position)
            for name, fields in entries:
                self._enter(name, fields)
            position, read = entries[-1][0] if entries else position, read + len(entries)
        if unseen := await self._patiently(partial(self._unseen, position, added + read)):
            self.tally.fate("unseen", unseen)

    def _enter(self, name: bytes, fields: Mapping[bytes, bytes]) -> None:
        """Queue an entry of the stream; one that this version cannot read, which fan-out parks, is counted."""
        try:
            change = decode(fields.get(b"kind", b"").decode(), fields.get(b"body", b""))
            self._came.put_nowait((fields[b"id"].decode(), change))
        except (KeyError, Undecodable) as error:
            log.warning("The audit cannot read entry %s of %s: %s", name.decode(), keys.CHANGES, error)
            self.tally.fate("unreadable")

    async def _take_up_all(self) -> None:
        """Decide about changes beside the reading: what is not read soon, the stream drops."""
        while not self.closing.is_set() and not self.stop.is_set():
            if (met := await self._next()) is not None:
                await self._meet(*met)

    async def _next(self) -> tuple[str, Change] | None:
        """Return the next change that came, None where none does for a while."""
        try:
            async with asyncio.timeout(BLOCK_MS / 1000):
                return await self._came.get()
        except TimeoutError:
            return None

    async def _unseen(self, position: bytes, known: int) -> int:
        """Return how many entries the stream dropped before they were read, where so many are known of up to here."""
        later: Any = await self._redis.xrange(keys.CHANGES, min=b"(" + position)
        _, added = await self._position()
        return max(0, added - known - len(later))

    async def _entries(self, position: bytes) -> list[Entry]:
        """Return what came into the stream, waiting for it; nothing where Redis does not answer now."""
        read = partial(self._redis.xread, {keys.CHANGES: position}, count=AT_ONCE, block=BLOCK_MS)
        reply: Any = await self._patiently(read)
        return [entry for _, entries in reply or () for entry in entries]

    async def _position(self) -> tuple[bytes, int]:
        """Return the stream's last entry, and how many were ever added."""
        try:
            info: Any = await self._redis.xinfo_stream(keys.CHANGES)
        except ResponseError:  # nobody has written to it yet
            return b"0-0", 0
        return info["last-generated-id"], int(info["entries-added"])

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """Ask Redis or the record until it answers; None: stopped before. What is followed is not lost meanwhile."""
        while not self.stop.is_set():
            try:
                return await ask()
            except (RedisError, RecordUnavailable, OSError) as error:
                log.warning("The audit waits: %s", error)
                await came(self.stop, RETRY_S)
        return None

    async def _meet(self, change_id: str, change: Change) -> None:
        """Decide what to do with a change: take it up, or count why not."""
        if change_id in self._known:
            return
        self._known[change_id] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        if isinstance(change, SOFT):
            self.tally.fate("soft")
        elif len(self._open) >= OPEN:
            self.tally.fate("passed over")
        else:
            await self._take_up(change_id, change)

    async def _take_up(self, change_id: str, change: Change) -> None:
        topics = await self._patiently(lambda: self._panel.topics(change)) or ()
        faces = self._panel.concerned(change, topics, self._effort.a_change)
        if not faces:
            self.tally.fate("nowhere")
            if (user := await self._patiently(lambda: self._panel.adopt(change))) is not None:
                await self._read(user)
            return
        accepted = await self._patiently(lambda: self._redis.hget(keys.change(change_id), "accepted"))
        probes = [Probe(face.user, face.answer) for face in faces]
        tags = tags_of(change, [face.user for face in faces], topics)
        case = self._open[change_id] = Case(change_id, change, int(accepted or self._now_ms()), probes, tags=tags)
        self._moved[change_id] = asyncio.Event()
        self._cases.create_task(self._probe(case))
        self._taken += 1
        if self._taken == self._effort.once:
            self.closing.set()

    # One change

    async def _probe(self, case: Case) -> None:
        """Look at a change's feeds when that is due and when it is live, and judge it."""
        for number, seconds in enumerate(self._effort.looks_s, 1):
            if not await self._due(case, case.accepted_ms + round(seconds * 1000)):
                return
            await self._look(case, last=number == len(self._effort.looks_s))
        del self._open[case.id], self._moved[case.id]
        for miss in self.tally.judge(case):
            _tell(miss)
        for probe in case.probes:
            await self._patiently(partial(self._panel.take, probe.user))  # what they follow may be another now

    async def _due(self, case: Case, due_ms: int) -> bool:
        """Wait for a time, and look meanwhile when the change is live and while taps are awaited; False: stopped."""
        moved, live = self._moved[case.id], bool(case.known_ms)
        while (left_s := (due_ms - self._now_ms()) / 1000) > 0 and not self.stop.is_set():
            tapping = case.done_ms and not case.known_ms
            if await came(moved, min(left_s, TAP_LOOK_S if tapping else 0.5)):
                moved.clear()
            if (case.known_ms and not live) or tapping:
                live = bool(case.known_ms)
                await self._look(case, last=False)
        return not self.stop.is_set()

    async def _look(self, case: Case, *, last: bool) -> None:
        await asyncio.gather(*(self._look_once(case, probe, last=last) for probe in case.probes))
        for _ in range(AGAIN if last else 0):
            if not (silent := [probe for probe in case.probes if probe.looks[-1].seen in NOTHING]):
                break
            await came(self.stop, AGAIN_S)
            await asyncio.gather(*(self._look_once(case, probe, last=True) for probe in silent))

    async def _look_once(self, case: Case, probe: Probe, *, last: bool) -> None:
        answer = await self._read(probe.user)
        look = Look(answer, look_at(answer, case.needed(probe.user)))
        if past_threshold(case, look, last=last):
            look.seen = await self._ask_record(case, probe, look)
        probe.looks.append(look)

    async def _ask_record(self, case: Case, probe: Probe, look: Look) -> Seen:
        """Compare what is behind with the record: does the page differ in what the change is about?

        Where another change may be the reason, the edge is asked once more: that one may have come meanwhile.
        """
        if not await self._differs(case, probe, look.answer.page):
            return Seen.SAME
        if isinstance(case.change, PLAIN):
            return Seen.OLD
        again = await self._read(probe.user)
        seen = look_at(again, case.needed(probe.user))
        return Seen.OLD if seen not in RIGHT and await self._differs(case, probe, again.page) else Seen.SAME

    async def _differs(self, case: Case, probe: Probe, page: Page) -> bool:
        effort = self._effort
        ask = partial(page_of, self._record, probe.user, page, order=effort.order, own_posts=effort.own_posts)
        truth = await self._patiently(ask)
        return truth is not None and differ(case.change, page, truth, case.accepted_ms)

    async def _read(self, user: str) -> Answer:
        answer = await self._viewer.read(user)
        self._panel.saw(user, answer)
        return answer

    # How far changes are

    async def _watch(self) -> None:
        """Ask how far the open changes are, and which batches name what concerns them."""
        while not await came(self.stop, WATCH_S):
            if cases := [case for case in self._open.values() if not case.known_ms]:
                await self._patiently(partial(self._watch_once, cases))

    async def _watch_once(self, cases: Sequence[Case]) -> None:
        rows = await scripts.execute(self._redis, [("HGETALL", keys.change(case.id)) for case in cases])
        batches = [minted for pending in self._pending for minted in await pending.stored()]
        for case, row in zip(cases, rows, strict=True):
            self._note(case, scripts.fields(row), batches)
        if live := [case for case in cases if case.known_ms]:
            over = [minted for pending in self._pending for minted in await pending.trail()]
            for case in live:
                case.batches |= _named(case, (past for past in over if past.accepted_ms >= case.accepted_ms))

    def _note(self, case: Case, row: Any, batches: Sequence[Minted]) -> None:
        """Note how far a change is. Its first items are complete when no batch that names one is not."""
        for shard, newest in counts_of(row).items():
            case.counts[shard] = max(case.counts.get(shard, 0), newest)
        case.batches |= _named(case, batches)
        case.tapped |= bool(_named(case, (minted for minted in batches if minted.done_ms)))
        under_way = _named(case, (minted for minted in batches if not minted.done_ms))
        if b"readable" in row and not case.readable_ms:
            case.readable_ms = int(row[b"readable"])
            for probe in case.probes:
                probe.held = holds(probe.before, case.needed(probe.user), case.readable_ms)
        case.sent_ms = case.sent_ms or int(row.get(b"sent", 0))
        if case.sent_ms and (b"live" in row or not under_way):  # what is live is complete, whatever goes again
            case.done_ms = case.done_ms or self._now_ms()
        if b"live" in row and not case.known_ms:
            case.live_ms, case.known_ms = int(row[b"live"]), self._now_ms()
        if case.id in self._moved:
            self._moved[case.id].set()

    # The panel

    async def _keep_warm(self) -> None:
        """Read each feed of the panel three times in a life, so that the edge always holds it."""
        for number in count():
            users = self._panel.users
            if await came(self.stop, self._effort.life_s / 3 / max(1, len(users))):
                return
            if users:
                await self._read(users[number % len(users)])


def _named(case: Case, batches: Iterable[Minted]) -> dict[str, tuple[str, ...]]:
    """Return the batches that name what concerns a change, and what of it."""
    return {minted.batch.id: found for minted in batches if (found := tuple(case.tags.intersection(minted.batch.tags)))}


def _tell(miss: Miss) -> None:
    log.error(
        "%s does not show change %s (%s, %s): %s. It has the count %s, the change %s; batches %s; %s.",
        *(miss.feed, miss.change, miss.kind, miss.subject, miss.why, miss.count, miss.needed),
        *(", ".join(miss.batches) or "none seen", miss.times),
    )
