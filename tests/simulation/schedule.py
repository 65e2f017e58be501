"""A schedule: what happens in one run, drawn from a seed, and the same for the same seed.

Reads and writes at drawn times; whatever can go wrong, each in some schedules and not in others, for a fault that is
everywhere hides others. Then the weather clears, everybody starts again, and all changes must become live.
"""

import asyncio
import random as global_random
from dataclasses import dataclass, field
from random import Random

from edgebake.settings import Settings
from feeds.change import Change, PostEdited, PostPublished, PostWithdrawn, ProfileChanged, SettingsChanged, subject_of
from tests.simulation import mix, scenes, writes
from tests.simulation.books import Books, Row
from tests.simulation.edge import Stored, Unreachable
from tests.simulation.faults import Faults, clear
from tests.simulation.house import House, Wrongs, asked, replaced
from tests.simulation.loop import Loop
from tests.simulation.oracle import Lost, Oracle

EPOCH_S = 1_700_000_000
PATIENCE_S = 120.0
"""Virtual seconds after the weather cleared until every change is live."""


TRIES = 30
ALONE = 0.3
"""Share of the reads around a write that are of a post's page, or of an author's."""

BEFORE_S = 0.05
"""Seconds before a write from which on it is read what will change."""


@dataclass(slots=True)
class Outcome:
    """What a schedule came to."""

    seed: int
    seconds: float = 0.0
    trips: int = 0
    steps: int = 0
    changes: int = 0
    items: int = 0
    judged: int = 0
    trace: list[str] = field(default_factory=list)


class Schedule:
    """One schedule. ``wrongs`` stand in the place of real parts."""

    def __init__(self, seed: int, wrongs: Wrongs | None = None, *, traced: bool = False) -> None:
        self.outcome = Outcome(seed)
        self._traced = traced
        self._wrongs = wrongs or {}
        self.random = random = Random(seed)
        self.loop = loop = Loop(random)  # type: ignore[abstract]  # has what is asked of it
        epoch_s = EPOCH_S + random.uniform(0, 64)
        self.scene = scene = mix.drawn(seed, random)
        self.settings = Settings(
            edge="local",
            edge_profile="cloudfront",
            tiers=scene.tiers,
            feed_ttl=4,
            stale_while_revalidate=1,
            stale_if_error=1,
            call_interval=scene.pace.call_s or random.choice((0.02, 0.2)),
            origin_timeout=scenes.CUT_S,
            rolling_interval=0.2,
            recompute_every=0,
            purge_every=0,
            overflow_items=random.choice((0, 20)),
            activations=random.choice((0, 10_000, 10_000)),
        )
        self.read: list[str] = []
        self.theme = random.getrandbits(32)
        world = writes.world(random, int(epoch_s * 1000), scene.cast)
        self.books = books = Books(world, lambda: self.house.wall_ms())  # noqa: PLW0108  # there is no house yet
        self.house = House(loop, random, self.settings, books, scene, epoch_s=epoch_s)
        self.oracle = Oracle(books)
        self.cdn = self.house.open_edge(scene.whims, self._on_store, scene.tiers)
        self.faults = Faults(self.house, self.oracle, self.say)
        books.on_live = self._on_live

    def run(self) -> Outcome:
        """Run it. Raises Stale or Lost, and whatever a process raised."""
        global_random.seed(self.outcome.seed)  # jitter in the product
        with replaced({**self.house.everything(), **self._wrongs}):
            self.loop.run(self._main())
        self.outcome.seconds = self.loop.time()
        self.outcome.trips = self.house.fast.trips + self.house.slow.trips
        self.outcome.steps = self.loop.steps
        self.outcome.changes = len(self.books.rows)
        self.outcome.items = sum(len(batch.tags) for _, batch in self.cdn.calls.taken)
        self.outcome.judged = self.oracle.checked
        return self.outcome

    def say(self, what: str) -> None:
        """Note what happens, for people."""
        if self._traced:
            self.outcome.trace.append(f"{self.loop.time():8.3f} {what}")

    def _on_store(self, tier: str, path: str, stored: Stored) -> None:
        self.say(f"{tier} stores {path}: {stored.answer.status} {'late ' if stored.answer.late else ''}")
        self.oracle.judge(tier, path, stored, self.loop.time(), "as it was stored")

    def _on_live(self, row: Row) -> None:
        self.say(f"{row.id} is live: {row.change}")
        self.oracle.became_live(row, self.cdn, self.loop.time())

    async def _main(self) -> None:
        random, house, scene = self.random, self.house, self.scene
        if scene.is_moment:
            await house.prepare()
        for number in range(scene.workers):
            house.start_worker(number)
        for number in range(scene.bakers):
            house.start_baker(number)
        early, late = scene.writes[0], scene.span_s
        feeds = [f"/feed/{reader}/feed.json" for reader in scene.cast.readers]
        tasks = [
            *[asyncio.create_task(self._read_at(random.uniform(0.1, 0.9 * early))) for _ in range(scene.early)],
            *[asyncio.create_task(self._read_at(random.uniform(0, late))) for _ in range(scene.stray)],
            *[asyncio.create_task(self._read_at(at, path)) for at in scene.fed for path in feeds],
            *[asyncio.create_task(self._write_at(number, at)) for number, at in enumerate(scene.writes)],
            *[asyncio.create_task(fault(late)) for fault in self.faults.drawn(scene.faults, scene.sure)],
        ]
        await asyncio.wait(tasks)
        for task in tasks:
            task.result()
        await self._settle()

    # What people do.

    def _near(self, change: Change) -> str:
        """Draw a page that a change may show on, in any format."""
        random, form = self.random, self.random.choice(self.scene.forms)
        said = set(subject_of(change).replace(",", "").split())
        near = [user for user in writes.PEOPLE if user in said]
        if isinstance(change, PostPublished | PostEdited | PostWithdrawn):
            if random.random() < ALONE:
                return random.choice((f"/post/{change.post}", f"/author/{change.author}{form}"))
            source = self.books.data.users[change.author].num
            near = [user for user in writes.PEOPLE if source in self.books.data.follows.get(user, ())] or near
        elif isinstance(change, ProfileChanged) and random.random() < ALONE:
            return f"/author/{change.user}{form}"
        user = random.choice(near or self.scene.cast.readers)
        if isinstance(change, SettingsChanged) and random.random() < 0.5:
            return f"/private/{user}{form or '/'}"
        return f"/feed/{user}{form}"

    def _paths(self) -> list[str]:
        posts = list(self.books.data.posts)
        pages = [f"/feed/{user}/feed.json" for user in self.scene.cast.readers]
        if self.scene.is_moment:
            author, reader = self.scene.cast.authors[0], self.scene.cast.readers[0]
            if self.scene.forms == ("",):
                return [*(f"/feed/{user}" for user in self.scene.cast.readers), f"/author/{author}"]
            return [*pages, *pages, f"/feed/{reader}", f"/author/{author}/feed.json", f"/post/{posts[-1]}"]
        return [*pages, *pages, "/feed/ada", "/author/bob/feed.json", "/author/pop/feed.json", f"/post/{posts[-1]}"]

    async def _read_at(self, at: float, path: str = "") -> None:
        await asyncio.sleep(at)
        path = path or self.random.choice(self._paths())
        self.read.append(path)
        try:
            await self.random.choice(self.cdn.outer).get(path)
        except Unreachable:
            self.say(f"nobody answered {path}")

    async def _write_at(self, number: int, at: float) -> None:
        """Write, and read around that what may change."""
        random, scene = self.random, self.scene
        await asyncio.sleep(at - BEFORE_S)
        drawn = Random(self.theme) if random.random() < scene.again else random
        kind = scene.kinds[number % len(scene.kinds)] if scene.kinds else ""
        write = writes.draw(drawn, self.house.wall_ms(), scene.cast, kind)
        planned = write(self.books.data)
        if planned is None:
            return
        first = -BEFORE_S if scene.is_moment else 0.0
        reads = [
            self._read_at(BEFORE_S + random.uniform(first, scene.within_s), self._near(planned[1]))
            for _ in range(scene.around)
        ]
        beside = [self._read_at(random.uniform(0, BEFORE_S + scene.within_s)) for _ in range(scene.beside)]
        await asyncio.gather(self._write(write), *reads, *beside)

    async def _write(self, write: writes.Write) -> None:
        await asyncio.sleep(BEFORE_S)
        row = await self.house.desk(calm=True).write(write)
        if row is not None:
            self.say(f"{row.id} is accepted: {row.change}")
            self.house.wake_relay()

    # The end.

    async def _settle(self) -> None:
        """Let the weather clear and everybody be up, and wait until every change is live.

        And until Redis was told again what it forgot: changes that were live may wait for that too.
        """
        self.say("the weather clears")
        clear(self.house)
        limit = self.loop.time() + PATIENCE_S
        while waiting := self._waits():
            if self.loop.time() > limit:
                raise Lost(f"{waiting} after {PATIENCE_S:.0f} s")
            await asyncio.sleep(0.5)
        self.oracle.look(self.cdn, self.loop.time(), "at the end")
        paths = list(dict.fromkeys([*reversed(self.read), *self._paths()]))
        asked = [self._agree(number, path) for number in sorted(self.house.apps) for path in paths[: self.scene.asked]]
        await asyncio.gather(*asked)

    def _waits(self) -> str:
        """Say what is not as it should be at the end; nothing where all is."""
        if not self.house.is_told_again:
            return "the outbox is not replayed"
        late = next((row for row in self.books.rows.values() if row.live_ms is None), None)
        return "" if late is None else f"{late.id} ({late.change}) is not live"

    async def _agree(self, number: int, path: str) -> None:
        """Ask a baker for a page at the end: it is as the truth is."""
        for _ in range(TRIES):
            answer = await asked(self.house.apps[number], path, "")
            if answer.status != 503:  # a bake that took too long; what it read is there the next time
                break
            await asyncio.sleep(0.5)
        self.oracle.agree(f"baker {number}", path, answer, self.loop.time())
