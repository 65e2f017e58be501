"""The ledger's scripts, on a real Valkey and under a clock in hand, against what they are to do, and what is true."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cdn import keys
from cdn.fence import Leaving
from cdn.ledger import Readers, Recorded, Tags
from cdn.pending import Flag, PendingSet, Waiting
from tests.emptied import emptied
from tests.integration.connections import connected
from tests.integration.ground import Ground
from tests.integration.ledger_reference import Reference, Truth

SHARD = 5
EDGES = ("main", "varnish")
BEGIN_MS = 1_790_000_001_234
TRANSIT_MS = 6200
USERS = ["ada", "bob"]
TAGS = ["p-1", "a-1"]
LIVES_MS = [1, 5000, 90_000, 660_000]
LONGEST_MS = max(LIVES_MS) + TRANSIT_MS
WAITS_MS = [1, 700, 3000, TRANSIT_MS - 1, TRANSIT_MS, 64_000, 400_000]


@dataclass(frozen=True)
class Leave:
    """An answer leaves, or two that are alike."""

    user: str
    tags: tuple[str, ...]
    carried: tuple[int, ...] | None
    horizon_ms: int
    times: int

    def leaving(self, noted: int) -> Leaving:
        """Return it as it stands at the door."""
        listed = ["g", "s-05", *self.tags]
        if not self.user:
            return Leaving(SHARD, noted, set(), listed, self.horizon_ms)
        listed += [f"u-{self.user}"] if self.carried is None else [f"u-{self.user}", "o"]
        return Leaving(SHARD, noted, set(), listed, self.horizon_ms, self.user, self.carried)


@dataclass(frozen=True)
class Record:
    """Changes are recorded."""

    dropped: dict[str, Flag]
    readers: list[Readers]


@dataclass(frozen=True)
class Mint:
    """A batch is minted of what an edge's planner saw, now or when it last looked; then it looks, if it is to.

    ``wide``: one ``o`` goes in place of the leftover readers' own tags.
    """

    edge: str
    late: bool
    looks: bool
    wide: bool


@dataclass(frozen=True)
class Release:
    """What an edge can no longer hold waits no longer."""

    edge: str


@dataclass(frozen=True)
class Pass:
    """Time goes by, and the trim takes a step."""

    ms: int


@dataclass(frozen=True)
class Doubt:
    """The ledger may lack answers, for a time."""

    seconds: int


Step: TypeAlias = Leave | Record | Mint | Release | Pass | Doubt

flags = st.sampled_from([Flag.PLAIN, Flag.PLAIN, Flag.URGENT, Flag.TAP, Flag.PATIENT])
sources = st.lists(st.sampled_from([1, 2, 12, 2**31 + 1]), unique=True, max_size=3).map(tuple)
users = st.sampled_from(["ada", "bob", "ada\nbob"])
leaves = st.builds(
    Leave,
    st.sampled_from([*USERS, *USERS, ""]),
    st.lists(st.sampled_from(TAGS), unique=True).map(tuple),
    st.one_of(sources, st.none()),
    st.sampled_from(LIVES_MS),
    st.integers(1, 2),
)
names = st.sampled_from([*TAGS, *TAGS, "o", "u-ada", "u-bob", "p-2"])
drops = st.builds(Record, st.dictionaries(names, flags, min_size=1, max_size=3), st.just([]))
publishes = st.builds(
    Record, st.dictionaries(names, flags, max_size=1), st.lists(st.builds(Readers, sources, users), min_size=1)
)
wides = st.builds(Record, st.dictionaries(st.sampled_from(["g", "s-05", "p-1"]), flags, min_size=1), st.just([]))
steps = st.one_of(
    leaves,
    leaves,
    leaves,
    drops,
    publishes,
    publishes,
    st.builds(Pass, st.sampled_from(WAITS_MS)),
    st.one_of(
        wides,
        st.builds(Mint, st.sampled_from(EDGES), st.booleans(), st.booleans(), st.booleans()),
        st.builds(Release, st.sampled_from(EDGES)),
        st.builds(Doubt, st.sampled_from([1, 100])),
    ),
)


class Shard:
    """One shard, the reference of it, and what is true."""

    def __init__(self, url: str) -> None:
        self.ground = Ground(connected(url), *EDGES)
        self.pending = {edge: PendingSet(self.ground.redis, edge) for edge in EDGES}
        self.seen: dict[str, tuple[Waiting, ...]] = dict.fromkeys(EDGES, ())
        self.reference = Reference(EDGES, BEGIN_MS, TRANSIT_MS)
        self.truth = Truth(EDGES, TRANSIT_MS)

    async def run(self, steps: Sequence[Step]) -> None:
        """Take steps; after each, what waits is what is to wait, and nothing that is outdated is missed."""
        async with self.ground.redis:
            await emptied(self.ground.redis)
            await self.ground.at(BEGIN_MS)
            for step in steps:
                await self.take(step)
                assert not self.truth.missed(self.reference.now_ms, self.reference.waiting)
            for edge in EDGES:
                assert {entry.tag: entry for entry in await self.look(edge)} == self.reference.waiting[edge]

    async def take(self, step: Step) -> None:
        """Take a step."""
        match step:
            case Leave():
                await self.leave(step)
            case Record():
                await self.record(Tags(dict(step.dropped), {"a-guard"}, step.readers))
            case Mint():
                await self.mint(step)
            case Release():
                await self.release(step.edge)
            case Pass():
                self.reference.now_ms += step.ms
                await self.ground.at(self.reference.now_ms)
                await self.ground.ledger.trim()
            case Doubt():
                self.reference.unsure_s = self.reference.now_s + step.seconds
                await self.ground.redis.set(keys.unsure(SHARD), self.reference.unsure_s)

    async def leave(self, step: Leave) -> None:
        """Let answers leave."""
        answers = [step.leaving(self.reference.count)] * step.times
        for answer in answers:
            self.reference.leave(answer)
            self.truth.leave(answer, self.reference.now_ms)
        await self.ground.fence.passes(answers)

    async def record(self, tags: Tags) -> None:
        """Record changes."""
        made = self.reference.record(tags)
        self.truth.record(tags, self.reference.now_ms)
        assert await self.ground.ledger.record({SHARD: tags}) == {SHARD: Recorded(self.reference.count, made)}

    async def look(self, edge: str) -> tuple[Waiting, ...]:
        """Look at what waits for an edge, as a planner does."""
        return (await self.pending[edge].read([SHARD], 100))[SHARD].waiting

    async def mint(self, step: Mint) -> None:
        """Mint a batch of all that was seen."""
        seen = self.seen[step.edge] if step.late else await self.look(step.edge)
        self.truth.drop(step.edge, self.reference.claim(step.edge, seen), self.reference.now_ms, wide=step.wide)
        await self.pending[step.edge].mint([entry.tag for entry in seen], {SHARD: seen})
        if step.looks:
            self.seen[step.edge] = await self.look(step.edge)

    async def release(self, edge: str) -> None:
        """Release what is over."""
        over = [entry for entry in await self.look(edge) if entry.at_ms + LONGEST_MS < self.reference.now_ms]
        assert await self.pending[edge].release({SHARD: over}) == len(self.reference.claim(edge, over))


def test_the_scripts_do_what_they_are_to_do_and_miss_nothing(valkey: str, pytestconfig: pytest.Config) -> None:
    long = pytestconfig.getoption("--long")
    phases = [Phase.generate, Phase.shrink] if long else [Phase.generate]

    @settings(max_examples=3000 if long else 60, deadline=None, phases=phases)
    @given(st.lists(steps, min_size=20, max_size=45))
    def holds(steps: list[Step]) -> None:
        with asyncio.Runner() as runner:
            runner.run(Shard(valkey).run(steps))

    holds()
