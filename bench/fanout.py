"""bench fanout: followers a second until every feed has the post, against Stream-Framework and a pipeline.

All write into the same Redis, taking turns, round after round; after each turn followers' feeds are looked into.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

import uvloop
from redis import Redis

from bench.audiences import Author, authors, now_ms, recorded, timelines
from bench.contenders import FRAMEWORK_CAP, Contender, Done, Edgebake, Framework, Look, Pipeline, Task
from bench.report import Report, Say, machine, middle, ratio, rounded
from bench.streamframework.client import Kind, stream_framework
from bench.trips import send
from bench.world import valkey
from edgebake.settings import Settings
from edgebake.valkey import socket_path
from edgebake.wiring import opened_record, opened_redis

OURS, PLAIN, SHIPPED, MENDED = "Edgebake", "pipeline", "Stream-Framework as shipped", "Stream-Framework mended"
AIMED_AT = 100_000
SAMPLE = 2_000
"""Feeds that are looked into after a turn; after the last round of a mode, all of them."""
AIMS = {SHIPPED: 20.0, PLAIN: 3.0}


@dataclass(frozen=True, slots=True)
class Mode:
    """What is different about some rounds: lists of followers that are cold, or a Redis that writes no file."""

    name: str
    cold: bool = False
    file: bool = True


AT_HAND = Mode("")
COLD = Mode("cold lists", cold=True)
NO_FILE = Mode("no append-only file", file=False)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: authors by their followers, and rounds of each mode."""

    sizes: Sequence[tuple[int, int]]
    rounds: Mapping[Mode, int]


QUICK = Effort(((10, 100), (1_000, 2), (AIMED_AT, 1)), {AT_HAND: 3, COLD: 1, NO_FILE: 1})
FULL = Effort(((10, 500), (1_000, 20), (AIMED_AT, 1)), {AT_HAND: 9, COLD: 5, NO_FILE: 5})


@dataclass(slots=True)
class Turns:
    """What one contender did with authors of one size."""

    rates: list[float] = field(default_factory=list)
    client_us: list[float] = field(default_factory=list)
    redis_us: list[float] = field(default_factory=list)

    def add(self, done: Done, redis_s: float) -> None:
        """Note a turn."""
        followers = len(done.looks)
        self.rates.append(followers / done.seconds)
        self.client_us.append(done.cpu_s / followers * 1e6)
        self.redis_us.append(redis_s / followers * 1e6)

    @property
    def cpu_us(self) -> list[float]:
        """CPU of both processes, a follower."""
        return [mine + theirs for mine, theirs in zip(self.client_us, self.redis_us, strict=True)]

    def row(self) -> dict[str, float]:
        """Return what came of them."""
        return {
            "followers a second": middle(self.rates),
            "lowest": rounded(min(self.rates)),
            "highest": rounded(max(self.rates)),
            "client CPU µs": middle(self.client_us),
            "Redis CPU µs": middle(self.redis_us),
        }


Measured = dict[tuple[int, Mode], dict[str, Turns]]


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure(FULL if full else QUICK, say))


async def measure(effort: Effort, say: Say) -> Report:
    """Measure so much."""
    report = Report(
        "fanout", machine() | {f"rounds, {mode.name or 'as it is'}": n for mode, n in effort.rounds.items()}
    )
    with valkey() as settings, Redis.from_url(settings.redis_url.reveal()) as redis:
        redis.config_set("auto-aof-rewrite-percentage", 0)  # no fork in the middle of somebody's turn
        async with contenders(settings, redis, effort, say) as (world, contending):
            turns = _Turns(redis, world, contending)
            for mode, rounds in effort.rounds.items():
                redis.config_set("appendonly", "yes" if mode.file else "no")
                for number in range(rounds):
                    say(f"round {number + 1} of {rounds} {mode.name}")
                    await turns.round(mode, look_at=SAMPLE if number + 1 < rounds else None)
            report.figures |= await turns.longest_script()
    compose(report, turns.measured)
    return report


World = Mapping[int, Sequence[Author]]


@asynccontextmanager
async def contenders(
    settings: Settings, redis: Redis, effort: Effort, say: Say
) -> AsyncIterator[tuple[World, Mapping[str, Contender]]]:
    """Make the world, and give each contender its feeds in it."""
    world = authors(effort.sizes)
    audience = list(chain.from_iterable(world.values()))
    async with AsyncExitStack() as stack:
        record = await stack.enter_async_context(opened_record(settings))
        client = await stack.enter_async_context(opened_redis(settings, record))
        say(f"{len(audience)} authors into the system of record")
        users = await recorded(record, audience)
        say(f"{len(users):,} feeds for each contender")
        send(redis, timelines(users))
        file = _file(settings)
        pipeline = Pipeline(redis, file)
        pipeline.fill(users)
        contending: dict[str, Contender] = {}
        for title, kind in KINDS.items():
            socket = socket_path(settings.data_dir / "valkey")
            driver = stack.enter_context(stream_framework(socket, kind, FRAMEWORK_CAP))
            framework = Framework(driver, kind, file)
            framework.fill(audience, users)
            contending[title] = framework
        yield world, contending | {PLAIN: pipeline, OURS: Edgebake(settings, record, client)}


KINDS: Mapping[str, Kind] = {SHIPPED: "shipped", MENDED: "mended"}


def _file(settings: Settings) -> Path:
    assert settings.sqlite_file is not None
    return settings.sqlite_file


class _Turns:
    """Lets everybody publish in turn, and looks after each turn whether followers have the post."""

    def __init__(self, redis: Redis, world: World, contending: Mapping[str, Contender]) -> None:
        self._redis = redis
        self._world = world
        self._contending = dict(contending)
        self._posts = count(1)
        self.measured: Measured = {}

    async def round(self, mode: Mode, look_at: int | None) -> None:
        """Give each contender a turn with the authors of each size; who begins is drawn.

        Look into so many feeds after each, or where no number is given, into all.
        """
        for size, those in self._world.items():
            of_size = self.measured.setdefault((size, mode), {title: Turns() for title in self._contending})
            for title in random.sample(list(self._contending), len(self._contending)):
                tasks = [Task(author, next(self._posts), now_ms()) for author in those]
                before = self._cpu()
                done = await self._contending[title].publish(tasks, cold=mode.cold)
                of_size[title].add(done, self._cpu() - before)
                looks = done.looks
                self._check(title, random.sample(looks, min(look_at or len(looks), len(looks))))

    async def longest_script(self) -> dict[str, float]:
        """Return how long a script of ours keeps Redis, as Redis itself counts it."""
        spread = self._redis.info("latencystats")["latency_percentiles_usec_evalsha"]
        return {"a script of ours, p50 µs": spread["p50"], "a script of ours, p99 µs": spread["p99"]}

    def _cpu(self) -> float:
        used = self._redis.info("cpu")
        return float(used["used_cpu_user"] + used["used_cpu_sys"])

    def _check(self, title: str, looks: Sequence[Look]) -> None:
        """Look into feeds. Raises AssertionError where one does not have the post, or has it twice."""
        pipeline = self._redis.pipeline(transaction=False)
        for look in looks:
            pipeline.execute_command(*look.command)  # type: ignore[no-untyped-call]  # redis-py
        missing = sum(not look.finds(reply) for look, reply in zip(looks, pipeline.execute(), strict=True))
        assert not missing, f"{title}: {missing} of {len(looks)} feeds do not have the post once"


def compose(report: Report, measured: Measured) -> None:
    """Note what everybody did, and how many times theirs we do, round by round."""
    for (size, mode), of_size in measured.items():
        name = f"{size:,}{', ' if mode.name else ''}{mode.name}"
        report.figures |= {f"{name}: {title}": turns.row() for title, turns in of_size.items()}
        ours = of_size[OURS]
        for title in (SHIPPED, MENDED, PLAIN):
            compared, theirs = f"{name}: {OURS} to {title}", of_size[title]
            times = ratio(ours.rates, theirs.rates)
            if size == AIMED_AT and title in AIMS:
                report.at_least(compared, times, AIMS[title])
            else:
                report.figures[compared] = times
            report.figures[f"{compared}, by CPU"] = ratio(theirs.cpu_us, ours.cpu_us)
