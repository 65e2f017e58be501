"""The audit against a whole loop: it finds and names what an edge swallowed, and nothing where nothing is amiss."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from cdn.edge import Batch, Receipt
from cdn.local.objects import Objects
from feeds import keys
from feeds.command import (
    Command,
    CreatePost,
    DeletePost,
    EditPost,
    Follow,
    Invalidate,
    PutSettings,
    PutUser,
    RenameUser,
    Unfollow,
)
from feeds.progress import now_ms
from feeds.relay import Relay
from feeds.worker import Worker
from invalidator.audit import Seen
from invalidator.prober import Effort, Prober
from invalidator.recorder import Recorder
from invalidator.tally import Tally
from invalidator.viewer import Viewer
from tests.integration.baking import before, config, follows, open_bakers, post, users
from tests.integration.house import FakeEdge, House, until
from tests.integration.local_edge import World, listen, local_edge, serving

LOOKS_S = (1.0, 600.0)
"""The last one is in time for a minute, which is more than a busy machine needs until all is live."""
LIFE_S = 300
LEASE_MS = 100
"""Short, for it is how long a loop that is told to stop may wait for an entry."""


class Dropping(FakeEdge):
    """An edge that drops what it is told, at once; ``swallows`` says of which items it only says so."""

    def __init__(self, objects: Objects, swallows: Callable[[str], bool] = lambda tag: False) -> None:
        super().__init__()
        self._objects = objects
        self._swallows = swallows

    async def invalidate(self, batch: Batch) -> Receipt:
        """Drop what carries one of the tags, but for what is swallowed."""
        receipt = await super().invalidate(batch)
        for tag in batch.tags:
            if not self._swallows(tag):
                self._objects.drop(f"#{tag}")
        return receipt


class Clock:
    """The time, and as much more as a test says."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> int:
        return now_ms() + round(self.ahead_s * 1000)


@dataclass
class Street:
    """A house with everybody at work, a local edge before its baker, and what the audit needs."""

    house: House
    world: World
    http: httpx.AsyncClient
    clock: Clock = field(default_factory=Clock)

    def prober(self, changes: int, feeds: int = 10) -> Prober:
        """Return the audit of so many changes."""
        viewer = Viewer(self.http, self.world.proxy_url, LIFE_S, self.clock)
        effort = Effort(LIFE_S, feeds, looks_s=LOOKS_S, once=changes)
        return Prober(self.house.redis, self.house.record, viewer, [self.house.pending], effort)

    async def audited(self, *commands: Command, feeds: int = 10) -> Tally:
        """Let the audit keep feeds warm, make changes one after the other, and return what it found."""
        prober = self.prober(len(commands), feeds)
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(prober.run())
            await prober.ready.wait()
            for command in commands:
                await self.apply(command)
            await self.passed(prober)
        return probing.result()

    async def apply(self, command: Command) -> None:
        """Make a change."""
        await self.house.apply(command)
        await self.house.redis.publish(keys.WAKE_RELAY, "")

    async def passed(self, prober: Prober) -> None:
        """Let the time of the last look come, once the audit has seen all its changes live."""
        await until(lambda: _has_seen_all(prober), seconds=60)
        self.clock.ahead_s += LOOKS_S[-1]


async def _has_seen_all(prober: Prober) -> bool:
    return prober.closing.is_set() and not prober.awaited


@asynccontextmanager
async def open_street(house: House, swallows: Callable[[str], bool] = lambda tag: False) -> AsyncIterator[Street]:
    """Let ada, eve and kim follow grace; put everybody to work."""
    named = ("ada", "eve", "kim")
    await before(house, *users(*named, "grace"), *(follow for user in named for follow in follows(user, "grace")))
    await before(house, *(post(number) for number in range(3)))
    at_origin, origin = listen()
    async with (
        open_bakers(house, config()) as (baker,),
        serving((at_origin, baker.app, {"lifespan": "off"})),
        local_edge(origin_url=origin) as world,
        httpx.AsyncClient(trust_env=False) as http,
        at_work(house, Dropping(world.edge.objects, swallows)),
    ):
        yield Street(house, world, http)


@asynccontextmanager
async def at_work(house: House, edge: FakeEdge) -> AsyncIterator[None]:
    """Let relay, fan-out, recorder and drain loop work."""
    house.edge = edge
    stop = asyncio.Event()
    loops: list[Callable[[asyncio.Event], Awaitable[None]]] = [
        Relay(house.redis, house.record).run,
        Worker(house.redis, house.fanout, "worker", lease_ms=LEASE_MS).run,
        Recorder(house.redis, house.ledger, house.board, "recorder", wake=lambda: None, lease_ms=LEASE_MS).run,
        house.drain_of(edge).run,
    ]
    tasks = [asyncio.ensure_future(loop(stop)) for loop in loops]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def test_what_is_invalidated_is_visible_and_no_miss(house: House) -> None:
    async with open_street(house) as street:
        tally = await street.audited(post(7), EditPost(post="post-0001", title="Another"), DeletePost(post="post-0002"))
    assert tally.ok
    assert tally.fates == {"judged": 3}
    last = tally.report()["visible"][-1]
    assert (last["visible"], last["of"], last["nines"]) == (3, 3, 0.0), "three changes show no nine"
    for name, group in ((keys.CHANGES, b"fanout"), (keys.AFFECTED, b"invalidator")):
        assert [found["name"] for found in await house.redis.xinfo_groups(name)] == [group], "it is in nobody's way"


async def test_an_entry_of_a_version_to_come_is_counted_and_ends_nothing(house: House) -> None:
    async with open_street(house) as street:
        prober = street.prober(1)
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(prober.run())
            await prober.ready.wait()
            await house.redis.xadd(keys.CHANGES, {"id": "c-mood", "kind": "mood-changed", "body": "{}"})
            await house.redis.xadd(keys.CHANGES, {"nobody": "knows"})
            await street.apply(RenameUser(user="grace", name="Amazing"))
            await street.passed(prober)
    assert probing.result().fates == {"unreadable": 2, "judged": 1}


async def test_what_an_edge_swallowed_is_found_and_named(house: House) -> None:
    about: dict[str, tuple[Command, str]] = {
        "post-published": (post(7), "a-grace"),
        "post-edited": (EditPost(post="post-0001", title="Another"), "p-post-0001"),
        "post-withdrawn": (DeletePost(post="post-0002"), "p-post-0002"),
        "profile-changed": (RenameUser(user="grace", name="Amazing"), "a-grace"),
        "settings-changed": (PutSettings(user="ada", feed_visibility="private"), "u-ada"),
    }
    async with open_street(house, lambda tag: True) as street:
        tally = await street.audited(*(command for command, _ in about.values()), feeds=3)
    assert not tally.ok
    assert [row["visible"] for row in tally.report()["visible"]] == [0, 0]
    assert {miss.kind for miss in tally.misses} == set(about)
    for miss in tally.misses:
        assert miss.why == "old after live"
        assert about[miss.kind][1] in miss.tags
        assert miss.count is not None
        assert miss.needed is not None
        assert miss.count < miss.needed
        assert list(miss.times) == ["accepted", "readable", "sent", "done", "live"]
    sent = {tag for miss in tally.misses for tags in miss.batches.values() for tag in tags}
    assert {"a-grace", "p-post-0001"} <= sent, "what is not sent, the ledger takes for dropped already"


async def test_only_the_feed_whose_item_was_swallowed_is_named(house: House) -> None:
    async with open_street(house, lambda tag: tag == "u-ada") as street:
        tally = await street.audited(Unfollow(user="ada", author="grace"), Unfollow(user="eve", author="grace"))
    assert [(miss.feed, miss.kind) for miss in tally.misses] == [("/feed/ada/feed.json", "follows-changed")]


async def test_a_lower_count_over_the_same_page_is_no_miss(house: House) -> None:
    """An invalidation that nothing changed for: its page is old by count, and by nothing else."""
    async with open_street(house, lambda tag: True) as street:
        tally = await street.audited(Invalidate(scope="user", user="ada"))
    assert tally.ok
    assert tally.answers[Seen.SAME] > 0


async def test_whom_a_change_concerns_is_in_the_panel_for_the_next(house: House) -> None:
    async with open_street(house) as street:
        await before(house, PutUser(user="zoe", name="Zoe"), PutUser(user="hal", name="Hal"))
        await before(house, Follow(user="zoe", author="hal"))
        prober = street.prober(1, feeds=1)
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(prober.run())
            await prober.ready.wait()
            await street.apply(CreatePost(post="hal-1", author="hal", title="One"))
            await until(lambda: _was_read(street.world, "zoe"), seconds=60)
            await street.apply(CreatePost(post="hal-2", author="hal", title="Two"))
            await street.passed(prober)
        tally = probing.result()
    assert tally.fates["nowhere"] == 1
    assert tally.fates["judged"] == 1


async def _was_read(world: World, user: str) -> bool:
    return any(entry.path == f"/feed/{user}/feed.json" for entry in world.edge.log)
