"""bench freshness: from just before a publish to the first fresh answer at the local edge, while many others read.

Changes come at a constant rate, whether or not the last one is live, as they do in production.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from statistics import fmean
from typing import Any, Literal, get_args

import aiohttp

from bench.load import Generator, Load, request
from bench.report import Report, Say, machine, percentile, rounded
from bench.running import Running, up
from cdn.local.config import PROFILES
from edgebake.settings import Settings
from feeds.record import Record

READERS = 32
FEW = 4
"""Connections over which feeds are read for the first time: nobody is shed."""
SEED = 7
PATIENCE_S = 60.0
STALE_S = 20.0
"""A feed that does not show its change after so long is counted as stale, and with this time."""
GRAIN_S = 0.002
"""The API tells times to the millisecond."""
CALL_MS = 100.0
"""What everything but the edge's own delays may take under the profile `cloudfront`."""

Step = Literal["accepted", "readable", "sent", "live"]
STEPS: tuple[Step, ...] = get_args(Step)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured under one profile.

    ``pause_s`` is the time between two polls of a feed, ``until`` how far changes are followed afterwards: the profile
    `cloudfront` reports them complete, and so live, half a minute after they are fresh.
    """

    profile: str
    changes: int
    a_second: float
    pause_s: float
    until: Step = "live"
    feeds: int = 200
    reads_a_second: float = 200.0


QUICK = (Effort("instant", 100, 10.0, 0.003), Effort("cloudfront", 20, 2.5, 0.01, "sent"))
FULL = (Effort("instant", 500, 10.0, 0.003), Effort("cloudfront", 500, 5.0, 0.01))


@dataclass(slots=True)
class Probe:
    """One change: which feed must show it, how long that took, and how far it was when."""

    author: str
    reader: str
    post: str
    seconds: float = 0.0
    change: str = ""
    stale: bool = False
    old_at: float = 0.0
    """When the last poll was sent that was answered without the post."""
    live_at: float | None = None
    reached: Mapping[str, int] = field(default_factory=dict)


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    report = Report("freshness", machine())
    for effort in FULL if full else QUICK:
        say(f"profile {effort.profile}: {effort.changes} changes, {effort.a_second:g} a second")
        with up("--demo", "--edge-profile", effort.profile) as running:
            running.until_live(PATIENCE_S)
            asyncio.run(_Run(running, effort).measure(report))
    return report


def aim_ms(profile: str) -> float:
    """Return what the 99th percentile is aimed to stay below."""
    if profile == "instant":
        return 150.0
    interval = Settings(edge_profile="cloudfront").seconds_between_calls
    return (interval + PROFILES["cloudfront"].effect_s) * 1000 + CALL_MS


class _Run:
    """The measurement of one profile."""

    def __init__(self, running: Running, effort: Effort) -> None:
        self._running = running
        self._effort = effort

    async def measure(self, report: Report) -> None:
        """Publish, and watch the edge."""
        effort = self._effort
        users, probes, followers = await self._choose()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False) as http:
            reading = asyncio.create_task(asyncio.to_thread(self._read, users))
            bakes = await self._bakes(http)
            try:
                await self._publish_all(http, probes)
            finally:
                load = await reading
            bakes = await self._bakes(http) - bakes
            for probe in probes:
                await self._look_back(http, probe)
        report.figures[f"profile {effort.profile}"] = {
            "changes": len(probes),
            "a second": effort.a_second,
            "followers": round(followers),
            "feeds read": len(users),
            "reads a second": rounded(load.rate),
            "bakes": round(bakes),
            "old after live": sum(_was_old(probe) for probe in probes),
            f"stale {STALE_S:g} s": sum(probe.stale for probe in probes),
        }
        self._compose(report, probes, load)

    def _compose(self, report: Report, probes: Sequence[Probe], load: Load) -> None:
        name = self._effort.profile
        fresh = [probe.seconds * 1000 for probe in probes]
        report.figures |= {f"{name}: {step}": spread(times) for step, times in _steps(probes).items()}
        report.figures[f"{name}: publish → fresh at the edge"] = spread(fresh)
        report.figures[f"{name}: others' reads"] = spread([latency * 1000 for latency in load.latencies])
        report.below(f"{name}: p99 of publish → fresh, in ms", percentile(fresh, 0.99), aim_ms(name))

    async def _choose(self) -> tuple[list[str], list[Probe], float]:
        """Choose readers, for each change one of them and an author they follow; count the authors' followers."""
        draw = random.Random(SEED)
        record = await Record.open(self._running.found["database"], migrate=False)
        try:
            users = await record.some_users(self._effort.feeds)
            follows = {user: (await record.follows(user)).authors for user in users}
            readers = [draw.choice(users) for _ in range(self._effort.changes)]
            probes = [Probe(draw.choice(follows[reader]), reader, f"bench-{at}") for at, reader in enumerate(readers)]
            authors = await record.users(sorted({probe.author for probe in probes}))
            counts = [len(await record.followers(authors[probe.author].num)) for probe in probes]
        finally:
            await record.close()
        return users, probes, fmean(counts)

    def _read(self, users: Sequence[str]) -> Load:
        """Read all feeds at the edge, over and over, for as long as changes are published."""
        effort, port, requests = self._effort, self._running.port("edge"), [request(_path(user)) for user in users]
        with Generator(port, requests, FEW) as generator:
            generator.each_once()
        with Generator(port, requests, READERS) as generator:
            return generator.at_rate(effort.reads_a_second, effort.changes / effort.a_second)

    async def _publish_all(self, http: aiohttp.ClientSession, probes: Sequence[Probe]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.TaskGroup() as group:
            for at, probe in enumerate(probes):
                await asyncio.sleep(begun + at / self._effort.a_second - loop.time())
                group.create_task(self._publish(http, probe))

    async def _publish(self, http: aiohttp.ClientSession, probe: Probe) -> None:
        """Publish, and poll the feed at the edge until it shows the post."""
        found = self._running.found
        feed, shown = found["edge"] + _path(probe.reader), f'/post/{probe.post}"'.encode()
        await _get(http, feed)  # so that the edge holds it, and has to be told
        begun = time.perf_counter()
        body = {"post": probe.post, "author": probe.author, "title": f"Fresh {probe.post}"}
        async with http.post(found["api"] + "/api/posts", json=body, headers=self._token) as answer:
            assert answer.status == 202, await answer.text()
            probe.change = (await answer.json())["change"]
        asked_at = time.time()
        while shown not in await _get(http, feed) and not probe.stale:
            probe.old_at = asked_at
            await asyncio.sleep(self._effort.pause_s)
            probe.stale = time.perf_counter() - begun > STALE_S
            asked_at = time.time()
        probe.seconds = time.perf_counter() - begun

    async def _look_back(self, http: aiohttp.ClientSession, probe: Probe) -> None:
        """Ask when the change was how far, once it is as far as it is followed."""
        url = f"{self._running.found['api']}/api/changes/{probe.change}"
        until = self._effort.until
        async with asyncio.timeout(PATIENCE_S):
            while True:
                change = await self._change(http, url)
                if change[until] is not None:
                    break
                await asyncio.sleep(0.05)
        if until == "live":
            probe.live_at = datetime.fromisoformat(change["live"]["at"]).timestamp()
        probe.reached = {step: change[step]["ms"] for step in STEPS[: STEPS.index(until) + 1]}

    async def _change(self, http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
        async with http.get(url, headers=self._token) as answer:
            change: dict[str, Any] = await answer.json()
            return change

    async def _bakes(self, http: aiohttp.ClientSession) -> float:
        """Return how many bakes the baker counts."""
        lines = (await _get(http, self._running.found["ops"] + "/metrics")).decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("edgebake_bakes_total{"))

    @property
    def _token(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._running.found['token']}"}


async def _get(http: aiohttp.ClientSession, url: str) -> bytes:
    async with http.get(url, headers={"Accept-Encoding": "identity"}) as answer:
        body = await answer.read()
        assert answer.status == 200, f"{url} answered {answer.status}"
        return body


def _path(user: str) -> str:
    return f"/feed/{user}/feed.json"


def _was_old(probe: Probe) -> bool:
    """Tell whether a request that was sent after the change was live got what was before it."""
    return probe.live_at is not None and probe.old_at - probe.live_at > GRAIN_S


def _steps(probes: Sequence[Probe]) -> dict[str, list[float]]:
    """Return the milliseconds of each step, over the changes."""
    return {
        f"{a} → {b}": [float(probe.reached[b] - probe.reached[a]) for probe in probes]
        for a, b in pairwise(STEPS)
        if b in probes[0].reached
    }


def spread(times: Sequence[float]) -> dict[str, float]:
    """Return how milliseconds are spread."""
    return {
        "p50 ms": rounded(percentile(times, 0.5)),
        "p90 ms": rounded(percentile(times, 0.9)),
        "p99 ms": rounded(percentile(times, 0.99)),
        "max ms": rounded(max(times)),
    }
