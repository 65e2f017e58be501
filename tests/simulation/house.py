"""The house: processes put together by the product's own code, over the simulated Redis, record and edge.

``edgebake.workers`` and ``edgebake.apps`` put the loops and the baker together, from settings, as in production. What
is replaced is what a process meets outside of itself: its connections, the edge's API, the clock; and what every
process makes alike at its start, the renderer, which is made once for each edition of the templates.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from random import Random
from typing import Any

from baker.oven import Oven
from cdn import scripts as cdn_scripts
from edgebake import apps, workers
from edgebake.enduring import endured
from edgebake.epochs import Epochs
from edgebake.settings import Settings
from edgebake.wiring import EDGE
from feeds import keys
from feeds import scripts as feeds_scripts
from feeds.listener import Listener
from feeds.purge import Purge
from feeds.worker import Worker
from invalidator.budget import Budget
from invalidator.recorder import Recorder
from tests.simulation import editions
from tests.simulation.books import Books, Desk
from tests.simulation.causes import Causes, Shard
from tests.simulation.edge import Answer, Api, Cdn, Stored, Unreachable, Whims
from tests.simulation.loop import Loop, Process
from tests.simulation.redis import Server
from tests.simulation.scenes import Scene
from tests.simulation.wire import Network, Weather, client

IDLE = (Listener, Purge, Budget)
"""Loops of `work` that have nothing to do here."""

PAUSED = 0.2
"""Share of answers that take long from the fence to their first byte."""

Kept = tuple[Any, Any, dict[int, Shard]]
"""What Redis had, and what is known of it."""

Wrongs = Mapping[str, Any]
"""What stands in the place of the real parts: ``module.Name`` → the wrong one. Empty but in ``test_finds.py``."""


@contextlib.contextmanager
def replaced(parts: Wrongs) -> Iterator[None]:
    """Put these parts in the place of the product's, where those are put together."""
    import importlib

    before: list[tuple[Any, str, Any]] = []
    try:
        for path, part in parts.items():
            name, _, attribute = path.rpartition(".")
            module = importlib.import_module(name)
            before.append((module, attribute, getattr(module, attribute)))
            setattr(module, attribute, part)
        yield
    finally:
        for module, attribute, part in reversed(before):
            setattr(module, attribute, part)


class House:
    """All of it: books, Redis, edge, and the processes that are up."""

    def __init__(
        self, loop: Loop, random: Random, settings: Settings, books: Books, scene: Scene, *, epoch_s: float
    ) -> None:
        self.loop = loop
        self.random = random
        self.settings = settings
        self.books = books
        self.server = Server(self.clock_us)
        self.began_us = round(epoch_s * 1e6)
        self.step_us = 0
        self.fast = Network(loop, random, self.server, scene.fast)
        self.slow = Network(loop, random, self.server, scene.slow)
        self.database = scene.database
        self.records = scene.records or scene.database
        self.pace = scene.pace
        longest_ms = settings.freshness.horizon_ms + settings.transit_ms
        self.causes = Causes(self.server, EDGE, longest_ms=longest_ms, overflow_items=settings.overflow_items)
        if scene.distant is not None:
            since_s, weather = scene.distant
            loop.outside_at(since_s, self.slow.distant.__setitem__, worker_name(0), weather)
        self.fast.heard = self.slow.heard = self.causes.heard
        self.bakers: dict[int, Process] = {}
        self.apps: dict[int, Any] = {}
        self.workers: dict[int, Process] = {}
        self.wall_steps: dict[int, float] = {}
        self.losses = 0
        self.forgot_under = -1
        self.edition = editions.FIRST

    def open_edge(self, whims: Whims, on_store: Callable[[str, str, Stored], None], tiers: int) -> Cdn:
        """Open the edge."""
        self.cdn = Cdn(self.loop, self.random, whims, self.fetch, on_store, tiers=tiers)
        return self.cdn

    # Clocks.

    def clock_us(self) -> int:
        """Return the time of Redis, in microseconds."""
        return self.began_us + self.step_us + round(self.loop.time() * 1e6)

    def wall_s(self) -> float:
        """Return the time of the process that asks, in seconds."""
        return self.began_us / 1e6 + self.loop.time() + self.wall_steps.get(self.loop.here().pid, 0.0)

    def wall_ms(self) -> int:
        """Return the same in milliseconds."""
        return int(self.wall_s() * 1000)

    # Processes.

    async def prepare(self) -> None:
        """Let Redis be one that was there before: in an epoch, and with all scripts."""
        for text in (*cdn_scripts.TEXTS.values(), *feeds_scripts.TEXTS.values()):
            self.server.load(text.encode())
        network = Network(self.loop, self.random, self.server, Weather(0.0001, slow=0.0))
        await self.redis(network, self.desk(calm=True)).ping()

    def desk(self, *, calm: bool = False) -> Any:
        """Return the record as one process reaches it; ``calm``: it never fails."""
        return self._desk(Weather(self.database.mean_s, slow=0.0) if calm else self.database)

    def _desk(self, weather: Weather) -> Any:
        return Desk(self.random, self.books, weather)

    def redis(self, network: Network, desk: Any) -> Any:
        """Return a client of a process of its own, which compares epochs."""
        epochs = Epochs(desk, edges=[EDGE], unsure_ms=self.settings.unsure_ms)
        return client(network, epochs.compare)

    def start_worker(self, number: int) -> None:
        """Start a process of `work`."""
        self.workers[number] = self.loop.spawn(worker_name(number), lambda: self._work(number))

    def kill(self, process: Process) -> None:
        """Kill a process; what it sent arrives."""
        self.loop.kill(process)
        for network in (self.fast, self.slow):
            network.hang_up(process)

    def start_baker(self, number: int) -> None:
        """Start a process of `serve`."""
        self.apps.pop(number, None)
        self.bakers[number] = self.loop.spawn(f"baker {number}", lambda: self._bake(number))

    async def _work(self, number: int) -> None:
        desk, name = self._desk(self.records), f"worker-{number}-{self.loop.here().pid}"
        redis, stop = self.redis(self.slow, desk), asyncio.Event()
        api: Any = Api(self.cdn, self.random)
        with replaced({"edgebake.workers.consumer": lambda: name}):
            loops = [
                *workers.relay(self.settings, desk, redis),
                *workers.fanout(self.settings, desk, redis),
                *workers.invalidator(self.settings, desk, redis, api),
            ]
        wanted = [run for run in loops if not isinstance(getattr(run, "__self__", None), IDLE)]
        await asyncio.gather(*[endured(run, stop) for run in wanted])

    def _renderer(self, folder: Any, public_url: str, image_hosts: frozenset[str]) -> Any:
        """Return the renderer of a process that starts now: it has the templates that are deployed."""
        return editions.renderer(self.edition, public_url, image_hosts)

    async def _bake(self, number: int) -> None:
        desk = self.desk()
        redis = self.redis(self.fast, desk)
        self.apps[number], _ = apps.feeds(self.settings, desk, redis)

    def processes(self) -> list[Process]:
        """Return the processes that are up."""
        return [process for process in (*self.workers.values(), *self.bakers.values()) if process.alive]

    def restart_dead(self) -> None:
        """Start what is not up."""
        for numbers, start in ((self.workers, self.start_worker), (self.bakers, self.start_baker)):
            for number in [number for number, process in numbers.items() if not process.alive]:
                start(number)

    def copied(self) -> Kept:
        """Return a copy of all that Redis has."""
        return (*self.server.store.copied(), self.causes.copied())

    def lose(self, kept: Kept) -> None:
        """Let Redis be another one that has what was copied then."""
        for network in (self.fast, self.slow):
            network.break_all()
        self.server.store.values, self.server.store.expires, causes = kept
        self.causes.restore(causes)
        self.forgot_under = self.books.epoch.number
        self.losses += 1
        self.server.renew(f"{self.losses:040x}")

    def flush(self) -> None:
        """Empty Redis; connections stay."""
        self.server.execute([b"FLUSHALL"])
        self.causes.restore(None)
        self.forgot_under = self.books.epoch.number

    @property
    def is_told_again(self) -> bool:
        """Tell whether the outbox was replayed since Redis forgot, if it did."""
        return self.books.epoch.replayed > self.forgot_under

    def wake_relay(self) -> None:
        """Tell the relay of a commit, as the API does; the message may be lost."""
        if self.random.random() < 0.7:
            self.slow.publish(keys.WAKE_RELAY.encode(), b"")

    # The origin, as the edge sees it.

    async def fetch(self, path: str, etag: str) -> Answer:
        """Ask one of the bakers. Raises Unreachable."""
        await asyncio.sleep(self.fast.delay())
        up = [number for number, process in self.bakers.items() if process.alive and number in self.apps]
        if not up:
            raise Unreachable(path)
        number = self.random.choice(up)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        async def ask() -> None:
            answer = await asked(self.apps[number], path, etag)
            if not answered.done():
                answered.set_result(answer)

        self.loop.run_in(self.bakers[number], ask())
        answer = await answered
        paused = self.random.random() < PAUSED
        await asyncio.sleep(self.random.uniform(0, self.cdn.whims.cut_s) if paused else self.fast.delay())
        if answer.status >= 500:
            raise Unreachable(path)
        return answer

    def everything(self) -> Wrongs:
        """Return what stands for the world outside of all processes."""
        pace = self.pace
        return {
            "feeds.progress.time": self.wall_s,
            "feeds.relay.POLL_S": pace.look_s,
            "feeds.relay.LISTEN_S": 5 * pace.look_s,
            "feeds.delivery.PART": 1,  # each follower is a part of a fan-out
            "feeds.worker.BLOCK_MS": pace.block_ms,
            "invalidator.recorder.BLOCK_MS": pace.block_ms,
            "invalidator.drain.IDLE_S": pace.look_s,
            "invalidator.rolling.IDLE_S": pace.look_s,
            "edgebake.workers.POLL_S": {"cloudfront": pace.poll_s},
            "edgebake.workers.Worker": partial(Worker, lease_ms=pace.lease_ms),
            "edgebake.workers.Recorder": partial(Recorder, lease_ms=pace.lease_ms),
            "baker.kitchen.Renderer": self._renderer,
            "baker.kitchen.Oven": partial(Oven, clock=self.loop.time),
        }


def worker_name(number: int) -> str:
    """Return the name of a process of `work`."""
    return f"worker {number}"


async def asked(app: Any, path: str, etag: str) -> Answer:
    """Ask an application for a path."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    headers = [(b"if-none-match", etag.encode())] if etag else []
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": headers}
    await app(scope, receive, send)
    start, body = sent
    return Answer.of(start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, body["body"])
