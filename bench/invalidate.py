"""bench invalidate: from a change that is accepted to its items sent, when nothing else happens, and in a storm.

Both over a whole `edgebake up` with the local edge and the profile `instant`, so that what is measured is ours: relay,
fan-out, recording, plan and call.
"""

import asyncio
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bench.freshness import PATIENCE_S, STEPS, spread
from bench.report import Report, Say, machine, percentile, rounded
from bench.running import Running, up
from feeds.record import Record

SEED = 7
AIM_MS = 20.0
STORM_A_SECOND = 5000
BATCH = 500
FEEDS = 300
SAMPLED = 500
"""Changes of a storm that are asked after; all of them are waited for."""

LOOK_S = 0.25
STORM_PATIENCE_S = 600.0
KINDS = ("edit", "publish", "settings")
SHARES = (6, 2, 2)

_sample = re.compile(r"^(\w+)\{(.*)\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: changes when idle and how many a second, and seconds of storm."""

    changes: int
    a_second: float
    storm_s: float


QUICK = Effort(100, 5.0, 2.0)
FULL = Effort(500, 5.0, 10.0)


@dataclass(slots=True)
class Backlog:
    """The most that waited at any look: changes that are not live, tags that are not sent."""

    changes: int = 0
    tags: float = 0.0
    posted_s: float = 0.0
    seconds: float = 0.0
    refused: int = 0
    made: list[str] = field(default_factory=list)


def run(*, full: bool, say: Say) -> Report:
    """Measure."""
    report, effort = Report("invalidate", machine()), FULL if full else QUICK
    with up("--demo", "--edge-profile", "instant") as running:
        running.until_live(PATIENCE_S)
        asyncio.run(_Run(running, effort, say).measure(report))
    return report


class _Run:
    """The measurement."""

    def __init__(self, running: Running, effort: Effort, say: Say) -> None:
        self._running = running
        self._effort = effort
        self._say = say
        self._draw = random.Random(SEED)
        self._users: list[str] = []
        self._follows: dict[str, Sequence[str]] = {}
        self._posts: list[str] = []

    async def measure(self, report: Report) -> None:
        """Publish at leisure, then make a storm."""
        await self._choose()
        token = {"Authorization": f"Bearer {self._running.found['token']}"}
        unlimited = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=unlimited, headers=token, trust_env=False) as http:
            self._say(f"{self._effort.changes} changes, {self._effort.a_second:g} a second")
            await self._idle(http, report)
            count = round(STORM_A_SECOND * self._effort.storm_s)
            self._say(f"a storm of {count:,} changes, {STORM_A_SECOND:,} a second, {BATCH} a batch")
            await self._storm(http, report)

    async def _choose(self) -> None:
        """Choose readers, whom they follow, and the newest posts of these."""
        record = await Record.open(self._running.found["database"], migrate=False)
        try:
            self._users = await record.some_users(FEEDS)
            self._follows = {user: (await record.follows(user)).authors for user in self._users}
            self._posts = [entry.post for entry in await record.newest(1000)]
        finally:
            await record.close()

    async def _idle(self, http: aiohttp.ClientSession, report: Report) -> None:
        """Publish one post after the other, each for a feed that the edge holds."""
        begun, made = time.perf_counter(), []
        for number in range(self._effort.changes):
            await asyncio.sleep(max(0.0, begun + number / self._effort.a_second - time.perf_counter()))
            reader = self._draw.choice(self._users)
            await self._read(http, reader)
            author = self._draw.choice(self._follows[reader])
            made.append(await self._publish(http, {"post": f"idle-{number}", "author": author, "title": "Idle"}))
        rows = [await self._until_live(http, change) for change in made]
        for step in STEPS[1:]:
            report.figures[f"idle: accepted → {step}"] = spread([row[step] for row in rows])
        sent = [row["sent"] for row in rows]
        report.below("idle: p99 of accepted → sent, in ms", percentile(sent, 0.99), AIM_MS)

    async def _storm(self, http: aiohttp.ClientSession, report: Report) -> None:
        """Send batches at a constant rate, whether or not those before are done; wait until everything is live."""
        for user in self._users:
            await self._read(http, user)
        before = await self._metrics(http)
        backlog = Backlog()
        watching = asyncio.create_task(self._watch(http, backlog))
        begun = time.perf_counter()
        batches = round(STORM_A_SECOND * self._effort.storm_s / BATCH)
        async with asyncio.TaskGroup() as group:
            for number in range(batches):
                await asyncio.sleep(max(0.0, begun + number * BATCH / STORM_A_SECOND - time.perf_counter()))
                group.create_task(self._post(http, number, backlog))
        backlog.posted_s = time.perf_counter() - begun
        await asyncio.to_thread(self._running.until_live, STORM_PATIENCE_S)
        backlog.seconds = time.perf_counter() - begun
        watching.cancel()
        self._compose(report, backlog, before, await self._metrics(http))
        sampled = self._draw.sample(backlog.made, min(SAMPLED, len(backlog.made)))
        rows = [await self._until_live(http, change) for change in sampled]
        report.figures["storm: accepted → recorded"] = spread([row["readable"] for row in rows])
        report.figures["storm: accepted → sent"] = spread([row["sent"] for row in rows])
        report.figures["storm: accepted → live"] = spread([row["live"] for row in rows])

    def _compose(self, report: Report, backlog: Backlog, before: dict[str, float], after: dict[str, float]) -> None:
        since = {name: after[name] - before[name] for name in after}
        count = len(backlog.made)
        report.figures |= {
            "storm: changes": count,
            "storm: accepted a second": rounded(count / backlog.posted_s),
            "storm: seconds until the last is live": rounded(backlog.seconds),
            "storm: batches that the API refused at first": backlog.refused,
            "storm: most changes not live": backlog.changes,
            "storm: most tags not sent": round(backlog.tags),
            "storm: batches": round(since["batches"]),
            "storm: first items": round(since["first"]),
            "storm: second taps": round(since["second"]),
            "storm: changes a first item": rounded(count / max(1.0, since["first"])),
        }

    async def _watch(self, http: aiohttp.ClientSession, backlog: Backlog) -> None:
        """Look at how much waits, until cancelled."""
        while True:
            backlog.changes = max(backlog.changes, await asyncio.to_thread(self._running.not_live))
            backlog.tags = max(backlog.tags, (await self._metrics(http))["waiting"])
            await asyncio.sleep(LOOK_S)

    async def _post(self, http: aiohttp.ClientSession, number: int, backlog: Backlog) -> None:
        """Send a batch; again, under the same key, where the API is too busy."""
        body = {"commands": [self._command(f"storm-{number}-{at}") for at in range(BATCH)]}
        url, key = self._running.found["api"] + "/api/changes", {"Idempotency-Key": f"storm-{number}"}
        while True:
            async with http.post(url, json=body, headers=key) as answer:
                found = await answer.json()
                if answer.status != 503:
                    break
                backlog.refused += 1
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))
        assert answer.status == 202, f"a batch was answered {answer.status}"
        backlog.made += [result["change"] for result in found["results"] if result["change"]]

    def _command(self, name: str) -> dict[str, Any]:
        """Return a command: most edit a post that feeds show, some publish, some change a user's settings."""
        kind = self._draw.choices(KINDS, SHARES)[0]
        reader = self._draw.choice(self._users)
        if kind == "edit":
            return {"kind": "edit_post", "post": self._draw.choice(self._posts), "title": name}
        if kind == "publish":
            author = self._draw.choice(self._follows[reader])
            return {"kind": "create_post", "post": name, "author": author, "title": name}
        return {"kind": "put_settings", "user": reader, "page_size": self._draw.randint(10, 25)}

    async def _publish(self, http: aiohttp.ClientSession, post: dict[str, str]) -> str:
        async with http.post(self._running.found["api"] + "/api/posts", json=post) as answer:
            assert answer.status == 202, await answer.text()
            change: str = (await answer.json())["change"]
            return change

    async def _read(self, http: aiohttp.ClientSession, user: str) -> None:
        """Read a feed, so that the edge holds it; again, where the origin was too busy."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with http.get(self._running.found["edge"] + _path(user)) as answer:
                    await answer.read()
                if answer.status == 200:
                    return
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))

    async def _until_live(self, http: aiohttp.ClientSession, change: str) -> dict[str, float]:
        """Return the milliseconds after which a change was how far, once it is live."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with http.get(f"{self._running.found['api']}/api/changes/{change}") as answer:
                    found = await answer.json()
                if found["live"] is not None:
                    return {step: float(found[step]["ms"]) for step in STEPS}
                await asyncio.sleep(0.05)

    async def _metrics(self, http: aiohttp.ClientSession) -> dict[str, float]:
        """Return what the invalidator counts."""
        async with http.get(self._running.found["metrics"]["invalidator"]) as answer:
            samples = _sample.findall(await answer.text())
        of = {
            "waiting": ("edgebake_pending_tags", ""),
            "batches": ("edgebake_batches_total", ""),
            "first": ("edgebake_items_total", 'tap="first"'),
            "second": ("edgebake_items_total", 'tap="second"'),
        }
        return {
            key: sum(float(value) for name, labels, value in samples if name == metric and label in labels)
            for key, (metric, label) in of.items()
        }


def _path(user: str) -> str:
    return f"/feed/{user}/feed.json"
